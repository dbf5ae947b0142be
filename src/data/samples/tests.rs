//! Feeds and splits over a set in memory.

use proptest::prelude::*;

use super::*;
use crate::feed::{EvaluationFeed, TrainingFeed};
use crate::shard;

/// Sequences of 2 steps of 1 feature. The values of sample n are n and -n, and its class is n % 3.
struct Counting {
    samples: usize,
}

impl Samples for Counting {
    fn input(&self) -> Shape {
        Shape::Sequence { steps: 2, features: 1 }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Class(3)
    }

    fn len(&self) -> usize {
        self.samples
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        targets.labels.clear();
        for (&number, input) in numbers.iter().zip(inputs.chunks_exact_mut(2)) {
            input.copy_from_slice(&[number as f32, -(number as f32)]);
            targets.labels.push(number % 3);
        }
        Ok(())
    }

    fn labels(&self) -> Option<Vec<usize>> {
        Some((0..self.samples).map(|number| number % 3).collect())
    }

    fn hash(&self) -> u64 {
        self.samples as u64
    }

    fn facts(&self) -> Facts {
        vec![("samples", self.samples.to_string()), ("contents", "0".into())]
    }
}

fn counting(samples: usize) -> Arc<dyn Samples> {
    Arc::new(Counting { samples })
}

#[test]
fn the_split_of_a_seed_stays_what_it_was() {
    let parts = split(&counting(20), 3, 5, 1).unwrap();
    assert_eq!(parts.validation.numbers, [9, 11, 19]);
    assert_eq!(parts.test.numbers, [0, 1, 3, 4, 17]);
}

#[test]
fn a_split_that_leaves_nothing_for_training_is_refused() {
    let message = split(&counting(8), 3, 5, 1).err().unwrap().to_string();
    assert!(message.contains("3 samples for validation and 5 for the test from 8"), "{message}");
}

proptest! {
    #[test]
    fn parts_are_disjoint_stratified_and_cover_the_set(
        validation in 0usize..20, test in 0usize..20, train in 1usize..40, seed in any::<u64>()
    ) {
        let all = validation + test + train;
        let parts = split(&counting(all), validation, test, seed).unwrap();
        let counts = [&parts.train, &parts.validation, &parts.test].map(|part| part.numbers.len());
        prop_assert_eq!(counts, [train, validation, test]);
        let mut numbers = [&parts.train, &parts.validation, &parts.test].map(|part| part.numbers.clone()).concat();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..all).collect::<Vec<_>>());
        for class in 0..3 {
            let of = |numbers: &[usize]| numbers.iter().filter(|&&number| number % 3 == class).count() as f64;
            let exact = (0..all).filter(|number| number % 3 == class).count() as f64 * test as f64 / all as f64;
            // Rounded to a whole sample, and one less if the class would lose its last one.
            prop_assert!((of(&parts.test.numbers) - exact).abs() < 2.0);
        }
        // A larger validation split leaves the test samples what they are.
        if train > 1 {
            let larger = split(&counting(all), validation + 1, test, seed).unwrap();
            prop_assert_eq!(larger.test.numbers, parts.test.numbers);
        }
    }

    /// The samples of a batch do not depend on how ranks share it, and every sample comes once an epoch.
    #[test]
    fn ranks_share_one_stream(samples in 1usize..30, batch in 1usize..12, world in 1usize..5, seed in any::<u64>()) {
        let selection = Selection::all(counting(samples));
        let mut feed = SampleFeed::new(selection, seed, batch).unwrap();
        let mut fill = |step, part: std::ops::Range<usize>| {
            let (mut input, mut targets) = (vec![f32::NAN; 2 * part.len()], Targets::default());
            feed.fill(step, part.clone(), &mut input, &mut targets).unwrap();
            // `[T, N, 1]`
            let (first, second) = input.split_at(part.len());
            assert!(first.iter().zip(second).all(|(x, y)| *y == -*x));
            assert!(first.iter().zip(&targets.labels).all(|(x, label)| *x as usize % 3 == *label));
            first.iter().map(|&x| x as usize).collect::<Vec<_>>()
        };
        let mut seen = Vec::new();
        for step in 0..(samples as u64) {
            let whole = fill(step, 0..batch);
            let shared: Vec<_> = (0..world).flat_map(|rank| fill(step, shard(batch, rank, world))).collect();
            prop_assert_eq!(&shared, &whole);
            seen.extend(whole);
        }
        for epoch in seen.chunks_exact(samples) {
            let mut epoch = epoch.to_vec();
            epoch.sort_unstable();
            prop_assert_eq!(epoch, (0..samples).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_set_is_evaluated_in_its_own_order() {
    let selection = Selection { samples: counting(9), numbers: vec![1, 4, 5, 8] };
    assert_eq!(selection.empty_classes(), [0]);
    let mut set = SampleSet::new(selection);
    let mut labels = Vec::new();
    for chunk in set.chunks(0..4, 3) {
        let mut targets = Targets::default();
        set.fill(&chunk, &mut vec![0.0; 2 * chunk.items.len()], &mut targets).unwrap();
        labels.extend(targets.labels);
    }
    assert_eq!(labels, [1, 1, 2, 2]);
    assert_eq!(set.facts()[0], ("samples", "4".to_owned()));
}
