//! The surgery: replaces layers by pairs of thin layers.
//!
//! `request` checks the request, `plan` decides on each layer and gives reasons, `pair` builds the two layers
//! for one, and `recurrent` handles weights that are factorised within their layer.

mod pair;
mod plan;
mod recurrent;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

pub use pair::Form;
pub use plan::{Cost, LayerReport, Outcome};
pub use request::{check, of_what_is_left};

use self::pair::Pair;
use self::recurrent::Product;
use ternflock_base::error::Result;
use ternflock_job::LowRank;
use ternflock_nn::{Graph, Node, Parameter, Parameters};

/// A factorised network and a report.
#[derive(Clone, Debug)]
pub struct Factorised {
    /// The structure. If layer NAME was factorised, `NAME.basis` (or `NAME.vertical`) is before NAME.
    pub graph: Graph,
    /// Its parameters, and the unchanged values that are not trained.
    pub parameters: Parameters,
    /// By parameter: its place in the previous flat vector; `None` for new parameters.
    pub origins: Vec<Option<Range<usize>>>,
    /// One row per layer with a weight that can be factorised, in the order of the graph; two rows for a
    /// recurrent layer.
    pub layers: Vec<LayerReport>,
}

impl Factorised {
    /// Converts `values` from the layout of the previous parameters (optimizer state, residuals of error
    /// feedback) to that of the new ones, with zeros for new parameters.
    pub fn take(&self, values: &[f32]) -> Vec<f32> {
        let mut taken = vec![0.0; self.parameters.values.len()];
        for (parameter, origin) in self.parameters.table.iter().zip(&self.origins) {
            if let Some(origin) = origin {
                taken[parameter.range.clone()].copy_from_slice(&values[origin.clone()]);
            }
        }
        taken
    }
}

/// Factorises the layers of `graph` that `request` selects if that makes them cheaper. The function of the
/// network changes according to the energy that is dropped, and not at all at full rank.
///
/// # Errors
/// If the request names something that does not exist or is impossible, or if a weight is not finite; those
/// of [`Graph::new`].
pub fn factorise(graph: &Graph, parameters: &Parameters, request: &LowRank) -> Result<Factorised> {
    check(request, graph)?;
    let (mut nodes, mut layers, mut made) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (index, node) in graph.layers().iter().enumerate() {
        let (report, pair) = plan::plan(graph, parameters, request, index)?;
        let (recurrent, product) = recurrent::plan(graph, parameters, request, index)?;
        layers.extend(report.into_iter().chain(recurrent));
        let mut of_node = vec![node.clone()];
        if let Some(pair) = pair {
            of_node = two_nodes(node, &pair).into();
            made.extend(pair.tensor_names(&node.name).into_iter().zip(pair.weights));
        }
        if let (Some(product), Some(last)) = (product, of_node.last_mut()) {
            last.layer = last.layer.clone().with_recurrent_rank(product.rank);
            made.extend(Product::tensor_names(&node.name).into_iter().zip(product.weights));
        }
        nodes.extend(of_node);
    }
    let graph = Graph::new(graph.input(), nodes)?;
    let mut factorised =
        Factorised { parameters: Parameters::new(&graph)?, graph, origins: Vec::new(), layers };
    factorised.fill(parameters, &made);
    Ok(factorised)
}

fn two_nodes(node: &Node, pair: &Pair) -> [Node; 2] {
    let first = pair.form.first_name(&node.name);
    let inputs = vec![first.clone()];
    let [one, two] = pair.layers.clone();
    [
        Node { name: first, inputs: node.inputs.clone(), layer: one },
        Node { name: node.name.clone(), inputs, layer: two },
    ]
}

impl Factorised {
    /// `made` holds the factors by tensor; everything else is unchanged from `before`.
    fn fill(&mut self, before: &Parameters, made: &BTreeMap<String, Vec<f32>>) {
        let old: HashMap<&str, &Parameter> =
            before.table.iter().map(|old| (old.name.as_str(), old)).collect();
        let origin = |name: &str| match made.contains_key(name) {
            true => None,
            false => old.get(name).map(|old| old.range.clone()),
        };
        self.origins = self.parameters.table.iter().map(|parameter| origin(&parameter.name)).collect();
        self.parameters.values = self.take(&before.values);
        for parameter in &self.parameters.table {
            if let Some(weights) = made.get(&parameter.name) {
                self.parameters.values[parameter.range.clone()].copy_from_slice(weights);
            }
        }
        // Factorised layers have no untrained values, so these do not change.
        self.parameters.statistics.values.copy_from_slice(&before.statistics.values);
    }
}

#[cfg(test)]
mod tests;
