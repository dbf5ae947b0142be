//! The meaning of the dimensions of an array of inputs.

use ternflock_job::Axes;
use ternflock_nn::Shape;

/// How a row of an array becomes the input of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The shape of the sample.
    pub shape: Shape,
    /// If a row must be transposed: the numbers of its rows and columns as a matrix.
    pub transposed: Option<(usize, usize)>,
}

impl Layout {
    /// For rows of the shape `row`, whose dimensions have the meaning `axes`. An `Err` has the reason why they do not fit.
    pub fn new(row: &[usize], axes: Option<Axes>) -> Result<Layout, String> {
        let usual = match row.len() {
            0 => Some(Axes::N),
            1 => Some(Axes::Nf),
            2 => Some(Axes::Ntf),
            3 => Some(Axes::Nchw),
            _ => None,
        };
        let dimensions = row.len() + 1;
        let axes = axes.or(usual).ok_or_else(|| {
            format!("has {dimensions} dimensions; inputs have 1 to 4, [N, F], [N, T, F] or [N, C, H, W]")
        })?;
        let plain = |shape| Ok(Layout { shape, transposed: None });
        let image = |channels, height, width| Shape::Image { channels, height, width };
        match (axes, row) {
            (Axes::N, []) => plain(Shape::Vector { features: 1 }),
            (Axes::Nf, &[features]) => plain(Shape::Vector { features }),
            (Axes::Ntf, &[steps, features]) => plain(Shape::Sequence { steps, features }),
            (Axes::Nft, &[features, steps]) => {
                let shape = Shape::Sequence { steps, features };
                Ok(Layout { shape, transposed: Some((features, steps)) })
            }
            (Axes::Nhw, &[height, width]) => plain(image(1, height, width)),
            (Axes::Nchw, &[channels, height, width]) => plain(image(channels, height, width)),
            (Axes::Nhwc, &[height, width, channels]) => {
                let transposed = Some((height * width, channels));
                Ok(Layout { shape: image(channels, height, width), transposed })
            }
            _ => Err(format!("has {dimensions} dimensions, which data.axes does not fit")),
        }
    }

    /// Puts the values of `row` in the order that a network expects; `scratch` may hold anything.
    pub fn arrange(self, row: &mut [f32], scratch: &mut Vec<f32>) {
        let Some((rows, columns)) = self.transposed.filter(|&(rows, columns)| rows > 1 && columns > 1) else {
            return;
        };
        scratch.clear();
        scratch.extend_from_slice(row);
        for (column, out) in row.chunks_exact_mut(rows).enumerate() {
            out.iter_mut()
                .zip(scratch[column..].iter().step_by(columns))
                .for_each(|(out, &value)| *out = value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_dimensions_says_what_they_are() {
        let shape = |row: &[usize]| Layout::new(row, None).unwrap().shape;
        assert_eq!(shape(&[]), Shape::Vector { features: 1 });
        assert_eq!(shape(&[4]), Shape::Vector { features: 4 });
        assert_eq!(shape(&[7, 4]), Shape::Sequence { steps: 7, features: 4 });
        assert_eq!(shape(&[3, 8, 9]), Shape::Image { channels: 3, height: 8, width: 9 });
        assert!(Layout::new(&[1, 2, 3, 4], None).unwrap_err().contains("has 5 dimensions"));
        assert!(Layout::new(&[1, 2], Some(Axes::Nhwc)).unwrap_err().contains("data.axes"));
    }

    #[test]
    fn channels_come_first() {
        // [H, W, C] of 1 x 3 pixels with 2 channels.
        let layout = Layout::new(&[1, 3, 2], Some(Axes::Nhwc)).unwrap();
        assert_eq!(layout.shape, Shape::Image { channels: 2, height: 1, width: 3 });
        let mut row = [0.0, 10.0, 1.0, 11.0, 2.0, 12.0];
        layout.arrange(&mut row, &mut Vec::new());
        assert_eq!(row, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        // [F, T] of 2 features at 3 steps.
        let layout = Layout::new(&[2, 3], Some(Axes::Nft)).unwrap();
        assert_eq!(layout.shape, Shape::Sequence { steps: 3, features: 2 });
        let mut row = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        layout.arrange(&mut row, &mut Vec::new());
        assert_eq!(row, [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
    }
}
