//! The sparsity report of a network, layer by layer: the number of structures that are left, the ranks, and
//! the cost of each layer.
//!
//! Structures are counted in the layer's own tensors, whether or not surgery could remove them: the channels
//! of the first convolution are those of the image, and the neurons of the logits are the classes. A
//! structure is left if any of its elements is not zero; NaN is not zero.
//!
//! Letters: F filters, C channels (of a group, where there are groups), R S kernel.

use serde::Serialize;

use super::groups::groups;
use super::low_rank::{LayerRank, ranks_of};
use super::units::{CoupledUnits, Role};
use ternflock_base::error::{Error, Result};
use ternflock_nn::layer::TensorRole;
use ternflock_nn::parameters::of_layer;
use ternflock_nn::{Graph, LayerSpec, Parameter, Parameters, StructureKind, non_finite};

/// The sparsity and the cost of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSparsity {
    /// Its name.
    pub layer: String,
    /// The kinds of structures that it has.
    pub structures: Vec<Structures>,
    /// The ranks of its weight and of its recurrent weight, if it has such weights that can be factorised,
    /// all elements are finite, and ranks are requested.
    pub ranks: Vec<LayerRank>,
    /// The rank of its recurrent weight if that is a product.
    pub recurrent_rank: Option<usize>,
    /// The number of its parameters.
    pub parameters: usize,
    /// The number of parameters that are not zero.
    pub nonzero: usize,
    /// Multiply-adds of the forward pass of one sample, zeros included.
    pub multiply_adds: u64,
    /// The first of its elements that is NaN or infinite: "`conv1/weight` holds NaN at element 3".
    pub not_finite: Option<String>,
}

/// The structures of one kind in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Structures {
    /// The kind.
    pub kind: StructureKind,
    /// The number that is left.
    pub kept: usize,
    /// The total number.
    pub all: usize,
}

impl Structures {
    fn of(kind: StructureKind, alive: &[bool]) -> Structures {
        Structures { kind, kept: alive.iter().filter(|&&alive| alive).count(), all: alive.len() }
    }
}

impl LayerSparsity {
    /// Its structures of `kind`.
    pub fn of(&self, kind: StructureKind) -> Option<Structures> {
        self.structures.iter().copied().find(|structures| structures.kind == kind)
    }
}

/// Reports the sparsity of all layers of `graph`, in order. With a share of `energy`, ranks are those that
/// keep it ([`super::low_rank::ranks()`]); without it, no weight is decomposed.
///
/// # Errors
/// If `energy` is not above 0 and at most 1; those of [`Graph::coupling`].
pub fn sparsity_report(
    graph: &Graph,
    parameters: &Parameters,
    energy: Option<f64>,
) -> Result<Vec<LayerSparsity>> {
    if let Some(energy) = energy
        && !(energy > 0.0 && energy <= 1.0)
    {
        return Err(Error::Usage(format!(
            "energy = {energy} must be above 0 and at most 1, the share that is kept"
        )));
    }
    let mut all = Vec::new();
    let hidden = hidden_units(graph, parameters)?;
    for (index, (node, hidden)) in graph.layers().iter().zip(hidden).enumerate() {
        let tensors: Vec<&Parameter> = of_layer(&parameters.table, index).iter().collect();
        let values = || tensors.iter().flat_map(|tensor| &parameters.values[tensor.range.clone()]);
        let not_finite = tensors.iter().find_map(|tensor| first_non_finite(tensor, parameters));
        let ranks = match energy.filter(|_| not_finite.is_none()) {
            Some(energy) => ranks_of(graph, parameters, index, energy)?,
            None => Vec::new(),
        };
        let input = graph.shape(graph.sources(index)[0]).units();
        let mut structures = own_structures(&node.layer, input, &tensors, &parameters.values);
        structures.extend(hidden);
        all.push(LayerSparsity {
            layer: node.name.clone(),
            structures,
            ranks,
            recurrent_rank: node.layer.recurrent_rank(),
            parameters: values().count(),
            nonzero: values().filter(|&&value| value != 0.0).count(),
            multiply_adds: graph.multiply_adds(index)?,
            not_finite,
        });
    }
    for branch in groups(graph, parameters, StructureKind::Layers)? {
        let alive = branch.views.iter().any(|view| is_alive(&parameters.values[view.range.clone()]));
        if let Some(layer) = graph.find(&branch.layer) {
            all[layer].structures.push(Structures::of(StructureKind::Layers, &[alive]));
        }
    }
    Ok(all)
}

fn first_non_finite(tensor: &Parameter, parameters: &Parameters) -> Option<String> {
    let found = non_finite(&parameters.values[tensor.range.clone()])?;
    Some(format!("`{}` {found}", tensor.name))
}

fn is_alive(values: &[f32]) -> bool {
    values.iter().any(|&value| value != 0.0)
}

/// The structures in the layer's own matrix and bias; `input` is the number of units that it reads. Columns
/// that the matrix does not have count as zeros.
fn own_structures(
    layer: &LayerSpec,
    input: usize,
    tensors: &[&Parameter],
    values: &[f32],
) -> Vec<Structures> {
    let parts = layer.parts();
    let Some(matrix) = parts.matrix else { return Vec::new() };
    let Some(own) = tensors.iter().find(|own| own.spec.name == matrix.tensor) else { return Vec::new() };
    let (channels, taps, filters) = (input / matrix.groups, matrix.taps(), own.spec.shape[0]);
    let weight = &matrix.columns.spread(&values[own.range.clone()], channels * taps)[..];
    let rows = || {
        let mut alive = alive(weight, channels * taps, filters, |row| row);
        for bias in tensors.iter().filter(|tensor| tensor.spec.role == TensorRole::Bias) {
            let bias = &values[bias.range.clone()];
            alive.iter_mut().zip(bias).for_each(|(alive, bias)| *alive |= *bias != 0.0);
        }
        alive
    };
    // Each group of filters has its own channels, and so its own columns.
    let of_group = filters / matrix.groups;
    let columns = |inner: usize| {
        let places = channels * taps / inner;
        let number = |at: usize| at / places / of_group * places + at % places;
        alive(weight, inner, matrix.groups * places, number)
    };
    let structures = |&kind: &StructureKind| {
        let alive = match kind {
            StructureKind::Filters | StructureKind::Neurons => rows(),
            StructureKind::Channels | StructureKind::Inputs => columns(taps),
            StructureKind::Shapes => columns(1),
            StructureKind::Filters2d => alive(weight, taps, filters * channels, |at| at),
            // These structures include tensors of other layers.
            StructureKind::Layers | StructureKind::HiddenUnits => return None,
        };
        Some(Structures::of(kind, &alive))
    };
    parts.structures.iter().filter_map(structures).collect()
}

/// By number of a structure: whether any of its elements is not zero. Each run of `inner` values belongs to
/// the structure that `number` returns for its place.
fn alive(values: &[f32], inner: usize, structures: usize, number: impl Fn(usize) -> usize) -> Vec<bool> {
    let mut alive = vec![false; structures];
    for (place, run) in values.chunks_exact(inner).enumerate() {
        alive[number(place)] |= is_alive(run);
    }
    alive
}

/// By recurrent layer: its hidden units, each with all weights that produce or read it anywhere in the
/// network, except biases.
fn hidden_units(graph: &Graph, parameters: &Parameters) -> Result<Vec<Option<Structures>>> {
    let units = CoupledUnits::new(graph, &parameters.table, &parameters.statistics.table)?;
    let mut alive = vec![false; units.count()];
    for axis in &units.parameters {
        let tensor = &parameters.table[axis.tensor];
        if axis.role == Role::Makes && !tensor.spec.role.decays() {
            continue;
        }
        let inner: usize = tensor.spec.shape[axis.axis + 1..].iter().product();
        let runs = parameters.values[tensor.range.clone()].chunks_exact(inner.max(1));
        for (run, &unit) in runs.zip(axis.units.iter().cycle()) {
            alive[unit] = alive[unit] || is_alive(run);
        }
    }
    let of_layer = |(layer, node): (usize, &ternflock_nn::Node)| {
        let own: Vec<bool> = units.of_source[layer + 1].iter().map(|&unit| alive[unit]).collect();
        let has_units = node.layer.parts().has(StructureKind::HiddenUnits);
        has_units.then(|| Structures::of(StructureKind::HiddenUnits, &own))
    };
    Ok(graph.layers().iter().enumerate().map(of_layer).collect())
}

#[cfg(test)]
mod tests;
