//! Images in IDX files, the format of MNIST.

use std::path::{Path, PathBuf};

use super::{Inputs, Stored, Unit};
use ternflock_base::error::Result;
use ternflock_data::read_idx_images;
use ternflock_nn::Shape;

/// The grey images of an IDX file, raw or compressed with gzip.
pub struct IdxImages {
    path: PathBuf,
    /// N, H, W.
    sizes: [usize; 3],
    pixels: Vec<u8>,
}

impl IdxImages {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it is not an IDX file of images, or damaged.
    pub fn open(path: &Path) -> Result<IdxImages> {
        let (sizes, pixels) = read_idx_images(path)?;
        Ok(IdxImages { path: path.into(), sizes, pixels })
    }
}

impl Inputs for IdxImages {
    fn path(&self) -> &Path {
        &self.path
    }

    fn samples(&self) -> usize {
        self.sizes[0]
    }

    fn read(&self, number: usize, sample: &mut Stored) -> std::result::Result<(), String> {
        let [_, height, width] = self.sizes;
        sample.shape = Shape::Image { channels: 1, height, width };
        sample.unit = Unit::Whole;
        sample.values.clear();
        let pixels = &self.pixels[number * height * width..][..height * width];
        sample.values.extend(pixels.iter().map(|&pixel| f32::from(pixel)));
        Ok(())
    }
}
