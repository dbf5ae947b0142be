//! Runs in stages, with surgery between them: the same on any number of ranks, and after an interruption
//! anywhere.

use std::path::Path;

use support::digits::JOB;
use ternflock::checkpoint::{self, Snapshot};
use ternflock::compress::operation::Operation;
use ternflock::job::{self, Loaded, Shrink};
use ternflock::nn::layer::Mode;
use ternflock::nn::{Execution, Graph, Network};
use ternflock::train::restore_network;
use ternflock_collectives::all_reduce::ring_f32;

use crate::runs::{Ended, metrics, steps, train};

mod columns;
mod recurrent;
mod refused;
mod resume;
mod zeros;

const BATCH: usize = 10;

/// Stages that take the shipped network through 36 steps. After 20 of them many structures are zero, but not
/// all.
const STAGES: &str = r#"
[[stage]]
name = "base"
train.steps = 8

[[stage]]
name = "sparsify"
train.steps = 12
sparsity = { method = "proximal", filters = 3, neurons = 8 }
force.strength = 0.001

[[stage]]
name = "shrink"
shrink = {}

[[stage]]
name = "thin"
train.steps = 10
low_rank = { ranks = { conv2 = 3 }, except = ["hidden"] }
optimizer.learning_rate = 0.005

[[stage]]
name = "tune"
train.steps = 6
optimizer = { kind = "adam", learning_rate = 0.001 }
freeze_zeros = true
train.eval_every = 2
"#;

/// The shipped job in these stages, with the overrides `sets`.
pub fn staged(stages: &str, sets: &[&str]) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("digits.toml");
    let shipped = std::fs::read_to_string(JOB).unwrap().replace("epochs = 30", "log_every = 1");
    std::fs::write(&path, shipped + stages).unwrap();
    let quiet = ["exchange.verify_every=1", "checkpoint.every=5", "exchange.error_feedback=true"];
    job::load(&path, &[&quiet, sets].concat().iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

pub fn stage(directory: &Path, name: &str) -> Snapshot {
    checkpoint::load(directory.join(format!("checkpoints/stage-{name}.h5"))).unwrap()
}

fn parameters(snapshot: &Snapshot) -> usize {
    snapshot.parameters.iter().map(|tensor| tensor.values.len()).sum()
}

/// The output of the network of `snapshot` for a fixed input.
fn output(snapshot: &Snapshot) -> Vec<f32> {
    let mut network: Network =
        restore_network(Path::new("here"), snapshot, Execution::float32(BATCH)).unwrap();
    let elements = BATCH * network.graph().input().elements();
    let input: Vec<f32> = (0..elements).map(|at| (at as f32 * 0.37).sin()).collect();
    network.input_mut(BATCH).copy_from_slice(&input);
    network.forward(BATCH, Mode::Evaluate).to_vec()
}

pub fn assert_complete(ended: &[Ended]) {
    ended.iter().for_each(|rank| assert!(rank.summary().complete));
}

/// Weights that are zero after the stage `sparse` are zero after the stage `tuned`, while others move. `what` is for
/// failures.
pub fn assert_zeros_stay(directory: &Path, [sparse, tuned]: [&str; 2], what: &str) {
    let [sparse, tuned] = [sparse, tuned].map(|name| stage(directory, name));
    let (mut zeros, mut moved) = (0, 0);
    for (before, after) in sparse.parameters.iter().zip(&tuned.parameters) {
        let is_weight = before.name.ends_with("weight");
        for (&was, &is) in before.values.iter().zip(&after.values) {
            moved += usize::from(was != is);
            zeros += usize::from(was == 0.0 && is_weight);
            assert!(!is_weight || was != 0.0 || is == 0.0, "{}", before.name);
        }
    }
    assert!(moved > 1000 && zeros > 500, "{what}: {moved} {zeros}");
}

/// Every stage leaves its network; the pruned one is small and computes the same as the masked one.
#[test]
fn stages_leave_their_networks() {
    for ranks in [1, 4] {
        let directory = tempfile::tempdir().unwrap();
        let ended = train(ranks, &staged(STAGES, &[]), directory.path());
        assert_complete(&ended);
        let summary = ended[0].summary();
        assert_eq!((summary.step, summary.stages.len()), (36, 5));
        assert_eq!(summary.traffic.bytes_per_step, summary.traffic.formula_bytes_per_step, "P = {ranks}");
        let of_stage = |name: &str, steps: u64| {
            let elements = parameters(&stage(directory.path(), name));
            ring_f32::traffic(ring_f32::SEGMENT, elements, ranks, 0).bytes_sent * steps
        };
        let float32 = [("base", 8), ("sparsify", 12), ("thin", 10), ("tune", 6)]
            .map(|(name, steps)| of_stage(name, steps));
        assert_eq!(summary.traffic.float32_bytes_per_step, float32.iter().sum::<u64>() as f64 / 36.0);
        let [base, sparse, shrunk, thin, tuned] =
            ["base", "sparsify", "shrink", "thin", "tune"].map(|name| stage(directory.path(), name));
        assert_eq!(
            [&base, &sparse, &shrunk, &thin, &tuned].map(|snapshot| snapshot.progress.step),
            [8, 20, 20, 30, 36]
        );
        let sizes = [&base, &sparse, &shrunk, &thin, &tuned].map(parameters);
        assert!(sizes[0] == sizes[1] && sizes[2] < sizes[1] * 9 / 10 && sizes[3] < sizes[2], "{sizes:?}");
        assert_eq!(sizes[3], sizes[4]);
        let (masked, small) = (output(&sparse), output(&shrunk));
        let largest = masked.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        masked.iter().zip(&small).for_each(|(a, b)| assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}"));
        let names = |snapshot: &Snapshot| -> Vec<String> {
            let graph = Graph::from_json(&snapshot.network).unwrap();
            graph.layers().iter().map(|node| node.name.clone()).collect()
        };
        assert!(
            names(&thin).contains(&"conv2.basis".to_owned())
                && !names(&shrunk).contains(&"conv2.basis".to_owned())
        );
        let kinds = |snapshot: &Snapshot| -> Vec<String> {
            snapshot
                .optimizer
                .iter()
                .map(|slot| slot.name.clone())
                .filter(|name| !["residual", "statistics"].contains(&name.as_str()))
                .collect()
        };
        assert_eq!(
            (kinds(&thin), kinds(&tuned)),
            (vec!["momentum".to_owned()], vec!["first_moment".to_owned(), "second_moment".to_owned()])
        );
        // Each stage is logged and evaluated at its end; the last one as often as it asks for.
        let said = metrics(directory.path(), "stage");
        assert_eq!(
            said.iter().map(|line| line["stage"].as_str().unwrap()).collect::<Vec<_>>(),
            ["base", "sparsify", "shrink", "thin", "tune"]
        );
        assert_eq!(steps(&metrics(directory.path(), "evaluate")), [8, 20, 20, 30, 32, 34, 36]);
        // Momentum begins at the same step as Adam.
        assert_eq!(tuned.progress.stage.as_ref().unwrap().optimizer_start, 30);
    }
}

/// The optimizer state and the residuals of the remaining parameters are the same as before.
#[test]
fn state_goes_along() {
    let directory = tempfile::tempdir().unwrap();
    assert_complete(&train(3, &staged(STAGES, &[]), directory.path()));
    let [sparse, shrunk] = ["sparsify", "shrink"].map(|name| stage(directory.path(), name));
    let whole = restore_network("here".as_ref(), &sparse, Execution::float32(1)).unwrap();
    let operation = Operation::new(whole.graph(), &whole.parameters, Some(&Shrink::default()), None).unwrap();
    let slot = |snapshot: &Snapshot, name: &str| {
        snapshot.optimizer.iter().find(|slot| slot.name == name).unwrap().clone()
    };
    let momentum: Vec<f32> =
        slot(&sparse, "momentum").tensors.iter().flat_map(|tensor| tensor.values.clone()).collect();
    let left: Vec<f32> =
        slot(&shrunk, "momentum").tensors.iter().flat_map(|tensor| tensor.values.clone()).collect();
    assert!(left.iter().any(|&value| value != 0.0));
    assert_eq!(operation.take(&momentum), left);
    // Each rank's own residuals of the ternary tensors.
    let table = &whole.parameters.table;
    for rank in 0..3 {
        let mut flat = vec![0.0; whole.parameters.values.len()];
        for tensor in &slot(&sparse, "residual").tensors {
            let range = table.iter().find(|parameter| parameter.name == tensor.name).unwrap().range.clone();
            let elements = range.len();
            flat[range].copy_from_slice(&tensor.values[rank * elements..][..elements]);
        }
        let taken = operation.take(&flat);
        for tensor in &slot(&shrunk, "residual").tensors {
            let range =
                operation.parameters.table.iter().find(|p| p.name == tensor.name).unwrap().range.clone();
            assert_eq!(
                taken[range.clone()],
                tensor.values[rank * range.len()..][..range.len()],
                "{}",
                tensor.name
            );
        }
    }
}

/// The gradient format that `auto` has chosen is kept through surgery, and no note contradicts it.
#[test]
fn a_decision_outlives_surgery() {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(
        2,
        &staged(STAGES, &["exchange.algorithm=auto", "exchange.error_feedback=false"]),
        directory.path(),
    );
    assert_complete(&ended);
    let decided = stage(directory.path(), "base").progress.gradients;
    assert!(decided.is_some());
    for name in ["shrink", "thin", "tune"] {
        assert_eq!(stage(directory.path(), name).progress.gradients, decided);
    }
}

/// Lists of layers follow the surgery: the factors of a layer travel as the layer did.
#[test]
fn a_layer_that_the_exchange_names_may_be_factorised() {
    for (key, powersgd_rank) in [("keep_float", 4), ("low_rank", 1)] {
        let directory = tempfile::tempdir().unwrap();
        let named = format!("exchange.{key}=[\"conv2\"]");
        let rank = format!("exchange.powersgd_rank={powersgd_rank}");
        assert_complete(&train(2, &staged(STAGES, &[&named, &rank]), directory.path()));
    }
}

/// New factors have moments of zero, and Adam's bias correction is counted from there: a step is at most
/// about the rate.
#[test]
fn factors_begin_gently_under_adam() {
    let stages = r#"
[[stage]]
name = "base"
train.steps = 30

[[stage]]
name = "cut"
low_rank = { ranks = { conv2 = 3 } }

[[stage]]
name = "tune"
train.steps = 1
"#;
    let directory = tempfile::tempdir().unwrap();
    let adam = ["optimizer.kind=adam", "optimizer.learning_rate=0.001", "exchange.error_feedback=false"];
    let ended = train(2, &staged(stages, &adam), directory.path());
    assert_complete(&ended);
    assert!(ended[0].notes().iter().any(|note| note.contains("moments start from zero")));
    let [cut, tuned] = ["cut", "tune"].map(|name| stage(directory.path(), name));
    assert_eq!(tuned.progress.stage.as_ref().unwrap().optimizer_start, 30);
    let pairs = cut.parameters.iter().zip(&tuned.parameters);
    let steps = pairs.flat_map(|(a, b)| a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()));
    let largest = steps.fold(0.0, f32::max);
    assert!((0.0005..0.0011).contains(&largest), "{largest}");
}

/// If nothing would be left of a layer, its strongest unit stays, and the run reports that.
#[test]
fn a_layer_that_died_keeps_a_unit() {
    let stages = r#"
[[stage]]
name = "sparsify"
train.steps = 6
sparsity = { method = "proximal", filters = 1000 }

[[stage]]
name = "shrink"
shrink = {}
train.steps = 2
"#;
    let directory = tempfile::tempdir().unwrap();
    let ended = train(2, &staged(stages, &[]), directory.path());
    assert_complete(&ended);
    let notes = ended[0].notes();
    let said = "nothing would have been left of `conv1`, `conv2`, so the strongest unit or column was kept";
    assert!(notes.iter().any(|note| note == said), "{notes:?}");
    let shapes: Vec<_> = stage(directory.path(), "shrink")
        .parameters
        .iter()
        .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
        .collect();
    // One column of its kernel.
    assert_eq!(shapes[0], ("conv1/weight".to_owned(), vec![1, 1]));
}
