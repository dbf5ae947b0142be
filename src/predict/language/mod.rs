//! Language models that read one token at a time and carry their state from step to step.
//!
//! - [`Stepper`]: the network of a checkpoint, built for sequences of one token
//! - [`Choice`]: the choice of the next token from the logits: temperature, top-k
//! - [`Sampler`]: both together, with the counter-based generator: a text is a function of the checkpoint, the prompt, the
//!   choice and the seed
//! - [`Joiner`]: from tokens back to text

mod choice;
mod joiner;
mod sampler;
mod stepper;
#[cfg(test)]
mod tests;

pub use choice::Choice;
pub use joiner::Joiner;
pub use sampler::Sampler;
pub use stepper::Stepper;
