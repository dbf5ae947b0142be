//! From the numbers in a file to the input of a network, as in training.

use crate::Trained;
use crate::inputs::{Reading, Stored, Unit};
use ternflock_base::error::{Error, Result};
use ternflock_data::{self as data, Augment, Fit, View};
use ternflock_job as job;
use ternflock_nn::Shape;

/// The preparation of samples that the job of a checkpoint describes: full scale, mean and standard deviation, and the
/// central part of an image.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// The shape that the network reads.
    input: Shape,
    /// The shape of a sample in a file: that of the training samples.
    stored: Shape,
    /// The whole number that stands for 1.0 in the training data.
    full_scale: f32,
    /// Per channel; empty for samples without channels.
    mean: Vec<f32>,
    std: Vec<f32>,
    /// The central part of an image, and its height and width; `None`: samples are used as they are.
    part: Option<(View, [usize; 2])>,
    /// The normalisation that was measured on the training samples, and the names of the classes.
    measured: data::Preparation,
    fit: Option<Fit>,
    axes: Option<job::Axes>,
    /// The settings of a training table, and how its rows were cut into windows.
    table: Option<(job::Csv, Option<job::Windows>)>,
    predicts_values: bool,
}

impl Preparation {
    /// The preparation for the network of `trained`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the job and the network do not fit.
    pub fn of(trained: &Trained) -> Result<Preparation> {
        let (data, input) = (&trained.job.data, trained.graph.input());
        let measured = match trained.snapshot.preparation.as_str() {
            "" => data::Preparation::default(),
            text => data::Preparation::from_json(text).map_err(|reason| trained.refuse(reason))?,
        };
        if !measured.fits(input, trained.graph.output().elements()) {
            return Err(trained.refuse("its preparation of data is for another network"));
        }
        let plain = Preparation {
            input,
            stored: input,
            // Only images in bytes have a full scale.
            full_scale: match (&data.samples, &data.folder) {
                (Some(_), None) => 1.0,
                _ => fact(trained, "full_scale").and_then(|scale| scale.parse().ok()).unwrap_or(255.0),
            },
            mean: Vec::new(),
            std: Vec::new(),
            part: None,
            measured,
            fit: None,
            axes: data.arrays.as_ref().and_then(|arrays| arrays.axes),
            table: data.csv.clone().map(|csv| (csv, data.windows)),
            // As `TargetKind::described` says it.
            predicts_values: fact(trained, "targets").is_some_and(|targets| targets.contains(" value")),
        };
        let Shape::Image { channels, height, width } = input else { return Ok(plain) };
        let [mean, std] = [(&data.mean, 0.0), (&data.std, 1.0)]
            .map(|(values, usual)| values.clone().unwrap_or_else(|| vec![usual; channels]));
        if mean.len() != channels || std.len() != channels {
            return Err(trained.refuse(format!(
                "its job normalises {} channels, but its network takes {}",
                mean.len(),
                input.described()
            )));
        }
        let stored = fact(trained, "shape").and_then(image).unwrap_or(input);
        let fit = data.folder.as_ref().filter(|folder| folder.resize != job::Resize::None);
        let fit = fit.zip(size(stored)).map(|(folder, size)| Fit { size, resize: folder.resize });
        let part = match &data.augment {
            Some(augment) => {
                Some(central(stored, augment).map_err(|error| trained.refuse(error.to_string()))?)
            }
            None => None,
        };
        let shown = part.map_or(stored, |(_, [height, width])| Shape::Image { channels, height, width });
        if shown != (Shape::Image { channels, height, width }) {
            return Err(trained.refuse(format!(
                "its job shows {shown} of images of {stored}, but its network takes {}",
                input.described()
            )));
        }
        Ok(Preparation { stored, mean, std, part, fit, ..plain })
    }

    /// How files are read.
    pub fn reading(&self) -> Reading<'_> {
        let table = self.table.as_ref().zip(self.measured.table.as_ref());
        let table =
            table.map(|((how, windows), encoding)| data::TableReading { how, encoding, windows: *windows });
        Reading { shape: self.stored, fit: self.fit, axes: self.axes, table }
    }

    /// Whether the network predicts values, not classes.
    pub fn predicts_values(&self) -> bool {
        self.predicts_values
    }

    /// The names of the classes, by number; empty if they have none.
    pub fn class_names(&self) -> &[String] {
        &self.measured.class_names
    }

    /// Turns `outputs` for normalised targets into values in the targets' own unit.
    pub fn restore_targets(&self, outputs: &mut [f32]) {
        self.measured.restore_targets(outputs);
    }

    /// The shape of a prepared sample.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Writes `sample`, prepared, to `out`: `[C, H, W]`, `[T, D]` or `[D]`.
    ///
    /// # Errors
    /// With the reason, if the shape is another one, or if a value is not finite.
    pub fn prepare(&self, sample: &Stored, out: &mut [f32]) -> std::result::Result<(), String> {
        if sample.shape != self.stored {
            let (found, expected) = (sample.shape.described(), self.stored.described());
            return Err(format!("has {found}; the network was trained on {expected}"));
        }
        if let Some(at) = sample.values.iter().position(|value| !value.is_finite()) {
            return Err(format!("is {} at {}", sample.values[at], place(self.stored, at)));
        }
        // The order of these operations is that of training, so the results have the same bits.
        let scale = match sample.unit {
            Unit::Byte => 255.0,
            Unit::Whole => self.full_scale,
            Unit::Real => 1.0,
        };
        let mut values: Vec<f32> = sample.values.iter().map(|value| value / scale).collect();
        self.measured.normalise_inputs(self.stored, &mut values);
        let Shape::Image { channels, height, width } = self.stored else {
            out.copy_from_slice(&values);
            return Ok(());
        };
        let (View { top, left, .. }, [rows, columns]) = self.part.unwrap_or((View::WHOLE, [height, width]));
        for channel in 0..channels {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            let plane = &values[channel * height * width..][..height * width];
            let out = &mut out[channel * rows * columns..][..rows * columns];
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                let source = usize::try_from(top + row as isize).ok().filter(|&row| row < height);
                for (column, out) in out.iter_mut().enumerate() {
                    let across =
                        usize::try_from(left + column as isize).ok().filter(|&across| across < width);
                    // Padding is 0.
                    *out = source
                        .zip(across)
                        .map_or(0.0, |(row, across)| (plane[row * width + across] - mean) / std);
                }
            }
        }
        Ok(())
    }
}

/// The fact called `name` about the training data of `trained`, or about its other sets.
fn fact<'a>(trained: &'a Trained, name: &str) -> Option<&'a str> {
    let data = &trained.snapshot.data;
    let sets = data.get("training").into_iter().chain(data.values());
    sets.filter_map(|facts| facts.get(name)).map(String::as_str).next()
}

/// The shape of images that a fact states.
fn image(text: &str) -> Option<Shape> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    match sizes?[..] {
        [channels, height, width] => Some(Shape::Image { channels, height, width }),
        _ => None,
    }
}

/// The height and width of an image.
fn size(shape: Shape) -> Option<[usize; 2]> {
    match shape {
        Shape::Image { height, width, .. } => Some([height, width]),
        _ => None,
    }
}

/// The part that evaluation shows of images of shape `stored`, and its height and width.
fn central(stored: Shape, augment: &job::Augment) -> Result<(View, [usize; 2])> {
    let Shape::Image { height, width, .. } = stored else {
        return Err(Error::Usage(format!("its job crops {}", stored.described())));
    };
    let augment = Augment::of_size(Some(augment), [height, width])?;
    Ok((augment.central(), [augment.height, augment.width]))
}

/// The place of value `at` of a sample of `shape`.
fn place(shape: Shape, at: usize) -> String {
    match shape {
        Shape::Image { height, width, .. } => {
            let (channel, rest) = (at / (height * width), at % (height * width));
            format!("channel {channel}, row {}, column {}", rest / width, rest % width)
        }
        Shape::Sequence { features, .. } => format!("step {}, feature {}", at / features, at % features),
        Shape::Vector { .. } | Shape::Tokens { .. } => format!("feature {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(side: usize) -> Preparation {
        let stored = Shape::Image { channels: 2, height: 3, width: 4 };
        let augment = job::Augment { padding: 1, crop: Some(side), mirror: true };
        Preparation {
            input: Shape::Image { channels: 2, height: side, width: side },
            stored,
            full_scale: 16.0,
            mean: vec![0.5, 0.25],
            std: vec![0.5, 2.0],
            part: Some(central(stored, &augment).unwrap()),
            measured: data::Preparation::default(),
            fit: None,
            axes: None,
            table: None,
            predicts_values: false,
        }
    }

    /// Compared with the conversion of training, for a part inside of the image and one with padding.
    #[test]
    fn a_sample_is_prepared_as_in_training() {
        let pixels: Vec<u8> = (0..24).map(|at| at * 9).collect();
        for (unit, full_scale) in [(Unit::Byte, 255), (Unit::Whole, 16)] {
            for side in [2, 3, 5] {
                let images = data::Images {
                    channels: 2,
                    height: 3,
                    width: 4,
                    pixels: pixels.clone(),
                    labels: vec![0],
                    classes: 1,
                    full_scale,
                };
                let augment = job::Augment { padding: 1, crop: Some(side), mirror: true };
                let augment = Augment::new(Some(&augment), &images).unwrap();
                let normalise = data::Normalise { mean: vec![0.5, 0.25], std: vec![0.5, 2.0] };
                let fill = data::Fill::new(&images, Some(&normalise)).unwrap();
                let [mut expected, mut found] = [(); 2].map(|()| vec![f32::NAN; 2 * side * side]);
                fill.pixels(&images, &[0], &augment, |_| augment.central(), &mut expected).unwrap();
                let values = pixels.iter().map(|&pixel| f32::from(pixel)).collect();
                let preparation = crop(side);
                let sample = Stored { shape: preparation.stored, unit, values };
                preparation.prepare(&sample, &mut found).unwrap();
                assert_eq!(found, expected, "{side}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let preparation = crop(2);
        let mut values = vec![0.0; 24];
        values[17] = f32::NAN;
        let mut sample = Stored { shape: preparation.stored, unit: Unit::Real, values };
        let refusal = |sample: &Stored| preparation.prepare(sample, &mut [0.0; 8]).unwrap_err();
        assert_eq!(refusal(&sample), "is NaN at channel 1, row 1, column 1");
        sample.shape = Shape::Image { channels: 1, height: 4, width: 3 };
        assert_eq!(refusal(&sample), "has images of 1x4x3; the network was trained on images of 2x3x4");
        let sequence = Shape::Sequence { steps: 2, features: 3 };
        assert_eq!(place(sequence, 4), "step 1, feature 1");
        assert_eq!(place(Shape::Vector { features: 3 }, 2), "feature 2");
    }

    #[test]
    fn shapes_are_read_back() {
        assert_eq!(image("3x32x30"), Some(Shape::Image { channels: 3, height: 32, width: 30 }));
        assert_eq!([image("7"), image("2x3"), image("axb")], [None; 3]);
    }
}
