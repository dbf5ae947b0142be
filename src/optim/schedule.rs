//! The learning rate of a step: a pure function, so that a resumed run has nothing to restore.

use crate::job::Schedule;

/// The learning rate of step `t` (from 0) of a run of `steps` steps that starts at `base`.
pub fn learning_rate(schedule: &Schedule, base: f64, t: u64, steps: u64) -> f64 {
    base * match schedule {
        Schedule::Fixed => 1.0,
        Schedule::Step { gamma, every } => gamma.powf((t / every) as f64),
        Schedule::Multistep { gamma, milestones } => {
            gamma.powf(milestones.iter().filter(|&&milestone| milestone <= t).count() as f64)
        }
        Schedule::Polynomial { power } => (1.0 - (t as f64 / steps as f64).min(1.0)).powf(*power),
        Schedule::Inv { gamma, power } => (1.0 + gamma * t as f64).powf(-power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, at: &[u64]) -> Vec<f64> {
        at.iter().map(|&t| (learning_rate(&schedule, 0.5, t, 100) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn each_kind_follows_its_formula() {
        assert_eq!(rates(Schedule::Fixed, &[0, 99]), [0.5, 0.5]);
        let step = Schedule::Step { gamma: 0.1, every: 10 };
        assert_eq!(rates(step, &[0, 9, 10, 25]), [0.5, 0.5, 0.05, 0.005]);
        let multistep = Schedule::Multistep { gamma: 0.1, milestones: vec![5, 50] };
        assert_eq!(rates(multistep, &[4, 5, 49, 50]), [0.5, 0.05, 0.05, 0.005]);
        assert_eq!(rates(Schedule::Polynomial { power: 2.0 }, &[0, 50, 100, 101]), [0.5, 0.125, 0.0, 0.0]);
        // Caffe's LeNet: after 10,000 steps of gamma 1e-4, power 0.75, the rate is base x 2^-0.75.
        assert_eq!(rates(Schedule::Inv { gamma: 1e-4, power: 0.75 }, &[0, 10_000]), [0.5, 0.297302]);
    }
}
