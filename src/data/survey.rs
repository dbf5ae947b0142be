//! What a set holds: samples per class, ranges of values, and numbers that are not finite.

use super::feed::EvaluationFeed;
use ternflock_base::error::Result;
use ternflock_nn::{NO_LABEL, Shape, TargetKind, Targets};

/// Samples that are read at a time.
const BATCH: usize = 64;

/// Facts about a set, as a network sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// The number of items: samples, or the columns of a text.
    pub items: usize,
    /// The number of items that were read.
    pub read: usize,
    /// The number of samples of each class among those; empty for values.
    pub classes: Vec<u64>,
    /// The values of each channel of images, or of each feature.
    pub inputs: Vec<Spread>,
    /// The values of each target; empty for classes.
    pub targets: Vec<Spread>,
    /// The first samples: the values of each, and its class or its targets.
    pub first: Vec<(Vec<f32>, Vec<f32>)>,
}

/// The distribution of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest finite value.
    pub least: f32,
    /// The largest finite value.
    pub most: f32,
    /// The sum of the finite values.
    pub sum: f64,
    /// The number of finite values.
    pub count: u64,
    /// The number of others: NaN and infinity.
    pub not_finite: u64,
}

impl Spread {
    /// No values yet.
    pub const EMPTY: Spread =
        Spread { least: f32::INFINITY, most: f32::NEG_INFINITY, sum: 0.0, count: 0, not_finite: 0 };

    /// The mean of the finite values.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    fn add(&mut self, value: f32) {
        if value.is_finite() {
            (self.least, self.most) = (self.least.min(value), self.most.max(value));
            self.sum += f64::from(value);
            self.count += 1;
        } else {
            self.not_finite += 1;
        }
    }
}

/// Reads the items of `feed`, or about `limit` of them in evenly spaced batches, and keeps the first `shown`.
///
/// # Errors
/// Those of reading.
pub fn survey(feed: &mut dyn EvaluationFeed, limit: usize, shown: usize) -> Result<Survey> {
    let (shape, target, items) = (feed.input(), feed.target(), feed.items());
    let mut chunks = feed.chunks(0..items, BATCH);
    let wanted = limit.div_ceil(BATCH).max(1);
    if chunks.len() > wanted {
        let all = chunks.len();
        chunks = (0..wanted).map(|number| chunks[number * all / wanted].clone()).collect();
    }
    let groups = match shape {
        Shape::Image { channels, .. } => channels,
        Shape::Vector { features } | Shape::Sequence { features, .. } => features,
        Shape::Tokens { .. } => 1,
    };
    let mut survey = Survey { items, inputs: vec![Spread::EMPTY; groups], ..Survey::default() };
    match target {
        TargetKind::Class(classes) => survey.classes = vec![0; classes],
        _ => survey.targets = vec![Spread::EMPTY; target.outputs()],
    }
    let (mut input, mut targets) = (Vec::new(), Targets::default());
    for chunk in &chunks {
        let batch = chunk.items.len();
        input.resize(batch * shape.elements(), 0.0);
        feed.fill(chunk, &mut input, &mut targets)?;
        let per_group = input.len() / groups.max(1);
        for (at, &value) in input.iter().enumerate() {
            let group = if matches!(shape, Shape::Image { .. }) { at / per_group } else { at % groups };
            survey.inputs[group].add(value);
        }
        for &label in targets.labels.iter().filter(|&&label| label != NO_LABEL) {
            survey.classes.get_mut(label).into_iter().for_each(|count| *count += 1);
        }
        let width = targets.width.max(1);
        for (at, &value) in targets.values.iter().enumerate() {
            survey.targets.get_mut(at % width).into_iter().for_each(|spread| spread.add(value));
        }
        survey.read += if chunk.window == 0 { batch } else { 0 };
        let missing = shown.saturating_sub(survey.first.len()).min(batch);
        survey.first.extend((0..missing).map(|number| sample(shape, &input, &targets, batch, number)));
    }
    Ok(survey)
}

/// The values and the targets of the sample `number` of a batch.
fn sample(
    shape: Shape,
    input: &[f32],
    targets: &Targets,
    batch: usize,
    number: usize,
) -> (Vec<f32>, Vec<f32>) {
    let inner = match shape {
        Shape::Vector { features } | Shape::Sequence { features, .. } => features,
        Shape::Image { .. } | Shape::Tokens { .. } => 1,
    };
    let rows = input.chunks_exact(inner.max(1)).skip(number).step_by(batch);
    let target = match targets.width {
        0 => targets.labels.iter().skip(number).step_by(batch).map(|&label| label as f32).collect(),
        width => targets.values.iter().skip(number * width).take(width).copied().collect(),
    };
    (rows.flatten().copied().collect(), target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Augment, Fill, ImageSet, digits};

    fn set() -> ImageSet {
        let images = digits::load().unwrap().test;
        let fill = Fill::new(&images, None).unwrap();
        let augment = Augment::new(None, &images).unwrap();
        ImageSet::new(images, fill, augment)
    }

    #[test]
    fn all_samples_are_counted() {
        let images = digits::load().unwrap().test;
        let found = survey(&mut set(), usize::MAX, 2).unwrap();
        assert_eq!((found.items, found.read), (359, 359));
        let count = |class: u8| images.labels.iter().filter(|&&label| label == class).count() as u64;
        assert_eq!(found.classes, (0..10).map(count).collect::<Vec<_>>());
        let [spread] = found.inputs[..] else { panic!("{:?}", found.inputs) };
        assert_eq!((spread.least, spread.most, spread.not_finite, spread.count), (0.0, 1.0, 0, 359 * 64));
        let mean = images.pixels.iter().map(|&pixel| f64::from(pixel) / 16.0).sum::<f64>() / (359.0 * 64.0);
        assert!((spread.mean() - mean).abs() < 1e-9);
        for (number, (values, target)) in found.first.iter().enumerate() {
            let expected: Vec<f32> =
                images.sample(number).iter().map(|&pixel| f32::from(pixel) / 16.0).collect();
            assert_eq!((values, target), (&expected, &vec![f32::from(images.labels[number])]));
        }
    }

    #[test]
    fn a_limit_reads_some_from_everywhere() {
        let found = survey(&mut set(), 128, 0).unwrap();
        assert_eq!((found.items, found.read), (359, 128));
    }

    #[test]
    fn values_that_are_not_finite_are_counted_apart() {
        let mut spread = Spread::EMPTY;
        [1.0, f32::NAN, -3.0, f32::INFINITY].into_iter().for_each(|value| spread.add(value));
        assert_eq!(spread, Spread { least: -3.0, most: 1.0, sum: -2.0, count: 2, not_finite: 2 });
    }
}
