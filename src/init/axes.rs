//! What the dimensions of an array of inputs mean.

use ternflock_data::FoundArray;

/// The shortest side of an image. It tells grey images from sequences.
const SHORTEST_SIDE: usize = 8;

/// The meaning of the dimensions of inputs, as a job names it and in words.
pub fn axes(inputs: &FoundArray) -> Option<(&'static str, &'static str)> {
    let is_colour = |length: usize| matches!(length, 1 | 3 | 4);
    match inputs.shape[..] {
        [_] => Some(("N", "samples of one number")),
        [_, _] => Some(("NF", "samples and features")),
        [_, one, other] => {
            let is_square = one == other && one >= SHORTEST_SIDE;
            let has_sides = one.min(other) >= SHORTEST_SIDE;
            match is_square || inputs.element == "uint8" && has_sides {
                true => Some(("NHW", "samples, rows and columns of grey images")),
                false => Some(("NTF", "samples, steps and features of sequences")),
            }
        }
        [_, first, _, last] if is_colour(last) && !is_colour(first) => {
            Some(("NHWC", "samples, rows, columns and channels of images"))
        }
        [_, _, _, _] => Some(("NCHW", "samples, channels, rows and columns of images")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_say_what_dimensions_are() {
        let of = |shape: &[usize], element: &str| {
            let found = FoundArray {
                name: String::new(),
                shape: shape.into(),
                element: element.into(),
                is_integer: false,
            };
            axes(&found).map(|(axes, _)| axes)
        };
        for (shape, element, expected) in [
            (&[9][..], "float32", Some("N")),
            (&[9, 4], "float32", Some("NF")),
            (&[9, 50, 3], "float32", Some("NTF")),
            (&[9, 28, 28], "float32", Some("NHW")),
            (&[9, 20, 30], "uint8", Some("NHW")),
            (&[9, 20, 4], "uint8", Some("NTF")),
            (&[9, 3, 8, 8], "uint8", Some("NCHW")),
            (&[9, 8, 8, 3], "uint8", Some("NHWC")),
            (&[9, 1, 8, 1], "uint8", Some("NCHW")),
            (&[9, 2, 2, 2, 2], "float32", None),
        ] {
            assert_eq!(of(shape, element), expected, "{shape:?}");
        }
    }
}
