//! The groups of parameters that a regulariser takes as one: "filters", "hidden_units" and so on, computed from what layers
//! declare of their units.
//!
//! Letters: F filters, C channels, R S kernel; a convolution's weight is `[F, C, R, S]`, which is also the matrix `[F, C R S]`
//! of a product with im2col columns. Sources: W. Wen, C. Wu, Y. Wang, Y. Chen, H. Li, "Learning Structured Sparsity in Deep
//! Neural Networks" (2016); W. Wen et al., "Learning Intrinsic Sparse Structures within Long Short-Term Memory" (2018).

use std::ops::Range;

use serde::Serialize;

use super::units::{CoupledUnits, Role, UnitAxis};
use crate::error::Result;
use crate::nn::{Graph, LayerSpec, Parameter, Parameters};
use crate::tensor::{add_scaled, vectorise};

/// What a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// A filter of a convolution, `weight[f, :, :, :]` with its bias: a row of the matrix.
    Filters,
    /// What a convolution reads of a channel, `weight[:, c, :, :]`.
    Channels,
    /// One place of all filters of a convolution, `weight[:, c, r, s]`: a column of the matrix. Of a convolution that has only
    /// some of them, one of these.
    Shapes,
    /// A two-dimensional filter, `weight[f, c, :, :]`.
    #[serde(rename = "filters_2d")]
    Filters2d,
    /// A convolution within a residual branch, with the batch norm behind it.
    Layers,
    /// A row of a linear layer with its bias: a neuron.
    Neurons,
    /// A column of a linear layer: what it reads of an input.
    Inputs,
    /// A hidden unit of a recurrent layer: its rows of all gates, its column of the recurrent weight, and what later
    /// layers read of it. Biases are not part of it.
    HiddenUnits,
}

/// Groups of one kind in one layer, or of one chain of coupled layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// The layer that they are named after.
    pub layer: String,
    /// What they are.
    pub kind: GroupKind,
    /// How many there are.
    pub count: usize,
    /// Where their elements are. An element may be in two of them.
    pub views: Vec<View>,
}

/// A tensor, or one axis of it, as groups see it: `[outer, places, inner]`, where each place belongs to a group or to none.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The tensor's place in the flat vector.
    pub range: Range<usize>,
    /// Elements side by side of one place.
    pub inner: usize,
    /// The group of each place, [`NONE`] for none.
    pub group_of: Vec<u32>,
}

/// No group.
pub const NONE: u32 = u32::MAX;

impl Groups {
    /// How many elements each group has; one that is in two views counts twice.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.count];
        for view in &self.views {
            let outer = view.range.len() / (view.inner * view.group_of.len());
            for &group in view.group_of.iter().filter(|&&group| group != NONE) {
                sizes[group as usize] += outer * view.inner;
            }
        }
        sizes
    }

    /// The square of the norm of each group, into `squares`; f64, in an order that depends on the shapes alone.
    pub fn squares(&self, values: &[f32], squares: &mut [f64]) {
        squares.fill(0.0);
        for view in &self.views {
            if view.is_plain() {
                let rows = values[view.range.clone()].chunks_exact(view.group_of.len());
                rows.for_each(|row| add_squares(row, squares));
                continue;
            }
            for (run, &group) in view.runs(values).filter(|(_, group)| **group != NONE) {
                squares[group as usize] += sum_of_squares(run);
            }
        }
    }

    /// `sums += factor values` for the elements of each group, with the group's factor. Both are laid out as the parameters.
    pub fn add_scaled(&self, factors: &[f32], values: &[f32], sums: &mut [f32]) {
        for view in &self.views {
            let sums = &mut sums[view.range.clone()];
            if view.is_plain() {
                let groups = view.group_of.len();
                let rows = sums.chunks_exact_mut(groups).zip(values[view.range.clone()].chunks_exact(groups));
                rows.for_each(|(sums, values)| add_products(factors, values, sums));
                continue;
            }
            for (sums, (values, &group)) in sums.chunks_exact_mut(view.inner).zip(view.runs(values)) {
                match (group, sums, values) {
                    (NONE, ..) => (),
                    (group, [sum], [value]) => *sum += factors[group as usize] * value,
                    (group, sums, values) => add_scaled(factors[group as usize], values, sums),
                }
            }
        }
    }

    /// `values *= factor` for the elements of each group, with the group's factor.
    pub fn scale(&self, factors: &[f32], values: &mut [f32]) {
        for view in &self.views {
            if view.is_plain() {
                values[view.range.clone()]
                    .chunks_exact_mut(view.group_of.len())
                    .for_each(|row| multiply(factors, row));
                continue;
            }
            let runs = values[view.range.clone()].chunks_exact_mut(view.inner);
            for (run, &group) in runs.zip(view.group_of.iter().cycle()).filter(|(_, group)| **group != NONE) {
                run.iter_mut().for_each(|value| *value *= factors[group as usize]);
            }
        }
    }
}

impl View {
    fn new(tensor: &Parameter, axis: usize, group_of: Vec<u32>) -> View {
        let inner = tensor.spec.shape[axis + 1..].iter().product();
        View { range: tensor.range.clone(), inner, group_of }
    }

    /// Whether single elements side by side belong to all groups in their order: then whole rows can be taken at once.
    fn is_plain(&self) -> bool {
        self.inner == 1 && self.group_of.iter().zip(0..).all(|(&group, place)| group == place)
    }

    /// Elements side by side, and their group.
    pub fn runs<'a>(&'a self, values: &'a [f32]) -> impl Iterator<Item = (&'a [f32], &'a u32)> {
        values[self.range.clone()].chunks_exact(self.inner).zip(self.group_of.iter().cycle())
    }
}

/// `squares += values²`, element by element.
fn add_squares(values: &[f32], squares: &mut [f64]) {
    vectorise(
        #[inline(always)]
        || {
            for (square, &value) in squares.iter_mut().zip(values) {
                *square += f64::from(value) * f64::from(value);
            }
        },
    );
}

/// `sums += factors values`, element by element.
fn add_products(factors: &[f32], values: &[f32], sums: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || {
            for ((sum, &value), &factor) in sums.iter_mut().zip(values).zip(factors) {
                *sum += factor * value;
            }
        },
    );
}

/// `values *= factors`, element by element.
fn multiply(factors: &[f32], values: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || {
            for (value, &factor) in values.iter_mut().zip(factors) {
                *value *= factor;
            }
        },
    );
}

/// Of `values`, in eight sums that are added in the end: an order that depends on the length alone.
fn sum_of_squares(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    vectorise(
        #[inline(always)]
        || blocks.iter().for_each(|block| add_eight(block, &mut sums)),
    );
    let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    sums.iter().sum::<f64>() + rest
}

#[inline(always)]
fn add_eight(values: &[f32; 8], sums: &mut [f64; 8]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += f64::from(value) * f64::from(value);
    }
}

/// All groups of `kind` in `graph`, layer by layer. Structures that surgery could not remove, such as the logits, have none.
///
/// # Errors
/// Those of [`Graph::coupling`].
pub fn groups(graph: &Graph, parameters: &Parameters, kind: GroupKind) -> Result<Vec<Groups>> {
    let units = CoupledUnits::new(graph, &parameters.table, &parameters.statistics.table)?;
    let mut all = Vec::new();
    for (layer, node) in graph.layers().iter().enumerate() {
        let recurrent = node.layer.is_recurrent();
        let found = match (kind, &node.layer) {
            (GroupKind::Filters, LayerSpec::Conv2d(_)) | (GroupKind::Neurons, LayerSpec::Linear(_)) => {
                by_axis(&units, layer, Role::Makes, parameters)
            }
            (GroupKind::Channels, LayerSpec::Conv2d(_)) => by_axis(&units, layer, Role::Reads, parameters),
            (GroupKind::Inputs, LayerSpec::Linear(_)) => {
                match by_axis(&units, layer, Role::Reads, parameters) {
                    // The network's inputs stay, but nothing has to read all of them.
                    (0, _) if !graph.shares_weight(layer) => whole_matrix(layer, parameters, 1),
                    found => found,
                }
            }
            (GroupKind::Shapes, LayerSpec::Conv2d(_)) => whole_matrix(layer, parameters, 1),
            (GroupKind::Filters2d, LayerSpec::Conv2d(conv)) => match conv.columns.list() {
                None => whole_matrix(layer, parameters, 2),
                Some(kept) => filters_on_columns(layer, parameters, kept, conv.kernel.get()),
            },
            (GroupKind::Layers, LayerSpec::Conv2d(_)) if ends_in_a_sum(graph, layer) => {
                whole_layers(graph, layer, parameters)
            }
            (GroupKind::HiddenUnits, _) if recurrent && !is_coupled_to_an_earlier(graph, &units, layer) => {
                hidden_units(&units, layer, parameters)
            }
            _ => (0, Vec::new()),
        };
        if found.0 > 0 {
            all.push(Groups { layer: node.name.clone(), kind, count: found.0, views: found.1 });
        }
    }
    Ok(all)
}

/// The slices of `layer`'s own tensors along the axes with `role`, if surgery can remove their units.
fn by_axis(units: &CoupledUnits, layer: usize, role: Role, parameters: &Parameters) -> (usize, Vec<View>) {
    let own = |axis: &&UnitAxis| {
        axis.role == role && axis.layer == layer && parameters.table[axis.tensor].layer == layer
    };
    let own = units.parameters.iter().filter(own);
    let members = own.clone().next().map_or(&[][..], |axis| &axis.units);
    views(units, members, own, parameters)
}

/// All slices of the units that `layer` makes, but for biases.
fn hidden_units(units: &CoupledUnits, layer: usize, parameters: &Parameters) -> (usize, Vec<View>) {
    let output = &units.of_source[layer + 1];
    let is_bias = |axis: &UnitAxis| axis.role == Role::Makes && !parameters.table[axis.tensor].spec.decay;
    views(units, output, units.parameters.iter().filter(|axis| !is_bias(axis)), parameters)
}

/// Whether the units of `layer` are those of an earlier recurrent layer too, through a sum: then they are that one's groups.
fn is_coupled_to_an_earlier(graph: &Graph, units: &CoupledUnits, layer: usize) -> bool {
    let unit = units.of_source[layer + 1][0];
    (0..layer).any(|earlier| {
        graph.layers()[earlier].layer.is_recurrent() && units.of_source[earlier + 1].contains(&unit)
    })
}

/// Groups of those of `members` that can be removed, numbered as they first come: their slices of `axes`.
fn views<'a>(
    units: &CoupledUnits,
    members: &[usize],
    axes: impl Iterator<Item = &'a UnitAxis>,
    parameters: &Parameters,
) -> (usize, Vec<View>) {
    let mut numbers: Vec<u32> = vec![NONE; units.count()];
    let mut count = 0;
    for &unit in members.iter().filter(|&&unit| units.kept[unit].is_none()) {
        if numbers[unit] == NONE {
            numbers[unit] = count;
            count += 1;
        }
    }
    let mut views = Vec::new();
    for axis in axes {
        let group_of: Vec<u32> = axis.units.iter().map(|&unit| numbers[unit]).collect();
        let view = View::new(&parameters.table[axis.tensor], axis.axis, group_of);
        // A tied weight's axis comes once for each layer that has it.
        if view.group_of.iter().any(|&group| group != NONE) && !views.contains(&view) {
            views.push(view);
        }
    }
    (count as usize, views)
}

/// Of the weight of `layer`, its first `axes` axes that are not summed over: 1 for the columns of its matrix, 2 for two-dimensional filters.
fn whole_matrix(layer: usize, parameters: &Parameters, axes: usize) -> (usize, Vec<View>) {
    // A layer's weight is its first tensor.
    let Some(weight) = parameters.table.iter().find(|tensor| tensor.layer == layer) else {
        return (0, Vec::new());
    };
    let shape = &weight.spec.shape;
    let (count, inner) = match axes {
        1 => (shape[1..].iter().product(), 1),
        _ => (shape[0] * shape[1], shape[2..].iter().product()),
    };
    let group_of = (0..count as u32).collect();
    (count, vec![View { range: weight.range.clone(), inner, group_of }])
}

/// The two-dimensional filters of `layer`, whose weight `[F, kept]` has only these columns: what each filter has of each channel.
fn filters_on_columns(
    layer: usize,
    parameters: &Parameters,
    kept: &[usize],
    kernel: (usize, usize),
) -> (usize, Vec<View>) {
    let Some(weight) = parameters.table.iter().find(|tensor| tensor.layer == layer) else {
        return (0, Vec::new());
    };
    let mut channels: Vec<usize> = kept.iter().map(|column| column / (kernel.0 * kernel.1)).collect();
    let by_column = channels.clone();
    channels.dedup();
    let (filters, count) = (weight.spec.shape[0], channels.len());
    let places: Vec<usize> =
        by_column.iter().map(|channel| channels.partition_point(|before| before < channel)).collect();
    let group_of = (0..filters).flat_map(|filter| places.iter().map(move |at| (filter * count + at) as u32));
    (filters * count, vec![View { range: weight.range.clone(), inner: 1, group_of: group_of.collect() }])
}

/// The convolution `layer`, and the batch norm that follows it.
fn whole_layers(graph: &Graph, layer: usize, parameters: &Parameters) -> (usize, Vec<View>) {
    let norm = readers(graph, layer + 1)
        .into_iter()
        .filter(|&reader| matches!(graph.layers()[reader].layer, LayerSpec::BatchNorm(_)));
    let members: Vec<usize> = std::iter::once(layer).chain(norm).collect();
    let theirs = parameters.table.iter().filter(|tensor| members.contains(&tensor.layer));
    let whole = |tensor: &Parameter| View {
        range: tensor.range.clone(),
        inner: tensor.range.len(),
        group_of: vec![0],
    };
    (1, theirs.map(whole).collect())
}

/// The layers that read source `source`.
fn readers(graph: &Graph, source: usize) -> Vec<usize> {
    (0..graph.layers().len()).filter(|&reader| graph.sources(reader).contains(&source)).collect()
}

/// Whether `layer` is part of a residual branch that a shortcut goes around: a chain of layers, each read by the next
/// alone, that ends in a sum, another input of which is no such chain of its own with a convolution in it.
fn ends_in_a_sum(graph: &Graph, layer: usize) -> bool {
    let mut source = layer + 1;
    loop {
        let [reader] = readers(graph, source)[..] else { return false };
        if matches!(graph.layers()[reader].layer, LayerSpec::Add(_)) {
            let others = graph.sources(reader).iter().filter(|&&other| other != source);
            let convolutions = chain_convolutions(graph, source);
            return others.into_iter().any(|&other| chain_convolutions(graph, other) < convolutions);
        }
        source = reader + 1;
    }
}

/// The convolutions on the way back from `source` to the next source that several layers read.
fn chain_convolutions(graph: &Graph, mut source: usize) -> usize {
    let mut count = 0;
    while let Some(layer) = source.checked_sub(1).filter(|_| readers(graph, source).len() == 1) {
        let [before] = graph.sources(layer)[..] else { break };
        count += usize::from(matches!(graph.layers()[layer].layer, LayerSpec::Conv2d(_)));
        source = before;
    }
    count
}

#[cfg(test)]
mod tests;
