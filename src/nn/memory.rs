//! What a network needs, and whether the machine has it: asked before anything is allocated.

use super::available::available_bytes;
use super::graph::Graph;
use super::parameters::{Parameter, count, statistics_table, table};
use crate::error::{Error, Result};
use crate::text::plural;

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

/// Bytes of a network of `graph` for batches of `capacity`: outputs, gradients and the layers' buffers, for each parameter
/// its value and its gradient, what is kept untrained, and `beside` numbers.
fn required_bytes(graph: &Graph, table: &[Parameter], capacity: usize, beside: usize) -> Result<u128> {
    let untrained = count(&statistics_table(graph)?);
    let mut elements = 2 * count(table) as u128 + untrained as u128 + beside as u128;
    for (source, wanted) in wanted(graph, table).into_iter().enumerate() {
        let readers =
            (0..graph.layers().len()).filter(|&layer| graph.sources(layer).contains(&source)).count();
        // Its values, their gradient, and what other readers have added to that so far.
        let copies = if wanted { 2 + u128::from(readers > 1) } else { 1 };
        elements += copies * capacity as u128 * graph.shape(source).elements() as u128;
    }
    for layer in 0..graph.layers().len() {
        elements += graph.ask(layer, |node, shapes| node.layer.describe().scratch(shapes, capacity))? as u128;
    }
    Ok(4 * elements)
}

/// Refuses a network that does not fit into the memory that is free now, where the system says how much that is, together
/// with `beside` numbers (an optimizer's, an exchange's), when `ranks` ranks of this node are about to make one each.
pub fn check_memory(graph: &Graph, capacity: usize, beside: usize, ranks: usize) -> Result<()> {
    let needed = required_bytes(graph, &table(graph)?, capacity, beside)?;
    match available_bytes() {
        Some(available) if needed * ranks as u128 > available => Err(Error::Shape {
            layer: "network".into(),
            operation: "graph".into(),
            message: too_large(capacity, needed, ranks, available),
        }),
        _ => Ok(()),
    }
}

fn too_large(capacity: usize, needed: u128, ranks: usize, available: u128) -> String {
    let gigabytes = |bytes: u128| format!("{:.1} GB", bytes as f64 / 1e9);
    let together = match ranks {
        1 => String::new(),
        _ => format!(", the {ranks} ranks of this node {} together", gigabytes(needed * ranks as u128)),
    };
    format!(
        "for {} at a time a rank needs {} of memory{together}, and {} are free; make the network \
         smaller, or the part of the batch that a rank computes",
        plural(capacity, "sample"),
        gigabytes(needed),
        gigabytes(available)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Shape;

    /// Of 4 x 10^6 parameters, a rank's share of the memory that is free is what decides.
    #[test]
    fn what_stands_beside_a_network_and_the_other_ranks_count() {
        let table = serde_json::json!({"type": "linear", "name": "a", "units": 2000, "bias": false});
        let input = Shape::Vector { features: 2000 };
        let graph = Graph::from_tables(input, [table.as_object().unwrap().clone()]).unwrap();
        let parameters = super::table(&graph).unwrap();
        let needed = |beside| required_bytes(&graph, &parameters, 1, beside).unwrap();
        assert_eq!(needed(8_000_000) - needed(0), 4 * 8_000_000);
        assert!(check_memory(&graph, 1, 0, 1).is_ok());
        let ranks = usize::try_from(available_bytes().unwrap() / needed(0)).unwrap();
        let message = check_memory(&graph, 1, 0, 10 * ranks).unwrap_err().to_string();
        assert!(message.contains("a rank needs 0.0 GB of memory, the "), "{message}");
        assert!(check_memory(&graph, 1, 10 * ranks * 4_000_000, 1).is_err());
    }

    /// Batch norm of 3 channels: two numbers each that are trained, and two that are not.
    #[test]
    fn what_is_kept_untrained_counts() {
        let table = serde_json::json!({"type": "batch_norm", "name": "a"});
        let graph = |kind: &str| {
            let mut table = table.as_object().unwrap().clone();
            table.insert("type".into(), kind.into());
            Graph::from_tables(Shape::Vector { features: 3 }, [table]).unwrap()
        };
        let needed = |graph: &Graph| required_bytes(graph, &super::table(graph).unwrap(), 0, 0).unwrap();
        assert_eq!(needed(&graph("batch_norm")) - needed(&graph("relu")), 4 * (2 * 6 + 6));
    }
}
