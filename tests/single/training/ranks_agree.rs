//! Any number of ranks trains one network, on every sample of the batch once.

use std::fs;
use std::sync::atomic::AtomicBool;

use support::digits::{JOB, assert_same_state, at_step, load, shipped};
use support::ranks::on_ranks;
use ternflock::checkpoint;
use ternflock::error::{Error, Kind};
use ternflock::job::Loaded;
use ternflock::nn::Execution;
use ternflock::report::{Count, Event};
use ternflock::train::{
    Evaluator, Options, Trainer, build_graph, evaluate, open_feeds, open_test_set, place, restore_network,
    run,
};
use ternflock::world::World;

use crate::WORLDS;
use crate::runs::{short, train, train_without_threads};

fn trainer(loaded: &Loaded, world: &World) -> Trainer {
    let feed = open_feeds(loaded).unwrap().train;
    let graph = build_graph(&loaded.job.model, &loaded.source, feed.input(), feed.target()).unwrap();
    Trainer::new(&loaded.job, graph, feed, world.topology(), true).unwrap()
}

/// A rank's parameters after `steps` steps of the bare trainer, without the run around it.
fn parameters(loaded: &Loaded, steps: u64, world: &mut World) -> Vec<f32> {
    // How BLAS splits its sums depends on its threads, so they must be as many as in the run.
    place(world).unwrap();
    let mut trainer = trainer(loaded, world);
    for _ in 0..steps {
        trainer.step(world, false).unwrap();
    }
    trainer.network.parameters.values
}

/// The run checks after each step that its ranks agree. Here their parameters themselves are compared, and
/// both checks agree.
#[test]
fn all_ranks_end_with_the_same_parameters_and_the_checkpoint_holds_them() {
    for gradients in ["ternary", "float32"] {
        let loaded = short(&["train.steps=6", &format!("exchange.gradients={gradients}")]);
        for ranks in WORLDS {
            let directory = tempfile::tempdir().unwrap();
            let ended = train(ranks, &loaded, directory.path());
            assert!(ended.iter().all(|rank| rank.summary().complete));
            let stored = load(directory.path(), 6).parameters;
            let stored: Vec<u32> = stored.iter().flat_map(|t| &t.values).map(|v| v.to_bits()).collect();
            for (rank, values) in
                on_ranks(ranks, |mut world| parameters(&loaded, 6, &mut world)).iter().enumerate()
            {
                let bits: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
                assert!(bits == stored, "{gradients}, rank {rank} of {ranks} has other parameters");
            }
        }
    }
}

/// Sums are cut into parts and added in another order at every number of ranks. In this network a value is a sum of at
/// most 288 products, so it changes by less than 288 * 2^-24 = 2e-5 of the magnitudes in it, usually by a root of that;
/// ten steps of a mild learning rate multiply this by less than ten. A batch of 37 falls into unequal parts: were they
/// weighted alike, gradients would be off by one part in eight.
#[test]
fn float32_follows_one_rank_even_where_the_batch_does_not_divide() {
    for batch in [40, 37] {
        let batch = format!("train.global_batch={batch}");
        let losses = |ranks, more: &[&str]| {
            let directory = tempfile::tempdir().unwrap();
            let sets = [&["train.steps=10", "exchange.gradients=float32", &batch], more].concat();
            train(ranks, &short(&sets), directory.path())[0].losses()
        };
        let alone = losses(1, &[]);
        assert_eq!(alone.len(), 10);
        let farthest =
            |other: &[f64]| alone.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        for ranks in &WORLDS[1..] {
            let apart = farthest(&losses(*ranks, &[]));
            assert!(apart < 2e-4, "{batch}, {ranks} ranks: losses differ by {apart:e}");
        }
        // The bound is not so wide that gradients 2 % too large would pass.
        assert!(farthest(&losses(1, &["optimizer.learning_rate=0.0204"])) > 2e-4);
    }
}

/// During the backward pass, after it because of the job, and after it because MPI allows no threads.
#[test]
fn gradients_averaged_beside_or_after_the_backward_pass_give_the_same_bits() {
    let buckets = "exchange.bucket_elements=500";
    let (beside, after) = ["exchange.overlap=always", "exchange.overlap=never"]
        .map(|overlap| short(&[buckets, overlap]))
        .into();
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third] = directories.each_ref().map(|directory| directory.path());
    assert!(train(3, &beside, first).iter().all(|rank| rank.notes().is_empty()));
    train(3, &after, second);
    for rank in train_without_threads(3, &beside, third) {
        assert!(rank.notes()[0].contains("MPI_THREAD_FUNNELED"), "{:?}", rank.notes());
    }
    assert_same_state(&load(first, 20), &load(second, 20));
    assert_same_state(&load(first, 20), &load(third, 20));
}

#[test]
fn ranks_with_different_jobs_do_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().join("run");
    let jobs = [short(&[]), short(&["train.seed=2"])];
    let options = Options { run_dir: Some(run_dir.clone()), ..Options::default() };
    let results = on_ranks(3, |mut world| {
        let job = &jobs[usize::from(world.rank() == 2)];
        run(job, &options, &mut world, &AtomicBool::new(false), &mut |_| {}).err()
    });
    for error in results {
        let Some(Error::Disagree(message)) = error else { panic!("{error:?}") };
        assert!(message.contains("the hash of the job"), "{message}");
    }
    assert!(!run_dir.exists());
}

#[test]
fn a_batch_smaller_than_the_ranks_is_refused_where_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(JOB).unwrap();
    let line = 1 + text.lines().position(|line| line == "global_batch = 32").unwrap();
    let path = directory.path().join("few.toml");
    fs::write(&path, text.replace("global_batch = 32", "global_batch = 4")).unwrap();
    let loaded = ternflock::job::load(&path, &[]).unwrap();
    let run_dir = directory.path().join("run");
    let ended = train(5, &loaded, &run_dir);
    let Err(Error::OnAllRanks(error)) = &ended[0].result else { panic!("{:?}", ended[0].result) };
    let message = error.to_string();
    assert!(message.starts_with(&format!("{}:{line}: ", path.display())), "{message}");
    assert!(message.contains("batch of 4") && message.contains("5 ranks"), "{message}");
    for rank in &ended[1..] {
        assert!(matches!(rank.result, Err(Error::Elsewhere { rank: 0, kind: Kind::Usage })));
    }
    assert!(!run_dir.exists());
    assert!(train(4, &loaded, &run_dir).iter().all(|rank| matches!(&rank.result, Ok(s) if s.complete)));
}

#[test]
fn every_sample_to_evaluate_on_is_counted_once_at_any_number_of_ranks() {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(3, &short(&["train.steps=40"]), directory.path());
    let counted = |event: &Event| match event {
        Event::Evaluate { samples, set, .. } => Some((*samples, *set)),
        Event::Test { test, set, .. } => Some((test.samples, *set)),
        _ => None,
    };
    for rank in &ended {
        let counts: Vec<_> = rank.events.iter().filter_map(counted).collect();
        assert_eq!(counts, [(Count::Samples(143), "validation"), (Count::Samples(359), "test")]);
    }

    let path = at_step(directory.path(), 40);
    let snapshot = checkpoint::load(&path).unwrap();
    let tally = |ranks| {
        let of_ranks = on_ranks(ranks, |mut world| {
            let test = open_test_set(&shipped(&[]).job.data, None, None).unwrap();
            let mut network = restore_network(&path, &snapshot, Execution::float32(50)).unwrap();
            evaluate(&mut Evaluator::new(test), &mut network, &mut world).unwrap()
        });
        assert!(of_ranks.iter().all(|tally| tally == &of_ranks[0]));
        of_ranks[0]
    };
    let alone = tally(1);
    assert_eq!(alone.samples, 359);
    for ranks in [2, 3, 5, 7, 8] {
        let shared = tally(ranks);
        assert_eq!((shared.samples, shared.correct), (alone.samples, alone.correct), "{ranks} ranks");
        // The same f32 losses up to the order of the sums in them, as above; added as f64.
        assert!((shared.loss / alone.loss - 1.0).abs() < 2e-5);
    }
}

/// One bit of one parameter, or of the momentum, differs on one rank: every rank refuses to continue and
/// names that rank.
#[test]
fn ranks_that_have_drifted_apart_are_found() {
    let loaded = shipped(&["train.steps=2"]);
    for drifts in [None, Some("parameter"), Some("momentum")] {
        let verdicts = on_ranks(3, |mut world| {
            let mut trainer = trainer(&loaded, &world);
            trainer.step(&mut world, false).unwrap();
            let flip = |value: &mut f32| *value = f32::from_bits(value.to_bits() ^ 1);
            match (drifts, world.rank()) {
                (Some("parameter"), 2) => flip(&mut trainer.network.parameters.values[777]),
                (Some("momentum"), 2) => flip(&mut trainer.optimizer.states_mut()[0].values[777]),
                _ => {}
            }
            trainer.verify(&mut world).map_err(|error| error.to_string())
        });
        for verdict in verdicts {
            match (drifts, verdict) {
                (None, Ok(())) => {}
                (Some(_), Err(message)) => {
                    let parts = [
                        "step 1: the hash of parameters and the optimizer's state is",
                        "on rank 2 and",
                        "on rank 0",
                    ];
                    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
                }
                (drifts, verdict) => panic!("{drifts:?}: {verdict:?}"),
            }
        }
    }
}
