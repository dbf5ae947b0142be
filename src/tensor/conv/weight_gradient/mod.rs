//! The gradient of the weights: dw[f, c, r, s] = sum over p, q, n of dy[f, p, q, n] x[c, h, v, n].
//!
//! It is a product whose sum runs over positions and samples, in the work items of [`super::partial_sums`]:
//!
//! - [`vectors`]: lanes are samples, for float32 and bf16 values
//! - [`tiles`]: tile products of bf16 values, if the machine has AMX
//! - [`lanes`]: sums over the lanes of vectors
//!
//! The gradient of the biases is not a product: it is the sum of the unrounded dy.

mod lanes;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod vectors;

use super::operands::Operands;
use super::pass::Pass;
use crate::blocks::Machine;
use crate::buffers::Buffers;
use crate::scratch::Scratch;
#[cfg(target_arch = "x86_64")]
use crate::tiles::Amx;
#[cfg(target_arch = "x86_64")]
use tiles::TileSums;
use vectors::LaneSums;

/// The gradient of one convolution's weights, planned.
pub enum WeightGradient {
    Vectors(LaneSums),
    #[cfg(target_arch = "x86_64")]
    Tiles(TileSums),
}

/// The proof that tiles are available, if they are worth using: a single filter would leave most of a tile empty.
#[cfg(target_arch = "x86_64")]
fn amx(pass: &Pass, operands: Operands) -> Option<Amx> {
    if pass.filters > 1 && matches!(operands, Operands::Pairs(_)) { Amx::detect() } else { None }
}

impl WeightGradient {
    /// Of the convolution whose forward pass in each of `groups` groups is `pass`.
    pub fn new(
        pass: Pass,
        machine: Machine,
        operands: Operands,
        groups: usize,
        buffers: &mut Buffers,
    ) -> Result<WeightGradient, String> {
        #[cfg(target_arch = "x86_64")]
        if let Some(amx) = amx(&pass, operands) {
            return Ok(WeightGradient::Tiles(TileSums::new(amx, pass, machine, groups, buffers)?));
        }
        Ok(WeightGradient::Vectors(LaneSums::new(pass, machine, operands, groups, buffers)?))
    }

    /// Room a thread needs for the weight gradient of `pass`, in words.
    pub fn scratch(pass: &Pass, machine: Machine, operands: Operands) -> usize {
        #[cfg(target_arch = "x86_64")]
        if amx(pass, operands).is_some() {
            return TileSums::scratch(pass);
        }
        LaneSums::scratch(pass, machine, operands)
    }

    /// Overwrites `weight` `[groups * F, C, R, S]` and `bias` `[groups * F]`, for `x` `[groups * C, H, W, batch]` and `dy`
    /// `[groups * F, P, Q, batch]`.
    pub fn compute(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        scratch: &Scratch,
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        match self {
            WeightGradient::Vectors(sums) => sums.compute(batch, x, dy, scratch, weight, bias),
            #[cfg(target_arch = "x86_64")]
            WeightGradient::Tiles(sums) => sums.compute(batch, x, dy, scratch, weight, bias),
        }
    }
}
