//! The loss as a function of the parameters: the same on any number of ranks, with the matching gradient.

use support::digits::load;
use support::ranks::on_ranks;
use ternflock::checkpoint::Snapshot;
use ternflock::data::Vocabulary;
use ternflock::job::{Job, Task};
use ternflock::landscape::Objective as _;
use ternflock::nn::Execution;
use ternflock::train::{Objective, open_training_set, restore_network};

use crate::WORLDS;
use crate::language;
use crate::runs::{short, train};

/// Loss and gradient at the parameters of `snapshot`, on the first `samples` samples.
fn at(snapshot: &Snapshot, ranks: usize, samples: usize) -> (f64, Vec<f32>) {
    let results = on_ranks(ranks, |mut world| {
        let job = Job::from_toml(&snapshot.job).unwrap();
        let words =
            (!snapshot.vocabulary.is_empty()).then(|| Vocabulary::of(snapshot.vocabulary.clone()).unwrap());
        let feed = open_training_set(&job.data, None, words.as_ref()).unwrap();
        let mut network = restore_network("here".as_ref(), snapshot, Execution::float32(16)).unwrap();
        let values = network.parameters.values.clone();
        let mut objective =
            Objective::new(&mut network, &mut world, feed, &Task::default(), samples).unwrap();
        let mut gradient = vec![f32::NAN; values.len()];
        let value = objective.value_and_gradient(&values, &mut gradient).unwrap();
        assert_eq!(objective.value(&values).unwrap(), value, "with or without a gradient");
        (objective.count(), value, gradient)
    });
    assert!(results.iter().all(|result| *result == results[0]), "all ranks know the same");
    let (count, value, gradient) = results.into_iter().next().unwrap();
    assert!(count as usize >= samples.min(1000));
    (value, gradient)
}

#[test]
fn ranks_share_a_loss_and_its_gradient() {
    let (digits, text) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(1, &short(&["train.steps=5"]), digits.path());
    train(1, &language::short(&["train.steps=5"]), text.path());
    for (snapshot, samples) in [(load(digits.path(), 5), 100), (load(text.path(), 5), 100)] {
        let (alone, gradient) = at(&snapshot, 1, samples);
        let largest = gradient.iter().fold(0.0f32, |largest, g| largest.max(g.abs()));
        assert!(alone.is_finite() && largest > 0.0);
        for ranks in WORLDS {
            let (value, shared) = at(&snapshot, ranks, samples);
            assert!((value - alone).abs() < 1e-6 * alone, "{ranks} ranks: {value}, not {alone}");
            let off = gradient.iter().zip(&shared).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Sums of some hundred numbers in another order.
            assert!(off <= 1e-5 * largest, "{ranks} ranks: {off} of {largest}");
        }
    }
}

/// Along the gradient, the loss rises at the rate of the gradient.
#[test]
fn the_gradient_is_that_of_the_loss() {
    let directory = tempfile::tempdir().unwrap();
    train(1, &short(&["train.steps=5"]), directory.path());
    let snapshot = load(directory.path(), 5);
    on_ranks(2, |mut world| {
        let job = Job::from_toml(&snapshot.job).unwrap();
        let feed = open_training_set(&job.data, None, None).unwrap();
        let mut network = restore_network("here".as_ref(), &snapshot, Execution::float32(16)).unwrap();
        let values = network.parameters.values.clone();
        let mut objective = Objective::new(&mut network, &mut world, feed, &Task::default(), 200).unwrap();
        let mut gradient = vec![0.0; values.len()];
        objective.value_and_gradient(&values, &mut gradient).unwrap();
        let squared: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
        let step = 1e-2 / squared.sqrt();
        let mut along = |t: f64| {
            let x: Vec<f32> =
                values.iter().zip(&gradient).map(|(w, g)| w + (t * f64::from(*g)) as f32).collect();
            objective.value(&x).unwrap()
        };
        let slope = (along(step) - along(-step)) / (2.0 * step);
        assert!((slope / squared - 1.0).abs() < 1e-2, "{slope}, not {squared}");
    });
}
