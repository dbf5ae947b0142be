//! The groups of parameters for a regulariser: "filters", "hidden_units" and so on, computed from the units
//! that layers declare. [`StructureKind`] says what a group of each kind is.
//!
//! Letters: F filters, C channels, R S kernel; a convolution's weight is `[F, C, R, S]`.

mod branches;
mod views;

use std::collections::HashMap;

use super::units::{CoupledUnits, Role, UnitAxis};
use branches::Branches;
use ternflock_base::error::Result;
use ternflock_nn::declare::Matrix;
use ternflock_nn::layer::TensorRole;
use ternflock_nn::parameters::{find, numbers_of, of_layer};
use ternflock_nn::{Graph, Parameter, Parameters, StructureKind};
pub use views::{NONE, View};

/// Groups of one kind in one layer, or of one chain of coupled layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// The layer after which they are named.
    pub layer: String,
    /// Their kind.
    pub kind: StructureKind,
    /// Their number.
    pub count: usize,
    /// The places of their elements. An element may be in two views.
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
    /// The overlaps of `views`.
    fn new(layer: String, kind: StructureKind, count: usize, views: Vec<View>) -> Groups {
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

    /// The number of elements of each group.
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

    /// Writes the square of the norm of each group to `squares`, computed in f64 and in an order that depends
    /// only on the shapes. An element that two views of a group share counts twice, as in the published code.
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
pub fn groups(graph: &Graph, parameters: &Parameters, kind: StructureKind) -> Result<Vec<Groups>> {
    let units = CoupledUnits::new(graph, &parameters.table, &parameters.statistics.table)?;
    let branches = Branches::new(graph)?;
    let mut all = Vec::new();
    for (layer, node) in graph.layers().iter().enumerate() {
        let parts = node.layer.parts();
        if !parts.has(kind) {
            continue;
        }
        let found = match (kind, parts.matrix) {
            (StructureKind::Filters | StructureKind::Neurons, _) => {
                by_axis(&units, layer, Role::Makes, parameters)
            }
            (StructureKind::Channels, _) => by_axis(&units, layer, Role::Reads, parameters),
            (StructureKind::Inputs, matrix) => {
                match (by_axis(&units, layer, Role::Reads, parameters), matrix) {
                    // The network's inputs cannot be removed, but no layer has to read all of them.
                    ((0, _), Some(matrix)) if !graph.shares_weight(layer) => {
                        columns(layer, parameters, matrix)
                    }
                    (found, _) => found,
                }
            }
            (StructureKind::Shapes, Some(matrix)) => columns(layer, parameters, matrix),
            (StructureKind::Filters2d, Some(matrix)) => match matrix.columns.list() {
                None => filters_2d(layer, parameters, matrix),
                Some(kept) => filters_on_columns(layer, parameters, matrix, kept),
            },
            (StructureKind::Layers, _) if branches.ends_in_a_sum(graph, layer) => {
                whole_layers(layer, branches.readers(layer + 1), parameters)
            }
            (StructureKind::HiddenUnits, _) if !is_coupled_to_an_earlier(graph, &units, layer) => {
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

/// All slices of the units that `layer` produces, except biases.
fn hidden_units(units: &CoupledUnits, layer: usize, parameters: &Parameters) -> (usize, Vec<View>) {
    let output = &units.of_source[layer + 1];
    let is_bias =
        |axis: &UnitAxis| axis.role == Role::Makes && !parameters.table[axis.tensor].spec.role.decays();
    views(units, output, units.parameters.iter().filter(|axis| !is_bias(axis)), parameters)
}

/// Whether the units of `layer` are also those of an earlier recurrent layer, because of a sum. They are then
/// groups of that layer.
fn is_coupled_to_an_earlier(graph: &Graph, units: &CoupledUnits, layer: usize) -> bool {
    let unit = units.of_source[layer + 1][0];
    (0..layer).any(|earlier| {
        graph.layers()[earlier].layer.parts().has(StructureKind::HiddenUnits)
            && units.of_source[earlier + 1].contains(&unit)
    })
}

/// Groups of those `members` that can be removed, numbered in the order of their first appearance: their
/// slices of `axes`.
fn views<'a>(
    units: &CoupledUnits,
    members: &[usize],
    axes: impl Iterator<Item = &'a UnitAxis>,
    parameters: &Parameters,
) -> (usize, Vec<View>) {
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    for &unit in members.iter().filter(|&&unit| units.pinned[unit].is_none()) {
        let next = numbers.len() as u32;
        numbers.entry(unit).or_insert(next);
    }
    let mut views = Vec::new();
    for axis in axes {
        let group_of: Vec<u32> =
            axis.units.iter().map(|unit| numbers.get(unit).copied().unwrap_or(NONE)).collect();
        let view = View::new(parameters, axis, group_of);
        // The axis of a tied weight appears once per layer that has it.
        if view.group_of.iter().any(|&group| group != NONE) && !views.contains(&view) {
            views.push(view);
        }
    }
    (numbers.len(), views)
}

/// The columns of `matrix`, which belongs to the layer. If its rows are in groups, each group has its own
/// columns, because it reads its own channels.
fn columns(layer: usize, parameters: &Parameters, matrix: Matrix<'_>) -> (usize, Vec<View>) {
    let Some((tensor, weight)) = find(&parameters.table, layer, matrix.tensor) else {
        return (0, Vec::new());
    };
    let (columns, each) = (weight.spec.row(), weight.range.len() / matrix.groups);
    let view = |group: usize| View {
        tensor,
        range: weight.range.start + group * each..weight.range.start + (group + 1) * each,
        inner: 1,
        group_of: (group * columns..(group + 1) * columns).map(|number| number as u32).collect(),
    };
    (matrix.groups * columns, (0..matrix.groups).map(view).collect())
}

/// The two-dimensional filters of `layer`, whose matrix has all of its columns.
fn filters_2d(layer: usize, parameters: &Parameters, matrix: Matrix<'_>) -> (usize, Vec<View>) {
    let Some((tensor, weight)) = find(&parameters.table, layer, matrix.tensor) else {
        return (0, Vec::new());
    };
    let count = weight.range.len() / matrix.taps();
    let group_of = (0..count as u32).collect();
    (count, vec![View { tensor, range: weight.range.clone(), inner: matrix.taps(), group_of }])
}

/// The two-dimensional filters of `layer`, whose matrix `[F, kept]` has only these columns: the weights of
/// each filter for each channel.
fn filters_on_columns(
    layer: usize,
    parameters: &Parameters,
    matrix: Matrix<'_>,
    kept: &[usize],
) -> (usize, Vec<View>) {
    let Some((tensor, weight)) = find(&parameters.table, layer, matrix.tensor) else {
        return (0, Vec::new());
    };
    let mut channels: Vec<usize> = kept.iter().map(|column| column / matrix.taps()).collect();
    let by_column = channels.clone();
    channels.dedup();
    let (filters, count) = (weight.spec.shape[0], channels.len());
    let places: Vec<usize> =
        by_column.iter().map(|channel| channels.partition_point(|before| before < channel)).collect();
    let group_of = (0..filters).flat_map(|filter| places.iter().map(move |at| (filter * count + at) as u32));
    let group_of = group_of.collect();
    (filters * count, vec![View { tensor, range: weight.range.clone(), inner: 1, group_of }])
}

/// The layer, and the normalisation that follows it.
fn whole_layers(layer: usize, readers: &[usize], parameters: &Parameters) -> (usize, Vec<View>) {
    let table = &parameters.table;
    let is_normalisation = |tensor: &Parameter| tensor.spec.role == TensorRole::Normalisation;
    let norms = readers.iter().copied();
    let norms = norms.filter(|&reader| of_layer(table, reader).iter().any(is_normalisation));
    let theirs = std::iter::once(layer).chain(norms).flat_map(|member| numbers_of(table, member));
    let whole = |tensor: usize| {
        let range = table[tensor].range.clone();
        View { tensor, inner: range.len(), range, group_of: vec![0] }
    };
    (1, theirs.map(whole).collect())
}

#[cfg(test)]
mod tests;
