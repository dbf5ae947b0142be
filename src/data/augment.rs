//! Augmentation: the part of an image that a sample shows, at a random position for training and at the
//! centre for evaluation.

use super::Images;
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_job as job;

/// The size and the possible positions of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Augment {
    /// The rows of a part.
    pub height: usize,
    /// The columns of a part.
    pub width: usize,
    /// The number of rows and columns at which a part may begin, minus one; the first is this many pixels
    /// outside the image.
    room: [usize; 2],
    padding: usize,
    mirror: bool,
}

/// A part of an image, with the size that an [`Augment`] sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The row of the image at which it begins; rows outside the image are padding.
    pub top: isize,
    /// The column of the image at which it begins.
    pub left: isize,
    /// Whether it is mirrored, left to right.
    pub mirrored: bool,
}

impl View {
    /// A complete image.
    pub const WHOLE: View = View { top: 0, left: 0, mirrored: false };
}

impl Augment {
    /// The augmentation of `job` for images like `images`; without it, complete images.
    ///
    /// # Errors
    /// If the crop is larger than an image with its padding.
    pub fn new(job: Option<&job::Augment>, images: &Images) -> Result<Augment> {
        Augment::of_size(job, [images.height, images.width])
    }

    /// The same for images of `rows` x `columns` pixels.
    ///
    /// # Errors
    /// As for [`Augment::new`].
    pub fn of_size(job: Option<&job::Augment>, [rows, columns]: [usize; 2]) -> Result<Augment> {
        let none = job::Augment::default();
        let job::Augment { padding, crop, mirror } = job.unwrap_or(&none);
        let (height, width) = (crop.unwrap_or(rows), crop.unwrap_or(columns));
        let padded = [rows + 2 * padding, columns + 2 * padding];
        match [padded[0].checked_sub(height), padded[1].checked_sub(width)] {
            [Some(down), Some(across)] => {
                Ok(Augment { height, width, room: [down, across], padding: *padding, mirror: *mirror })
            }
            _ => Err(Error::Usage(format!(
                "{height}x{width} pixels cannot be cropped from {rows}x{columns} with {padding} pixels of padding on \
                 each side"
            ))),
        }
    }

    /// The part of the sample at `position` of the global batch of `step`: a pure function of these and of `seed`.
    pub fn random(&self, seed: u64, step: u64, position: usize) -> View {
        let subject = position as u32;
        let [row, column, flip, _] =
            Stream { seed, purpose: Purpose::Augment, step, subject, tensor: 0 }.block(0);
        // The upper half of a 64-bit product: for so few positions, the probabilities differ by at most
        // 2^-16.
        let draw = |word: u32, room: usize| ((u64::from(word) * (room as u64 + 1)) >> 32) as usize;
        self.view([draw(row, self.room[0]), draw(column, self.room[1])], self.mirror && flip & 1 == 1)
    }

    /// The centre.
    pub fn central(&self) -> View {
        self.view(self.room.map(|room| room / 2), false)
    }

    fn view(&self, [row, column]: [usize; 2], mirrored: bool) -> View {
        let outside = self.padding as isize;
        View { top: row as isize - outside, left: column as isize - outside, mirrored }
    }
}

#[cfg(test)]
mod tests {
    use super::super::digits;
    use super::*;

    fn augment(padding: usize, crop: Option<usize>, mirror: bool) -> Result<Augment> {
        let images = digits::load().unwrap().test;
        Augment::new(Some(&job::Augment { padding, crop, mirror }), &images)
    }

    #[test]
    fn without_a_word_it_is_the_whole_image() {
        let images = digits::load().unwrap().test;
        let plain = Augment::new(None, &images).unwrap();
        assert_eq!((plain.height, plain.width), (8, 8));
        assert_eq!([plain.central(), plain.random(1, 2, 3)], [View::WHOLE; 2]);
    }

    #[test]
    fn every_place_is_as_likely_as_another() {
        let padded = augment(2, None, true).unwrap();
        let mut counts = [[[0u32; 5]; 5]; 2];
        for step in 0..100 {
            for position in 0..100 {
                let View { top, left, mirrored } = padded.random(7, step, position);
                counts[usize::from(mirrored)][(top + 2) as usize][(left + 2) as usize] += 1;
            }
        }
        // With 49 degrees of freedom, one seed in a thousand exceeds 85.4 by chance.
        let chi2: f64 =
            counts.iter().flatten().flatten().map(|&n| (f64::from(n) - 200.0).powi(2) / 200.0).sum();
        assert!(chi2 < 85.4, "{chi2}: {counts:?}");
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(augment(2, None, true).unwrap().central(), View::WHOLE);
        assert_eq!(augment(0, Some(5), true).unwrap().central(), View { top: 1, left: 1, mirrored: false });
        assert_eq!(
            augment(1, Some(10), false).unwrap().central(),
            View { top: -1, left: -1, mirrored: false }
        );
    }

    #[test]
    fn what_is_larger_than_the_image_is_refused() {
        let message = augment(1, Some(11), false).unwrap_err().to_string();
        assert_eq!(message, "11x11 pixels cannot be cropped from 8x8 with 1 pixels of padding on each side");
    }
}
