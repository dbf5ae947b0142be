//! The buffers of a network and of its layers. The same code counts them and allocates them.

use super::Execution;
use super::buffer_plan::BufferPlan;
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
    /// Which outputs and gradients share which buffers.
    pub plan: BufferPlan,
    /// Indexed by source number: the input, then the output of each layer; empty if it uses a shared buffer.
    pub outputs: Vec<Vec<f32>>,
    /// Indexed by source number: the outputs that are kept as bf16; empty for others.
    pub rounded: Vec<Vec<u16>>,
    /// The buffers that outputs and gradients share.
    pub shared: Vec<Vec<f32>>,
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
        let wanted = wanted(graph, table);
        let plan = BufferPlan::new(graph, &wanted, execution.precision);
        let mut buffer =
            |source, elements| graph.fail_at(source, buffers.zeros(&[elements, execution.batch]));
        let outputs = plan.outputs.iter().enumerate().map(|(source, shared)| match shared {
            None => buffer(source, graph.shape(source).elements()),
            Some(_) => Ok(Vec::new()),
        });
        let outputs = outputs.collect::<Result<_>>()?;
        let shared = plan.shared.iter().map(|shared| buffer(shared.largest, shared.elements));
        let shared = shared.collect::<Result<_>>()?;
        let rounded = plan.rounded.iter().enumerate().map(|(source, rounded)| {
            let elements = if rounded.is_some() { graph.shape(source).elements() } else { 0 };
            graph.fail_at(source, buffers.zeros(&[elements, execution.batch]))
        });
        let rounded = rounded.collect::<Result<_>>()?;
        // After the inputs, so that a batch that is too large is the input's fault and not that of the first layer.
        let layers = (0..graph.layers().len()).map(|index| {
            graph.ask(index, |node, shapes| node.layer.describe().build(shapes, execution, buffers))
        });
        let layers = layers.collect::<Result<_>>()?;
        Ok(NetworkBuffers { vectors, layers, wanted, plan, outputs, rounded, shared })
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
