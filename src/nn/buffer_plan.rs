//! Which outputs and gradients share a buffer: those that are not needed at the same time.
//!
//! A training step is a sequence of moments: the forward pass of each layer, the loss, and the backward pass
//! of each layer in reverse. An output that some backward pass reads is needed until then, and has a buffer of
//! its own. Any other output is needed from the pass that writes it to the last forward pass that reads it;
//! the gradient of an output, from the first backward pass that writes it to the backward pass of its own
//! layer. These take turns in a few *shared* buffers.

use std::ops::RangeInclusive;

use super::graph::Graph;

/// A buffer that several outputs and gradients share.
#[derive(Debug, PartialEq)]
pub struct SharedBuffer {
    /// The source whose output, or gradient, is the largest of them.
    pub largest: usize,
    /// Its elements per sample.
    pub elements: usize,
}

/// The shared buffers of a network, and who uses them, by source number.
#[derive(Debug, Default)]
pub struct BufferPlan {
    /// The buffers.
    pub shared: Vec<SharedBuffer>,
    /// Of outputs; `None` for those with a buffer of their own.
    pub outputs: Vec<Option<usize>>,
    /// Of gradients; `None` for those that are not computed.
    pub gradients: Vec<Option<usize>>,
    /// If several layers read a source: of the gradient from one of them, before it is added to those from
    /// others.
    pub summands: Vec<Option<usize>>,
    /// By source: the last layer that reads it, and nothing for the network's output.
    pub last_reader: Vec<Option<usize>>,
}

impl BufferPlan {
    /// Of a network in which the sources `wanted` need a gradient.
    pub fn new(graph: &Graph, wanted: &[bool]) -> BufferPlan {
        let layers = graph.layers().len();
        let readers = readers(graph);
        let backward = |layer: usize| 2 * layers - layer;
        let is_kept = kept(graph, &readers);
        let mut needed = Vec::new();
        for (source, readers) in readers.iter().enumerate() {
            let elements = graph.shape(source).elements();
            let mut need = |kind, moments| needed.push(Need { kind, source, elements, moments });
            if let (false, Some(&last)) = (is_kept[source], readers.last()) {
                need(Kind::Output, source - 1..=last);
            }
            if wanted[source] {
                need(
                    Kind::Gradient,
                    readers.last().map_or(layers, |&last| backward(last))..=backward(source - 1),
                );
                if let [first, ..] = readers[..]
                    && let [.., before_last, _] = readers[..]
                {
                    need(Kind::Summand, backward(before_last)..=backward(first));
                }
            }
        }
        let none = || vec![None; layers + 1];
        let last_reader = readers.iter().map(|readers| readers.last().copied()).collect();
        let mut plan = BufferPlan {
            shared: Vec::new(),
            outputs: none(),
            gradients: none(),
            summands: none(),
            last_reader,
        };
        plan.assign(needed);
        plan
    }

    /// Gives each need, in the order in which they begin, the smallest buffer that is free and large enough; or
    /// else the largest that is free, which grows; or else a new one.
    fn assign(&mut self, mut needed: Vec<Need>) {
        needed.sort_by_key(|need| *need.moments.start());
        // By buffer: the moment until which it is taken.
        let mut taken: Vec<usize> = Vec::new();
        for Need { kind, source, elements, moments } in needed {
            let is_free = |&buffer: &usize| taken[buffer] < *moments.start();
            let size = |&buffer: &usize| self.shared[buffer].elements;
            let fits =
                (0..taken.len()).filter(is_free).filter(|buffer| size(buffer) >= elements).min_by_key(size);
            let buffer = fits.or_else(|| (0..taken.len()).filter(is_free).max_by_key(size));
            let buffer = buffer.unwrap_or_else(|| {
                self.shared.push(SharedBuffer { largest: source, elements });
                taken.push(0);
                taken.len() - 1
            });
            taken[buffer] = *moments.end();
            if self.shared[buffer].elements < elements {
                self.shared[buffer] = SharedBuffer { largest: source, elements };
            }
            match kind {
                Kind::Output => self.outputs[source] = Some(buffer),
                Kind::Gradient => self.gradients[source] = Some(buffer),
                Kind::Summand => self.summands[source] = Some(buffer),
            }
        }
    }
}

/// What needs a buffer.
#[derive(Clone, Copy)]
enum Kind {
    Output,
    Gradient,
    Summand,
}

/// A buffer that is needed for some moments.
struct Need {
    kind: Kind,
    source: usize,
    elements: usize,
    moments: RangeInclusive<usize>,
}

/// By source: whether its output needs a buffer of its own. That is the case for the network's input and
/// output, which the caller reads and writes, and for outputs that a backward pass reads.
fn kept(graph: &Graph, readers: &[Vec<usize>]) -> Vec<bool> {
    let reads = |layer: usize| graph.layers()[layer].layer.describe().backward_reads();
    let mut kept: Vec<bool> =
        readers.iter().map(|readers| readers.iter().any(|&layer| reads(layer).inputs)).collect();
    let layers = graph.layers().len();
    (0..layers).for_each(|layer| kept[layer + 1] |= reads(layer).output);
    (kept[0], kept[layers]) = (true, true);
    kept
}

/// By source: the layers that read it, ascending.
fn readers(graph: &Graph) -> Vec<Vec<usize>> {
    let layers = graph.layers().len();
    let mut readers = vec![Vec::new(); layers + 1];
    for layer in 0..layers {
        for &source in graph.sources(layer) {
            readers[source].push(layer);
        }
    }
    readers
}
