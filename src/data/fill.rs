//! Converts bytes to the input of a network.

use super::{Augment, Images, View};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_nn::Targets;

/// The mean that is subtracted from each channel and the standard deviation by which the result is divided,
/// in units in which full scale is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalise {
    /// `[C]`
    pub mean: Vec<f32>,
    /// `[C]`, each above zero.
    pub std: Vec<f32>,
}

/// Converts samples to network inputs: (pixel / full scale - mean) / std, with one table look-up per pixel.
#[derive(Clone, Debug)]
pub struct Fill {
    /// `[C]`: the value of each byte.
    tables: Vec<[f32; 256]>,
}

impl Fill {
    /// The conversion for images like `images`. Without `normalise`, only full scale is mapped to 1.
    ///
    /// # Errors
    /// If `normalise` does not have one finite mean and one positive standard deviation per channel.
    pub fn new(images: &Images, normalise: Option<&Normalise>) -> Result<Self> {
        let channels = images.channels;
        let plain = Normalise { mean: vec![0.0; channels], std: vec![1.0; channels] };
        let Normalise { mean, std } = normalise.unwrap_or(&plain);
        if mean.len() != channels || std.len() != channels {
            return Err(Error::Usage(format!(
                "normalisation has {} and {}, but the images have {}",
                plural(mean.len(), "mean"),
                plural(std.len(), "standard deviation"),
                plural(channels, "channel")
            )));
        }
        if !(mean.iter().all(|mean| mean.is_finite()) && std.iter().all(|std| std.is_normal() && *std > 0.0))
        {
            return Err(Error::Usage(format!(
                "normalisation by mean {mean:?} and standard deviation {std:?}: means must be finite, deviations positive"
            )));
        }
        let full_scale = f32::from(images.full_scale);
        let tables = mean
            .iter()
            .zip(std)
            .map(|(mean, std)| std::array::from_fn(|byte| (byte as f32 / full_scale - mean) / std))
            .collect();
        Ok(Fill { tables })
    }

    /// Writes `samples` of `images` to `out`, `[C, H, W, N]` with N = `samples.len()`, pixel by pixel over
    /// the batch. `view` returns the part of a sample for its position, and `augment` sets the size of the
    /// parts. Padding is 0.
    ///
    /// # Errors
    /// If `out` has another size.
    pub fn pixels(
        &self,
        images: &Images,
        samples: &[usize],
        augment: &Augment,
        view: impl Fn(usize) -> View,
        out: &mut [f32],
    ) -> Result<()> {
        let (channels, batch) = (images.channels, samples.len());
        let Augment { height, width, .. } = *augment;
        if self.tables.len() != channels || out.len() != channels * batch * height * width {
            return Err(Error::Shape {
                layer: "data".into(),
                operation: "fill".into(),
                message: format!(
                    "{batch} samples of {channels}x{height}x{width} do not fit {} values of {} channels",
                    out.len(),
                    self.tables.len()
                ),
            });
        }
        let area = images.height * images.width;
        for (position, &sample) in samples.iter().enumerate() {
            let (view, pixels) = (view(position), images.sample(sample));
            for (channel, table) in self.tables.iter().enumerate() {
                let plane = &pixels[channel * area..][..area];
                for row in 0..height {
                    let out = &mut out[((channel * height + row) * width * batch) + position..];
                    let values = out.iter_mut().step_by(batch).take(width);
                    let source = row_of(plane, images.width, view.top + row as isize);
                    write_row(values, source, view, |byte| table[usize::from(byte)]);
                }
            }
        }
        Ok(())
    }
}

/// Row `row` of a channel's `plane` with `width` columns; empty outside of it.
pub(super) fn row_of<T>(plane: &[T], width: usize, row: isize) -> &[T] {
    let first = usize::try_from(row).ok().and_then(|row| row.checked_mul(width));
    first.and_then(|first| plane.get(first..)?.get(..width)).unwrap_or_default()
}

/// Writes the part of `source` that `view` selects, as `convert` makes it, and 0 outside of `source`.
pub(super) fn write_row<'a, T: Copy>(
    values: impl DoubleEndedIterator<Item = &'a mut f32>,
    source: &[T],
    view: View,
    convert: impl Fn(T) -> f32,
) {
    let before = view.left.min(0).unsigned_abs();
    let first = (view.left.max(0) as usize).min(source.len());
    let shown = source[first..].iter().map(|&value| convert(value));
    let row = std::iter::repeat_n(0.0, before).chain(shown).chain(std::iter::repeat(0.0));
    if view.mirrored {
        values.rev().zip(row).for_each(|(value, shown)| *value = shown);
    } else {
        values.zip(row).for_each(|(value, shown)| *value = shown);
    }
}

/// Replaces `out` with the labels of `samples`, `[N]`.
pub fn labels(images: &Images, samples: &[usize], out: &mut Targets) {
    out.labels.clear();
    out.labels.extend(samples.iter().map(|&sample| usize::from(images.labels[sample])));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn images(samples: usize, channels: usize, height: usize, width: usize) -> Images {
        Images {
            channels,
            height,
            width,
            pixels: (0..samples * channels * height * width).map(|i| (i * 37 % 256) as u8).collect(),
            labels: (0..samples).map(|i| (i % 7) as u8).collect(),
            classes: 7,
            full_scale: 255,
        }
    }

    impl Fill {
        fn whole(&self, images: &Images, samples: &[usize], out: &mut [f32]) -> Result<()> {
            self.pixels(images, samples, &Augment::new(None, images).unwrap(), |_| View::WHOLE, out)
        }
    }

    proptest! {
        /// Compares a padded and mirrored part with a look-up of each of its pixels.
        #[test]
        fn a_part_of_an_image_is_what_its_view_says(
            h in 1usize..6, w in 1usize..6, padding in 0usize..3, crop in 1usize..8, seed in any::<u64>()
        ) {
            let images = images(4, 2, h, w);
            let job = ternflock_job::Augment { padding, crop: Some(crop), mirror: true };
            prop_assume!(crop <= h.min(w) + 2 * padding);
            let augment = Augment::new(Some(&job), &images).unwrap();
            let normalise = Normalise { mean: vec![0.5, 0.25], std: vec![0.5, 2.0] };
            let (samples, mut out) = ([2, 0, 3], vec![f32::NAN; 2 * crop * crop * 3]);
            let view = |position| augment.random(seed, 5, position);
            Fill::new(&images, Some(&normalise)).unwrap().pixels(&images, &samples, &augment, view, &mut out).unwrap();
            for (i, sample) in samples.iter().enumerate() {
                let View { top, left, mirrored } = view(i);
                for (channel, table) in Fill::new(&images, Some(&normalise)).unwrap().tables.iter().enumerate() {
                    for y in 0..crop {
                        for x in 0..crop {
                            let across = if mirrored { crop - 1 - x } else { x };
                            let (row, column) = (top + y as isize, left + across as isize);
                            let inside = (0..h as isize).contains(&row) && (0..w as isize).contains(&column);
                            let at = (channel * h * w) as isize + row * w as isize + column;
                            let expected =
                                if inside { table[usize::from(images.sample(*sample)[at as usize])] } else { 0.0 };
                            prop_assert_eq!(out[((channel * crop + y) * crop + x) * 3 + i], expected);
                        }
                    }
                }
            }
        }

        #[test]
        fn every_value_is_where_the_network_looks_for_it(
            n in 0usize..5, c in 1usize..4, h in 1usize..5, w in 1usize..5, seed in any::<usize>()
        ) {
            let images = images(10, c, h, w);
            let normalise = Normalise { mean: vec![0.1, 0.2, 0.3][..c].into(), std: vec![0.5, 0.25, 2.0][..c].into() };
            let samples: Vec<usize> = (0..n).map(|i| seed.wrapping_add(i * 3) % 10).collect();
            let mut out = vec![f32::NAN; c * n * h * w];
            Fill::new(&images, Some(&normalise)).unwrap().whole(&images, &samples, &mut out).unwrap();
            for (i, sample) in samples.iter().enumerate() {
                for (channel, (mean, std)) in normalise.mean.iter().zip(&normalise.std).enumerate() {
                    for y in 0..h {
                        for x in 0..w {
                            let pixel = images.pixels[((sample * c + channel) * h + y) * w + x];
                            let expected = (f32::from(pixel) / 255.0 - mean) / std;
                            prop_assert_eq!(out[((channel * h + y) * w + x) * n + i], expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn full_scale_becomes_one() {
        for full_scale in [16, 255] {
            let images = Images { pixels: vec![0, full_scale], full_scale, ..images(1, 1, 1, 2) };
            let mut out = [f32::NAN; 2];
            Fill::new(&images, None).unwrap().whole(&images, &[0], &mut out).unwrap();
            assert_eq!(out, [0.0, 1.0]);
        }
    }

    #[test]
    fn labels_follow_the_samples() {
        let mut out = Targets::of_labels(vec![99; 3]);
        labels(&images(10, 1, 1, 1), &[9, 0, 6, 9], &mut out);
        assert_eq!(out.labels, [2, 0, 6, 2]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let images = images(2, 3, 2, 2);
        let refusal = |mean: &[f32], std: &[f32]| {
            let normalise = Normalise { mean: mean.into(), std: std.into() };
            Fill::new(&images, Some(&normalise)).unwrap_err().to_string()
        };
        assert!(refusal(&[0.5], &[1.0; 3]).contains("1 mean and 3 standard deviations"));
        assert!(refusal(&[0.0; 3], &[1.0, 0.0, 1.0]).contains("deviations positive"));
        assert!(refusal(&[0.0, f32::NAN, 0.0], &[1.0; 3]).contains("means must be finite"));
        let message = Fill::new(&images, None).unwrap().whole(&images, &[0, 1], &mut [0.0; 12]).unwrap_err();
        assert!(message.to_string().contains("2 samples of 3x2x2 do not fit 12 values"), "{message}");
    }
}
