//! The buffers of a network and of its layers. The same code counts them and allocates them.

use super::Execution;
use super::graph::Graph;
use super::layer::Layer;
use super::parameters::{Parameter, Vectors};
use ternflock_base::error::Result;
use ternflock_tensor::Buffers;

/// All parts of a network that grow with its parameters or with the batch.
pub struct NetworkBuffers {
    /// The parameters and the statistics.
    pub vectors: Vectors,
    /// The layers with their own buffers.
    pub layers: Vec<Box<dyn Layer>>,
    /// By source number: whether it needs a gradient.
    pub wanted: Vec<bool>,
    /// By source number: the input, then each layer's output.
    pub outputs: Vec<Vec<f32>>,
    /// Their gradients, if needed.
    pub gradients: Vec<Vec<f32>>,
    /// If several layers read a source: its gradient before the last of them was added.
    pub earlier: Vec<Vec<f32>>,
}

impl NetworkBuffers {
    /// The buffers of `graph`, whose tensors are in `table` and `statistics`, for passes as in `execution`.
    pub fn take(
        graph: &Graph,
        table: &[Parameter],
        statistics: &[Parameter],
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<NetworkBuffers> {
        let vectors = Vectors::take(table, statistics, buffers)?;
        let (wanted, readers) = (wanted(graph, table), readers(graph));
        let mut each = |has_one: &dyn Fn(usize) -> bool| {
            let buffer = |source| match has_one(source) {
                true => {
                    graph.fail_at(source, buffers.zeros(&[graph.shape(source).elements(), execution.batch]))
                }
                false => Ok(Vec::new()),
            };
            (0..wanted.len()).map(buffer).collect::<Result<Vec<_>>>()
        };
        let outputs = each(&|_| true)?;
        let gradients = each(&|source| wanted[source])?;
        let earlier = each(&|source| wanted[source] && readers[source] > 1)?;
        // After the inputs, so that a batch that is too large is the input's fault and not that of the first layer.
        let layers = (0..graph.layers().len()).map(|index| {
            graph.ask(index, |node, shapes| node.layer.describe().build(shapes, execution, buffers))
        });
        let layers = layers.collect::<Result<_>>()?;
        Ok(NetworkBuffers { vectors, layers, wanted, outputs, gradients, earlier })
    }
}

/// By source: whether it needs a gradient, because there are parameters before it.
fn wanted(graph: &Graph, table: &[Parameter]) -> Vec<bool> {
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
fn readers(graph: &Graph) -> Vec<usize> {
    let layers = graph.layers().len();
    let mut readers = vec![0; layers + 1];
    (0..layers).flat_map(|layer| graph.sources(layer)).for_each(|&source| readers[source] += 1);
    readers
}
