//! The shortcut without parameters between residual blocks of different shapes: option A of He, Zhang, Ren and Sun, "Deep
//! residual learning for image recognition" (2016), section 3.3.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::{Coupling, Units};
use crate::declare::{Adjustable, Declare, Parts};
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::size::elements;
use crate::{Execution, Shape};
use ternflock_base::text::plural;
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut};

/// Keeps every `stride`-th row and column, and adds channels of zeros until there are `channels`. Unless
/// `before` is set, half of the zero channels, rounded down, come before the image's own channels and the
/// rest after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortcut {
    /// Number of channels of the output.
    pub channels: usize,
    /// The number of zero channels before the image's own; half of them, rounded down, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<usize>,
    /// The distance between the rows and columns that are kept.
    #[serde(default = "one")]
    pub stride: usize,
}

fn one() -> usize {
    1
}

impl Shortcut {
    /// Channels of zeros before the `channels` of the image.
    fn first(&self, channels: usize) -> usize {
        self.before.unwrap_or((self.channels - channels) / 2)
    }
}

impl Examples for Shortcut {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "shortcut", "channels": 8, "stride": 2}"#, inputs: &[IMAGE] }];
}

impl Declare for Shortcut {
    fn parts(&self) -> Parts<'_> {
        Parts::default()
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable {
            units: Some(&mut self.channels),
            zeros_before: Some(&mut self.before),
            ..Adjustable::default()
        }
    }
}

impl Describe for Shortcut {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = single_image(inputs)?;
        if self.stride == 0 {
            return Err("stride must be at least 1".into());
        }
        if self.channels < channels {
            return Err(format!(
                "takes images of at most {}, which it keeps and extends, got {}",
                plural(self.channels, "channel"),
                inputs[0].described()
            ));
        }
        if self.first(channels) > self.channels - channels {
            return Err(format!(
                "before = {} leaves no room for the image's {} among {}",
                self.first(channels),
                plural(channels, "channel"),
                self.channels
            ));
        }
        let (height, width) = (height.div_ceil(self.stride), width.div_ceil(self.stride));
        elements(&[self.channels, height, width])?;
        Ok(Shape::Image { channels: self.channels, height, width })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, inputs: &[Shape]) -> Result<Coupling, String> {
        let (channels, ..) = single_image(inputs)?;
        Ok(Coupling::new(Units::Within(self.first(channels))))
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        let (channels, height, width) = single_image(inputs)?;
        let first = self.first(channels);
        let (stride, own) = (self.stride, first..first + channels);
        Ok(Box::new(Sampling { own, total: self.channels, size: (height, width), stride }))
    }
}

struct Sampling {
    /// The range of the image's own channels in the output.
    own: Range<usize>,
    total: usize,
    /// H and W of the input.
    size: (usize, usize),
    stride: usize,
}

impl Sampling {
    /// The number of output pixels, and the input pixel of each.
    fn pixels(&self) -> impl Iterator<Item = usize> + use<> {
        let ((height, width), stride) = (self.size, self.stride);
        let row = move |h: usize| (0..width).step_by(stride).map(move |w| h * width + w);
        (0..height).step_by(stride).flat_map(row)
    }
}

impl Layer for Sampling {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, x) = (pass.batch, pass.x.get(0));
        let plane = self.size.0 * self.size.1 * n;
        let width = pass.y.len() / self.total;
        for_each_row(rows_mut(pass.y, width), |channel, y| {
            if !self.own.contains(&channel) {
                return y.fill(0.0);
            }
            let x = &x[(channel - self.own.start) * plane..][..plane];
            for (y, pixel) in y.chunks_exact_mut(n).zip(self.pixels()) {
                y.copy_from_slice(&x[pixel * n..][..n]);
            }
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, width) = (pass.batch, pass.dy.len() / self.total);
        let Some(dx) = pass.dx.get(0) else { return };
        let dy = &pass.dy[self.own.start * width..self.own.end * width];
        let plane = self.size.0 * self.size.1 * n;
        for_each_row((rows(dy, width), rows_mut(dx, plane)), |_, (dy, dx)| {
            dx.fill(0.0);
            for (dy, pixel) in dy.chunks_exact(n).zip(self.pixels()) {
                dx[pixel * n..][..n].copy_from_slice(dy);
            }
        });
    }
}
