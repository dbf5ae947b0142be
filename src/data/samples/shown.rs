//! What a network sees of samples: all of them, or parts of images.

use super::layout::{parts_to_input, to_input};
use crate::{Augment, View};
use ternflock_base::error::{Error, Result};
use ternflock_job as job;
use ternflock_nn::Shape;

/// How samples become the input of a network.
pub(super) struct Shown {
    /// The shape of a sample.
    shape: Shape,
    /// The parts of images.
    augment: Option<Augment>,
}

impl Shown {
    /// Shows complete samples of `shape`.
    pub fn whole(shape: Shape) -> Shown {
        Shown { shape, augment: None }
    }

    /// Shows parts of images, whose size `how` sets.
    ///
    /// # Errors
    /// If the samples are no images, or if they are smaller than the crop.
    pub fn augment(&mut self, how: Option<&job::Augment>) -> Result<()> {
        self.augment = match (how, self.shape) {
            (None, _) => None,
            (how, Shape::Image { height, width, .. }) => Some(Augment::of_size(how, [height, width])?),
            (_, shape) => {
                let message = format!("images are padded, cropped and mirrored, but the samples are {shape}");
                return Err(Error::Usage(message));
            }
        };
        Ok(())
    }

    /// The shape of a sample as the network sees it.
    pub fn input(&self) -> Shape {
        match (self.shape, &self.augment) {
            (Shape::Image { channels, .. }, Some(augment)) => {
                Shape::Image { channels, height: augment.height, width: augment.width }
            }
            (shape, _) => shape,
        }
    }

    /// Writes `samples`, one after another, to `input`. `view` selects the part of an image by its position in the batch.
    ///
    /// # Errors
    /// If the sizes do not belong together.
    pub fn write(
        &self,
        samples: &[f32],
        view: impl Fn(&Augment, usize) -> View,
        input: &mut [f32],
    ) -> Result<()> {
        match &self.augment {
            None => to_input(self.shape, samples, input),
            Some(augment) => {
                parts_to_input(self.shape, samples, augment, |position| view(augment, position), input)
            }
        }
    }
}
