//! Removes residual branches that add nothing to their sum: the layers of depth-wise sparsity.
//!
//! A branch that ends in a batch norm adds a constant even if its convolutions are zero. The branch is zero,
//! and is removed, only if the parameters of the norm are zero too. This is why they are part of the
//! structure ([`super::super::groups`]).

use std::collections::HashMap;

use super::Surgery;
use ternflock_base::error::Result;
use ternflock_nn::coupling::Units;
use ternflock_nn::parameters::{Parameters, of_layer, statistics_table, table};
use ternflock_nn::{Graph, Node, Parameter};

/// `graph` without branches that are zero, if there are any. Layers that are not used elsewhere are removed
/// with them, and so is a sum that is left with one input.
///
/// # Errors
/// Those of [`Graph::new`]: none.
pub fn cut_branches(graph: &Graph, parameters: &Parameters) -> Result<Option<Surgery>> {
    let zero = zero_sources(graph, parameters)?;
    // The replacement of each source: itself, or the only input of a sum.
    let mut stands_for: Vec<usize> = (0..=graph.layers().len()).collect();
    let mut inputs: Vec<Vec<usize>> = Vec::new();
    for layer in 0..graph.layers().len() {
        let mut from = graph.sources(layer).to_vec();
        if graph.coupling(layer)?.units == Units::Sum {
            let live: Vec<usize> = from.iter().copied().filter(|&source| !zero[source]).collect();
            // If all inputs of a sum are zero, the first one stays.
            from = if live.is_empty() { vec![from[0]] } else { live };
            if from.len() == 1 {
                stands_for[layer + 1] = stands_for[from[0]];
            }
        }
        inputs.push(from.into_iter().map(|source| stands_for[source]).collect());
    }
    let used = used_layers(graph, &inputs, stands_for[graph.layers().len()]);
    // A remaining layer that shares a weight needs the layer that owns it, even if no layer reads that one.
    // All branches stay in this case.
    let lacks_owner = |layer: usize| used[layer] && graph.tied(layer).is_some_and(|owner| !used[owner]);
    if used.iter().all(|&used| used) || (0..used.len()).any(lacks_owner) {
        return Ok(None);
    }
    let name = |source: usize| match source.checked_sub(1) {
        Some(layer) => graph.layers()[layer].name.clone(),
        None => ternflock_nn::graph::INPUT.into(),
    };
    let kept = (0..graph.layers().len()).filter(|&layer| used[layer]);
    let nodes = kept.clone().map(|layer| Node {
        inputs: inputs[layer].iter().map(|&source| name(source)).collect(),
        ..graph.layers()[layer].clone()
    });
    let smaller = Graph::new(graph.input(), nodes.collect())?;
    let all = |layer: usize| (0..graph.shape(layer + 1).units()).collect();
    Ok(Some(Surgery {
        parameters: index(&table(graph)?, &table(&smaller)?),
        statistics: index(&statistics_table(graph)?, &statistics_table(&smaller)?),
        units: kept.map(|layer| (graph.layers()[layer].name.clone(), all(layer))).collect(),
        graph: smaller,
    }))
}

/// By source: whether it is zero for every input of the network.
fn zero_sources(graph: &Graph, parameters: &Parameters) -> Result<Vec<bool>> {
    let mut zero = vec![false];
    for layer in 0..graph.layers().len() {
        let coupling = graph.coupling(layer)?;
        let mut own = of_layer(&parameters.table, layer).iter().peekable();
        let has_tensors = own.peek().is_some() || graph.tied(layer).is_some();
        let is_zero = |tensor: &Parameter| parameters.values[tensor.range.clone()].iter().all(|&v| v == 0.0);
        let all_zero = graph.tied(layer).is_none() && own.all(is_zero);
        let inputs_zero = graph.sources(layer).iter().all(|&source| zero[source]);
        let passes = !has_tensors && coupling.units != Units::Own && inputs_zero;
        zero.push(coupling.zero_stays_zero && (passes || has_tensors && all_zero));
    }
    Ok(zero)
}

/// By layer: whether the output, which is source `last`, needs it.
fn used_layers(graph: &Graph, inputs: &[Vec<usize>], last: usize) -> Vec<bool> {
    let mut used = vec![false; graph.layers().len()];
    let Some(last) = last.checked_sub(1) else { return used };
    used[last] = true;
    // A layer reads only earlier layers.
    for layer in (0..=last).rev() {
        if !used[layer] {
            continue;
        }
        inputs[layer]
            .iter()
            .filter_map(|source| source.checked_sub(1))
            .for_each(|before| used[before] = true);
    }
    used
}

/// The places of the tensors of `after` among those of `before`, by name.
fn index(before: &[Parameter], after: &[Parameter]) -> Vec<usize> {
    let before: HashMap<&str, &Parameter> = before.iter().map(|old| (old.name.as_str(), old)).collect();
    let place = |new: &Parameter| before.get(new.name.as_str()).map(|old| old.range.clone());
    after.iter().filter_map(place).flatten().collect()
}
