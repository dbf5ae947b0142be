//! The surgery: a network in which thin layers take the place of thick ones.
//!
//! `request` holds what is asked for, `plan` what becomes of each layer and why, `pair` the two layers for one.

mod pair;
mod plan;
mod request;

use std::ops::Range;

pub use pair::Form;
pub use plan::{Cost, LayerReport, Outcome};
pub use request::{check, of_what_is_left};

use self::pair::Pair;
use crate::error::Result;
use crate::job::LowRank;
use crate::nn::{Graph, Node, Parameters};

/// A factorised network, and what was done to it.
#[derive(Clone, Debug)]
pub struct Factorised {
    /// The structure. Where layer NAME was factorised, `NAME.basis` (or `NAME.vertical`) stands before NAME.
    pub graph: Graph,
    /// Its parameters, and what is not trained as it was.
    pub parameters: Parameters,
    /// By parameter: where it stood in the flat vector of before; `None` of those that begin anew.
    pub origins: Vec<Option<Range<usize>>>,
    /// A row for each layer that has a weight to factorise, in the graph's order.
    pub layers: Vec<LayerReport>,
}

impl Factorised {
    /// `values`, laid out as the parameters of before (the optimizer's state, what error feedback keeps), laid out as those
    /// of now; zero where a parameter begins anew.
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

/// Factorises the layers of `graph` that `request` asks for, where that makes them cheaper: the function that the network
/// computes changes by as much energy as is dropped, and by nothing at full rank.
///
/// # Errors
/// When the request names what there is not or what cannot be, when a weight is not finite, and those of [`Graph::new`].
pub fn factorise(graph: &Graph, parameters: &Parameters, request: &LowRank) -> Result<Factorised> {
    check(request, graph)?;
    let (mut nodes, mut layers, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for (index, node) in graph.layers().iter().enumerate() {
        let (report, pair) = plan::plan(graph, parameters, request, index)?;
        layers.extend(report);
        match pair {
            None => nodes.push(node.clone()),
            Some(pair) => {
                nodes.extend(two_nodes(node, &pair));
                pairs.push((node.name.as_str(), pair));
            }
        }
    }
    let graph = Graph::new(graph.input(), nodes)?;
    let mut factorised =
        Factorised { parameters: Parameters::new(&graph)?, graph, origins: Vec::new(), layers };
    factorised.fill(parameters, &pairs);
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
    fn fill(&mut self, before: &Parameters, pairs: &[(&str, Pair)]) {
        let own = |name: &str| {
            pairs.iter().find_map(|(layer, pair)| {
                let names = pair.tensor_names(layer);
                let which = names.iter().position(|own| own == name)?;
                Some(&pair.weights[which][..])
            })
        };
        let origin = |name: &str| match own(name) {
            Some(_) => None,
            None => before.table.iter().find(|old| old.name == name).map(|old| old.range.clone()),
        };
        self.origins = self.parameters.table.iter().map(|parameter| origin(&parameter.name)).collect();
        self.parameters.values = self.take(&before.values);
        for parameter in &self.parameters.table {
            if let Some(weights) = own(&parameter.name) {
                self.parameters.values[parameter.range.clone()].copy_from_slice(weights);
            }
        }
        // What is factorised keeps nothing untrained, so all of that stands as it stood.
        self.parameters.statistics.values.copy_from_slice(&before.statistics.values);
    }
}

#[cfg(test)]
mod tests;
