//! Builds a network from a structure: the tensors that each layer reads, and buffers for all passes.

use std::collections::HashSet;

use super::{Network, Values};
use crate::Execution;
use crate::buffers::NetworkBuffers;
use crate::clock::Clock;
use crate::graph::Graph;
use crate::layer::{Place, WEIGHT};
use crate::memory::{Beside, check_memory};
use crate::parameters::{Parameters, of_layer, places, statistics_table, table};
use ternflock_base::error::Result;
use ternflock_tensor::Buffers;

impl Network {
    /// A network of `graph` with all parameters zero, for passes as in `execution`.
    pub fn new(graph: Graph, execution: Execution) -> Result<Network> {
        let (table, statistics) = (table(&graph)?, statistics_table(&graph)?);
        check_memory(&graph, execution, Beside::default(), 1)?;
        let buffers = &mut Buffers::allocating();
        let NetworkBuffers { vectors, layers, wanted, plan, outputs, rounded, shared: shared_buffers } =
            NetworkBuffers::take(&graph, &table, &statistics, execution, buffers)?;
        let parameters = Parameters::with(table, statistics, vectors);
        let count = graph.layers().len();
        let statistics_places = (0..count).map(|i| places(&parameters.statistics.table, i)).collect();
        let mut places: Vec<_> = (0..count).map(|i| places(&parameters.table, i)).collect();
        let starts = places.iter().scan(0, |end, places| {
            let start = *end;
            *end = places.last().map_or(start, |last| last.range.end);
            Some(start)
        });
        let starts = starts.collect();
        for (i, owner) in (0..count).filter_map(|i| Some((i, graph.tied(i)?))) {
            let weight = of_layer(&parameters.table, owner).iter().find(|own| own.spec.name == WEIGHT);
            let range = weight.expect("the graph has found it").range.clone();
            let name = graph.tied_spec(i)?.expect("it is tied").name;
            places[i].push(Place { name, range });
        }
        // From the last layer to the first: the tensors that a later layer reads.
        let mut read = HashSet::new();
        let mut shared: Vec<Vec<bool>> = Vec::with_capacity(count);
        for own in places.iter().rev() {
            let is_read = |place: &Place| !place.range.is_empty() && read.contains(&place.range);
            shared.push(own.iter().map(is_read).collect());
            read.extend(own.iter().map(|place| place.range.clone()));
        }
        shared.reverse();
        let (written, elements) = (vec![false; count + 1], vec![0; count + 1]);
        Ok(Network {
            graph,
            parameters,
            layers,
            places,
            shared,
            statistics_places,
            starts,
            execution,
            values: Values::new(plan, outputs, rounded, shared_buffers),
            wanted,
            written,
            elements,
            last: None,
            clock: Clock::new(count),
        })
    }
}
