//! Checkpoints as files: values are restored to the bit, every kind of damage is refused by name, a full disk
//! loses nothing, and other programs can read them.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod damage;
mod disk;
mod readers;
mod store;
mod tidied;

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use support::files::names;
use ternflock::checkpoint::{
    Best, Data, Origin, Plateau, Progress, Slot, Snapshot, Stage, Tensor, load, save,
};
use ternflock::job::Gradients;

/// Values a careless conversion would change: NaNs with payloads (one signalling), denormals, both zeros, infinities.
const ODD: [u32; 10] = [
    0x7fc0_1234,
    0xffc0_0001,
    0x7f80_0001,
    0x0000_0001,
    0x807f_ffff,
    0x8000_0000,
    0,
    0x7f80_0000,
    0xff80_0000,
    0x3f80_0000,
];

fn tensor(name: &str, shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor { name: name.into(), shape: shape.into(), values }
}

fn sample(step: u64) -> Snapshot {
    let odd: Vec<f32> = ODD.iter().map(|&bits| f32::from_bits(bits)).collect();
    let parameters = vec![
        tensor("zeta größe/weight", &[5, 1, 2], odd.clone()),
        tensor("zeta größe/bias", &[0, 3], vec![]),
        tensor("conv1/weight", &[2, 3], (0..6).map(|i| i as f32).collect()),
        tensor("alpha. 层\\/scale", &[], vec![f32::MIN_POSITIVE]),
    ];
    let best = Best { step: 3, metric: "accuracy".into(), value: 0.987, loss: Some(0.125) };
    Snapshot {
        // A fixed time, so that two samples of one step are equal even across the end of a second.
        origin: Origin { program_version: "1.2.3".into(), created: "2024-02-29T23:59:59Z".into() },
        network: r#"{"input": [1, 28, 28], "layers": [{"name": "größe"}]}"#.into(),
        job: "[train]\nsteps = 7 # zwölf\n".into(),
        optimizer: vec![
            Slot { name: "second moment".into(), tensors: parameters.clone() },
            Slot { name: "first".into(), tensors: vec![] },
        ],
        parameters,
        recurrent_state: vec![
            tensor("lstm1/h", &[2, 2], odd[..4].to_vec()),
            tensor("lstm1/c", &[2, 1], vec![0.5, -0.0]),
        ],
        preparation: "{\"inputs\":null}".into(),
        vocabulary: ["<unk>", "größe", " ", "<eos>"].map(String::from).to_vec(),
        data: Data::from([
            (
                "training".into(),
                BTreeMap::from([("samples".into(), "7".into()), ("größe".into(), "µ".into())]),
            ),
            ("a set without facts".into(), BTreeMap::new()),
        ]),
        progress: Progress {
            blas: Some("OpenBLAS 0.3.21, Haswell kernels".into()),
            vectors: Some("AVX2".into()),
            products: Some("float32".into()),
            stage: Some(Stage { name: "tune".into(), start: 3, optimizer_start: 2 }),
            step,
            epoch: 2,
            samples_seen: u64::MAX,
            ranks: 4,
            threads: 2,
            gradients: Some(Gradients::Float32),
            plateau: Some(Plateau { cuts: 3, waited: 1, best_loss: f64::INFINITY }),
            best: Some(best),
            metrics: BTreeMap::from([
                ("loss".into(), f64::from_bits(0x7ff8_0000_dead_beef)),
                ("μ/s".into(), -0.0),
            ]),
        },
    }
}

fn assert_same(a: &Snapshot, b: &Snapshot) {
    let tensors = |a: &[Tensor], b: &[Tensor]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!(a.same_bits(b), "{a:?}\n{b:?}"));
    };
    assert_eq!((&a.origin, &a.network, &a.job), (&b.origin, &b.network, &b.job));
    assert!(a.progress.same_bits(&b.progress), "{:?}\n{:?}", a.progress, b.progress);
    tensors(&a.parameters, &b.parameters);
    tensors(&a.recurrent_state, &b.recurrent_state);
    assert_eq!(a.vocabulary, b.vocabulary);
    assert_eq!(a.preparation, b.preparation);
    assert_eq!(a.data, b.data);
    assert_eq!(a.optimizer.len(), b.optimizer.len());
    for (a, b) in a.optimizer.iter().zip(&b.optimizer) {
        assert_eq!(a.name, b.name);
        tensors(&a.tensors, &b.tensors);
    }
}

#[test]
fn what_goes_in_comes_out_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("größe 1.h5");
    let first = sample(1);
    save(&path, &first).unwrap();
    assert_same(&load(&path).unwrap(), &first);

    let mut bare = sample(2);
    (bare.job, bare.network) = (String::new(), "null".into());
    bare.parameters.clear();
    bare.optimizer.clear();
    bare.recurrent_state.clear();
    bare.vocabulary.clear();
    bare.data.clear();
    bare.progress.plateau = None;
    bare.progress.best = None;
    bare.progress.gradients = None;
    bare.progress.metrics.clear();
    save(&path, &bare).unwrap();
    assert_same(&load(&path).unwrap(), &bare);
    assert_eq!(names(directory.path()), ["größe 1.h5"]);
}

#[test]
fn borrowed_tensors_make_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let owned = sample(1);
    fn borrow(tensors: &[Tensor]) -> Vec<Tensor<&[f32]>> {
        fn one(t: &Tensor) -> Tensor<&[f32]> {
            Tensor { name: t.name.clone(), shape: t.shape.clone(), values: &t.values }
        }
        tensors.iter().map(one).collect()
    }
    fn slot(slot: &Slot) -> Slot<&[f32]> {
        Slot { name: slot.name.clone(), tensors: borrow(&slot.tensors) }
    }
    let borrowed = Snapshot {
        origin: owned.origin.clone(),
        network: owned.network.clone(),
        job: owned.job.clone(),
        parameters: borrow(&owned.parameters),
        optimizer: owned.optimizer.iter().map(slot).collect(),
        recurrent_state: borrow(&owned.recurrent_state),
        preparation: owned.preparation.clone(),
        vocabulary: owned.vocabulary.clone(),
        data: owned.data.clone(),
        progress: owned.progress.clone(),
    };
    let (a, b) = (directory.path().join("a.h5"), directory.path().join("b.h5"));
    save(&a, &owned).unwrap();
    save(&b, &borrowed).unwrap();
    assert!(fs::read(a).unwrap() == fs::read(b).unwrap());
}

#[test]
fn long_texts_and_many_layers_fit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("long.h5");
    let mut snapshot = sample(1);
    snapshot.network = format!("[\"{}\"]", "x".repeat(3_000_000));
    snapshot.job = "# ein langer Job für viele\n".repeat(100_000);
    snapshot.parameters =
        (0..500).rev().map(|i| tensor(&format!("layer {i}/weight"), &[1], vec![i as f32])).collect();
    snapshot.parameters.extend((0..200).rev().map(|i| tensor(&format!("last/{i}"), &[1, 1], vec![i as f32])));
    snapshot.parameters.push(tensor(&format!("{}/{}", "l".repeat(1024), "t".repeat(1024)), &[1], vec![1.0]));
    snapshot.progress.metrics = (0..300).map(|i| (format!("metric {i}"), f64::from(i))).collect();
    save(&path, &snapshot).unwrap();
    assert_same(&load(&path).unwrap(), &snapshot);
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.h5");
    let refused = |change: fn(&mut Snapshot), reason: &str| {
        let mut snapshot = sample(1);
        change(&mut snapshot);
        let message = save(&path, &snapshot).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("a.h5: "), "{message}");
        assert!(names(directory.path()).is_empty());
    };
    refused(|s| s.parameters[2].name = "block/conv1/weight".into(), "holds a `/`");
    refused(|s| s.parameters[2].name = "conv1".into(), "not `layer/tensor`");
    refused(|s| s.parameters[2].shape = vec![2, 2], "shape [2, 2] but 6 values");
    refused(|s| s.parameters[2].name = "zeta größe/bias".into(), "two tensors");
    refused(|s| s.optimizer[1].name = "second moment".into(), "two optimizer slots");
    refused(|s| s.optimizer[0].tensors[2].name = "x\0/y".into(), "optimizer slot `second moment`");
    refused(|s| s.network = "{layers: []}".into(), "not JSON");
    refused(|s| s.job = "\0".into(), "NUL");
    refused(|s| s.data = Data::from([("a/b".into(), BTreeMap::new())]), "the data set name `a/b`");
    refused(|s| s.progress.metrics = BTreeMap::from([(String::new(), 1.0)]), "metric name");
    // More dimensions than HDF5 has: its error, not ours.
    refused(|s| s.parameters[2].shape = [vec![1; 33], vec![6]].concat(), "HDF5");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shapes_and_bits_come_back(
        shapes in prop::collection::vec(prop::collection::vec(0usize..6, 0..5), 0..8),
        slots in 0usize..3,
        seed in any::<u32>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("random.h5");
        let mut bits = seed;
        let mut tensors = |prefix: usize| -> Vec<Tensor> {
            let numbered = shapes.iter().enumerate();
            numbered.map(|(i, shape)| {
                let next = |_| { bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); f32::from_bits(bits) };
                let values = (0..shape.iter().product()).map(next).collect();
                tensor(&format!("{}/{prefix} {i}", 9 - i / 2), shape, values)
            }).collect()
        };
        let mut snapshot = sample(1);
        snapshot.parameters = tensors(0);
        snapshot.optimizer = (0..slots).map(|i| Slot { name: format!("slot {i}"), tensors: tensors(i) }).collect();
        save(&path, &snapshot).unwrap();
        assert_same(&load(&path).unwrap(), &snapshot);
    }
}
