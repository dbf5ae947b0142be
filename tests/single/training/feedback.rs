//! Error feedback: no part of a gradient is lost, it is only delayed.

use support::digits::shipped;
use support::ranks::on_ranks;
use ternflock::job::{self, Loaded};
use ternflock::nn::Parameters;
use ternflock::train::{Exchange, prepare};
use ternflock::world::World;
use ternflock_collectives::codec::{Layout, Rounding, decode, encode};
use ternflock_collectives::planes::TERNARY;
use ternflock_collectives::topology::Topology;

use crate::WORLDS;
use crate::exchange::{Local, SEED, average, gradients, graph, settings};
use crate::runs::train;

const STEPS: u64 = 200;

/// Per element over [`STEPS`] steps: the sum of a rank's own gradients, the sum of the means, and the final
/// residual; and the largest gradient and the largest residual of all steps.
fn totals(job: &job::Exchange, ranks: usize) -> Vec<([Vec<f64>; 3], [f32; 2])> {
    on_ranks(ranks, |mut world| {
        let parameters = Parameters::new(&graph()).unwrap();
        let mut exchange = Exchange::new(job, SEED, &graph(), &parameters, Topology::single(ranks)).unwrap();
        let mut sums = [(); 3].map(|()| vec![0.0; parameters.values.len()]);
        let mut largest = [0.0_f32; 2];
        let max = |values: &[f32]| values.iter().fold(0.0, |max: f32, value| max.max(value.abs()));
        for step in 0..STEPS {
            let mut values = gradients(&parameters, world.rank(), step + 3);
            sums[0].iter_mut().zip(&values).for_each(|(sum, value)| *sum += f64::from(*value));
            largest[0] = largest[0].max(max(&values));
            average(&mut exchange, &mut world, step, &mut values, Local::default());
            sums[1].iter_mut().zip(&values).for_each(|(sum, value)| *sum += f64::from(*value));
            let residuals = exchange.residuals().map(|(_, residual)| max(residual));
            largest[1] = residuals.fold(largest[1], f32::max);
        }
        for (number, residual) in exchange.residuals() {
            let place = parameters.table[number].range.clone();
            sums[2][place].iter_mut().zip(residual).for_each(|(left, value)| *left = f64::from(*value));
        }
        (sums, largest)
    })
}

/// The values sent and the residual add up to the gradients. Of each step's numbers, none above 2^3 times the
/// largest gradient (checked), 4 on each rank and one mean are rounded, each by at most 2^-24 of itself; the
/// float32 tensors' sums are rounded too, P times.
#[test]
fn what_was_sent_and_what_is_left_are_all_there_was() {
    for ranks in WORLDS {
        for bucket_elements in [1, 1 << 18] {
            let job = job::Exchange {
                error_feedback: true,
                bucket_elements,
                ..settings(job::Gradients::Ternary, 20, &["logits"])
            };
            let all = totals(&job, ranks);
            let limit = all.iter().map(|(_, [gradient, _])| 8.0 * *gradient).fold(0.0, f32::max);
            for (_, [_, residual]) in &all {
                assert!(*residual <= limit, "residuals grow to {residual}, beyond {limit}");
            }
            let tolerance = STEPS as f64 * (5 + ranks) as f64 * 2.0_f64.powi(-24) * f64::from(limit);
            for element in 0..all[0].0[0].len() {
                let mean = |which: usize| {
                    all.iter().map(|(sums, _)| sums[which][element]).sum::<f64>() / ranks as f64
                };
                let (there_was, sent, left) = (mean(0), mean(1), mean(2));
                let lost = there_was - sent - left;
                assert!(lost.abs() <= tolerance, "element {element}: {lost:e} of {there_was} are lost");
            }
            assert!(all[0].0[2].iter().any(|left| *left != 0.0), "nothing was ever left");
        }
    }
}

#[test]
fn without_it_nothing_is_kept() {
    let parameters = Parameters::new(&graph()).unwrap();
    let exchange =
        Exchange::new(&job::Exchange::default(), SEED, &graph(), &parameters, Topology::single(2)).unwrap();
    assert_eq!(exchange.residuals().count(), 0);
}

/// Steps of a run; the last [`LAST`] determine its outcome.
const LENGTH: u64 = 150;
const LAST: usize = 20;

/// All gradients are ternary, scaled by the largest magnitude. Rounding to nearest then drops everything below half of
/// it.
fn all_ternary(more: &[&str]) -> Loaded {
    let steps = format!("train.steps={LENGTH}");
    let sets = [
        steps.as_str(),
        "train.log_every=1",
        "train.eval_every=0",
        "exchange.min_elements=0",
        "exchange.keep_float=[]",
        "exchange.clip_sigma=0",
    ];
    shipped(&[&sets[..], more].concat())
}

fn last(losses: &[f64]) -> f64 {
    assert_eq!(losses.len() as u64, LENGTH);
    losses[losses.len() - LAST..].iter().sum::<f64>() / LAST as f64
}

/// The same steps with ternary gradients rounded to nearest by the codec, without a residual.
fn nearest_alone(loaded: &Loaded) -> f64 {
    let mut losses = on_ranks(1, |mut world| {
        let (mut trainer, _) = prepare(loaded, &mut world).unwrap();
        let table = trainer.network.parameters.table.clone();
        let round = |_: &mut World, gradients: &mut [f32]| {
            for tensor in &table {
                let values = &mut gradients[tensor.range.clone()];
                let scale = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                let layout = Layout::new([values.len()]);
                let mut planes = vec![0; layout.words(TERNARY)];
                encode(values, f32::INFINITY, scale, Rounding::Nearest, 0, &mut planes);
                decode(&planes, TERNARY, 0, scale, values);
            }
            Ok(())
        };
        let step = |_| trainer.step_by(&mut world, round).unwrap().tally.mean_loss();
        (0..LENGTH).map(step).collect::<Vec<f64>>()
    });
    last(&losses.remove(0))
}

/// On one rank and on several, training reaches the same point as with float32 if the residual is fed back, and does
/// not if it is dropped.
#[test]
fn training_with_feedback_reaches_what_float32_does() {
    let run = |ranks: usize, more: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        last(&train(ranks, &all_ternary(more), directory.path())[0].losses())
    };
    let float32 = run(1, &["exchange.gradients=float32"]);
    let alone = nearest_alone(&all_ternary(&[]));
    let feedback = [1, 4].map(|ranks| run(ranks, &["exchange.error_feedback=true"]));
    for loss in feedback {
        assert!(loss < 1.5 * float32 + 0.05, "{loss} with feedback, {float32} in float32");
        assert!(alone > 3.0 * loss, "{loss} with feedback, {alone} without");
    }
}
