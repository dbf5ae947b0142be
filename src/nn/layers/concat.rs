//! Concatenates the channels of images, where the branches of an Inception module meet (Szegedy et al.,
//! "Going deeper with convolutions", 2015, figure 2).

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::{Coupling, Units};
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut};

/// The channels of two or more images of the same height and width, starting with those of the first input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

impl Examples for Concat {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "concat"}"#, inputs: &[IMAGE, IMAGE] }];
}

impl WithoutMatrix for Concat {}

impl Describe for Concat {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [first, _, ..] = inputs else {
            return Err(format!("concatenates two or more inputs, got {}", inputs.len()));
        };
        let (_, height, width) = single_image(&[*first])?;
        let mut all = 0_usize;
        for input in inputs {
            let (channels, own_height, own_width) = single_image(&[*input])?;
            if (own_height, own_width) != (height, width) {
                return Err(format!(
                    "concatenates images of the same height and width, got {first} and {input}"
                ));
            }
            all = all.checked_add(channels).ok_or("has too many channels to count")?;
        }
        Ok(Shape::Image { channels: all, height, width })
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::new(Units::SideBySide))
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(SideBySide { inputs: inputs.len() }))
    }
}

struct SideBySide {
    inputs: usize,
}

/// Number of elements that a thread processes at a time.
const ROW: usize = 16 * 1024;

impl Layer for SideBySide {
    /// Channels come first in memory, so that each input is one contiguous range of the output.
    fn forward(&mut self, pass: Forward<'_>) {
        let mut rest = pass.y;
        for index in 0..self.inputs {
            let x = pass.x.get(index);
            let (y, behind) = rest.split_at_mut(x.len());
            for_each_row((rows_mut(y, ROW), rows(x, ROW)), |_, (y, x)| y.copy_from_slice(x));
            rest = behind;
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let mut rest = pass.dy;
        for index in 0..self.inputs {
            let (dy, behind) = rest.split_at(pass.x.get(index).len());
            if let Some(dx) = pass.dx.get(index) {
                for_each_row((rows_mut(dx, ROW), rows(dy, ROW)), |_, (dx, dy)| dx.copy_from_slice(dy));
            }
            rest = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: usize, side: usize) -> Shape {
        Shape::Image { channels, height: side, width: side }
    }

    #[test]
    fn channels_add_up() {
        let output = Concat {}.output(&[image(2, 5), image(3, 5), image(1, 5)]);
        assert_eq!(output, Ok(image(6, 5)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |inputs: &[Shape], what: &str| {
            let error = Concat {}.output(inputs).unwrap_err();
            assert!(error.contains(what), "{error}");
        };
        refused(&[image(2, 5)], "concatenates two or more inputs, got 1");
        refused(&[], "got 0");
        refused(&[image(2, 5), image(2, 4)], "got 2x5x5 and 2x4x4");
        refused(&[image(2, 5), Shape::Vector { features: 3 }], "takes images (CxHxW)");
        refused(&[image(usize::MAX, 5), image(1, 5)], "has too many channels to count");
    }
}
