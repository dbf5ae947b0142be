//! The contents of a checkpoint, as plain values. `V` is `Vec<f32>` in a loaded snapshot; for saving,
//! `&[f32]` avoids a copy.

use std::collections::{BTreeMap, HashSet};

use serde::de::IgnoredAny;

use super::Origin;
use ternflock_base::text::plural;
use ternflock_job::Gradients;

/// A run at one step: the current network, its parameters, and the state that the run needs to continue.
#[derive(Clone, Debug)]
pub struct Snapshot<V = Vec<f32>> {
    /// The program version that wrote it, and the time.
    pub origin: Origin,
    /// The network's graph as JSON. Graph and parameters are the complete model.
    pub network: String,
    /// The effective job, as TOML.
    pub job: String,
    /// The trained tensors, in the order of the network; the tensors of one layer are adjacent.
    pub parameters: Vec<Tensor<V>>,
    /// The optimizer state, with one slot per kind of value. Plain SGD has none.
    pub optimizer: Vec<Slot<V>>,
    /// The hidden state that recurrent layers carry to the next step: `layer/name`, `[global batch, width]`.
    /// Empty for other networks.
    pub recurrent_state: Vec<Tensor<V>>,
    /// The words of a language model, by number; empty for other networks.
    pub vocabulary: Vec<String>,
    /// How samples are prepared for the network, as JSON; empty if nothing has to be remembered.
    pub preparation: String,
    /// Identifies the data that were read; empty in files of versions that did not record it.
    pub data: Data,
    /// The progress of the run.
    pub progress: Progress,
}

/// Identifies data: for each set that was read ("training", "validation"), facts by name, such as the number
/// of samples and hashes of the contents.
pub type Data = BTreeMap<String, BTreeMap<String, String>>;

/// A named array with the shape `shape`, row-major.
#[derive(Clone, Debug)]
pub struct Tensor<V = Vec<f32>> {
    /// `layer/tensor`, for example `conv1/weight`. Neither part is empty, `.`, or holds another `/`.
    pub name: String,
    /// The length of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements. Their number is the product of `shape`.
    pub values: V,
}

/// One kind of value that an optimizer stores for each parameter, for example `momentum`.
#[derive(Clone, Debug)]
pub struct Slot<V = Vec<f32>> {
    /// The name of the slot, without `/`.
    pub name: String,
    /// Its tensors, with the names of the parameters that they belong to.
    pub tensors: Vec<Tensor<V>>,
}

/// The progress of a run.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Epochs completed.
    pub epoch: u64,
    /// Samples seen, over all ranks.
    pub samples_seen: u64,
    /// The ranks that trained it.
    pub ranks: u64,
    /// The number of compute threads of each rank. Where BLAS computes, another number sums in another order.
    pub threads: u64,
    /// The BLAS of rank 0 and its kernels; where they compute, others sum in another order. `None` in files of versions
    /// that did not record it, as are `vectors` and `products`.
    pub blas: Option<String>,
    /// The vector instructions of the program's own kernels on rank 0.
    pub vectors: Option<String>,
    /// The precision of matrix products and convolutions, and the instructions that computed them on rank 0.
    pub products: Option<String>,
    /// The form in which gradients travelled: that of the job, or the one that `exchange.gradients = "auto"` or
    /// `exchange.algorithm = "auto"` chose. Files of versions without this choice do not record it.
    pub gradients: Option<Gradients>,
    /// The state of the learning-rate schedule `plateau`, which depends on evaluations.
    pub plateau: Option<Plateau>,
    /// The current stage, if the job has stages.
    pub stage: Option<Stage>,
    /// The best evaluation so far, of that stage.
    pub best: Option<Best>,
    /// The measurements at this step, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// The current stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The name of the stage.
    pub name: String,
    /// The step at which it began.
    pub start: u64,
    /// The step at which the optimizer state was zero.
    pub optimizer_start: u64,
}

/// The state of the learning-rate schedule `plateau`.
#[derive(Clone, Copy, Debug)]
pub struct Plateau {
    /// The number of times that the rate was cut.
    pub cuts: u64,
    /// Evaluations in a row without improvement.
    pub waited: u64,
    /// The smallest loss seen; infinite before the first evaluation.
    pub best_loss: f64,
}

/// The best evaluation of a run.
#[derive(Clone, Debug)]
pub struct Best {
    /// The step of the evaluation.
    pub step: u64,
    /// The measure that was compared, for example `accuracy` or `perplexity`.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// The mean loss of the same evaluation, which decides between equal values. `None` in files of earlier versions.
    pub loss: Option<f64>,
}

impl<V: AsRef<[f32]>> Snapshot<V> {
    /// Refuses a snapshot that a file could not hold or a reader could not understand.
    pub(super) fn check(&self) -> Result<(), String> {
        check_network(&self.network)?;
        let origin = &self.origin;
        let texts = [&self.network, &self.job, &self.preparation, &origin.program_version, &origin.created];
        let Progress { blas, vectors, products, .. } = &self.progress;
        let metric = self.progress.best.as_ref().map(|best| &best.metric);
        let stage = self.progress.stage.as_ref().map(|stage| &stage.name);
        if texts
            .into_iter()
            .chain(metric)
            .chain(blas)
            .chain(vectors)
            .chain(products)
            .chain(stage)
            .chain(&self.vocabulary)
            .chain(self.data.values().flat_map(BTreeMap::values))
            .any(|text| text.contains('\0'))
        {
            return Err("a text contains a NUL character, which HDF5 strings cannot hold".into());
        }
        self.progress.metrics.keys().try_for_each(|name| check_name(name, "metric"))?;
        self.data.keys().try_for_each(|set| check_part(set, "data set"))?;
        self.data.values().flat_map(BTreeMap::keys).try_for_each(|fact| check_name(fact, "data fact"))?;
        check_tensors(&self.parameters)?;
        check_tensors(&self.recurrent_state).map_err(|reason| format!("recurrent state: {reason}"))?;
        let mut seen = HashSet::new();
        for slot in &self.optimizer {
            check_part(&slot.name, "optimizer slot")?;
            if !seen.insert(&slot.name) {
                return Err(format!("two optimizer slots are named `{}`", slot.name));
            }
            check_tensors(&slot.tensors)
                .map_err(|reason| format!("optimizer slot `{}`: {reason}", slot.name))?;
        }
        Ok(())
    }
}

impl<V> Tensor<V> {
    /// The layer it belongs to: the first part of its name.
    pub fn layer(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

impl<V: AsRef<[f32]>> Tensor<V> {
    /// Whether both have the same name, shape and bits: a NaN equals itself, 0 is not -0.
    pub fn same_bits<W: AsRef<[f32]>>(&self, other: &Tensor<W>) -> bool {
        let bytes = bytemuck::cast_slice::<f32, u8>;
        (&self.name, &self.shape) == (&other.name, &other.shape)
            && bytes(self.values.as_ref()) == bytes(other.values.as_ref())
    }
}

impl Progress {
    /// Whether both are the same to the bit: a NaN equals itself, 0 is not -0.
    pub fn same_bits(&self, other: &Progress) -> bool {
        let counts = |p: &Progress| (p.step, p.epoch, p.samples_seen, p.ranks, p.threads);
        let best = |p: &Progress| {
            let best = p.best.clone();
            best.map(|best| (best.step, best.metric, best.value.to_bits(), best.loss.map(f64::to_bits)))
        };
        let plateau = |p: &Progress| p.plateau.map(|p| (p.cuts, p.waited, p.best_loss.to_bits()));
        counts(self) == counts(other)
            && plateau(self) == plateau(other)
            && self.gradients == other.gradients
            && self.stage == other.stage
            && best(self) == best(other)
            && self.metrics.len() == other.metrics.len()
            && self
                .metrics
                .iter()
                .zip(&other.metrics)
                .all(|(a, b)| a.0 == b.0 && a.1.to_bits() == b.1.to_bits())
    }
}

/// Refuses a network that is not JSON.
pub(super) fn check_network(network: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(network)
        .map(drop)
        .map_err(|error| format!("its network is not JSON: {error}"))
}

/// The number of elements in `shape`, or `None` if it overflows.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    // The product of the other dimensions of an empty tensor must not overflow either, because HDF5 computes
    // it.
    let product = shape.iter().filter(|&&length| length > 0).try_fold(1, |n: usize, &d| n.checked_mul(d))?;
    Some(if shape.contains(&0) { 0 } else { product })
}

fn check_tensors<V: AsRef<[f32]>>(tensors: &[Tensor<V>]) -> Result<(), String> {
    let (mut names, mut layers, mut last) = (HashSet::new(), HashSet::new(), None);
    for Tensor { name, shape, values } in tensors {
        let (layer, tensor) =
            name.split_once('/').ok_or_else(|| format!("the tensor name `{name}` is not `layer/tensor`"))?;
        check_part(layer, "layer")?;
        check_part(tensor, "tensor")?;
        let found = values.as_ref().len();
        if elements(shape) != Some(found) {
            return Err(format!("tensor `{name}` has the shape {shape:?} but {}", plural(found, "value")));
        }
        if !names.insert(name) {
            return Err(format!("two tensors are named `{name}`"));
        }
        // A layer is one group, so its tensors must be adjacent.
        if last.replace(layer) != Some(layer) && !layers.insert(layer) {
            return Err(format!("the tensors of layer `{layer}` are not next to each other"));
        }
    }
    Ok(())
}

/// Refuses a name that is not one component of an HDF5 path.
fn check_part(name: &str, what: &str) -> Result<(), String> {
    if name == "." || name.contains('/') {
        return Err(format!("the {what} name `{name}` is `.` or holds a `/`"));
    }
    check_name(name, what)
}

/// Refuses a name that HDF5 cannot hold.
fn check_name(name: &str, what: &str) -> Result<(), String> {
    // A name is stored in an object header message, which has at most 64 kB. Names much shorter than that are
    // already a mistake.
    const LONGEST: usize = 1024;
    if name.is_empty() || name.len() > LONGEST || name.contains('\0') {
        let start: String = name.chars().take(40).collect();
        return Err(format!(
            "the {what} name {start:?} is empty, longer than {LONGEST} bytes, or holds a NUL"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_parameters(tensors: &[(&str, &[usize], usize)]) -> Result<(), String> {
        let parameters = tensors
            .iter()
            .map(|(name, shape, len)| Tensor {
                name: (*name).into(),
                shape: shape.to_vec(),
                values: vec![0.0; *len],
            })
            .collect();
        let (network, job) = ("{}".into(), String::new());
        let (optimizer, progress) = (vec![], Progress::default());
        Snapshot {
            origin: Origin::now(),
            network,
            job,
            parameters,
            optimizer,
            recurrent_state: vec![],
            vocabulary: vec![],
            preparation: String::new(),
            data: Data::new(),
            progress,
        }
        .check()
    }

    #[test]
    fn names_are_a_layer_and_a_tensor() {
        for name in ["weight", "/weight", "conv1/", "a/b/weight", "./weight", "conv1/.", "", "/", "a\0/b"] {
            assert!(with_parameters(&[(name, &[1], 1)]).is_err(), "{name:?} was accepted");
        }
        for name in ["conv1/weight", "../..", "größe 1/µ", "层/権重", "a.b\\c:d\n/weight"] {
            assert_eq!(with_parameters(&[(name, &[1], 1)]), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_layer_has_one_place_and_a_tensor_one_name() {
        let (shape, one) = (&[1][..], 1);
        let twice = with_parameters(&[("a/w", shape, one), ("a/w", shape, one)]);
        assert!(twice.unwrap_err().contains("two tensors are named `a/w`"));
        let torn = with_parameters(&[("a/w", shape, one), ("b/w", shape, one), ("a/b", shape, one)]);
        assert!(torn.unwrap_err().contains("layer `a` are not next to each other"));
        assert_eq!(with_parameters(&[("a/w", shape, one), ("a/b", shape, one), ("b/w", shape, one)]), Ok(()));
    }

    #[test]
    fn a_shape_counts_its_values() {
        assert!(with_parameters(&[("a/w", &[2, 3], 5)]).is_err());
        assert!(with_parameters(&[("a/w", &[usize::MAX, 2], 0)]).is_err());
        assert!(with_parameters(&[("a/w", &[usize::MAX, 2, 0], 0)]).is_err());
        assert_eq!(with_parameters(&[("a/w", &[], 1)]), Ok(()));
        assert_eq!(with_parameters(&[("a/w", &[0, 3], 0)]), Ok(()));
    }
}
