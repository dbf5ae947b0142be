//! The term added to the gradients is the derivative of the penalty, for every kind of groups.

use super::definitions::{Case, cases};
use super::*;

/// The sum of strength times norm.
fn penalty(case: &Case, strength: f64, values: &[f32]) -> f64 {
    let norm = |members: &Vec<usize>| {
        let squares = members.iter().map(|&at| f64::from(values[at]) * f64::from(values[at]));
        squares.sum::<f64>().sqrt()
    };
    strength * case.groups.iter().map(norm).sum::<f64>()
}

/// By central differences, element by element.
#[test]
fn the_gradient_is_that_of_the_norms() {
    let (strength, step) = (0.3, 1e-3);
    for case in cases() {
        let (kind, mut parameters) = (case.kind, case.parameters.clone());
        let job = case.job(SparsityMethod::GroupLasso, strength);
        let mut lasso = GroupLasso::new(&job, &case.graph, &parameters).unwrap().unwrap();
        lasso.add_gradients(&mut parameters);
        let mut in_groups = vec![false; parameters.values.len()];
        case.groups.iter().flatten().for_each(|&at| in_groups[at] = true);
        for at in 0..parameters.values.len() {
            let gradient = f64::from(parameters.gradients[at]);
            if !in_groups[at] {
                assert_eq!(gradient, 0.0, "{kind:?}: element {at} is in no group");
                continue;
            }
            let moved = |by: f32| {
                let mut values = parameters.values.clone();
                values[at] += by;
                (penalty(&case, strength, &values), f64::from(values[at]))
            };
            let ((above, high), (below, low)) = (moved(step), moved(-step));
            let slope = (above - below) / (high - low);
            // The third derivatives of the norms, which are of order 1, times step²/6; and the float32
            // rounding of the gradient.
            assert!((slope - gradient).abs() < 1e-5, "{kind:?}: element {at}: {slope} {gradient}");
        }
        let largest = parameters.gradients.iter().fold(0.0f32, |largest, g| largest.max(g.abs()));
        assert!(largest > 0.01, "{kind:?}: {largest}");
    }
}

/// The square root of the number of elements in a group, each counted once.
#[test]
fn strengths_grow_with_the_root_of_the_size() {
    for case in cases() {
        let plain = case.job(SparsityMethod::GroupLasso, 0.3);
        let scaled = Sparsity { scale_by_size: true, ..plain.clone() };
        let gradients = |job: &Sparsity| {
            let mut parameters = case.parameters.clone();
            GroupLasso::new(job, &case.graph, &parameters).unwrap().unwrap().add_gradients(&mut parameters);
            parameters.gradients
        };
        let (plain, scaled) = (gradients(&plain), gradients(&scaled));
        for members in &case.groups {
            let mut set = members.clone();
            set.sort_unstable();
            set.dedup();
            // For elements that are in no other group.
            let alone = |at: &&usize| case.groups.iter().filter(|other| other.contains(at)).count() == 1;
            for &at in set.iter().filter(alone) {
                let expected = (set.len() as f32).sqrt() * plain[at];
                let error = (scaled[at] - expected).abs();
                assert!(error <= 1e-5 * expected.abs(), "{:?}: {} {expected}", case.kind, scaled[at]);
            }
        }
    }
}
