//! Concatenates the channels of images, where the branches of an Inception module meet (Szegedy et al.,
//! "Going deeper with convolutions", 2015, figure 2), or the features of vectors or sequences.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, SEQUENCE, VECTOR, single_image, single_rows};
use crate::coupling::{Coupling, Units};
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut};

/// The channels of two or more images of the same height and width, or the features of vectors or of sequences with
/// the same number of steps, starting with those of the first input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {}

impl Examples for Concat {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "concat"}"#, inputs: &[IMAGE, IMAGE] },
        Example { table: r#"{"type": "concat"}"#, inputs: &[VECTOR, VECTOR] },
        Example { table: r#"{"type": "concat"}"#, inputs: &[SEQUENCE, SEQUENCE] },
    ];
}

impl WithoutMatrix for Concat {}

impl Describe for Concat {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [first, _, ..] = inputs else {
            return Err(format!("concatenates two or more inputs, got {}", inputs.len()));
        };
        let mut all = 0_usize;
        for input in inputs {
            if with_units(*first, input.units())? != *input {
                return Err(match first {
                    Shape::Image { .. } => {
                        format!("concatenates images of the same height and width, got {first} and {input}")
                    }
                    Shape::Sequence { .. } => {
                        format!("concatenates sequences of the same number of steps, got {first} and {input}")
                    }
                    _ => format!(
                        "concatenates inputs of one kind, got {} and {}",
                        first.described(),
                        input.described()
                    ),
                });
            }
            all = all.checked_add(input.units()).ok_or("has too many channels to count")?;
        }
        with_units(*first, all)
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::new(Units::SideBySide))
    }

    fn build(&self, inputs: &[Shape], _: Execution, buffers: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(match self.output(inputs)? {
            Shape::Image { .. } => Box::new(SideBySide { inputs: inputs.len() }),
            all => {
                let widths = buffers.list(inputs.iter().map(Shape::units))?;
                Box::new(RowsSideBySide { widths, all: all.units() })
            }
        })
    }
}

/// A shape like `shape` with `units` channels or features.
fn with_units(shape: Shape, units: usize) -> Result<Shape, String> {
    if let Shape::Image { .. } = shape {
        let (_, height, width) = single_image(&[shape])?;
        return Ok(Shape::Image { channels: units, height, width });
    }
    single_rows(&[shape])?;
    Ok(match shape {
        Shape::Sequence { steps, .. } => Shape::Sequence { steps, features: units },
        _ => Shape::Vector { features: units },
    })
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
            let (dy, behind) = rest.split_at(pass.x.elements(index));
            if let Some(dx) = pass.dx.get(index) {
                for_each_row((rows_mut(dx, ROW), rows(dy, ROW)), |_, (dx, dy)| dx.copy_from_slice(dy));
            }
            rest = behind;
        }
    }
}

/// Of vectors and sequences, the features of one row are adjacent.
struct RowsSideBySide {
    /// The features of each input.
    widths: Vec<usize>,
    /// Their sum.
    all: usize,
}

impl RowsSideBySide {
    /// By input: its features in a row of the output.
    fn places(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let ends = self.widths.iter().scan(0, |end, &width| {
            *end += width;
            Some(*end - width..*end)
        });
        ends.enumerate()
    }
}

impl Layer for RowsSideBySide {
    fn forward(&mut self, pass: Forward<'_>) {
        for (index, place) in self.places() {
            let x = rows(pass.x.get(index), place.len());
            for_each_row((rows_mut(&mut *pass.y, self.all), x), |_, (y, x)| {
                y[place.clone()].copy_from_slice(x);
            });
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        for (index, place) in self.places() {
            let Some(dx) = pass.dx.get(index) else { continue };
            for_each_row((rows_mut(dx, place.len()), rows(pass.dy, self.all)), |_, (dx, dy)| {
                dx.copy_from_slice(&dy[place.clone()]);
            });
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
    fn features_add_up() {
        let (vector, sequence) =
            (|features| Shape::Vector { features }, |steps, features| Shape::Sequence { steps, features });
        assert_eq!(Concat {}.output(&[vector(2), vector(3)]), Ok(vector(5)));
        assert_eq!(Concat {}.output(&[sequence(4, 2), sequence(4, 3)]), Ok(sequence(4, 5)));
        let refused = |inputs: &[Shape], what: &str| {
            let error = Concat {}.output(inputs).unwrap_err();
            assert!(error.contains(what), "{error}");
        };
        refused(&[sequence(4, 2), sequence(3, 2)], "the same number of steps, got 4x2 and 3x2");
        refused(&[vector(2), sequence(4, 2)], "of one kind, got vectors of 2 and sequences of 4x2");
        refused(&[Shape::Tokens { steps: 2, vocabulary: 3 }; 2], "put an `embedding` layer before it");
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
        refused(&[image(2, 5), Shape::Vector { features: 3 }], "got 2x5x5 and 3");
        refused(&[image(usize::MAX, 5), image(1, 5)], "has too many channels to count");
    }
}
