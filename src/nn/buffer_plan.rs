//! Decides which outputs and gradients share a buffer: those that are not needed at the same time.
//!
//! A training step is a sequence of moments: the forward pass of each layer, the loss, and the backward pass
//! of each layer in reverse. An output is needed from the pass that writes it to the last forward pass that reads it.
//! The gradient of an output is needed from the first backward pass that writes it to the backward pass of the
//! output's layer. These outputs and gradients use a few *shared* buffers, one after another.
//!
//! An output that a backward pass reads is kept until then, either as float32 in a buffer of its own or as bf16. An
//! output that is kept as bf16 has a shared float32 buffer twice: in the forward passes, and again from the first to the
//! last backward pass that reads it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::RangeInclusive;

use super::graph::Graph;
use super::layer::BackwardReads;
use ternflock_tensor::bf16::Precision;

/// A buffer that several outputs and gradients share.
#[derive(Debug, PartialEq)]
pub struct SharedBuffer {
    /// The source whose output or gradient is the largest in this buffer.
    pub largest: usize,
    /// The number of elements per sample of that source.
    pub elements: usize,
}

/// The shared buffers of a network, and the buffer that each source uses, indexed by source number.
#[derive(Debug, Default)]
pub struct BufferPlan {
    /// The buffers.
    pub shared: Vec<SharedBuffer>,
    /// The buffer of each output in the forward passes; `None` if it has its own.
    pub outputs: Vec<Option<usize>>,
    /// The outputs that are kept as bf16, and where backward passes read them.
    pub rounded: Vec<Option<Rounded>>,
    /// The buffer of each gradient; `None` if it is not computed.
    pub gradients: Vec<Option<usize>>,
    /// For a source that several layers read: the buffer of the gradient from one of them, until it is added to
    /// the gradients from the others.
    pub summands: Vec<Option<usize>>,
    /// The values that the backward pass of each layer reads.
    pub reads: Vec<BackwardReads>,
    /// The last layer that reads each source; `None` for the network's output.
    pub last_reader: Vec<Option<usize>>,
}

/// An output that is kept as bf16, in the backward passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounded {
    /// The shared buffer that it is widened to.
    pub buffer: usize,
    /// The layer whose backward pass reads it first, which is the last of them in the order of the layers.
    pub first: usize,
    /// The layer whose backward pass reads it last.
    pub last: usize,
}

impl BufferPlan {
    /// Plans the buffers of a network with products in `precision`, in which the sources `wanted` need a gradient.
    pub fn new(graph: &Graph, wanted: &[bool], precision: Precision) -> BufferPlan {
        let layers = graph.layers().len();
        let readers = readers(graph);
        let backward = |layer: usize| 2 * layers - layer;
        let reads: Vec<_> =
            graph.layers().iter().map(|node| node.layer.describe().backward_reads()).collect();
        let mut plan = BufferPlan {
            shared: Vec::new(),
            outputs: vec![None; layers + 1],
            rounded: vec![None; layers + 1],
            gradients: vec![None; layers + 1],
            summands: vec![None; layers + 1],
            last_reader: readers.iter().map(|readers| readers.last().copied()).collect(),
            reads,
        };
        let mut needed = Vec::new();
        for (source, readers) in readers.iter().enumerate() {
            let elements = graph.shape(source).elements();
            let mut need = |kind, moments| needed.push(Need { kind, source, elements, moments });
            // The caller reads and writes the network's input and output at any time.
            if let (1.., Some(&last)) = (source, readers.last()) {
                let kept_for = plan.backward_readers(source, readers, wanted);
                if let [last, .., first] | [last @ first] = kept_for[..]
                    && precision == Precision::Bf16
                    && kept_for.iter().all(|&layer| plan.reads[layer].rounded)
                {
                    plan.rounded[source] = Some(Rounded { buffer: 0, first, last });
                    need(Kind::Rounded, backward(first)..=backward(last));
                }
                if kept_for.is_empty() || plan.rounded[source].is_some() {
                    need(Kind::Output, source - 1..=last);
                }
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
        plan.assign(needed);
        plan
    }

    /// The layers whose backward pass reads the output `source`, which `readers` read in their forward pass, in
    /// ascending order: the layer that writes it, and readers. Only layers with a wanted output have a backward pass.
    fn backward_readers(&self, source: usize, readers: &[usize], wanted: &[bool]) -> Vec<usize> {
        let own = Some(source - 1).filter(|&layer| self.reads[layer].output);
        let others = readers.iter().copied().filter(|&layer| self.reads[layer].inputs);
        own.into_iter().chain(others).filter(|&layer| wanted[layer + 1]).collect()
    }

    /// Assigns a buffer to each need, in the order in which the needs begin: the smallest free buffer that is large
    /// enough; otherwise the largest free buffer, which grows; otherwise a new one.
    fn assign(&mut self, mut needed: Vec<Need>) {
        needed.sort_by_key(|need| *need.moments.start());
        // Buffers in use with the last moment of their use, the earliest first; and free ones by size.
        let (mut in_use, mut free) =
            (BinaryHeap::<Reverse<(usize, usize)>>::new(), BTreeSet::<(usize, usize)>::new());
        for Need { kind, source, elements, moments } in needed {
            while let Some(&Reverse((end, buffer))) = in_use.peek()
                && end < *moments.start()
            {
                in_use.pop();
                free.insert((self.shared[buffer].elements, buffer));
            }
            let fits = free.range((elements, 0)..).next().or_else(|| free.last()).copied();
            let buffer = match fits {
                Some(found) => {
                    free.remove(&found);
                    found.1
                }
                None => {
                    self.shared.push(SharedBuffer { largest: source, elements });
                    self.shared.len() - 1
                }
            };
            in_use.push(Reverse((*moments.end(), buffer)));
            if self.shared[buffer].elements < elements {
                self.shared[buffer] = SharedBuffer { largest: source, elements };
            }
            match kind {
                Kind::Output => self.outputs[source] = Some(buffer),
                Kind::Rounded => self.rounded[source].iter_mut().for_each(|rounded| rounded.buffer = buffer),
                Kind::Gradient => self.gradients[source] = Some(buffer),
                Kind::Summand => self.summands[source] = Some(buffer),
            }
        }
    }
}

/// The kind of value that needs a buffer.
#[derive(Clone, Copy)]
enum Kind {
    Output,
    /// An output that is kept as bf16, in the backward passes.
    Rounded,
    Gradient,
    Summand,
}

/// A value that needs a buffer for a range of moments.
struct Need {
    kind: Kind,
    source: usize,
    elements: usize,
    moments: RangeInclusive<usize>,
}

/// The layers that read each source, in ascending order.
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
