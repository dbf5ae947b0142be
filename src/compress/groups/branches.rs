//! Residual branches: chains of layers that end in a sum. Each layer of a chain is read only by the next.

use ternflock_base::error::Result;
use ternflock_nn::coupling::Units;
use ternflock_nn::{Graph, StructureKind};

/// Facts about the chains of a network, by source.
pub(super) struct Branches {
    /// The layers that read the source, in ascending order.
    readers: Vec<Vec<usize>>,
    /// The number of convolutions between the source and the closest earlier source that several layers read.
    convolutions: Vec<usize>,
    /// The sum at the end of the chain, by layer, and the source that this sum reads.
    end: Vec<Option<(usize, usize)>>,
}

impl Branches {
    /// The chains of `graph`.
    ///
    /// # Errors
    /// Those of [`Graph::coupling`].
    pub fn new(graph: &Graph) -> Result<Branches> {
        let layers = graph.layers();
        let mut readers = vec![Vec::new(); layers.len() + 1];
        for layer in 0..layers.len() {
            graph.sources(layer).iter().for_each(|&source| readers[source].push(layer));
        }
        let mut convolutions = vec![0; layers.len() + 1];
        for (layer, node) in layers.iter().enumerate() {
            if let ([_], [before]) = (&readers[layer + 1][..], graph.sources(layer)) {
                let own = usize::from(node.layer.parts().has(StructureKind::Layers));
                convolutions[layer + 1] = convolutions[*before] + own;
            }
        }
        let mut end = vec![None; layers.len() + 1];
        for source in (0..=layers.len()).rev() {
            if let [reader] = readers[source][..] {
                let is_sum = graph.coupling(reader)?.units == Units::Sum;
                end[source] = if is_sum { Some((reader, source)) } else { end[reader + 1] };
            }
        }
        Ok(Branches { readers, convolutions, end })
    }

    /// The layers that read `source`.
    pub fn readers(&self, source: usize) -> &[usize] {
        &self.readers[source]
    }

    /// Whether `layer` is part of a residual branch with a shortcut around it. Such a branch is a chain of layers, each
    /// read only by the next, that ends in a sum, and another input of this sum has fewer convolutions behind it.
    pub fn ends_in_a_sum(&self, graph: &Graph, layer: usize) -> bool {
        let Some((sum, source)) = self.end[layer + 1] else { return false };
        let fewest = graph.sources(sum).iter().map(|&other| self.convolutions[other]).min();
        fewest.is_some_and(|fewest| fewest < self.convolutions[source])
    }
}
