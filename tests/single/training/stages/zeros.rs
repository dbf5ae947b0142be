//! Zeros that a stage freezes.

use super::{assert_complete, assert_zeros_stay, staged};
use crate::runs::train;

/// Zeros stay while the rest is tuned, with momentum that would have moved them.
#[test]
fn frozen_zeros_stay() {
    let stages = r#"
[[stage]]
name = "sparsify"
train.steps = 12
sparsity = { method = "proximal", filters = 2, neurons = 5, l1 = 0.05 }

[[stage]]
name = "tune"
train.steps = 8
freeze_zeros = true
"#;
    let directory = tempfile::tempdir().unwrap();
    assert_complete(&train(2, &staged(stages, &[]), directory.path()));
    assert_zeros_stay(directory.path(), ["sparsify", "tune"], "exchanged in each step");
}

/// SmoothOut moves zeros that may grow again, but not frozen ones, so the next loss differs.
#[test]
fn frozen_zeros_have_no_noise() {
    let losses = |frozen: bool| {
        let stages = format!(
            r#"
[[stage]]
name = "sparsify"
train.steps = 12
sparsity = {{ method = "proximal", filters = 2, neurons = 5, l1 = 0.05 }}

[[stage]]
name = "tune"
train.steps = 1
freeze_zeros = {frozen}
smoothout.a = 0.1
"#
        );
        let directory = tempfile::tempdir().unwrap();
        let ended = train(1, &staged(&stages, &["train.log_every=1"]), directory.path());
        assert_complete(&ended);
        ended[0].losses()
    };
    let (frozen, free) = (losses(true), losses(false));
    assert_eq!((frozen.len(), &frozen[..12]), (13, &free[..12]));
    assert_ne!(frozen[12], free[12]);
}
