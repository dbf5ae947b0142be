//! Batch norm's running statistics in runs: each rank continues with its own after a restart, to the bit, and
//! evaluations and checkpoints use their mean.

use std::fs;

use support::digits::{JOB, assert_same_state, load};
use support::ranks::on_ranks;
use ternflock::checkpoint::{self, Snapshot, Tensor};
use ternflock::job::{self, Loaded, Task};
use ternflock::nn::Execution;
use ternflock::train::{Evaluator, evaluate, open_test_set, restore_network};

use crate::runs::{metrics, resume, resume_changed, train, train_until};

/// The digits job with batch norm after its convolutions and dropout before its output layer, for 12 steps.
fn normalised(sets: &[&str]) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("normalised.toml");
    let norm = "[[model.layers]]\ntype = \"batch_norm\"\n\n[[model.layers]]\ntype = \"relu\"";
    let logits = "[[model.layers]] # 10, the logits";
    let drop = format!("[[model.layers]]\ntype = \"dropout\"\nrate = 0.25\n\n{logits}");
    let text = fs::read_to_string(JOB).unwrap().replacen("[[model.layers]]\ntype = \"relu\"", norm, 2);
    fs::write(&file, text.replace(logits, &drop)).unwrap();
    let always = [
        "train.steps=12",
        "train.log_every=1",
        "train.eval_every=4",
        "checkpoint.every=5",
        "exchange.verify_every=1",
    ];
    let sets: Vec<String> = always.iter().chain(sets).map(ToString::to_string).collect();
    job::load(&file, &sets).unwrap()
}

fn tensor<'a>(tensors: &'a [Tensor], name: &str) -> &'a Tensor {
    tensors.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn own(snapshot: &Snapshot) -> Option<&[Tensor]> {
    snapshot.optimizer.iter().find(|slot| slot.name == "statistics").map(|slot| &slot.tensors[..])
}

/// Stopped where neither a checkpoint nor an evaluation is due.
#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let loaded = normalised(&[]);
    for ranks in [1, 3] {
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(ranks, &loaded, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        train_until(7, ranks, &loaded, halved.path());
        for rank in &resume(ranks, &loaded, halved.path()) {
            assert!(rank.summary().complete && rank.notes().is_empty(), "{:?}", rank.notes());
        }
        assert_same_state(&load(straight.path(), 12), &load(halved.path(), 12));
        assert_eq!(metrics(straight.path(), "evaluate"), metrics(halved.path(), "evaluate"));
    }
}

/// The network that is tested at the end has the statistics of its checkpoint, whether it is the last one or,
/// if the rate jumps and spoils the last, an earlier one.
#[test]
fn the_test_set_sees_the_statistics_of_the_chosen_network() {
    let jump = ["schedule.kind=multistep", "schedule.milestones=[6]", "schedule.gamma=30"];
    for (sets, is_last) in [(&[][..], true), (&jump, false)] {
        let (directory, loaded) = (tempfile::tempdir().unwrap(), normalised(sets));
        let ended = train(3, &loaded, directory.path());
        let path = directory.path().join("checkpoints/best.h5");
        let snapshot = checkpoint::load(&path).unwrap();
        assert_eq!(snapshot.progress.step == 12, is_last, "{}", snapshot.progress.step);
        let tally = on_ranks(3, |mut world| {
            let test = open_test_set(&loaded.job.data, None, None).unwrap();
            let mut network = restore_network(&path, &snapshot, Execution::float32(64)).unwrap();
            evaluate(&mut Evaluator::new(test, &Task::default()).unwrap(), &mut network, &mut world)
                .unwrap()
                .tally
        })[0];
        for rank in &ended {
            let test = rank.summary().test.as_ref().unwrap();
            assert_eq!((test.score.value, test.loss), (tally.accuracy(), Some(tally.mean_loss())));
        }
    }
}

#[test]
fn a_checkpoint_holds_the_mean_and_each_ranks_own() {
    let directory = tempfile::tempdir().unwrap();
    train(3, &normalised(&[]), directory.path());
    let snapshot = load(directory.path(), 12);
    let own = own(&snapshot).unwrap();
    assert_eq!(own.len(), 4);
    for all in own {
        let mean = tensor(&snapshot.parameters, &all.name);
        assert_eq!(all.shape, [&[3], &mean.shape[..]].concat());
        let ranks: Vec<&[f32]> = all.values.chunks_exact(mean.values.len()).collect();
        assert!(ranks[0] != ranks[1] && ranks[1] != ranks[2], "`{}` is the same on all ranks", all.name);
        for (index, mean) in mean.values.iter().enumerate() {
            let exact = ranks.iter().map(|rank| f64::from(rank[index])).sum::<f64>() / 3.0;
            let size = ranks.iter().map(|rank| f64::from(rank[index].abs())).sum::<f64>();
            assert!(
                (f64::from(*mean) - exact).abs() <= 4.0 * size * 2f64.powi(-24),
                "`{}` {index}",
                all.name
            );
        }
    }
    // A layer's tensors stand together, the trained ones first.
    let names: Vec<&str> = snapshot.parameters.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names[..6],
        [
            "conv1/weight",
            "conv1/bias",
            "batch_norm_2/weight",
            "batch_norm_2/bias",
            "batch_norm_2/running_mean",
            "batch_norm_2/running_var"
        ]
    );
}

#[test]
fn other_ranks_go_on_with_the_mean_and_say_so() {
    let directory = tempfile::tempdir().unwrap();
    train(3, &normalised(&["train.steps=5"]), directory.path());
    let mean = load(directory.path(), 5);
    let ended = resume(1, &normalised(&["train.steps=5"]), directory.path());
    assert!(ended[0].notes().iter().any(|note| note.contains("mean of all ranks' running statistics")));
    let ended = resume_changed(2, &normalised(&["train.steps=6"]), directory.path());
    assert!(ended.iter().all(|rank| rank.summary().complete));
    let name = "batch_norm_2/running_var";
    let later = load(directory.path(), 6);
    // One step takes a tenth of a batch: near the mean, not at it.
    for (now, before) in
        tensor(&later.parameters, name).values.iter().zip(&tensor(&mean.parameters, name).values)
    {
        assert!(now != before && *now > 0.85 * before, "{now} after {before}");
    }
}

#[test]
fn ghost_batches_that_do_not_divide_a_ranks_part_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut loaded = normalised(&["train.steps=2"]);
    let layers = loaded.job.model.layers.as_mut().unwrap();
    layers[1].insert("ghost_batch".into(), 5.into());
    let ended = train(2, &loaded, directory.path());
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    assert!(
        message.contains("batch_norm_2") && message.contains("does not divide the 16 samples"),
        "{message}"
    );
}
