//! Networks of the model zoo with other numbers of hidden units, to time shapes without a file.

use ternflock_base::error::{Error, Result};
use ternflock_models as models;
use ternflock_nn::layer::TensorRole;
use ternflock_nn::parameters::table;
use ternflock_nn::{Execution, Graph, Network, Node, Shape};

use super::Contestant;
use ternflock_base::text::plural;

/// The default number of samples per pass of `model`: 64 images or 10 texts.
pub fn default_batch(input: Shape) -> usize {
    match input {
        Shape::Tokens { .. } => 10,
        _ => 64,
    }
}

/// The preset `name`. `hidden` sets the number of units of each recurrent layer, in order. `embedding` sets
/// the features of the embedding. By default it keeps its features, or has as many as the last recurrent
/// layer if the logits are tied to it.
///
/// # Errors
/// If there is no such preset or `hidden` does not have one entry per recurrent layer; those of
/// [`Graph::new`].
pub fn graph(name: &str, steps: usize, hidden: Option<&[usize]>, embedding: Option<usize>) -> Result<Graph> {
    let name = models::find(name)?;
    let (input, classes) = models::samples(name, steps);
    let graph = models::preset(name, input, classes)?;
    let mut nodes = graph.layers().to_vec();
    if let Some(hidden) = hidden {
        set_hidden(name, &mut nodes, hidden)?;
    }
    let tied = (0..nodes.len()).any(|layer| graph.tied(layer).is_some());
    let tied = hidden.and_then(|hidden| hidden.last().copied()).filter(|_| tied);
    if let Some(features) = embedding.or(tied) {
        let layer = table(&graph)?.into_iter().find(|tensor| tensor.spec.role == TensorRole::Table);
        let layer = layer.map(|table| &mut nodes[table.layer]).ok_or_else(|| {
            Error::Usage(format!("--embedding: `{name}` has no embedding; leave the option out"))
        })?;
        layer.layer.set_units(features, 0);
    }
    Graph::new(input, nodes)
}

fn set_hidden(name: &str, nodes: &mut [Node], hidden: &[usize]) -> Result<()> {
    let recurrent: Vec<&mut Node> = nodes.iter_mut().filter(|node| node.layer.is_recurrent()).collect();
    match (recurrent.len(), hidden.len()) {
        (0, _) => Err(Error::Usage(format!(
            "--hidden: `{name}` has no recurrent layers, so no hidden units; leave the option out"
        ))),
        (layers, numbers) if layers != numbers => Err(Error::Usage(format!(
            "--hidden: `{name}` has {}, so {} of hidden units, separated by commas, must be given, not {numbers}",
            plural(layers, "recurrent layer"),
            plural(layers, "number")
        ))),
        _ => {
            recurrent.into_iter().zip(hidden).for_each(|(node, &units)| node.layer.set_units(units, 0));
            Ok(())
        }
    }
}

/// The network of [`graph`] with initial parameters, for passes as in `execution`, named after its hidden
/// units.
///
/// # Errors
/// Those of [`graph`]; also if it does not fit into memory.
pub fn sized(name: &str, graph: Graph, execution: Execution) -> Result<Contestant> {
    let hidden = graph.layers().iter().enumerate().filter(|(_, node)| node.layer.is_recurrent());
    let hidden: Vec<String> = hidden.map(|(index, _)| graph.shape(index + 1).units().to_string()).collect();
    let name = format!("{name} {}", hidden.join(",")).trim_end().to_owned();
    let mut network = Network::new(graph, execution)?;
    network.parameters.initialise(1);
    Ok(Contestant::new(name, network))
}
