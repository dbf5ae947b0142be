//! Columns of matrices are removed, and the remaining ones go through everything that complete weights do.

use support::digits::{assert_same_state, load};
use ternflock::checkpoint::Snapshot;

use super::{assert_complete, output, stage, staged};
use crate::runs::{resume, train, train_until};

const STAGES: &str = r#"
[[stage]]
name = "sparsify"
train.steps = 12
sparsity = { method = "proximal", shapes = 4, inputs = 4 }

[[stage]]
name = "shrink"
shrink = {}

[[stage]]
name = "thin"
train.steps = 6
low_rank.ranks = { conv2 = 3 }

[[stage]]
name = "tune"
train.steps = 6
force.strength = 0.001
sparsity = { shapes = 0.001 }
freeze_zeros = true
"#;

fn shape(snapshot: &Snapshot, name: &str) -> Vec<usize> {
    snapshot.parameters.iter().find(|tensor| tensor.name == name).unwrap().shape.clone()
}

/// On any number of ranks, with ternary gradients and error feedback; and a run that is resumed in any stage
/// is the same.
#[test]
fn columns_go_and_training_goes_on() {
    let loaded = staged(STAGES, &[]);
    for ranks in [1, 4] {
        let straight = tempfile::tempdir().unwrap();
        let ended = train(ranks, &loaded, straight.path());
        assert_complete(&ended);
        let summary = ended[0].summary();
        assert_eq!(summary.traffic.bytes_per_step, summary.traffic.formula_bytes_per_step, "P = {ranks}");
        let [sparse, shrunk, thin, tuned] =
            ["sparsify", "shrink", "thin", "tune"].map(|name| stage(straight.path(), name));
        let conv2 = shape(&shrunk, "conv2/weight");
        assert!(conv2.len() == 2 && (1..144).contains(&conv2[1]), "{conv2:?} columns are left of 32 x 144");
        assert_eq!(shape(&thin, "conv2.basis/weight"), [3, conv2[1]]);
        assert_eq!(shape(&tuned, "conv2/weight"), [conv2[0], 3, 1, 1]);
        let (masked, small) = (output(&sparse), output(&shrunk));
        let largest = masked.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        masked.iter().zip(&small).for_each(|(a, b)| assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}"));
        for stop in [12, 15, 21] {
            let halved = tempfile::tempdir().unwrap();
            assert!(!train_until(stop, ranks, &loaded, halved.path())[0].summary().complete);
            assert_complete(&resume(ranks, &loaded, halved.path()));
            assert_same_state(&load(straight.path(), 24), &load(halved.path(), 24));
        }
    }
}
