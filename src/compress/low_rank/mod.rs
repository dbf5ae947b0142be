//! Low rank: the number of directions that the filters of a layer span, and two thin layers that replace it
//! (W. Wen et al., "Coordinating Filters for Faster Deep Neural Networks", ICCV 2017, section 3.1; C. Tai et
//! al., "Convolutional neural networks with low-rank regularization", ICLR 2016, for the separable form).
//!
//! - [`spectrum`]: the energies of a matrix, and the rank that keeps a share of them.
//! - [`decompose`]: the matrix as a product of two, from principal components or singular values.
//! - [`mod@factorise`]: the surgery, which replaces one layer by two.
//! - [`mod@ranks`]: a table of ranks, without changes.
//!
//! Letters: N filters (units, rows of gates), d weights of each, r rank. All computations are in double
//! precision on one thread, and give the same result on every machine except for the last bits.

pub mod decompose;
pub mod factorise;
pub mod ranks;
pub mod spectrum;
mod weight;

pub use decompose::{Decomposition, Factors};
pub use factorise::{Factorised, Form, LayerReport, Outcome, check, factorise, of_what_is_left};
pub use ranks::{LayerRank, ranks, ranks_of};
pub use spectrum::Spectrum;
pub use weight::Matrix;
