//! Residual branches: chains of layers, each read by the next alone, that meet in a sum.

use crate::nn::{Graph, LayerSpec};

/// What is known of the chains of a network, by source.
pub(super) struct Branches {
    /// The layers that read it, ascending.
    readers: Vec<Vec<usize>>,
    /// The convolutions on the way back from it to the next source that several layers read.
    convolutions: Vec<usize>,
    /// The sum that the chain from it ends in, by layer, and the source that this sum reads.
    end: Vec<Option<(usize, usize)>>,
}

impl Branches {
    /// The chains of `graph`.
    pub fn new(graph: &Graph) -> Branches {
        let layers = graph.layers();
        let mut readers = vec![Vec::new(); layers.len() + 1];
        for layer in 0..layers.len() {
            graph.sources(layer).iter().for_each(|&source| readers[source].push(layer));
        }
        let mut convolutions = vec![0; layers.len() + 1];
        for (layer, node) in layers.iter().enumerate() {
            if let ([_], [before]) = (&readers[layer + 1][..], graph.sources(layer)) {
                let own = usize::from(matches!(node.layer, LayerSpec::Conv2d(_)));
                convolutions[layer + 1] = convolutions[*before] + own;
            }
        }
        let mut end = vec![None; layers.len() + 1];
        for source in (0..=layers.len()).rev() {
            if let [reader] = readers[source][..] {
                let is_sum = matches!(layers[reader].layer, LayerSpec::Add(_));
                end[source] = if is_sum { Some((reader, source)) } else { end[reader + 1] };
            }
        }
        Branches { readers, convolutions, end }
    }

    /// The layers that read source `source`.
    pub fn readers(&self, source: usize) -> &[usize] {
        &self.readers[source]
    }

    /// Whether `layer` is part of a residual branch that a shortcut goes around: a chain of layers, each read by the next
    /// alone, that ends in a sum, another input of which is no such chain of its own with as many convolutions in it.
    pub fn ends_in_a_sum(&self, graph: &Graph, layer: usize) -> bool {
        let Some((sum, source)) = self.end[layer + 1] else { return false };
        let fewest = graph.sources(sum).iter().map(|&other| self.convolutions[other]).min();
        fewest.is_some_and(|fewest| fewest < self.convolutions[source])
    }
}
