//! Runs in stages that are resumed, complete, or begun with a checkpoint.

use support::digits::{assert_same_state, load};

use super::{STAGES, assert_complete, stage, staged};
use crate::runs::{resume, train, train_until};

/// Stopped within each stage, and at the end of one where surgery comes next.
#[test]
fn a_resumed_run_goes_through_the_same_stages() {
    let loaded = staged(STAGES, &[]);
    for ranks in [1, 3] {
        let straight = tempfile::tempdir().unwrap();
        assert_complete(&train(ranks, &loaded, straight.path()));
        for stop in [3, 8, 13, 20, 25, 30, 33] {
            let halved = tempfile::tempdir().unwrap();
            let first = train_until(stop, ranks, &loaded, halved.path());
            assert_eq!((first[0].summary().complete, first[0].summary().step), (false, stop));
            let second = resume(ranks, &loaded, halved.path());
            assert_complete(&second);
            assert_same_state(&load(straight.path(), 36), &load(halved.path(), 36));
            for name in ["base", "sparsify", "shrink", "thin", "tune"] {
                assert_same_state(&stage(straight.path(), name), &stage(halved.path(), name));
            }
        }
    }
}

/// A complete run changes nothing when it is resumed, even if its last stage is only surgery.
#[test]
fn a_complete_run_stays_as_it_is() {
    let stages = r#"
[[stage]]
name = "base"
train.steps = 6
optimizer = { kind = "adam", learning_rate = 0.001 }

[[stage]]
name = "shrink"
shrink = {}
schedule = { kind = "plateau", patience = 0 }
"#;
    let loaded = staged(stages, &[]);
    let directory = tempfile::tempdir().unwrap();
    assert_complete(&train(2, &loaded, directory.path()));
    let path = directory.path().join("checkpoints/stage-shrink.h5");
    let before = std::fs::read(&path).unwrap();
    assert_complete(&resume(2, &loaded, directory.path()));
    assert_eq!(before, std::fs::read(&path).unwrap());
    // Surgery has no optimizer of its own: the moments were carried over.
    let names: Vec<String> =
        stage(directory.path(), "shrink").optimizer.into_iter().map(|slot| slot.name).collect();
    assert!(names.contains(&"first_moment".to_owned()), "{names:?}");
}

/// Another run needs only a checkpoint to continue from its network.
#[test]
fn a_run_begins_with_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let first = directory.path().join("first");
    assert_complete(&train(2, &staged(STAGES, &[]), &first));
    let from = format!("model.checkpoint={}", first.join("checkpoints/stage-tune.h5").display());
    let second = directory.path().join("second");
    let loaded = staged("", &["train.steps=4", "checkpoint.every=1", "optimizer.learning_rate=1e-30", &from]);
    assert_complete(&train(2, &loaded, &second));
    let (before, after) = (stage(&first, "tune"), load(&second, 4));
    assert_eq!(before.network, after.network);
    for (before, after) in before.parameters.iter().zip(&after.parameters) {
        assert_eq!((&before.name, &before.values), (&after.name, &after.values));
    }
    let cut = directory.path().join("cut");
    train_until(2, 2, &loaded, &cut);
    // A resumed run needs nothing but its own directory.
    std::fs::remove_dir_all(&first).unwrap();
    assert_complete(&resume(2, &loaded, &cut));
    assert_same_state(&after, &load(&cut, 4));
    let missing = staged("", &["train.steps=4", "model.checkpoint=none.h5"]);
    let error =
        train(1, &missing, &directory.path().join("third"))[0].result.as_ref().err().unwrap().to_string();
    assert!(error.contains("none.h5"), "{error}");
}
