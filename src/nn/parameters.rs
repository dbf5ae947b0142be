//! All parameters of a network in one flat vector, their gradients in another, and the table of their places.
//!
//! There is one vector each, so that the exchange, the optimizer and hashes work on plain slices.

use std::ops::Range;

use super::free_memory::check_bytes;
use super::graph::{Graph, shape_error};
use super::init::initialise;
use super::layer::{ParameterSpec, Place};
use super::size::elements;
use ternflock_base::available::Available;
use ternflock_base::error::{Error, Result};
use ternflock_tensor::Buffers;

/// One tensor of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// "layer/tensor", as in checkpoints: "conv1/weight".
    pub name: String,
    /// The index of its layer in the graph.
    pub layer: usize,
    /// The layer's declaration.
    pub spec: ParameterSpec,
    /// Its range in the flat vectors.
    pub range: Range<usize>,
}

/// The parameters of `graph`, in its order, with their places in the flat vectors.
pub fn table(graph: &Graph) -> Result<Vec<Parameter>> {
    place(graph, Graph::parameters)
}

/// The tensors of `graph` that are not trained, in its order.
pub fn statistics_table(graph: &Graph) -> Result<Vec<Parameter>> {
    place(graph, Graph::statistics)
}

/// The tensors that the layers of `graph` declare, one after the other.
fn place(
    graph: &Graph,
    specs: impl Fn(&Graph, usize) -> Result<Vec<ParameterSpec>>,
) -> Result<Vec<Parameter>> {
    let (mut table, mut end) = (Vec::new(), 0);
    for (layer, node) in graph.layers().iter().enumerate() {
        for spec in specs(graph, layer)? {
            let start = end;
            end += elements(&spec.shape).map_err(|message| {
                let (layer, operation) = (node.name.clone(), node.layer.kind().into());
                Error::Shape { layer, operation, message }
            })?;
            let name = format!("{}/{}", node.name, spec.name);
            table.push(Parameter { name, layer, spec, range: start..end });
        }
        if table.len() > usize::from(u16::MAX) {
            let message = format!("has more than {} parameter tensors, which is the limit", u16::MAX);
            return Err(Error::Shape { layer: "network".into(), operation: "graph".into(), message });
        }
    }
    Ok(table)
}

/// The number of parameters of `table`.
pub fn count(table: &[Parameter]) -> usize {
    table.last().map_or(0, |last| last.range.end)
}

/// Values, gradients and the table.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// Tensor by tensor, in graph order.
    pub table: Vec<Parameter>,
    /// The parameters.
    pub values: Vec<f32>,
    /// The gradients of the last backward pass, in the layout of `values`.
    pub gradients: Vec<f32>,
    /// The tensors of the layers that are not trained; each rank has its own.
    pub statistics: Statistics,
}

/// The tensors that are not trained: batch norm's running mean and variance. They are separate from the
/// parameters, so the exchange, the optimizer and hashes do not include them.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Tensor by tensor, in graph order.
    pub table: Vec<Parameter>,
    /// Their values.
    pub values: Vec<f32>,
}

impl Statistics {
    /// Constants, for any seed.
    fn initialise(&mut self) {
        for Parameter { spec, range, .. } in &self.table {
            initialise(spec.init, spec.fan, 0, 0, &mut self.values[range.clone()]);
        }
    }
}

/// The flat vectors of [`Parameters`], all zero.
pub(super) struct Vectors {
    values: Vec<f32>,
    gradients: Vec<f32>,
    statistics: Vec<f32>,
}

impl Vectors {
    /// Those of the tensors in `table` and `statistics`.
    pub fn take(table: &[Parameter], statistics: &[Parameter], buffers: &mut Buffers) -> Result<Vectors> {
        let mut vector = |table| {
            let zeros = buffers.zeros(&[count(table)]);
            zeros.map_err(|message| shape_error("network", "graph", message))
        };
        Ok(Vectors { values: vector(table)?, gradients: vector(table)?, statistics: vector(statistics)? })
    }
}

impl Parameters {
    /// The parameters of `graph`, all zero.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are too many, or if they do not fit into the free memory.
    pub fn new(graph: &Graph) -> Result<Parameters> {
        let (table, statistics) = (table(graph)?, statistics_table(graph)?);
        let mut buffers = Buffers::counting();
        Vectors::take(&table, &statistics, &mut buffers)?;
        let what = "its parameters and their gradients need";
        check_bytes(Available::now(), what, buffers.bytes(), (1, 0), "make it smaller")?;
        let vectors = Vectors::take(&table, &statistics, &mut Buffers::allocating())?;
        Ok(Parameters::with(table, statistics, vectors))
    }

    /// The parameters of `table`, all zero, and the tensors of `statistics` with their initial values, in the
    /// `vectors` allocated for them.
    pub(super) fn with(table: Vec<Parameter>, statistics: Vec<Parameter>, vectors: Vectors) -> Parameters {
        let Vectors { values, gradients, statistics: untrained } = vectors;
        let mut statistics = Statistics { table: statistics, values: untrained };
        statistics.initialise();
        Parameters { table, values, gradients, statistics }
    }

    /// Draws all initial values: a pure function of `seed`. The statistics are reset.
    pub fn initialise(&mut self, seed: u64) {
        for (index, parameter) in self.table.iter().enumerate() {
            let (spec, values) = (&parameter.spec, &mut self.values[parameter.range.clone()]);
            initialise(spec.init, spec.fan, seed, index as u16, values);
        }
        self.statistics.initialise();
    }
}

/// The indices in `table` of the tensors of layer `index`, which are consecutive.
pub fn numbers_of(table: &[Parameter], index: usize) -> Range<usize> {
    let first = table.partition_point(|parameter| parameter.layer < index);
    first..first + table[first..].partition_point(|parameter| parameter.layer == index)
}

/// The tensors of layer `index` in `table`.
pub fn of_layer(table: &[Parameter], index: usize) -> &[Parameter] {
    &table[numbers_of(table, index)]
}

/// The tensor called `name` of layer `index`, and its index in `table`.
pub fn find<'a>(table: &'a [Parameter], index: usize, name: &str) -> Option<(usize, &'a Parameter)> {
    let mut own = numbers_of(table, index).map(|number| (number, &table[number]));
    own.find(|(_, parameter)| parameter.spec.name == name)
}

/// The places of the tensors of layer `index`.
pub(super) fn places(table: &[Parameter], index: usize) -> Vec<Place> {
    let place = |own: &Parameter| Place { name: own.spec.name, range: own.range.clone() };
    of_layer(table, index).iter().map(place).collect()
}
