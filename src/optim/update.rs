//! The part of an update that all rules have in common, for one tensor.

/// The constants of a step for one tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    /// The factor by which clipping scales the gradient, at most 1.
    pub scale: f32,
    /// The factor of the L2 gradient; 0 for a tensor that does not decay.
    pub decay: f32,
    /// The learning rate.
    pub rate: f32,
}

impl Update {
    /// The gradient of a weight `w`: the clipped gradient of the loss plus that of weight decay. Decay is
    /// added here, after the exchange and after clipping, so that it is neither rounded to ternary nor part
    /// of the norm.
    #[inline(always)]
    pub fn gradient(&self, g: f32, w: f32) -> f32 {
        self.scale * g + self.decay * w
    }
}
