//! Layers with their forward and backward passes, and the graph that they form.
//!
//! - [`spec`]: the definition of a layer (type and options) in the words of job files and checkpoints.
//! - [`declare`], [`coupling`]: the parts of a layer, for penalties, pruning and factorisation.
//! - [`graph`]: the structure of a network: layers by name with their inputs, checked, with inferred shapes.
//! - [`layers`]: one file per layer: its options, shapes, parameters, forward and backward; [`example`]:
//!   examples of each.
//! - [`network`]: a graph with parameters and buffers, ready to run.
//! - [`targets`], [`loss`], [`metrics`]: what a network learns to predict, how far it is from that, and what evaluations
//!   count.
//!
//! Letters: N samples of a batch, C channels, H W height and width, D features. Images are stored `[C, H, W, N]`
//! (docs/adr/0010-batch-innermost-images.md), vectors `[N, D]`, sequences of T steps `[T, N, D]`.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod buffer_plan;
mod buffers;
mod clock;
pub mod coupling;
pub mod declare;
pub mod example;
mod execution;
mod free_memory;
pub mod graph;
pub mod init;
pub mod layer;
pub mod layers;
pub mod loss;
mod memory;
pub mod metrics;
pub mod network;
pub mod parameters;
mod registered;
pub mod shape;
mod size;
pub mod spec;
pub mod structure;
pub mod targets;
mod tensors;

pub use clock::Clock;
pub use coupling::Coupling;
pub use example::Example;
pub use execution::Execution;
pub use graph::{Graph, Node};
pub use loss::{Loss, Tally, softmax_cross_entropy, usual_loss};
pub use memory::{Beside, check_memory, needed_bytes};
pub use metrics::{Evaluation, Measures};
pub use network::{Network, non_finite};
pub use parameters::{Parameter, Parameters};
pub use registered::register_layer;
pub use shape::Shape;
pub use spec::LayerSpec;
pub use structure::StructureKind;
pub use targets::{NO_LABEL, TargetKind, Targets};
