//! Metrics against plain definitions, and parts against the whole.

use proptest::prelude::*;

use super::*;
use crate::targets::NO_LABEL;

/// Divides `samples` over `parts` ranks, and merges what each counts.
fn over_ranks(
    whole: &Measures,
    (outputs, targets): (&[f32], &Targets),
    (samples, width): (usize, usize),
    parts: usize,
) -> Measures {
    let mut merged = whole.emptied();
    let places: Vec<_> =
        (0..parts).map(|part| samples * part / parts..samples * (part + 1) / parts).collect();
    let own: Vec<Measures> = places
        .iter()
        .map(|place| {
            let mut own = whole.emptied();
            let of = |values: &[f32], width: usize| match values.len() {
                0 => Vec::new(),
                _ => values[place.start * width..place.end * width].to_vec(),
            };
            let labels = targets.labels.get(place.clone()).map_or_else(Vec::new, <[usize]>::to_vec);
            let targets =
                Targets { labels, values: of(&targets.values, targets.width), width: targets.width };
            if !place.is_empty() {
                own.add(&of(outputs, width), &targets);
            }
            own
        })
        .collect();
    let words: Vec<_> = own.iter().map(Measures::words).collect();
    for first in (0..words[0].len()).step_by(WORDS) {
        for (words, place) in words.iter().zip(&places) {
            let end = words.len().min(first + WORDS);
            merged.merge(first, &words[first..end], place.start as u64..place.end as u64);
        }
    }
    merged
}

/// A few dozen samples; many equal outputs.
fn numbers(seed: u64, count: usize, levels: u64) -> Vec<f32> {
    let hash = |i: usize| (seed + i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    (0..count).map(|i| (hash(i) % levels) as f32 / 4.0).collect()
}

proptest! {
    #[test]
    fn counts_of_parts_are_those_of_the_whole(seed in 0u64..1 << 40, samples in 1usize..60, classes in 1usize..40) {
        let outputs = numbers(seed, samples * classes, 9);
        let labels: Vec<usize> =
            numbers(seed ^ 7, samples, 1 << 20).iter().map(|x| (4.0 * x) as usize % classes).collect();
        let values = numbers(seed ^ 9, samples * classes, 2).iter().map(|x| 4.0 * x).collect();
        let signed: Vec<f32> = outputs.iter().map(|x| x - 1.0).collect();
        let labelled = Targets::of_labels(labels);
        let valued = Targets { values, width: classes, ..Targets::default() };
        let mut whole = [
            (Measures::Classes(Classes::new(classes, true)), &labelled),
            (Measures::Labels(Counts::new(classes)), &valued),
            (Measures::Tokens, &labelled),
        ];
        for (whole, targets) in &mut whole {
            whole.add(&signed, targets);
            for parts in [1, 2, 3, 4, 5, 8] {
                let merged = over_ranks(whole, (&signed, targets), (samples, classes), parts);
                prop_assert_eq!(&merged, &*whole);
            }
        }
    }

    /// 60 numbers up to 2^20 around 1000: each sum and each mean has at most that many roundings of 2^-53.
    #[test]
    fn errors_of_parts_are_those_of_the_whole(seed in 0u64..1 << 40, samples in 1usize..60, width in 1usize..300) {
        let values: Vec<f32> = numbers(seed, samples * width, 64).iter().map(|x| 1000.0 + x).collect();
        let outputs: Vec<f32> = numbers(seed ^ 3, samples * width, 64).iter().map(|x| 1000.0 + x).collect();
        let targets = Targets { values: values.clone(), width, ..Targets::default() };
        let scale: Vec<f32> = (0..width).map(|k| 1.0 + k as f32).collect();
        let mut whole = Measures::Values(Outputs::new(width, Some(&scale)));
        whole.add(&outputs, &targets);
        let Measures::Values(found) = &whole else { unreachable!() };
        for (k, found) in found.scores().iter().enumerate() {
            let column = |values: &[f32]| -> Vec<f64> {
                values.iter().skip(k).step_by(width).copied().map(f64::from).collect()
            };
            let (outputs, values) = (column(&outputs), column(&values));
            let n = samples as f64;
            let errors: Vec<f64> = outputs.iter().zip(&values).map(|(o, v)| o - v).collect();
            let mean = values.iter().sum::<f64>() / n;
            let squares: f64 = errors.iter().map(|e| e * e).sum();
            let spread: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            let unit = f64::from(scale[k]);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-11 * (1.0 + b.abs());
            prop_assert!(close(found.rmse.unwrap(), unit * (squares / n).sqrt()));
            prop_assert!(close(found.mae.unwrap(), unit * errors.iter().map(|e| e.abs()).sum::<f64>() / n));
            match found.r2 {
                Some(r2) => prop_assert!(close(r2, 1.0 - squares / spread), "{r2} {squares} {spread}"),
                None => prop_assert!(spread == 0.0),
            }
        }
        for parts in [1, 2, 3, 4, 5, 8] {
            let merged = over_ranks(&whole, (&outputs, &targets), (samples, width), parts);
            let Measures::Values(merged) = &merged else { unreachable!() };
            for (merged, whole) in merged.scores().iter().zip(found.scores()) {
                for (merged, whole) in [(merged.rmse, whole.rmse), (merged.mae, whole.mae)] {
                    let (merged, whole) = (merged.unwrap(), whole.unwrap());
                    prop_assert!((merged - whole).abs() <= 1e-11 * (1.0 + whole));
                }
                if let (Some(merged), Some(whole)) = (merged.r2, whole.r2) {
                    prop_assert!((merged - whole).abs() <= 1e-9 * (1.0 + whole.abs()), "{merged} {whole}");
                }
            }
        }
    }
}

/// As scikit-learn says of [0, 0, 1, 1, 2] and [0, 1, 1, 1, 0]: `precision_recall_fscore_support` and `confusion_matrix`.
/// Class 3 has neither a sample nor a prediction, and class 2 has no prediction.
#[test]
fn precision_recall_and_f1_are_those_of_scikit_learn() {
    let mut outputs = vec![0.0; 5 * 4];
    for (n, class) in [0, 1, 1, 1, 0].into_iter().enumerate() {
        outputs[n * 4 + class] = 1.0;
    }
    let mut measures = Measures::Classes(Classes::new(4, true));
    measures.add(&outputs, &Targets::of_labels(vec![0, 0, 1, 1, 2]));
    let Measures::Classes(classes) = &measures else { unreachable!() };
    let scores = classes.counts().scores();
    let of = |class: usize| (scores[class].precision, scores[class].recall, scores[class].f1);
    assert_eq!(of(0), (Some(0.5), Some(0.5), Some(0.5)));
    assert_eq!(of(1), (Some(2.0 / 3.0), Some(1.0), Some(0.8)));
    assert_eq!(of(2), (None, Some(0.0), Some(0.0)));
    assert_eq!(of(3), (None, None, None));
    assert!((classes.counts().macro_f1().unwrap() - 1.3 / 3.0).abs() < 1e-15);
    assert_eq!(
        classes.confusion().unwrap(),
        [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]].map(|row| row.to_vec())
    );
    assert_eq!(Counts::new(3).macro_f1(), None);
}

/// Of equal outputs, the first is the largest.
#[test]
fn a_class_is_among_the_five_largest_or_not() {
    let top = |row: &[f32], label| {
        let mut measures = Measures::Classes(Classes::new(row.len(), false));
        measures.add(row, &Targets::of_labels(vec![label]));
        let Measures::Classes(classes) = measures else { unreachable!() };
        assert_eq!(classes.confusion(), None);
        classes.top_5()
    };
    let row = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
    assert_eq!([0, 1, 2, 3, 4, 5].map(|label| top(&row, label)), [1, 1, 1, 1, 1, 0]);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|label| top(&[0.0; 6], label)), [1, 1, 1, 1, 1, 0]);
    assert_eq!(top(&row, NO_LABEL), 0);
    assert!(Classes::new(MOST_CONFUSED, true).confusion().is_some());
    assert!(Classes::new(MOST_CONFUSED + 1, true).confusion().is_none());
}

#[test]
fn constant_targets_have_no_r2() {
    let mut measures = Outputs::new(2, None);
    measures.add(&[1.0, 1.0, 3.0, 3.0], &[2.0, 1.0, 2.0, 2.0]);
    let (scores, mean) = (measures.scores(), measures.mean_scores());
    assert_eq!((scores[0].r2, scores[0].rmse, scores[0].mae), (None, Some(1.0), Some(1.0)));
    assert_eq!((scores[1].r2, scores[1].mae), (Some(-1.0), Some(0.5)));
    assert_eq!((mean.r2, mean.mae, mean.rmse), (Some(-1.0), Some(0.75), Some(0.75f64.sqrt())));
    let empty = OutputScores { rmse: None, mae: None, r2: None };
    assert_eq!((Outputs::new(1, None).mean_scores(), Outputs::new(1, None).scores()), (empty, vec![empty]));
}
