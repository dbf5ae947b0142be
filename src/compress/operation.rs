//! A complete operation on a network: dead structures are removed, then pairs of thin layers replace layers.
//! It records the previous place of each element, so that data in the layout of the parameters can be carried
//! over.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::low_rank::{LayerReport, factorise};
use super::surgery::shrink;
use ternflock_base::error::Result;
use ternflock_job::{LowRank, Shrink};
use ternflock_nn::{Graph, Parameters};

/// The network after the operation, and the source of each of its elements.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The structure.
    pub graph: Graph,
    /// Its parameters, and the values that are not trained.
    pub parameters: Parameters,
    /// Layers that would have lost everything, and whose strongest unit or first column was kept.
    pub emptied: Vec<String>,
    /// The report on each layer with a weight that can be factorised, if a factorisation was requested.
    pub low_rank: Vec<LayerReport>,
    /// By place in the flat vector of parameters: the previous place; `None` for new parameters.
    origins: Vec<Option<usize>>,
    /// By place among the values that are not trained: the previous place.
    statistics: Vec<usize>,
    /// By name of a layer: the previous places of its units.
    units: BTreeMap<String, Vec<usize>>,
}

impl Operation {
    /// Applies the requested surgery to the network of `graph` and `parameters`. This is a pure function.
    ///
    /// # Errors
    /// Those of [`factorise()`].
    pub fn new(
        graph: &Graph,
        parameters: &Parameters,
        shrinking: Option<&Shrink>,
        low_rank: Option<&LowRank>,
    ) -> Result<Operation> {
        let mut operation = Operation::none(graph, parameters);
        if let Some(options) = shrinking {
            let shrunk = shrink(graph, parameters, options)?;
            let surgery = shrunk.surgery;
            operation.parameters = surgery.apply(parameters)?;
            operation.origins = surgery.parameters.into_iter().map(Some).collect();
            (operation.statistics, operation.units) = (surgery.statistics, surgery.units);
            (operation.graph, operation.emptied) = (surgery.graph, shrunk.emptied);
        }
        match low_rank {
            Some(request) => operation.factorised(request),
            None => Ok(operation),
        }
    }

    /// This operation, followed by the factorisation of `request`, limited to the resulting network.
    ///
    /// # Errors
    /// Those of [`factorise()`].
    pub fn factorised(mut self, request: &LowRank) -> Result<Operation> {
        let factorised = factorise(&self.graph, &self.parameters, request)?;
        let origin = |place: &Option<std::ops::Range<usize>>, elements: usize| match place {
            Some(range) => self.origins[range.clone()].to_vec(),
            None => vec![None; elements],
        };
        let tensors = factorised.parameters.table.iter().zip(&factorised.origins);
        self.origins = tensors.flat_map(|(tensor, place)| origin(place, tensor.range.len())).collect();
        self.graph = factorised.graph;
        self.parameters = factorised.parameters;
        self.low_rank = factorised.layers;
        Ok(self)
    }

    fn none(graph: &Graph, parameters: &Parameters) -> Operation {
        let layers = graph.layers().iter().enumerate();
        let units = |layer: usize| (0..graph.shape(layer + 1).units()).collect();
        Operation {
            graph: graph.clone(),
            parameters: parameters.clone(),
            emptied: Vec::new(),
            low_rank: Vec::new(),
            origins: (0..parameters.values.len()).map(Some).collect(),
            statistics: (0..parameters.statistics.values.len()).collect(),
            units: layers.map(|(layer, node)| (node.name.clone(), units(layer))).collect(),
        }
    }

    /// Whether there are new parameters.
    pub fn begins_anew(&self) -> bool {
        self.origins.contains(&None)
    }

    /// A hash of the structure and of the previous places, without values: equal on ranks that make the same
    /// decisions.
    pub fn plan(&self) -> u64 {
        let place = |place: Option<usize>| place.map_or(u64::MAX, |place| place as u64);
        let places = self.origins.iter().copied().chain(self.statistics.iter().copied().map(Some));
        let places: Vec<u64> = places.map(place).collect();
        xxh3_64(self.graph.to_json().as_bytes()) ^ xxh3_64(bytemuck::cast_slice(&places)).rotate_left(1)
    }

    /// Converts `values` from the layout of the previous parameters, with zeros for new parameters.
    pub fn take(&self, values: &[f32]) -> Vec<f32> {
        self.origins.iter().map(|origin| origin.map_or(0.0, |at| values[at])).collect()
    }

    /// The remaining elements of `values`, which has the layout of the previous untrained values.
    pub fn take_statistics(&self, values: &[f32]) -> Vec<f32> {
        self.statistics.iter().map(|&at| values[at]).collect()
    }

    /// The remaining elements of `rows`, the state that layer `layer` carries, each with `width` previous
    /// units; `None` if the layer was removed.
    pub fn take_recurrent_state(&self, layer: &str, rows: &[f32], width: usize) -> Option<Vec<f32>> {
        let places = self.units.get(layer)?;
        Some(rows.chunks_exact(width).flat_map(|row| places.iter().map(|&at| row[at])).collect())
    }
}
