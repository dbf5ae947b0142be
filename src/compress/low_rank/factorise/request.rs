//! Checks the request of a factorisation.

use super::super::weight;
use super::pair::Form;
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_job::LowRank;
use ternflock_nn::declare::Product;
use ternflock_nn::{Graph, LayerSpec, Node};

/// Refuses an invalid share, and names of layers that cannot be factorised as requested.
pub fn check(request: &LowRank, graph: &Graph) -> Result<()> {
    if let Some(energy) = request.energy
        && !(energy > 0.0 && energy <= 1.0)
    {
        return Err(Error::Usage(format!(
            "low rank: energy = {energy} must be above 0 and at most 1, the share that is kept"
        )));
    }
    for name in request.ranks.keys().chain(&request.separable).chain(&request.except) {
        check_name(request, name, graph)?;
    }
    match request.ranks.iter().find(|(_, rank)| **rank == 0) {
        Some((name, _)) => Err(Error::Usage(format!("low rank: the rank of `{name}` must be at least 1"))),
        None => Ok(()),
    }
}

fn check_name(request: &LowRank, name: &str, graph: &Graph) -> Result<()> {
    let refuse = |message: String| Err(Error::Usage(format!("low rank: {message}")));
    if let Some(node) = recurrent_node(name, graph) {
        return check_recurrent(request, name, node);
    }
    let weighted = graph.layers().iter().filter(|node| weight::tensor(&node.layer).is_some());
    let index = graph.find(name);
    let node = index.map(|index| &graph.layers()[index]);
    let Some(node) = node.filter(|node| weight::tensor(&node.layer).is_some()) else {
        let recurrent = graph.layers().iter().filter(|node| node.layer.is_recurrent());
        let names = weighted.map(|node| node.name.clone());
        let names: Vec<String> =
            names.chain(recurrent.map(|node| weight::recurrent_name(&node.name))).collect();
        let advice = suggest(name, &names.iter().map(String::as_str).collect::<Vec<_>>());
        return refuse(format!("no layer with a weight to factorise is called `{name}`; {advice}"));
    };
    if request.excepts(name) && request.names(name) {
        return refuse(format!("`{name}` is both requested and excepted"));
    }
    if request.is_separable(name) && !is_convolution(&node.layer) {
        let kind = node.layer.kind();
        return refuse(format!(
            "`{name}` is a {kind} layer; only a conv2d has a vertical and a horizontal part"
        ));
    }
    if request.names(name)
        && let Some(reason) = index.and_then(|index| weight::reason_to_leave(graph, index))
    {
        return refuse(format!("`{name}` cannot be factorised: {reason}"));
    }
    let full_rank = full_rank(request, node, graph)?;
    if let Some(rank) = request.ranks.get(name).filter(|&&rank| rank > full_rank) {
        return refuse(format!("rank {rank} is requested for `{name}`, but its largest rank is {full_rank}"));
    }
    if request.is_separable(name) && request.energy.is_none() && !request.ranks.contains_key(name) {
        return refuse(format!("`{name}` is to be separable: set an energy or its rank"));
    }
    Ok(())
}

/// The layer whose recurrent weight is called `name`.
fn recurrent_node<'a>(name: &str, graph: &'a Graph) -> Option<&'a Node> {
    let layer = weight::recurrent_layer(name)?;
    graph.find(layer).map(|index| &graph.layers()[index]).filter(|node| node.layer.is_recurrent())
}

/// Checks the request for a recurrent weight called `name`.
fn check_recurrent(request: &LowRank, name: &str, node: &Node) -> Result<()> {
    let refuse = |message: String| Err(Error::Usage(format!("low rank: {message}")));
    let excepted = request.excepts(name) || request.excepts(&node.name);
    if excepted && request.names(name) {
        return refuse(format!("`{name}` is both requested and excepted"));
    }
    if request.is_separable(name) {
        return refuse(format!(
            "`{name}` is a recurrent weight; only a conv2d has a vertical and a horizontal part"
        ));
    }
    let Some(&rank) = request.ranks.get(name) else { return Ok(()) };
    if let Some(rank) = node.layer.recurrent_rank() {
        return refuse(format!("`{name}` is already a product of rank {rank}"));
    }
    match node.layer.hidden_units() {
        Some(hidden) if rank > hidden => {
            refuse(format!("rank {rank} is requested for `{name}`, but its largest rank is {hidden}"))
        }
        _ => Ok(()),
    }
}

/// The full rank of the weight of `node` in the form that `request` selects.
fn full_rank(request: &LowRank, node: &Node, graph: &Graph) -> Result<usize> {
    let (index, tensor) = (graph.find(&node.name), weight::tensor(&node.layer));
    let own = index.map_or(Ok(Vec::new()), |index| graph.parameters(index))?;
    let weight = own.iter().find(|spec| Some(spec.name) == tensor);
    // A layer whose weight is tied to another layer's has no weight of its own.
    let Some(weight) = weight else { return Ok(usize::MAX) };
    let (filters, elements) = (weight.shape[0].max(1), weight.shape.iter().product::<usize>());
    let kernel = node.layer.parts().matrix.map_or((1, 1), |matrix| matrix.kernel);
    let beside = if request.is_separable(&node.name) { kernel.1 } else { 1 };
    Ok((filters * beside).min(elements / (filters * beside)))
}

/// Adapts `request` to `graph`, a network that has lost layers, units and columns since `request` was
/// written. Layers that were removed or factorised are dropped, ranks are limited to the full rank, and
/// convolutions with incomplete kernels are not separable.
///
/// # Errors
/// Those of [`Parameters::new`](ternflock_nn::Parameters::new).
pub fn of_what_is_left(request: &LowRank, graph: &Graph) -> Result<LowRank> {
    let mut left = request.clone();
    let find = |name: &str| graph.find(name).map(|index| &graph.layers()[index]);
    let is_half = |name: &str| {
        [Form::CrossFilter, Form::Separable].iter().any(|form| find(&form.first_name(name)).is_some())
    };
    left.separable
        .retain(|name| find(name).is_some_and(|node| !is_half(name) && !lacks_columns(&node.layer)));
    left.except.retain(|name| find(name).is_some() || recurrent_node(name, graph).is_some());
    let is_dense =
        |name: &str| recurrent_node(name, graph).is_some_and(|node| node.layer.recurrent_rank().is_none());
    left.ranks.retain(|name, _| is_dense(name) || find(name).is_some() && !is_half(name));
    for (name, rank) in &mut left.ranks {
        if let Some(hidden) = recurrent_node(name, graph).and_then(|node| node.layer.hidden_units()) {
            *rank = hidden.min(*rank);
        }
    }
    for node in graph.layers().iter().filter(|node| request.ranks.contains_key(&node.name)) {
        let largest = full_rank(&left, node, graph)?;
        if let Some(rank) = left.ranks.get_mut(&node.name) {
            *rank = largest.min(*rank);
        }
    }
    Ok(left)
}

/// Whether `layer` is a convolution with incomplete kernels.
pub(super) fn lacks_columns(layer: &LayerSpec) -> bool {
    is_convolution(layer) && layer.parts().matrix.is_some_and(|matrix| !matrix.columns.is_all())
}

/// Whether `layer` slides its weight over images, so that a vertical and a horizontal part can replace it.
fn is_convolution(layer: &LayerSpec) -> bool {
    let is_separable = |product| matches!(product, Product::Windows(layer) if layer.separable(1).is_some());
    layer.parts().matrix.is_some_and(|matrix| is_separable(matrix.product))
}
