//! The mean of gradients over all ranks, in one call per step.
//!
//! This composes the parts of the crate: the moments and scales of the [`codec`](crate::codec), the maximum of
//! [`control`], an all-reduce of ternaries and the ring of float32. A program that wants to overlap these
//! phases with its computation calls the parts itself.
//!
//! # Examples
//!
//! Two ranks, which are threads here, average a weight of 1000 elements and a bias of 10. With `min_elements`, the bias
//! travels as float32 and its mean is exact.
//!
//! ```
//! use std::thread;
//! use std::time::Duration;
//! use ternflock_collectives::average::{Averager, Options};
//! use ternflock_collectives::transport::threads;
//!
//! let ranks = threads::world(2, Duration::from_secs(60));
//! let work = |mut rank: threads::ThreadTransport| {
//!     let options = Options { min_elements: 100, seed: 7, ..Options::default() };
//!     let mut averager = Averager::new(&mut rank, &[1000, 10], options)?;
//!     let value = 1.0 + averager.rank() as f32;
//!     let (mut weight, mut bias) = (vec![value; 1000], vec![value; 10]);
//!     averager.mean(&mut rank, 0, &mut [&mut weight, &mut bias])?;
//!     assert_eq!(bias, [1.5; 10]);
//!     // Ternaries: the scale is 2, so each rank sends 0 or 2, and the mean is 0, 1 or 2.
//!     assert!(weight.iter().all(|mean| [0.0, 1.0, 2.0].contains(mean)));
//!     let average = weight.iter().sum::<f32>() / 1000.0;
//!     assert!((average - 1.5).abs() < 0.1);
//!     Ok(())
//! };
//! thread::scope(|scope| {
//!     let running: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(move || work(rank))).collect();
//!     running.into_iter().try_for_each(|rank| rank.join().expect("no rank panics"))
//! })
//! # .map_err(|error: ternflock_collectives::Error| error.to_string())
//! # .unwrap();
//! ```

mod float32;
mod options;
mod ternary;

pub use options::{Method, Options};

use float32::Float32;
use ternary::Ternary;

use crate::random::{Purpose, Stream};
use crate::topology::Topology;
use crate::transport::meter::Traffic;
use crate::{Error, Result, Transport, control};

/// Averages the same tensors over the same ranks, step after step. All ranks get the same bits.
#[derive(Clone, Debug)]
pub struct Averager {
    options: Options,
    elements: Vec<usize>,
    rank: usize,
    topology: Topology,
    ternary: Ternary,
    float32: Float32,
    /// The words reduced by maximum: one scale per ternary tensor, then the rank that has a gradient that is
    /// not finite.
    agreed: Vec<u32>,
}

/// The inputs of stochastic rounding besides the values.
struct Key {
    seed: u64,
    step: u64,
    rank: usize,
}

impl Key {
    /// The random numbers of tensor `index`.
    fn stream(&self, index: usize) -> Stream {
        let Key { seed, step, rank } = *self;
        Stream { seed, purpose: Purpose::Ternary, step, subject: rank as u32, tensor: index as u16 }
    }
}

impl Averager {
    /// An averager of tensors with these numbers of `elements`, each below 2^34. All ranks of `transport` must call this
    /// together.
    ///
    /// It allocates 2 bits per ternary element for this rank's ternaries, [`width`](crate::planes::width)`(P)` bits for
    /// the sums, 4 bytes with error feedback, and 4 bytes per float32 element.
    ///
    /// # Errors
    /// [`Error::Disagree`] on all ranks if their tensors or options differ; those of the transport.
    ///
    /// # Panics
    /// For more than 65,536 tensors: the random numbers of a tensor are keyed by its index in 16 bits.
    pub fn new(transport: &mut dyn Transport, elements: &[usize], options: Options) -> Result<Self> {
        assert!(elements.len() <= 1 << 16, "an averager has at most 65,536 tensors, not {}", elements.len());
        transport.set_context(format_args!("agreeing on what to average"));
        options.agree(transport, elements)?;
        let ternary = Ternary::new(&options, elements, transport.world());
        Ok(Averager {
            rank: transport.rank(),
            topology: Topology::new(transport.nodes().to_vec()),
            float32: Float32::new(&options, elements),
            agreed: vec![0; ternary.len() + 1],
            elements: elements.to_vec(),
            ternary,
            options,
        })
    }

    /// This rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The options of this averager.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Replaces the `gradients` of all ranks with their mean. All ranks call this with the same `step`, below
    /// 2^40.
    ///
    /// Stochastic rounding is a pure function of the seed, the step, the rank and the index of the tensor, so the same call
    /// gives the same result. A program should therefore not use a step twice.
    ///
    /// # Errors
    /// [`Error::NonFinite`] on all ranks if a gradient of any rank is NaN or infinite. The ranks are then
    /// still synchronised, error feedback is as before the call, and the next call may follow. Those of the
    /// transport. After any error the content of `gradients` is unspecified.
    ///
    /// # Panics
    /// If the numbers of tensors or elements are not those of [`Averager::new`], or `transport` has other ranks.
    pub fn mean(
        &mut self,
        transport: &mut dyn Transport,
        step: u64,
        gradients: &mut [&mut [f32]],
    ) -> Result<()> {
        let (rank, world) = (self.rank, self.topology.world());
        assert_eq!((transport.rank(), transport.world()), (rank, world), "rank and world size");
        assert!(
            gradients.iter().map(|gradient| gradient.len()).eq(self.elements.iter().copied()),
            "tensor sizes"
        );

        transport.set_context(format_args!("step {step}, scales of the gradients"));
        let (scales, non_finite) = self.agreed.split_at_mut(self.ternary.len());
        let is_finite =
            self.ternary.prepare(self.options.clip_sigma, gradients, scales) & self.float32.pack(gradients);
        // The maximum of these values belongs to the lowest rank.
        non_finite[0] = if is_finite { 0 } else { (world - rank) as u32 };
        control::max(transport, &mut self.agreed)?;
        let (scales, non_finite) = self.agreed.split_at(self.ternary.len());
        if non_finite[0] != 0 {
            return Err(Error::NonFinite { rank: world - non_finite[0] as usize });
        }

        self.ternary.encode(&Key { seed: self.options.seed, step, rank }, gradients, scales);
        transport.set_context(format_args!("step {step}, sums of the gradients"));
        self.ternary.sum(&self.options, transport, &self.topology)?;
        self.float32.sum(transport)?;
        self.ternary.decode(world, gradients, scales);
        self.float32.unpack(world, gradients);
        Ok(())
    }

    /// The traffic of [`Averager::mean`] on this rank: exact, or with [`Options::coding`] an upper bound of its bytes.
    pub fn traffic(&self) -> Traffic {
        let world = self.topology.world();
        control::max_traffic(self.agreed.len(), world)
            + self.ternary.traffic(&self.options, &self.topology, self.rank)
            + self.float32.traffic(world, self.rank)
    }

    /// The residuals of this rank's ternary tensors, one after the other: the state to save in a checkpoint.
    /// Empty without error feedback.
    pub fn residual(&self) -> &[f32] {
        self.ternary.residual()
    }

    /// The residuals, mutable, to restore them from a checkpoint.
    pub fn residual_mut(&mut self) -> &mut [f32] {
        self.ternary.residual_mut()
    }
}
