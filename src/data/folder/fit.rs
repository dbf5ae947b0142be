//! From an image of any size to the size of the network's input.

use super::decode::Picture;
use super::resize::{Window, resize};
use ternflock_job::Resize;

/// How images get their common size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Rows and columns.
    pub size: [usize; 2],
    /// What happens to images of another size.
    pub resize: Resize,
}

impl Fit {
    /// `picture` in this size.
    ///
    /// # Errors
    /// With the reason, if it has another size and may not be resized.
    pub fn apply(self, picture: Picture) -> Result<Picture, String> {
        let [height, width] = self.size;
        if [picture.height, picture.width] == self.size {
            return Ok(picture);
        }
        let [rows, columns] = match self.resize {
            Resize::None => {
                return Err(format!(
                    "has {}x{} pixels, not {height}x{width}: set data.resize = \"crop\" or \"stretch\" and data.size",
                    picture.height, picture.width
                ));
            }
            Resize::Stretch => self.size,
            Resize::Crop => covering(self.size, [picture.height, picture.width]),
        };
        let window = Window { top: centre(rows - height), left: centre(columns - width), height, width };
        Ok(resize(&picture, rows, columns, window))
    }
}

/// The smallest size with the proportions of `image` that covers `size`; for a square, torchvision's `Resize(side)`.
fn covering([height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> [usize; 2] {
    // Whether the height needs the larger factor.
    match height * columns >= width * rows {
        true => [height, height * columns / rows],
        false => [width * rows / columns, width],
    }
}

/// The first of the pixels that remain if `more` are cropped, half of them on each side. An odd number is rounded as by
/// torchvision's `CenterCrop`: to the nearest even half.
fn centre(more: usize) -> usize {
    match more % 4 {
        3 => more / 2 + 1,
        _ => more / 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_are_rounded_as_python_rounds_them() {
        // round(0.5), round(1.5), round(2.5), round(3.5)
        assert_eq!([1, 3, 5, 7].map(centre), [0, 2, 2, 4]);
        assert_eq!([0, 2, 4, 6].map(centre), [0, 1, 2, 3]);
    }

    #[test]
    fn an_image_of_another_size_is_refused_without_a_resize() {
        let picture = Picture { height: 2, width: 3, channels: 1, pixels: vec![0; 6] };
        let fit = Fit { size: [2, 2], resize: Resize::None };
        assert!(fit.apply(picture).unwrap_err().starts_with("has 2x3 pixels, not 2x2: set data.resize"));
    }

    proptest! {
        #[test]
        fn the_resized_image_covers_the_size_and_touches_it(
            size in [1usize..300, 1usize..300], image in [1usize..3000, 1usize..3000]
        ) {
            let covered = covering(size, image);
            prop_assert!(covered[0] >= size[0] && covered[1] >= size[1]);
            prop_assert!(covered[0] == size[0] || covered[1] == size[1]);
        }

        #[test]
        fn every_size_becomes_the_wanted_one(
            size in [1usize..20, 1usize..20], image in [1usize..40, 1usize..40], stretch in any::<bool>(), value in any::<u8>()
        ) {
            let [height, width] = image;
            let picture = Picture { height, width, channels: 3, pixels: vec![value; height * width * 3] };
            let resize = if stretch { Resize::Stretch } else { Resize::Crop };
            let fitted = Fit { size, resize }.apply(picture).unwrap();
            prop_assert_eq!([fitted.height, fitted.width], size);
            // The weights add up to one.
            prop_assert_eq!(fitted.pixels, vec![value; size[0] * size[1] * 3]);
        }
    }
}
