//! Surgery: removes dead structures from a network. The result is smaller and dense and computes the same.
//!
//! - [`dead`]: the units that can be removed.
//! - [`cut`]: removes them.
//! - [`branches`]: removes residual branches that are zero.
//! - [`columns`]: removes columns of matrices that are zero.
//!
//! A surgery records for each element of the smaller network its place in the larger one. So all data in the
//! layout of the parameters (gradients, optimizer state, residuals of error feedback) can be carried over in
//! the same way, and ranks can compare a hash of the surgery.

pub mod branches;
pub mod columns;
pub mod cut;
pub mod dead;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use super::units::CoupledUnits;
use ternflock_base::error::Result;
use ternflock_job::Shrink;
use ternflock_nn::{Graph, Parameters};

/// A smaller network, and the source of each of its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Surgery {
    /// The smaller structure.
    pub graph: Graph,
    /// By place in its flat vector of parameters: the place in the larger network's.
    pub parameters: Vec<usize>,
    /// The same for values that are not trained.
    pub statistics: Vec<usize>,
    /// By name of a kept layer: the places of its units among those of the same layer in the larger network.
    /// For state that layers carry from batch to batch.
    pub units: BTreeMap<String, Vec<usize>>,
}

impl Surgery {
    /// The surgery that removes nothing.
    fn none(graph: &Graph, parameters: &Parameters) -> Surgery {
        let units = graph.layers().iter().enumerate();
        let units =
            units.map(|(layer, node)| (node.name.clone(), (0..graph.shape(layer + 1).units()).collect()));
        Surgery {
            graph: graph.clone(),
            parameters: (0..parameters.values.len()).collect(),
            statistics: (0..parameters.statistics.values.len()).collect(),
            units: units.collect(),
        }
    }

    /// The parameters of the smaller network.
    ///
    /// # Errors
    /// Those of [`Parameters::new`].
    pub fn apply(&self, larger: &Parameters) -> Result<Parameters> {
        let mut smaller = Parameters::new(&self.graph)?;
        smaller.values = self.take(&larger.values);
        smaller.statistics.values = self.statistics.iter().map(|&at| larger.statistics.values[at]).collect();
        Ok(smaller)
    }

    /// The remaining elements of `values`, which has the layout of the larger network's parameters.
    pub fn take(&self, values: &[f32]) -> Vec<f32> {
        self.parameters.iter().map(|&at| values[at]).collect()
    }

    /// This surgery followed by `next` on its result.
    fn then(self, next: Surgery) -> Surgery {
        let through = |first: &[usize], second: Vec<usize>| second.into_iter().map(|at| first[at]).collect();
        let units = next.units.into_iter().map(|(name, places)| {
            let places = through(&self.units[&name], places);
            (name, places)
        });
        Surgery {
            parameters: through(&self.parameters, next.parameters),
            statistics: through(&self.statistics, next.statistics),
            units: units.collect(),
            graph: next.graph,
        }
    }
}

/// The result of [`shrink`].
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The surgery that removes everything that can be removed.
    pub surgery: Surgery,
    /// Layers that would have lost everything, and whose strongest unit or first column was kept.
    pub emptied: Vec<String>,
}

/// Removes all dead structures from `graph`: units that are zero or that no layer reads, residual branches
/// that are zero, and columns of matrices that are zero, until there are no more of them. Each layer keeps at
/// least one unit and one column.
///
/// # Errors
/// Those of [`Graph::new`] and [`Parameters::new`]: none for a valid graph.
pub fn shrink(graph: &Graph, parameters: &Parameters, options: &Shrink) -> Result<Shrunk> {
    let mut shrunk = Shrunk { surgery: Surgery::none(graph, parameters), emptied: Vec::new() };
    let mut parameters = parameters.clone();
    let mut seen = HashSet::new();
    loop {
        let graph = &shrunk.surgery.graph;
        let mut emptied = Vec::new();
        let mut next = branches::cut_branches(graph, &parameters)?;
        if next.is_none() {
            (next, emptied) = cut_units(graph, &parameters, options.round_to)?;
        }
        if next.is_none() && options.columns {
            let (columns, without) = columns::cut_columns(graph, &parameters)?;
            next = columns;
            emptied.extend(without);
        }
        for name in emptied.into_iter().map(|layer| graph.layers()[layer].name.clone()) {
            if seen.insert(name.clone()) {
                shrunk.emptied.push(name);
            }
        }
        let Some(next) = next else { return Ok(shrunk) };
        parameters = next.apply(&parameters)?;
        shrunk.surgery = shrunk.surgery.then(next);
    }
}

/// `graph` without its dead units, if there are any; and the numbers of the layers that would have lost all
/// units.
fn cut_units(
    graph: &Graph,
    parameters: &Parameters,
    round_to: usize,
) -> Result<(Option<Surgery>, Vec<usize>)> {
    let units = CoupledUnits::new(graph, &parameters.table, &parameters.statistics.table)?;
    let activity = dead::measure_activity(&units, parameters);
    let mut dead = dead::dead_units(&units, &activity);
    let emptied = dead::spare(&units, &activity, round_to, &mut dead);
    let cut = if dead.contains(&true) { Some(cut::cut(graph, &units, &dead)?) } else { None };
    Ok((cut, emptied))
}
