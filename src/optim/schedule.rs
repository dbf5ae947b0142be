//! The learning rate of a step: a pure function, so that a resumed run has nothing to restore.

use std::f64::consts::PI;

use ternflock_job::{Schedule, ScheduleKind};

/// The position of a step in a run.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The step, from 0.
    pub step: u64,
    /// The number of steps of the entire run.
    pub steps: u64,
    /// The epoch that the step begins in, from 0.
    pub epoch: u64,
    /// How many times evaluations have cut the rate, which is part of the state of a run
    /// ([`Plateau`](super::Plateau)).
    pub cuts: u64,
}

/// The learning rate at `moment` of a run that starts at `base`.
pub fn learning_rate(schedule: &Schedule, base: f64, moment: Moment) -> f64 {
    base * curve(&schedule.kind, moment) * warmup(schedule, moment.step)
}

fn curve(kind: &ScheduleKind, Moment { step, steps, epoch, cuts }: Moment) -> f64 {
    let t = step as f64;
    let part_done = (t / steps as f64).min(1.0);
    match kind {
        ScheduleKind::Fixed => 1.0,
        ScheduleKind::Step { gamma, every } => gamma.powf((step / every) as f64),
        ScheduleKind::Multistep { gamma, milestones } => {
            gamma.powf(milestones.iter().filter(|&&milestone| milestone <= step).count() as f64)
        }
        ScheduleKind::Polynomial { power } => (1.0 - part_done).powf(*power),
        ScheduleKind::Inv { gamma, power } => (1.0 + gamma * t).powf(-power),
        ScheduleKind::Cosine => (1.0 + (PI * part_done).cos()) / 2.0,
        ScheduleKind::Plateau { gamma, .. } => gamma.powf(cuts as f64),
        ScheduleKind::Exponential { gamma, constant_epochs } => {
            gamma.powf((epoch + 1).saturating_sub(*constant_epochs) as f64)
        }
    }
}

/// Rises linearly from `warmup_from` to 1.
fn warmup(schedule: &Schedule, step: u64) -> f64 {
    if step >= schedule.warmup {
        return 1.0;
    }
    let from = schedule.warmup_from;
    from + (1.0 - from) * (step as f64 / schedule.warmup as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To six digits, in a run of 100 steps with epochs of 10.
    fn rates_of(schedule: &Schedule, at: &[u64]) -> Vec<f64> {
        let rate =
            |&step| learning_rate(schedule, 0.5, Moment { step, steps: 100, epoch: step / 10, cuts: 2 });
        at.iter().map(|step| (rate(step) * 1e6).round() / 1e6).collect()
    }

    fn rates(kind: ScheduleKind, at: &[u64]) -> Vec<f64> {
        rates_of(&Schedule { kind, ..Schedule::default() }, at)
    }

    #[test]
    fn each_kind_follows_its_formula() {
        assert_eq!(rates(ScheduleKind::Fixed, &[0, 99]), [0.5, 0.5]);
        let step = ScheduleKind::Step { gamma: 0.1, every: 10 };
        assert_eq!(rates(step, &[0, 9, 10, 25]), [0.5, 0.5, 0.05, 0.005]);
        let multistep = ScheduleKind::Multistep { gamma: 0.1, milestones: vec![5, 50] };
        assert_eq!(rates(multistep, &[4, 5, 49, 50]), [0.5, 0.05, 0.05, 0.005]);
        assert_eq!(
            rates(ScheduleKind::Polynomial { power: 2.0 }, &[0, 50, 100, 101]),
            [0.5, 0.125, 0.0, 0.0]
        );
        // Caffe's LeNet: after 10,000 steps of gamma 1e-4, power 0.75, the rate is base x 2^-0.75.
        assert_eq!(rates(ScheduleKind::Inv { gamma: 1e-4, power: 0.75 }, &[0, 10_000]), [0.5, 0.297302]);
        assert_eq!(rates(ScheduleKind::Cosine, &[0, 50, 75, 100, 101]), [0.5, 0.25, 0.073223, 0.0, 0.0]);
    }

    /// As for Zaremba's language models: a number of epochs at the first rate, then one factor per epoch.
    #[test]
    fn the_exponential_is_constant_first() {
        let exponential = |constant_epochs| ScheduleKind::Exponential { gamma: 0.5, constant_epochs };
        assert_eq!(rates(exponential(4), &[0, 39, 40, 49, 50, 99]), [0.5, 0.5, 0.25, 0.25, 0.125, 0.007813]);
        assert_eq!(rates(exponential(1), &[0, 9, 10, 20]), [0.5, 0.5, 0.25, 0.125]);
    }

    #[test]
    fn a_plateau_is_cut_by_evaluations_alone() {
        assert_eq!(rates(ScheduleKind::Plateau { gamma: 0.25, patience: 3 }, &[0, 99]), [0.03125; 2]);
    }

    #[test]
    fn warming_up_scales_the_curve() {
        let warmed = |kind| Schedule { kind, warmup: 8, warmup_from: 0.5, ..Schedule::default() };
        assert_eq!(rates_of(&warmed(ScheduleKind::Fixed), &[0, 4, 7, 8]), [0.25, 0.375, 0.46875, 0.5]);
        let polynomial = warmed(ScheduleKind::Polynomial { power: 1.0 });
        assert_eq!(rates_of(&polynomial, &[0, 4, 50]), [0.25, 0.36, 0.25]);
    }
}
