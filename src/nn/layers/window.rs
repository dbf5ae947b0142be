//! The arithmetic of sliding windows, shared by convolution and pooling.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::single_image;
use crate::Shape;
use crate::spec::{Pair, default};
use ternflock_tensor::Window;

/// The options of both pooling layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooling {
    /// Window height and width.
    pub kernel: Pair,
    /// Stride of the window; by default the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Rows and columns of padding around the image.
    #[serde(default = "default::zero")]
    pub padding: Pair,
    /// Round the output size up, as Caffe does, instead of down.
    #[serde(default)]
    pub ceil: bool,
}

impl Pooling {
    pub(super) fn window(&self, inputs: &[Shape]) -> Result<Window, String> {
        let stride = self.stride.unwrap_or(self.kernel);
        window(single_image(inputs)?, self.kernel.get(), stride.get(), self.padding.get(), self.ceil)
    }
}

/// No window is longer.
pub(super) const LARGEST: usize = 1 << 20;

/// The window of a convolution or pooling over (C, H, W) images. With `ceil` the last window may extend over
/// the lower or right edge, as in Caffe's pooling; it must still begin inside the image or its left padding.
pub fn window(
    image: (usize, usize, usize),
    kernel: (usize, usize),
    stride: (usize, usize),
    padding: (usize, usize),
    ceil: bool,
) -> Result<Window, String> {
    let (channels, height, width) = image;
    let output = (
        outputs("height", height, kernel.0, stride.0, padding.0, ceil)?,
        outputs("width", width, kernel.1, stride.1, padding.1, ceil)?,
    );
    Ok(Window { channels, size: (height, width), kernel, stride, padding, output })
}

/// The number of windows along one side, called `name`, of `size` elements.
pub(super) fn outputs(
    name: &str,
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    ceil: bool,
) -> Result<usize, String> {
    if kernel == 0 || stride == 0 {
        return Err("kernel and stride must be at least 1".to_string());
    }
    if kernel.max(stride) > LARGEST {
        return Err(format!("kernel and stride must be at most {LARGEST}"));
    }
    if padding >= kernel {
        return Err(format!("padding {padding} must be smaller than the kernel {kernel}"));
    }
    let padded = size + 2 * padding;
    let Some(room) = padded.checked_sub(kernel) else {
        return Err(format!("a kernel of {name} {kernel} does not fit {name} {size} with padding {padding}"));
    };
    let outputs = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
    let last_outside = (outputs - 1) * stride >= size + padding;
    Ok(if last_outside { outputs - 1 } else { outputs })
}

/// The part of one side that a pooling window covers: rows or columns of an image, steps of a sequence.
pub fn covered(index: usize, kernel: usize, stride: usize, padding: usize, size: usize) -> Range<usize> {
    let first = index * stride;
    first.saturating_sub(padding)..(first + kernel).saturating_sub(padding).min(size)
}

/// The pixels of one pooling window.
#[derive(Clone)]
pub(super) struct Pixels {
    /// The rows of the image.
    pub rows: Range<usize>,
    /// The columns of the image.
    pub columns: Range<usize>,
    /// The number of columns of the image.
    pub width: usize,
}

impl Pixels {
    /// Calls `visit` with each pixel, row by row.
    #[inline(always)]
    pub fn each(&self, mut visit: impl FnMut(usize)) {
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                visit(row * self.width + column);
            }
        }
    }

    /// The first one. A window covers at least one pixel.
    #[inline(always)]
    pub fn first(&self) -> usize {
        self.rows.start * self.width + self.columns.start
    }
}
