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

/// Reading ahead changes nothing, whatever micro-batches a step has and whatever step comes next.
#[test]
fn batches_that_are_read_ahead_are_those_of_their_step() {
    let new = || SampleFeed::new(Selection::all(counting(50)), 7, 12).unwrap();
    let fill = |feed: &mut SampleFeed, step, part: std::ops::Range<usize>| {
        let (mut input, mut targets) = (vec![f32::NAN; 2 * part.len()], Targets::default());
        feed.fill(step, part, &mut input, &mut targets).unwrap();
        (input, targets)
    };
    let mut one = new();
    let places =
        [(0, 0..5), (0, 5..10), (0, 10..12), (1, 0..5), (1, 5..10), (1, 10..12), (2, 0..12), (2, 0..12)];
    for (step, part) in places.into_iter().chain([(9, 3..4), (10, 3..4), (11, 0..12), (3, 0..12)]) {
        assert_eq!(
            fill(&mut one, step, part.clone()),
            fill(&mut new(), step, part.clone()),
            "{step}, {part:?}"
        );
    }
}

/// An error of a batch that was read ahead is that of its own step, and reading goes on afterwards.
#[test]
fn errors_of_reading_ahead_are_carried_to_their_step() {
    struct Failing;
    impl Samples for Failing {
        fn input(&self) -> Shape {
            Shape::Vector { features: 1 }
        }

        fn target(&self) -> TargetKind {
            TargetKind::Class(1)
        }

        fn len(&self) -> usize {
            4
        }

        fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
            if numbers.contains(&2) {
                return Err(ternflock_base::error::Error::Usage("sample 2".into()));
            }
            inputs.fill(1.0);
            *targets = Targets::of_labels(vec![0; numbers.len()]);
            Ok(())
        }

        fn labels(&self) -> Option<Vec<usize>> {
            None
        }

        fn hash(&self) -> u64 {
            0
        }

        fn facts(&self) -> Facts {
            Vec::new()
        }
    }
    let mut feed = SampleFeed::new(Selection::all(Arc::new(Failing)), 1, 1).unwrap();
    for _ in 0..2 {
        let failed: Vec<bool> =
            (0..4).map(|step| feed.fill(step, 0..1, &mut [0.0], &mut Targets::default()).is_err()).collect();
        assert_eq!(failed.iter().filter(|&&failed| failed).count(), 1, "{failed:?}");
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

#[test]
fn ordered_splits_are_at_the_end() {
    let parts = split_ordered(&counting(10), 2, 3).unwrap();
    assert_eq!(parts.train.numbers, [0, 1, 2, 3, 4]);
    assert_eq!((parts.validation.numbers, parts.test.numbers), (vec![5, 6], vec![7, 8, 9]));
    assert!(split_ordered(&counting(5), 2, 3).is_err());
}

#[test]
fn splits_have_the_sizes_that_a_job_asks_for() {
    let settings = |test, split| ternflock_job::SampleSettings {
        test,
        split,
        normalise: ternflock_job::Normalisation::Standard,
        normalise_targets: ternflock_job::Normalisation::Standard,
    };
    use ternflock_job::{Draw, Split, Validation};
    let sizes = |own_test: bool, validation, test| {
        let own_test = own_test.then(|| counting(7));
        let sources = Sources {
            train: counting(200),
            validation: None,
            test: own_test,
            preparation: Preparation::default(),
        };
        let parts = sources.split(&Split { validation, validation_seed: 1 }, &settings(test, Draw::Random));
        let parts = parts.unwrap();
        [parts.train, parts.validation, parts.test].map(|part| part.numbers.len())
    };
    assert_eq!(sizes(false, Validation::Auto, Validation::Auto), [160, 20, 20]);
    assert_eq!(sizes(false, Validation::Share(0.25), Validation::Count(0)), [150, 50, 0]);
    assert_eq!(sizes(true, Validation::Count(3), Validation::Auto), [197, 3, 7]);
}

/// Normalised samples have mean 0 and standard deviation 1 on the split that they were measured on, and other samples are
/// normalised by the same numbers.
#[test]
fn samples_are_prepared_as_measured_on_the_training_split() {
    let settings = ternflock_job::SampleSettings {
        test: ternflock_job::Validation::Auto,
        split: ternflock_job::Draw::Ordered,
        normalise: ternflock_job::Normalisation::Standard,
        normalise_targets: ternflock_job::Normalisation::Standard,
    };
    let all = counting(12);
    let train = Selection { samples: Arc::clone(&all), numbers: (0..9).collect() };
    let preparation = Preparation::default().measure(&train, &settings).unwrap();
    // The values are n and -n.
    let deviation = (2.0 * (0..9).map(|n| f64::from(n * n)).sum::<f64>() / 18.0).sqrt();
    let scale = preparation.inputs.clone().unwrap();
    assert!(scale.mean[0].abs() < 1e-12 && (scale.std[0] - deviation).abs() < 1e-12, "{scale:?}");
    assert_eq!(preparation.targets, None, "classes are not normalised");
    let same = Preparation::from_json(&preparation.to_json()).unwrap();
    assert_eq!(same, preparation);
    let prepared = preparation.apply(Selection::all(all)).unwrap();
    let (mut input, mut targets) = ([f32::NAN; 2], Targets::default());
    prepared.samples.read(&[11], &mut input, &mut targets).unwrap();
    let expected = (11.0 / scale.std[0]) as f32;
    assert!((input[0] - expected).abs() < 1e-6 && (input[1] + expected).abs() < 1e-6, "{input:?}");
    assert_eq!(targets.labels, [2]);
    let facts = |selection: &Selection| selection.samples.facts();
    assert_ne!(facts(&prepared).last(), facts(&Preparation::default().apply(train).unwrap()).last());
    let other =
        Preparation { inputs: Some(Scale { mean: vec![0.0; 2], std: vec![1.0; 2] }), ..Default::default() };
    assert!(other.apply(Selection::all(counting(3))).is_err());
}
