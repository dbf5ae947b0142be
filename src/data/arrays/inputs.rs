//! Inputs without targets, for trained networks.

use std::cell::RefCell;
use std::path::Path;

use super::array::Array;
use super::element::Element;
use super::hdf5::Hdf5;
use super::layout::Layout;
use super::npy::Npy;
use super::npz;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{open_regular, read_start};
use ternflock_job::Axes;
use ternflock_nn::Shape;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The inputs of samples in the array of a NumPy or HDF5 file.
pub struct ArrayInputs {
    array: Box<dyn Array>,
    layout: Layout,
}

/// Whether the file at `path` is an archive of NumPy arrays.
fn is_archive(path: &Path) -> bool {
    let start = open_regular(path).and_then(|file| read_start(file, 4));
    start.is_ok_and(|start| npz::is_archive(&start))
}

impl ArrayInputs {
    /// Opens the array at `path`: a NumPy file, an array in an archive such as `file.npz:inputs`, the only array of such an
    /// archive, or a dataset of an HDF5 file such as `file.h5:/inputs`. Its dimensions have the meaning `axes`, and the
    /// samples must have the shape `expected`.
    ///
    /// # Errors
    /// If there is no such array, or if its samples have another shape.
    pub fn open(path: &Path, axes: Option<Axes>, expected: Shape) -> Result<ArrayInputs> {
        let within = path.to_str().filter(|name| !path.exists() && name.contains(':'));
        let array: Box<dyn Array> = match within {
            Some(name) if name.contains(":/") => Box::new(Hdf5::open(name, None)?),
            Some(name) => Box::new(npz::open(name, None)?),
            None if is_archive(path) => Box::new(npz::open_only(path)?),
            None => Box::new(Npy::open(path)?),
        };
        let row = &array.shape()[1..];
        // A grey image may lack the dimension of its only channel.
        let grey = matches!((expected, row), (Shape::Image { channels: 1, .. }, [_, _])).then_some(Axes::Nhw);
        let layout = Layout::new(row, axes.or(grey)).map_err(|reason| Error::data(path, reason))?;
        if layout.shape != expected {
            let (found, expected) = (layout.shape.described(), expected.described());
            return Err(Error::data(
                path,
                format!(
                    "an array of shape {:?} holds {found}; the network was trained on {expected}",
                    array.shape()
                ),
            ));
        }
        Ok(ArrayInputs { array, layout })
    }

    /// N, the number of samples.
    pub fn samples(&self) -> usize {
        self.array.rows()
    }

    /// Whether its numbers are integers.
    pub fn is_integer(&self) -> bool {
        self.array.element().is_integer()
    }

    /// Whether they are images of bytes, whose 255 stands for 1.0.
    pub fn is_image_of_bytes(&self) -> bool {
        self.array.element() == Element::Unsigned(1) && matches!(self.layout.shape, Shape::Image { .. })
    }

    /// Reads sample `number` to `out`: `[C, H, W]`, `[T, D]` or `[D]`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, number: usize, out: &mut [f32]) -> Result<()> {
        self.array.floats(number, out)?;
        SCRATCH.with_borrow_mut(|scratch| self.layout.arrange(out, scratch));
        Ok(())
    }
}
