//! The groups of parameters that a regulariser takes as one: "filters", "hidden_units" and so on, computed from what layers
//! declare of their units.
//!
//! Letters: F filters, C channels, R S kernel; a convolution's weight is `[F, C, R, S]`, which is also the matrix `[F, C R S]`
//! of a product with im2col columns. Sources: W. Wen, C. Wu, Y. Wang, Y. Chen, H. Li, "Learning Structured Sparsity in Deep
//! Neural Networks" (2016); W. Wen et al., "Learning Intrinsic Sparse Structures within Long Short-Term Memory" (2018).

mod branches;
mod views;

use std::collections::HashMap;

use serde::Serialize;

use super::units::{CoupledUnits, Role, UnitAxis};
use branches::Branches;
use ternflock_base::error::Result;
use ternflock_nn::parameters::numbers_of;
use ternflock_nn::{Graph, LayerSpec, Parameters};
pub use views::{NONE, View};

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
    /// Elements of a group that an earlier view of the group already covers, in the order of the views.
    pub shared: Vec<Shared>,
}

/// An element that two views of one group share: a hidden unit's weight to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The later of the two views.
    pub view: usize,
    /// The group.
    pub group: usize,
    /// Its place in the flat vector.
    pub at: usize,
}

impl Groups {
    /// Those of `views`.
    fn new(layer: String, kind: GroupKind, count: usize, views: Vec<View>) -> Groups {
        let mut shared = Vec::new();
        for (later, view) in views.iter().enumerate() {
            // For a tensor that groups view along several axes.
            let earlier: Vec<&View> =
                views[..later].iter().filter(|other| other.range == view.range).collect();
            if earlier.is_empty() {
                continue;
            }
            for place in 0..view.range.len() {
                let group = view.group_at(place);
                if group != NONE && earlier.iter().any(|other| other.group_at(place) == group) {
                    let at = view.range.start + place;
                    shared.push(Shared { view: later, group: group as usize, at });
                }
            }
        }
        Groups { layer, kind, count, views, shared }
    }

    /// How many elements each group has.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.count];
        for view in &self.views {
            let outer = view.range.len() / (view.inner * view.group_of.len());
            for &group in view.group_of.iter().filter(|&&group| group != NONE) {
                sizes[group as usize] += outer * view.inner;
            }
        }
        self.shared.iter().for_each(|shared| sizes[shared.group] -= 1);
        sizes
    }

    /// Computes the square of the norm of each group into `squares`, in f64 and in an order that depends on the shapes
    /// alone. An element that two views of a group share counts twice, as in the published code.
    pub fn squares(&self, values: &[f32], squares: &mut [f64]) {
        squares.fill(0.0);
        self.views.iter().for_each(|view| view.add_squares(values, squares));
    }

    /// The elements that view number `view` shares with earlier ones.
    pub fn shared_of(&self, view: usize) -> &[Shared] {
        let first = self.shared.partition_point(|shared| shared.view < view);
        let end = self.shared.partition_point(|shared| shared.view <= view);
        &self.shared[first..end]
    }

    /// `sums += factor values` for the elements of each group, with the group's factor, once per view. Both are laid
    /// out like the parameters.
    pub fn add_scaled(&self, factors: &[f32], values: &[f32], sums: &mut [f32]) {
        self.views.iter().for_each(|view| view.add_scaled(factors, values, sums));
    }
}

/// All groups of `kind` in `graph`, layer by layer. Structures that surgery could not remove, such as the logits, have none.
///
/// # Errors
/// Those of [`Graph::coupling`].
pub fn groups(graph: &Graph, parameters: &Parameters, kind: GroupKind) -> Result<Vec<Groups>> {
    let units = CoupledUnits::new(graph, &parameters.table, &parameters.statistics.table)?;
    let branches = Branches::new(graph);
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
                    (0, _) if !graph.shares_weight(layer) => columns(layer, parameters, 1),
                    found => found,
                }
            }
            (GroupKind::Shapes, LayerSpec::Conv2d(conv)) => columns(layer, parameters, conv.groups),
            (GroupKind::Filters2d, LayerSpec::Conv2d(conv)) => match conv.columns.list() {
                None => filters_2d(layer, parameters),
                Some(kept) => filters_on_columns(layer, parameters, kept, conv.kernel.get()),
            },
            (GroupKind::Layers, LayerSpec::Conv2d(_)) if branches.ends_in_a_sum(graph, layer) => {
                whole_layers(graph, layer, branches.readers(layer + 1), parameters)
            }
            (GroupKind::HiddenUnits, _) if recurrent && !is_coupled_to_an_earlier(graph, &units, layer) => {
                hidden_units(&units, layer, parameters)
            }
            _ => (0, Vec::new()),
        };
        if found.0 > 0 {
            all.push(Groups::new(node.name.clone(), kind, found.0, found.1));
        }
    }
    Ok(all)
}

/// The slices of `layer`'s own tensors along the axes with `role`, if surgery can remove their units.
fn by_axis(units: &CoupledUnits, layer: usize, role: Role, parameters: &Parameters) -> (usize, Vec<View>) {
    let first = units.parameters.partition_point(|axis| axis.layer < layer);
    let end = units.parameters.partition_point(|axis| axis.layer <= layer);
    let own = |axis: &&UnitAxis| axis.role == role && parameters.table[axis.tensor].layer == layer;
    let own = units.parameters[first..end].iter().filter(own);
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
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    for &unit in members.iter().filter(|&&unit| units.kept[unit].is_none()) {
        let next = numbers.len() as u32;
        numbers.entry(unit).or_insert(next);
    }
    let mut views = Vec::new();
    for axis in axes {
        let group_of: Vec<u32> =
            axis.units.iter().map(|unit| numbers.get(unit).copied().unwrap_or(NONE)).collect();
        let view = View::new(parameters, axis, group_of);
        // A tied weight's axis comes once for each layer that has it.
        if view.group_of.iter().any(|&group| group != NONE) && !views.contains(&view) {
            views.push(view);
        }
    }
    (numbers.len(), views)
}

/// The number of the weight of `layer` in the table: a layer's weight is its first tensor.
fn weight_of(layer: usize, parameters: &Parameters) -> Option<usize> {
    numbers_of(&parameters.table, layer).next()
}

/// The columns of the weight of `layer` as a matrix. If its filters come in `groups`, each group has its own columns,
/// because it reads its own channels.
fn columns(layer: usize, parameters: &Parameters, groups: usize) -> (usize, Vec<View>) {
    let Some(tensor) = weight_of(layer, parameters) else { return (0, Vec::new()) };
    let weight = &parameters.table[tensor];
    let (columns, each) = (weight.spec.row(), weight.range.len() / groups);
    let view = |group: usize| View {
        tensor,
        range: weight.range.start + group * each..weight.range.start + (group + 1) * each,
        inner: 1,
        group_of: (group * columns..(group + 1) * columns).map(|number| number as u32).collect(),
    };
    (groups * columns, (0..groups).map(view).collect())
}

/// The two-dimensional filters of `layer`, whose weight has all of its columns.
fn filters_2d(layer: usize, parameters: &Parameters) -> (usize, Vec<View>) {
    let Some(tensor) = weight_of(layer, parameters) else { return (0, Vec::new()) };
    let weight = &parameters.table[tensor];
    let count: usize = weight.spec.shape[..2].iter().product();
    let group_of = (0..count as u32).collect();
    (count, vec![View { tensor, range: weight.range.clone(), inner: weight.range.len() / count, group_of }])
}

/// The two-dimensional filters of `layer`, whose weight `[F, kept]` has only these columns: what each filter has of each channel.
fn filters_on_columns(
    layer: usize,
    parameters: &Parameters,
    kept: &[usize],
    kernel: (usize, usize),
) -> (usize, Vec<View>) {
    let Some(tensor) = weight_of(layer, parameters) else { return (0, Vec::new()) };
    let weight = &parameters.table[tensor];
    let mut channels: Vec<usize> = kept.iter().map(|column| column / (kernel.0 * kernel.1)).collect();
    let by_column = channels.clone();
    channels.dedup();
    let (filters, count) = (weight.spec.shape[0], channels.len());
    let places: Vec<usize> =
        by_column.iter().map(|channel| channels.partition_point(|before| before < channel)).collect();
    let group_of = (0..filters).flat_map(|filter| places.iter().map(move |at| (filter * count + at) as u32));
    let group_of = group_of.collect();
    (filters * count, vec![View { tensor, range: weight.range.clone(), inner: 1, group_of }])
}

/// The convolution `layer`, and the batch norm that follows it.
fn whole_layers(
    graph: &Graph,
    layer: usize,
    readers: &[usize],
    parameters: &Parameters,
) -> (usize, Vec<View>) {
    let norms = readers.iter().copied();
    let norms = norms.filter(|&reader| matches!(graph.layers()[reader].layer, LayerSpec::BatchNorm(_)));
    let theirs = std::iter::once(layer).chain(norms).flat_map(|member| numbers_of(&parameters.table, member));
    let whole = |tensor: usize| {
        let range = parameters.table[tensor].range.clone();
        View { tensor, inner: range.len(), range, group_of: vec![0] }
    };
    (1, theirs.map(whole).collect())
}

#[cfg(test)]
mod tests;
