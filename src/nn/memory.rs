//! What a network needs, and whether the machine has it: asked before anything is allocated.

use super::graph::Graph;
use super::parameters::{Parameter, count, statistics_table, table};
use super::size::elements;
use ternflock_base::available::Available;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;

/// Of each source, whether it needs a gradient: parameters stand somewhere before it.
pub fn wanted(graph: &Graph, table: &[Parameter]) -> Vec<bool> {
    let mut has_parameters = vec![false; graph.layers().len()];
    table.iter().for_each(|parameter| has_parameters[parameter.layer] = true);
    let mut wanted = vec![false];
    for (layer, has_parameters) in has_parameters.into_iter().enumerate() {
        let has_parameters = has_parameters || graph.tied(layer).is_some();
        wanted.push(has_parameters || graph.sources(layer).iter().any(|&source| wanted[source]));
    }
    wanted
}

/// The number of layers that read each source.
pub fn readers(graph: &Graph) -> Vec<usize> {
    let layers = graph.layers().len();
    let mut readers = vec![0; layers + 1];
    (0..layers).flat_map(|layer| graph.sources(layer)).for_each(|&source| readers[source] += 1);
    readers
}

/// Bytes of a network of `graph` for batches of `capacity`: outputs, gradients and the layers' buffers, for each parameter
/// its value and its gradient, what is kept untrained, and `beside` numbers.
fn required_bytes(graph: &Graph, table: &[Parameter], capacity: usize, beside: usize) -> Result<u128> {
    let mut numbers = parameter_numbers(table, &statistics_table(graph)?) + beside as u128;
    for (source, (wanted, readers)) in wanted(graph, table).into_iter().zip(readers(graph)).enumerate() {
        let buffer = graph.fail_at(source, elements(&[graph.shape(source).elements(), capacity]))?;
        // Its values, their gradient, and what other readers have added to that so far.
        let copies = if wanted { 2 + u128::from(readers > 1) } else { 1 };
        numbers += copies * buffer as u128;
    }
    // Only after the check above, because these calls rely on checked buffer sizes.
    for layer in 0..graph.layers().len() {
        numbers += graph.ask(layer, |node, shapes| node.layer.describe().scratch(shapes, capacity))? as u128;
    }
    Ok(4 * numbers)
}

/// The number of parameter values and gradients in `table`, plus the `statistics`.
fn parameter_numbers(table: &[Parameter], statistics: &[Parameter]) -> u128 {
    2 * count(table) as u128 + count(statistics) as u128
}

/// Refuses a network that does not fit into the memory that is free now, where the system says how much that is, together
/// with `beside` numbers (an optimizer's, an exchange's), when `ranks` ranks of this node are about to make one each.
///
/// # Errors
/// [`Error::Shape`] if it does not fit, or if a layer's buffers are too large to be counted.
pub fn check_memory(graph: &Graph, capacity: usize, beside: usize, ranks: usize) -> Result<()> {
    let needed = needed_bytes(graph, capacity, beside)?;
    let what = format!("for {} at a time a rank needs", plural(capacity, "sample"));
    let remedy = "make the network smaller, or the part of the batch that a rank computes";
    check_bytes(Available::now(), &what, needed, ranks, remedy)
}

/// The bytes that a network for `capacity` samples takes with `beside` numbers more, as [`check_memory`] counts them.
///
/// # Errors
/// If they cannot be counted.
pub fn needed_bytes(graph: &Graph, capacity: usize, beside: usize) -> Result<u128> {
    required_bytes(graph, &table(graph)?, capacity, beside)
}

/// Refuses the parameters of `table` and the untrained values in `statistics` if they do not fit into the free memory.
pub(super) fn check_parameters(table: &[Parameter], statistics: &[Parameter]) -> Result<()> {
    let needed = 4 * parameter_numbers(table, statistics);
    check_bytes(Available::now(), "its parameters and their gradients need", needed, 1, "make it smaller")
}

/// Refuses `needed` bytes in each of `ranks` processes of this node if more is needed than is free.
fn check_bytes(available: Available, what: &str, needed: u128, ranks: usize, remedy: &str) -> Result<()> {
    let gigabytes = |bytes: u128| format!("{:.1} GB", bytes as f64 / 1e9);
    let all = needed.saturating_mul(ranks as u128);
    let (together, free) = match available {
        Available { process: Some(left), .. } if needed > left => {
            let limit = "are left of the memory limit of a process (ulimit -v, ulimit -d)";
            (String::new(), format!("{} {limit}", gigabytes(left)))
        }
        Available { node: Some(free), .. } if all > free => {
            let together = match ranks {
                1 => String::new(),
                _ => format!(", the {ranks} ranks of this node {} together", gigabytes(all)),
            };
            (together, format!("{} are free", gigabytes(free)))
        }
        _ => return Ok(()),
    };
    let message = format!("{what} {} of memory{together}, and {free}; {remedy}", gigabytes(needed));
    Err(Error::Shape { layer: "network".into(), operation: "graph".into(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_base::available::available_bytes;

    use crate::{Parameters, Shape};

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

    /// The limit of a process is not shared with the other ranks; the memory of the node is.
    #[test]
    fn a_limit_of_each_process_and_one_of_the_node_count() {
        let refused = |node, process, ranks| {
            let check =
                check_bytes(Available { node, process }, "it needs", 1_000_000_000, ranks, "shrink it");
            check.err().map(|error| error.to_string())
        };
        for accepted in
            [(None, None), (Some(4_000_000_000), None), (Some(4_000_000_000), Some(1_000_000_000))]
        {
            assert_eq!(refused(accepted.0, accepted.1, 4), None);
        }
        let message = refused(Some(3_900_000_000), Some(2_000_000_000), 4).unwrap();
        let words = "it needs 1.0 GB of memory, the 4 ranks of this node 4.0 GB together, and 3.9 GB are free; shrink it";
        assert!(message.ends_with(words), "{message}");
        let message = refused(Some(9_000_000_000), Some(500_000_000), 4).unwrap();
        assert!(message.contains("1.0 GB of memory, and 0.5 GB are left of the memory limit"), "{message}");
    }

    /// Sizes that exceed any memory are refused before anything is allocated, in all combinations.
    #[test]
    fn absurd_sizes_are_refused_and_not_made() {
        let graph = |input: Shape, layers: serde_json::Value| {
            let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
            Graph::from_tables(input, tables).map_err(|(error, _)| error)
        };
        let vector = Shape::Vector { features: 1 };
        let wide = graph(vector, serde_json::json!([{"type": "linear", "units": 1_u64 << 39}])).unwrap();
        let message = Parameters::new(&wide).unwrap_err().to_string();
        assert!(message.contains("its parameters and their gradients need"), "{message}");
        for capacity in [1, 1 << 40, usize::MAX / 2] {
            assert!(check_memory(&wide, capacity, 0, 1).is_err(), "{capacity}");
        }
        let sequence = Shape::Sequence { steps: 1 << 20, features: 1 };
        for layer in [
            serde_json::json!({"type": "lstm", "hidden": 1 << 18, "recurrent_rank": 1 << 18}),
            serde_json::json!({"type": "gru", "hidden": 1 << 18}),
            serde_json::json!({"type": "rnn", "hidden": 1 << 20, "recurrent_rank": 1}),
            serde_json::json!({"type": "rhn", "hidden": 1 << 18, "depth": 8}),
        ] {
            let refused = match graph(sequence, serde_json::json!([layer])) {
                Ok(graph) => check_memory(&graph, 1 << 20, 0, 1).and(check_memory(&graph, usize::MAX, 0, 1)),
                Err(error) => Err(error),
            };
            assert!(refused.is_err(), "{layer}");
        }
        let image = Shape::Image { channels: 1, height: 1 << 39, width: 1 };
        for layer in [
            serde_json::json!({"type": "max_pool2d", "kernel": [1 << 20, 1], "stride": 1}),
            serde_json::json!({"type": "conv2d", "filters": 1, "kernel": [1, 1 << 20], "padding": [0, (1 << 20) - 1],
                               "stride": [1 << 20, 1]}),
            serde_json::json!({"type": "conv2d", "filters": 1, "kernel": 1, "stride": 1 << 20}),
        ] {
            let refused = match graph(image, serde_json::json!([layer])) {
                Ok(graph) => check_memory(&graph, 1, 0, 1),
                Err(error) => Err(error),
            };
            assert!(refused.is_err(), "{layer}");
        }
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
