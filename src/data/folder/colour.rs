//! From colour to grey and back, as Pillow's `convert` does.

use super::decode::Picture;
use ternflock_job::Colour;

/// The weights of red, green and blue in 2^-16 (ITU-R 601-2), as in Pillow.
const LUMA: [u32; 3] = [19_595, 38_470, 7_471];

/// The number of channels of images in `colour`.
pub fn channels(colour: Colour) -> usize {
    match colour {
        Colour::Rgb => 3,
        Colour::Grey => 1,
    }
}

/// `picture` in `colour`.
pub fn convert(picture: Picture, colour: Colour) -> Picture {
    let channels = channels(colour);
    let pixels = match (picture.channels, channels) {
        (1, 3) => picture.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        (3, 1) => picture.pixels.as_chunks::<3>().0.iter().map(luma).collect(),
        _ => return picture,
    };
    Picture { channels, pixels, ..picture }
}

fn luma(pixel: &[u8; 3]) -> u8 {
    let sum: u32 = pixel.iter().zip(LUMA).map(|(&value, weight)| u32::from(value) * weight).sum();
    // The weights add up to 2^16, so the result is a byte.
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_is_grey_in_every_form() {
        let grey = Picture { height: 1, width: 3, channels: 1, pixels: vec![0, 127, 255] };
        let colour = convert(grey.clone(), Colour::Rgb);
        assert_eq!(colour.pixels, [0, 0, 0, 127, 127, 127, 255, 255, 255]);
        assert_eq!(convert(colour, Colour::Grey), grey);
        // The values of Pillow for pure red, green and blue.
        assert_eq!([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(|pixel| luma(&pixel)), [76, 150, 29]);
    }
}
