//! Stages that are refused: before the first step, or when a run is resumed.

use ternflock::job::Loaded;

use super::{STAGES, assert_complete, stage, staged};
use crate::runs::{resume_changed, train, train_until};

/// An impossible stage is reported before the first step, with its line.
#[test]
fn stages_are_checked_before_the_first() {
    for (stage, part) in [
        ("low_rank.ranks = { conv2 = 33 }", "rank 33 is requested for `conv2`, but its largest rank is 32"),
        (
            "low_rank = { ranks = { conv1 = 6 }, separable = [\"conv1\"] }",
            "rank 6 is requested for `conv1`, but its largest rank is 3",
        ),
        ("low_rank.ranks = { cnv2 = 3 }", "`cnv2`; did you mean `conv2`?"),
        (
            "train.steps = 1\nsparsity.hidden_units = 1",
            "sparsity.hidden_units = 1: the network has no such groups",
        ),
        ("train.steps = 1\nsparsity = { filters = 1, factors = { conv3 = 1 } }", "`conv3`"),
        ("train.steps = 1\nforce = { strength = 1, layers = [\"flat\"] }", "`flat`"),
        ("train.steps = 1\noptimizer.decay_layers = [\"flat\"]", "`flat`"),
        ("train.steps = 1099511627776", "at most"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let stages =
            format!("\n[[stage]]\nname = \"base\"\ntrain.steps = 2\n[[stage]]\nname = \"next\"\n{stage}\n");
        let ended = train(1, &staged(&stages, &[]), &directory.path().join("run"));
        let error = ended[0].result.as_ref().err().unwrap().to_string();
        assert!(error.contains("digits.toml:") && error.contains(part), "{error}");
        assert!(!directory.path().join("run").exists(), "{error}");
    }
}

/// A job that has changed since is refused if its stages no longer fit, and continues if they do.
#[test]
fn a_resumed_job_must_have_the_stage() {
    let directory = tempfile::tempdir().unwrap();
    train_until(13, 1, &staged(STAGES, &[]), directory.path());
    let error = |loaded: &Loaded| {
        resume_changed(1, loaded, directory.path())[0].result.as_ref().err().unwrap().to_string()
    };
    let renamed = staged(&STAGES.replace("\"sparsify\"", "\"sparser\""), &[]);
    assert!(
        error(&renamed).contains("is in stage `sparsify`, which the job does not have"),
        "{}",
        error(&renamed)
    );
    let plain = staged("", &["train.steps=20"]);
    assert!(error(&plain).contains("is in stage `sparsify`"), "{}", error(&plain));
    let shorter = staged(STAGES, &["stage.sparsify.train.steps=4"]);
    assert!(
        error(&shorter).contains("is 5 steps into stage `sparsify`, which the job ends after 4"),
        "{}",
        error(&shorter)
    );
    let longer = staged(STAGES, &["stage.sparsify.train.steps=15"]);
    assert_complete(&resume_changed(1, &longer, directory.path()));
    assert_eq!(stage(directory.path(), "sparsify").progress.step, 23);
}
