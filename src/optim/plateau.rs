//! A learning rate that depends on evaluations: it is cut when the loss stops falling.

/// The state of this schedule. All ranks see the same evaluations, so it is equal on all ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// The number of times that the rate was cut.
    pub cuts: u64,
    /// Evaluations in a row, since the last cut, whose loss was not below `best_loss`.
    pub waited: u64,
    /// The smallest loss of an evaluation.
    pub best_loss: f64,
}

impl Default for Plateau {
    fn default() -> Plateau {
        Plateau { cuts: 0, waited: 0, best_loss: f64::INFINITY }
    }
}

impl Plateau {
    /// Observes the loss of an evaluation. Returns whether the rate is cut: when more than `patience` evaluations in a row
    /// were not below the best.
    pub fn observe(&mut self, loss: f64, patience: u64) -> bool {
        if loss < self.best_loss {
            (self.best_loss, self.waited) = (loss, 0);
            return false;
        }
        self.waited += 1;
        let cuts = self.waited > patience;
        if cuts {
            self.cuts += 1;
            self.waited = 0;
        }
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(losses: &[f64], patience: u64) -> Vec<u64> {
        let mut plateau = Plateau::default();
        let observe = |loss: &f64| {
            plateau.observe(*loss, patience);
            plateau.cuts
        };
        losses.iter().map(observe).collect()
    }

    #[test]
    fn a_loss_that_does_not_fall_cuts_when_patience_ends() {
        let losses = [5.0, 4.0, 4.0, 4.5, 3.0, 3.5, 3.5, 3.5, 2.0];
        assert_eq!(cuts(&losses, 0), [0, 0, 1, 2, 2, 3, 4, 5, 5]);
        assert_eq!(cuts(&losses, 1), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(cuts(&losses, 2), [0, 0, 0, 0, 0, 0, 0, 1, 1]);
    }
}
