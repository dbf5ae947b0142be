//! Local steps against their definition, on ranks that are computed one after another; and the runs around them.

mod runs;
mod zeros;

use support::digits::shipped;
use support::ranks::on_ranks;
use ternflock::job::Loaded;
use ternflock::train::{Trainer, prepare, simulate};
use ternflock::world::World;

use crate::WORLDS;
use crate::exchange::{SEED, ternary_mean};

/// Every tensor travels in the form that the job names; batches of 37 fall into unequal parts.
fn job(sets: &[&str]) -> Loaded {
    let seed = format!("train.seed={SEED}");
    let common = [
        "train.steps=9",
        "train.global_batch=37",
        "exchange.min_elements=0",
        "exchange.keep_float=[]",
        "exchange.error_feedback=false",
        &seed,
    ];
    shipped(&[&common[..], sets].concat())
}

/// The parameters of this rank after each step after which the ranks are synchronised, with the number of that step.
fn synchronised(trainer: &mut Trainer, world: &mut World) -> Vec<(u64, Vec<f32>)> {
    let mut all = Vec::new();
    while trainer.step < trainer.steps {
        let (step, exchanges) = (trainer.step, trainer.rhythm().is_synchronised(trainer.step + 1));
        let taken = trainer.step(world, false).unwrap();
        assert_eq!((trainer.step, taken.is_synchronised), (step + 1, exchanges));
        let formula = if exchanges { trainer.exchange().formula_bytes(world.rank()) } else { 0 };
        assert_eq!(taken.bytes_sent, formula, "step {step}");
        if exchanges {
            trainer.verify(world).unwrap();
            all.push((trainer.step, trainer.network.parameters.values.clone()));
        }
    }
    all
}

/// How far each of `members` has moved since `anchor`, after plain steps with its own gradients until step `until`.
fn movements(members: &mut [Trainer], anchor: &[f32], until: u64) -> Vec<Vec<f32>> {
    let ranks = members.len();
    let moved = members.iter_mut().enumerate().map(|(rank, member)| {
        member.network.parameters.values.copy_from_slice(anchor);
        while member.step < until {
            member.local_gradients((rank, ranks)).unwrap();
            member.apply();
        }
        anchor.iter().zip(&member.network.parameters.values).map(|(anchor, value)| anchor - value).collect()
    });
    moved.collect()
}

/// Each synchronisation subtracts the mean of the ranks' movements from the parameters before: exactly for ternaries, and up
/// to the rounding of the mean for float32. The reference steps each rank by itself with its own optimizer, from the
/// parameters after the synchronisation before, so that one rounding does not hide in the next.
fn check(ranks: usize, every: u64, sets: &[&str]) {
    let every_set = format!("exchange.every={every}");
    let loaded = job(&[&[every_set.as_str()], sets].concat());
    let what = format!("{ranks} ranks, every {every}, {sets:?}");
    let is_ternary = loaded.job.exchange.gradients == ternflock::job::Gradients::Ternary;
    let all = on_ranks(ranks, |mut world| {
        let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
        let synchronised = synchronised(&mut trainer, &mut world);
        if world.rank() > 0 {
            return synchronised;
        }
        let mut members = simulate(&loaded, ranks).unwrap();
        let table = members[0].network.parameters.table.clone();
        let mut anchor = members[0].network.parameters.values.clone();
        for (until, values) in &synchronised {
            let moved = movements(&mut members, &anchor, *until);
            for (number, tensor) in table.iter().enumerate() {
                let range = tensor.range.clone();
                let of_ranks: Vec<&[f32]> = moved.iter().map(|moved| &moved[range.clone()]).collect();
                let (before, after) = (&anchor[range.clone()], &values[range.clone()]);
                let what = format!("{what}, after step {until}, `{}`", tensor.name);
                if is_ternary {
                    let mean = ternary_mean(&of_ranks, 2.5, until - 1, number);
                    let expected: Vec<f32> =
                        before.iter().zip(mean).map(|(before, mean)| before - mean).collect();
                    assert_eq!(expected, after, "{what}");
                } else {
                    assert_float_step(before, &of_ranks, after, &what);
                }
            }
            anchor.clone_from(values);
        }
        synchronised
    });
    assert!(all.iter().all(|rank| *rank == all[0]), "{what}: ranks differ");
    let expected: Vec<u64> = (1..=9).filter(|done| done % every == 0 || *done == 9).collect();
    assert_eq!(all[0].iter().map(|(step, _)| *step).collect::<Vec<_>>(), expected, "{what}");
}

/// `after` is `before` minus the mean of `of_ranks`, both rounded: the mean as in `exchange.rs`, the difference by at
/// most 2^-24 of itself.
fn assert_float_step(before: &[f32], of_ranks: &[&[f32]], after: &[f32], what: &str) {
    let ranks = of_ranks.len() as f64;
    for (element, (before, after)) in before.iter().zip(after).enumerate() {
        let terms = of_ranks.iter().map(|values| f64::from(values[element]));
        let (sum, magnitude) = terms.fold((0.0, 0.0), |(sum, all), moved| (sum + moved, all + moved.abs()));
        let expected = f64::from(*before) - sum / ranks;
        let unit = 2f64.powi(-24);
        let tolerance = (ranks + 2.0) * unit * magnitude / ranks + 1.01 * unit * expected.abs();
        let error = (f64::from(*after) - expected).abs();
        assert!(error <= tolerance, "{what}, element {element}: off by {error:e}, at most {tolerance:e}");
    }
}

#[test]
fn parameters_move_by_the_mean_of_the_movements_at_any_number_of_ranks() {
    for ranks in WORLDS {
        for every in [2, 3, 4] {
            check(ranks, every, &["exchange.gradients=ternary"]);
            // One rank without compression has nothing to average.
            if ranks > 1 {
                check(ranks, every, &["exchange.gradients=float32"]);
            }
        }
    }
}

/// Each rank keeps its own state. Decay and clipping are those of each rank's own steps.
#[test]
fn every_optimizer_takes_local_steps() {
    for kind in [
        &["optimizer.momentum=0"][..],
        &["optimizer.weight_decay=0.01", "optimizer.clip_norm=0.5"],
        &["optimizer.kind=nesterov"],
        &["optimizer.kind=adam", "optimizer.learning_rate=0.001"],
        &["optimizer.kind=lars"],
    ] {
        for gradients in ["exchange.gradients=ternary", "exchange.gradients=float32"] {
            check(3, 4, &[&[gradients], kind].concat());
        }
    }
}

/// Averaging in parts, while another thread hands them over.
#[test]
fn buckets_and_threads_change_nothing() {
    for more in [
        &["exchange.bucket_elements=500"][..],
        &["exchange.bucket_elements=500", "exchange.overlap=always"],
        &["train.global_batch=40", "train.micro_batch=5"],
    ] {
        check(2, 3, &[&["exchange.gradients=ternary"], more].concat());
    }
}

fn parameters(ranks: usize, sets: &[&str]) -> Vec<(u64, Vec<f32>)> {
    let loaded = job(sets);
    let all = on_ranks(ranks, |mut world| {
        let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
        synchronised(&mut trainer, &mut world)
    });
    assert!(all.iter().all(|rank| *rank == all[0]));
    all.into_iter().next().unwrap()
}

#[test]
fn until_they_start_all_is_as_without_them() {
    for feedback in ["exchange.error_feedback=false", "exchange.error_feedback=true"] {
        let plain = parameters(3, &[feedback]);
        assert_eq!(plain.len(), 9);
        assert_eq!(parameters(3, &[feedback, "exchange.every=1", "exchange.every_start=2"]), plain);
        assert_eq!(parameters(3, &[feedback, "exchange.every=4", "exchange.every_start=9"]), plain);
        let late = parameters(3, &[feedback, "exchange.every=4", "exchange.every_start=3"]);
        assert_eq!(late.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 3, 7, 9]);
        assert_eq!(late[..3], plain[..3]);
        assert_ne!(late[3].1, plain[6].1);
    }
}

#[test]
fn one_rank_without_compression_has_nothing_to_average() {
    let float32 = "exchange.gradients=float32";
    assert_eq!(parameters(1, &[float32, "exchange.every=4"]), parameters(1, &[float32]));
}

/// The sums of a rank over a run.
struct Totals {
    first: Vec<f32>,
    last: Vec<f32>,
    /// How far its own steps have moved the parameters.
    moved: Vec<f64>,
    /// Its residual at the end.
    left: Vec<f64>,
}

/// What ternaries have left of the movements is not lost: over all exchanges, the parameters have moved by the mean of all
/// ranks' movements, up to the mean residual and to rounding. The reference sums in float64.
#[test]
fn feedback_delays_what_was_not_sent() {
    const RANKS: usize = 3;
    let loaded = job(&["exchange.every=3", "exchange.error_feedback=true", "train.steps=30"]);
    let all = on_ranks(RANKS, |mut world| {
        let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
        let first = trainer.network.parameters.values.clone();
        let mut moved = vec![0.0; first.len()];
        let mut anchor = first.clone();
        let mut member = simulate(&loaded, RANKS).unwrap().swap_remove(world.rank());
        for (until, values) in synchronised(&mut trainer, &mut world) {
            member.network.parameters.values.copy_from_slice(&anchor);
            while member.step < until {
                member.local_gradients((world.rank(), RANKS)).unwrap();
                member.apply();
            }
            let last = anchor.iter().zip(&member.network.parameters.values);
            moved.iter_mut().zip(last).for_each(|(sum, (a, b))| *sum += f64::from(*b) - f64::from(*a));
            anchor = values;
        }
        let mut left = vec![0.0; first.len()];
        for (number, residual) in trainer.exchange().residuals() {
            let range = trainer.network.parameters.table[number].range.clone();
            left[range].iter_mut().zip(residual).for_each(|(left, value)| *left = f64::from(*value));
        }
        Totals { first, last: anchor, moved, left }
    });
    let Totals { first, last, .. } = &all[0];
    let mut farthest = 0.0f64;
    for element in 0..first.len() {
        let mean =
            |of: fn(&Totals) -> &[f64]| all.iter().map(|rank| of(rank)[element]).sum::<f64>() / RANKS as f64;
        // A residual is of anchor minus parameters.
        let left = mean(|rank| &rank.left);
        let expected = mean(|rank| &rank.moved) + left;
        let found = f64::from(last[element]) - f64::from(first[element]);
        let magnitude = 1.0 + f64::from(first[element].abs());
        // Ten exchanges, each with at most eight roundings of numbers of this size.
        assert!(
            (found - expected).abs() <= 80.0 * 2f64.powi(-24) * magnitude,
            "{element}: {found} {expected}"
        );
        farthest = farthest.max(left.abs());
    }
    assert!(farthest > 1e-5, "nothing was left");
}
