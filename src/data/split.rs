//! The validation split: training samples that are set aside to choose a model, so that the test set can judge it.
//!
//! It is drawn at random and stratified: each class gives the same share of its samples, rounded to whole
//! samples. Files are often sorted by class, and the end of such a file then holds a single class. The choice
//! of samples is a pure function of the seed and the labels, so it is the same on every rank and for any
//! number of ranks.

use std::cmp::Reverse;

use rand::seq::SliceRandom;

use super::{Dataset, Images};
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Reader, Stream};
use ternflock_job::{Split, Validation};

/// The default share of the training samples, and the maximum number of samples that this default takes.
const SHARE: usize = 10;
const MOST: usize = 10_000;

/// The number of samples that `how` requests of `samples`. The default takes no more than `spare`.
pub(super) fn size(how: Validation, samples: usize, spare: usize) -> usize {
    match how {
        Validation::Auto => (samples / SHARE).clamp(1, MOST).min(spare),
        Validation::Share(share) => ((samples as f64 * share).round() as usize).max(1),
        Validation::Count(count) => count,
    }
}

impl Dataset {
    /// Takes the validation split that `how` requests from the training set. Returns `None` if it requests
    /// none, or if it leaves the size to the program and no class has a second training sample to give. The
    /// test set then chooses.
    ///
    /// # Errors
    /// If no training samples would be left.
    pub fn split_validation(&mut self, how: &Split) -> Result<Option<Images>> {
        let (samples, spare) = (self.train.len(), spare(&counts(&self.train)));
        let count = size(how.validation, samples, spare);
        if count == 0 {
            return Ok(None);
        }
        if count >= samples {
            return Err(Error::data(
                self.name,
                format!(
                    "cannot take {count} of {samples} training samples for validation: at least one must be \
                     left for training"
                ),
            ));
        }
        let chosen = draw(&self.train, count, how.validation_seed);
        Ok(Some(self.train.take(&chosen)))
    }
}

impl Images {
    /// Moves the samples `chosen` (in ascending order) into a set of their own. Both sets keep their order.
    fn take(&mut self, chosen: &[usize]) -> Images {
        let size = self.sample_size();
        let mut taken = Images {
            pixels: Vec::with_capacity(chosen.len() * size),
            labels: Vec::with_capacity(chosen.len()),
            ..*self
        };
        for &index in chosen {
            taken.pixels.extend_from_slice(self.sample(index));
            taken.labels.push(self.labels[index]);
        }
        let (mut next, mut left) = (chosen.iter().peekable(), 0);
        for index in 0..self.len() {
            if next.next_if(|&&chosen| chosen == index).is_none() {
                self.labels[left] = self.labels[index];
                self.pixels.copy_within(index * size..(index + 1) * size, left * size);
                left += 1;
            }
        }
        self.labels.truncate(left);
        self.pixels.truncate(left * size);
        taken
    }
}

/// The number of samples of each class.
fn counts(images: &Images) -> Vec<usize> {
    let mut counts = vec![0; images.classes.max(1 + usize::from(u8::MAX))];
    images.labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
    counts
}

/// The number of samples that can be taken so that each class keeps one.
pub(super) fn spare(counts: &[usize]) -> usize {
    counts.iter().map(|count| count.saturating_sub(1)).sum()
}

/// Chooses `count` samples of `images`, in ascending order.
fn draw(images: &Images, count: usize, seed: u64) -> Vec<usize> {
    let stream = |class: usize, subject| Stream {
        seed,
        purpose: Purpose::Validation,
        step: class as u64,
        subject,
        tensor: 0,
    };
    let counts = counts(images);
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.shuffle(&mut Reader::new(stream(0, 1)));
    let shares = apportion(&counts, count, &order);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); counts.len()];
    images.labels.iter().enumerate().for_each(|(index, &label)| members[usize::from(label)].push(index));
    let mut chosen = Vec::with_capacity(count);
    for (class, (members, share)) in members.iter_mut().zip(shares).enumerate() {
        members.shuffle(&mut Reader::new(stream(class, 0)));
        chosen.extend_from_slice(&members[..share]);
    }
    chosen.sort_unstable();
    chosen
}

/// How many of `count` samples each class gives: its share rounded down, plus one for the classes with the largest
/// remainders, where ties follow `order`. A class gives its last sample only if no other class has one to spare.
pub(super) fn apportion(counts: &[usize], count: usize, order: &[usize]) -> Vec<usize> {
    let samples: usize = counts.iter().sum();
    let exact = |class: usize| counts[class] as u128 * count as u128;
    let limit = |class: usize| match spare(counts) >= count {
        true => counts[class].saturating_sub(1),
        false => counts[class],
    };
    let mut shares: Vec<usize> = (0..counts.len())
        .map(|class| ((exact(class) / samples as u128) as usize).min(limit(class)))
        .collect();
    let mut by_remainder = order.to_vec();
    by_remainder.sort_by_key(|&class| Reverse(exact(class) % samples as u128));
    let mut missing = count - shares.iter().sum::<usize>();
    while missing > 0 {
        for &class in &by_remainder {
            if missing > 0 && shares[class] < limit(class) {
                shares[class] += 1;
                missing -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::digits;
    use super::*;

    /// One pixel per sample, which holds the sample's number.
    fn images(labels: &[u8]) -> Images {
        let pixels = (0..labels.len()).flat_map(|index| (index as u32).to_le_bytes()).collect();
        let (classes, full_scale) = (10, 255);
        Images { channels: 1, height: 2, width: 2, pixels, labels: labels.to_vec(), classes, full_scale }
    }

    fn dataset(labels: &[u8]) -> Dataset {
        Dataset { name: "x", train: images(labels), test: images(&[0]) }
    }

    fn how(validation: Validation) -> Split {
        Split { validation, validation_seed: 1 }
    }

    fn split(labels: &[u8], validation: Validation) -> (Images, Option<Images>) {
        let mut dataset = dataset(labels);
        let taken = dataset.split_validation(&how(validation)).unwrap();
        (dataset.train, taken)
    }

    fn numbers(images: &Images) -> Vec<u32> {
        images.pixels.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }

    fn per_class(images: &Images) -> Vec<usize> {
        counts(images)[..10].to_vec()
    }

    /// A tenth by default. Even if the file of digits is sorted by class, each class has its share in both
    /// parts.
    #[test]
    fn each_class_gives_its_share_of_a_file_that_is_sorted() {
        let mut labels = digits::load().unwrap().train.labels;
        labels.sort_unstable();
        let (train, validation) = split(&labels, Validation::Auto);
        let validation = validation.unwrap();
        assert_eq!((train.len(), validation.len()), (1438 - 143, 143));
        for (all, taken) in per_class(&images(&labels)).into_iter().zip(per_class(&validation)) {
            let exact = all as f64 * 143.0 / 1438.0;
            assert!((taken as f64 - exact).abs() < 1.0, "{taken} of {all}");
        }
        let mut both = [numbers(&train), numbers(&validation)].concat();
        assert!(numbers(&train).is_sorted() && numbers(&validation).is_sorted());
        both.sort_unstable();
        assert_eq!(both, (0..1438).collect::<Vec<_>>());
        for images in [&train, &validation] {
            let own: Vec<u8> = numbers(images).iter().map(|&number| labels[number as usize]).collect();
            assert_eq!(images.labels, own, "each picture has kept its label");
        }
        // Within a class they are drawn at random: neither the first, nor the last, nor every tenth.
        let zeros: Vec<u32> = numbers(&validation).into_iter().filter(|&n| labels[n as usize] == 0).collect();
        let gaps: Vec<u32> = zeros.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(zeros.len() > 10 && gaps.iter().any(|gap| gap != &gaps[0]), "{zeros:?}");
    }

    /// Results depend on the split, so a later version must draw the same one.
    #[test]
    fn the_split_depends_on_its_seed_and_on_nothing_else() {
        let labels: Vec<u8> = (0..40).map(|index| index % 4).collect();
        let drawn = |seed| draw(&images(&labels), 8, seed);
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert_eq!(drawn(1), [7, 14, 22, 24, 25, 27, 32, 33]);
    }

    #[test]
    fn counts_and_shares_are_what_they_say() {
        let labels: Vec<u8> = (0..100).map(|index| index / 50).collect();
        let taken = |validation| split(&labels, validation).1.map_or(0, |images| images.len());
        assert_eq!(taken(Validation::Count(0)), 0);
        assert_eq!(taken(Validation::Count(99)), 99);
        assert_eq!(taken(Validation::Share(0.25)), 25);
        assert_eq!(taken(Validation::Share(0.001)), 1, "a share is at least one sample");
        assert_eq!(taken(Validation::Auto), 10);
        let labels: Vec<u8> = (0..150_000).map(|index| (index % 10) as u8).collect();
        let (train, validation) = split(&labels, Validation::Auto);
        assert_eq!((train.len(), per_class(&validation.unwrap())), (140_000, vec![1000; 10]));
    }

    #[test]
    fn of_few_samples_each_class_keeps_one() {
        // From thirty samples of ten classes, it takes three, each of another class.
        let labels: Vec<u8> = (0..30).map(|index| index % 10).collect();
        let (train, validation) = split(&labels, Validation::Auto);
        let taken = per_class(&validation.unwrap());
        assert_eq!((taken.iter().sum::<usize>(), taken.iter().max()), (3, Some(&1)));
        assert!(per_class(&train).iter().all(|&left| left >= 2));
        // Classes with one sample give none as long as another class can.
        let (train, validation) = split(&[0, 1, 2, 3, 3, 3], Validation::Count(2));
        assert_eq!((per_class(&train)[..4].to_vec(), per_class(&validation.unwrap())[3]), (vec![1; 4], 2));
        // If none can, the default leaves all samples in the training set.
        for labels in [&[7][..], &[0, 1, 2, 3, 4]] {
            let (train, validation) = split(labels, Validation::Auto);
            assert_eq!((train.len(), validation), (labels.len(), None));
        }
        let (train, validation) = split(&[0, 1], Validation::Auto);
        assert_eq!((train.len(), validation), (2, None));
        let (train, validation) = split(&[0, 0], Validation::Auto);
        assert_eq!((train.len(), validation.unwrap().len()), (1, 1));
    }

    #[test]
    fn something_is_left_to_train_on() {
        let mut digits = digits::load().unwrap();
        let message = digits.split_validation(&how(Validation::Count(1438))).unwrap_err().to_string();
        assert!(message.contains("cannot take 1438 of 1438 training samples"), "{message}");
        assert!(dataset(&[1, 1]).split_validation(&how(Validation::Share(0.9))).is_err());
    }

    proptest! {
        /// The split has the requested size. Each class is within one sample of its share, unless it would
        /// lose its last sample. No sample is taken twice.
        #[test]
        fn shares_add_up(counts in proptest::collection::vec(0usize..30, 1..20), part in 0.0f64..1.0, turn in 0usize..20) {
            let samples: usize = counts.iter().sum();
            prop_assume!(samples > 1);
            let count = ((samples as f64 * part) as usize).clamp(1, samples - 1);
            let mut order: Vec<usize> = (0..counts.len()).collect();
            order.rotate_left(turn % counts.len());
            let shares = apportion(&counts, count, &order);
            prop_assert_eq!(shares.iter().sum::<usize>(), count);
            for (&share, &all) in shares.iter().zip(&counts) {
                prop_assert!(share <= all);
                if spare(&counts) >= count {
                    prop_assert!(all == 0 || share < all, "{} of {}", share, all);
                }
                let exact = all as f64 * count as f64 / samples as f64;
                prop_assert!(share as f64 > exact - 1.0 || share + 1 == all, "{} of {}, {}", share, all, exact);
            }
        }
    }
}
