//! A whole operation on a network: what does nothing goes, then thin layers take the place of thick ones. It says of each
//! number where it stood before, so that whatever is laid out as the parameters goes along.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::low_rank::{LayerReport, factorise};
use super::surgery::shrink;
use ternflock_base::error::Result;
use ternflock_job::{LowRank, Shrink};
use ternflock_nn::{Graph, Parameters};

/// A network after it, and where its numbers come from.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The structure.
    pub graph: Graph,
    /// Its parameters, and what is not trained.
    pub parameters: Parameters,
    /// Layers of which nothing would have been left, and whose strongest unit, or first column, was kept.
    pub emptied: Vec<String>,
    /// What became of each layer that has a weight to factorise, if that was asked for.
    pub low_rank: Vec<LayerReport>,
    /// By place in the flat vector of parameters: the place before; `None` of what begins anew.
    origins: Vec<Option<usize>>,
    /// By place among what is not trained: the place before.
    statistics: Vec<usize>,
    /// By name of a layer: the places that its units had among its units of before.
    units: BTreeMap<String, Vec<usize>>,
}

impl Operation {
    /// Does to the network of `graph` and `parameters` what is asked for: a pure function of them.
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

    /// The same, and then what `request` asks for of the network that this has left.
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

    /// Whether there are parameters now that were not there before.
    pub fn begins_anew(&self) -> bool {
        self.origins.contains(&None)
    }

    /// A hash of what is left and of where it was, but of no values: equal on ranks that decide alike.
    pub fn plan(&self) -> u64 {
        let place = |place: Option<usize>| place.map_or(u64::MAX, |place| place as u64);
        let places = self.origins.iter().copied().chain(self.statistics.iter().copied().map(Some));
        let places: Vec<u64> = places.map(place).collect();
        xxh3_64(self.graph.to_json().as_bytes()) ^ xxh3_64(bytemuck::cast_slice(&places)).rotate_left(1)
    }

    /// What becomes of `values`, laid out as the parameters of before; zero where a parameter begins anew.
    pub fn take(&self, values: &[f32]) -> Vec<f32> {
        self.origins.iter().map(|origin| origin.map_or(0.0, |at| values[at])).collect()
    }

    /// What is left of `values`, laid out as what was not trained before.
    pub fn take_statistics(&self, values: &[f32]) -> Vec<f32> {
        self.statistics.iter().map(|&at| values[at]).collect()
    }

    /// What is left of `rows` that layer `layer` carries, each of `width` units of before; `None` if the layer is gone.
    pub fn take_recurrent_state(&self, layer: &str, rows: &[f32], width: usize) -> Option<Vec<f32>> {
        let places = self.units.get(layer)?;
        Some(rows.chunks_exact(width).flat_map(|row| places.iter().map(|&at| row[at])).collect())
    }
}
