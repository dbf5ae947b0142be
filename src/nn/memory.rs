//! What a network needs, and whether the machine has it: asked before anything is allocated.

use super::graph::Graph;
use super::parameters::{Parameter, count};
use crate::error::{Error, Result};

/// Of each source, whether it needs a gradient: parameters stand somewhere before it.
pub fn wanted(graph: &Graph, table: &[Parameter]) -> Vec<bool> {
    let mut wanted = vec![false];
    for layer in 0..graph.layers().len() {
        let has_parameters = table.iter().any(|parameter| parameter.layer == layer);
        let has_parameters = has_parameters || graph.tied(layer).is_some();
        wanted.push(has_parameters || graph.sources(layer).iter().any(|&source| wanted[source]));
    }
    wanted
}

/// Bytes of a network of `graph` for batches of `capacity`: outputs, gradients and the layers' buffers, and three numbers
/// a parameter, one of them the optimizer's.
fn required_bytes(graph: &Graph, table: &[Parameter], capacity: usize) -> Result<u128> {
    let mut elements = 3 * count(table) as u128;
    for (source, wanted) in wanted(graph, table).into_iter().enumerate() {
        let copies = if wanted { 2 } else { 1 };
        elements += copies * capacity as u128 * graph.shape(source).elements() as u128;
    }
    for layer in 0..graph.layers().len() {
        elements += graph.ask(layer, |node, shapes| node.layer.describe().scratch(shapes, capacity))? as u128;
    }
    Ok(4 * elements)
}

/// Refuses a network that does not fit into the memory that is free now, where the system says how much that is.
pub fn check_memory(graph: &Graph, table: &[Parameter], capacity: usize) -> Result<()> {
    let needed = required_bytes(graph, table, capacity)?;
    match available_bytes() {
        Some(available) if needed > available => Err(Error::Shape {
            layer: "network".into(),
            operation: "graph".into(),
            message: format!(
                "for {capacity} samples at a time a rank needs {:.1} GB of memory, and {:.1} GB are free; make the \
                 network smaller, or the part of the batch that a rank computes",
                needed as f64 / 1e9,
                available as f64 / 1e9
            ),
        }),
        _ => Ok(()),
    }
}

/// Bytes of memory that are free now, where the system says how many.
pub fn available_bytes() -> Option<u128> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u128>().ok().map(|kilobytes| 1024 * kilobytes)
}
