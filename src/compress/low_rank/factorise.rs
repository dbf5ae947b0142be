//! The surgery: a network in which thin layers take the place of thick ones.
//!
//! `request` holds what is asked for, `plan` what becomes of each layer and why, `pair` the two layers for one, `recurrent` the
//! weight that is factorised within its layer.

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

/// A factorised network, and what was done to it.
#[derive(Clone, Debug)]
pub struct Factorised {
    /// The structure. Where layer NAME was factorised, `NAME.basis` (or `NAME.vertical`) stands before NAME.
    pub graph: Graph,
    /// Its parameters, and what is not trained as it was.
    pub parameters: Parameters,
    /// By parameter: where it stood in the flat vector of before; `None` of those that begin anew.
    pub origins: Vec<Option<Range<usize>>>,
    /// A row for each layer that has a weight to factorise, in the graph's order; two for a recurrent one.
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
    /// `made`: the factors, by tensor; all else is as it was `before`.
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
        // What is factorised keeps nothing untrained, so all of that stands as it stood.
        self.parameters.statistics.values.copy_from_slice(&before.statistics.values);
    }
}

#[cfg(test)]
mod tests;
