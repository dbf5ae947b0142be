//! The memory that a network needs, compared with the free memory before anything is allocated.

use super::Execution;
use super::buffers::NetworkBuffers;
use super::free_memory::check_bytes;
use super::graph::Graph;
use super::parameters::{statistics_table, table};
use ternflock_base::available::Available;
use ternflock_base::error::Result;
use ternflock_base::text::plural;
use ternflock_tensor::Buffers;

/// Elements that ranks keep in addition to a network and its buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// On each rank: optimizer, exchange.
    pub each: usize,
    /// On one rank of the node while it writes a checkpoint.
    pub checkpoint: usize,
}

/// Refuses a network that does not fit into the free memory, if the system reports it. It is counted together
/// with what is `beside` it, for `ranks` ranks of this node that each allocate one.
///
/// # Errors
/// [`Error::Shape`](ternflock_base::error::Error::Shape) if it does not fit, or if a layer's buffers are too
/// large to be counted.
pub fn check_memory(graph: &Graph, execution: Execution, beside: Beside, ranks: usize) -> Result<()> {
    let needed = needed_bytes(graph, execution, beside.each)?;
    let once = beside.checkpoint as u128 * size_of::<f32>() as u128;
    let what = format!("for {} at a time a rank needs", plural(execution.batch, "sample"));
    let remedy = "make the network smaller, or each rank's share of the batch";
    check_bytes(Available::now(), &what, needed, (ranks, once), remedy)
}

/// The bytes of a network that runs as `execution` states, with `beside` additional elements, as [`check_memory`]
/// counts them.
///
/// # Errors
/// If they cannot be counted.
pub fn needed_bytes(graph: &Graph, execution: Execution, beside: usize) -> Result<u128> {
    let mut buffers = Buffers::counting();
    NetworkBuffers::take(graph, &table(graph)?, &statistics_table(graph)?, execution, &mut buffers)?;
    Ok(buffers.bytes().saturating_add(beside as u128 * size_of::<f32>() as u128))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_base::available::available_bytes;

    use crate::{Parameters, Shape};

    /// With 4 x 10^6 parameters, a rank's share of the free memory decides.
    #[test]
    fn what_stands_beside_a_network_and_the_other_ranks_count() {
        let table = serde_json::json!({"type": "linear", "name": "a", "units": 2000, "bias": false});
        let input = Shape::Vector { features: 2000 };
        let graph = Graph::from_tables(input, [table.as_object().unwrap().clone()]).unwrap();
        let needed = |beside| needed_bytes(&graph, Execution::float32(1), beside).unwrap();
        assert_eq!(needed(8_000_000) - needed(0), 4 * 8_000_000);
        assert!(check_memory(&graph, Execution::float32(1), Beside::default(), 1).is_ok());
        let ranks = usize::try_from(available_bytes().unwrap() / needed(0)).unwrap();
        let message = check_memory(&graph, Execution::float32(1), Beside::default(), 10 * ranks)
            .unwrap_err()
            .to_string();
        assert!(message.contains("a rank needs 0.0 GB of memory, the "), "{message}");
        assert!(
            check_memory(
                &graph,
                Execution::float32(1),
                Beside { each: 10 * ranks * 4_000_000, checkpoint: 0 },
                1
            )
            .is_err()
        );
        assert!(
            check_memory(
                &graph,
                Execution::float32(1),
                Beside { each: 0, checkpoint: 10 * ranks * 4_000_000 },
                1
            )
            .is_err()
        );
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
            assert!(
                check_memory(&wide, Execution::float32(capacity), Beside::default(), 1).is_err(),
                "{capacity}"
            );
        }
        let sequence = Shape::Sequence { steps: 1 << 20, features: 1 };
        for layer in [
            serde_json::json!({"type": "lstm", "hidden": 1 << 18, "recurrent_rank": 1 << 18}),
            serde_json::json!({"type": "gru", "hidden": 1 << 18}),
            serde_json::json!({"type": "rnn", "hidden": 1 << 20, "recurrent_rank": 1}),
            serde_json::json!({"type": "rhn", "hidden": 1 << 18, "depth": 8}),
        ] {
            let refused = match graph(sequence, serde_json::json!([layer])) {
                Ok(graph) => [1 << 20, usize::MAX]
                    .map(Execution::float32)
                    .into_iter()
                    .try_for_each(|execution| check_memory(&graph, execution, Beside::default(), 1)),
                Err(error) => Err(error),
            };
            assert!(refused.is_err(), "{layer}");
        }
        let long = Shape::Sequence { steps: 1 << 39, features: 1 };
        for layer in [
            serde_json::json!({"type": "conv1d", "filters": 1, "kernel": 1 << 20, "dilation": 1 << 20}),
            serde_json::json!({"type": "conv1d", "filters": 1, "kernel": 1, "stride": 1 << 20}),
            serde_json::json!({"type": "conv1d", "filters": 1 << 20, "kernel": 1, "padding": "causal"}),
            serde_json::json!({"type": "max_pool1d", "kernel": 1 << 20, "stride": 1}),
        ] {
            let refused = match graph(long, serde_json::json!([layer])) {
                Ok(graph) => check_memory(&graph, Execution::float32(1), Beside::default(), 1),
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
                Ok(graph) => check_memory(&graph, Execution::float32(1), Beside::default(), 1),
                Err(error) => Err(error),
            };
            assert!(refused.is_err(), "{layer}");
        }
    }

    /// Batch norm with 3 channels: per channel two trained elements, two that are not trained, and two sums of the backward pass.
    #[test]
    fn what_is_kept_untrained_counts() {
        let table = serde_json::json!({"type": "batch_norm", "name": "a"});
        let graph = |kind: &str| {
            let mut table = table.as_object().unwrap().clone();
            table.insert("type".into(), kind.into());
            Graph::from_tables(Shape::Vector { features: 3 }, [table]).unwrap()
        };
        let needed = |graph: &Graph| needed_bytes(graph, Execution::float32(0), 0).unwrap();
        assert_eq!(needed(&graph("batch_norm")) - needed(&graph("relu")), 4 * (2 * 6 + 6 + 6));
    }
}
