//! The proximal step compared with its definition.

use proptest::prelude::*;

use super::definitions::{Case, cases};
use super::*;

fn step(case: &Case, strength: f64, rates: &[f64], values: &[f32]) -> Vec<f32> {
    let job = case.job(SparsityMethod::Proximal, strength);
    let mut lasso = GroupLasso::new(&job, &case.graph, &case.parameters).unwrap().unwrap();
    let mut values = values.to_vec();
    lasso.make_zeros(rates, &mut values);
    values
}

/// A group as a set.
fn sets(case: &Case) -> Vec<Vec<usize>> {
    let set = |members: &Vec<usize>| {
        let mut set = members.clone();
        set.sort_unstable();
        set.dedup();
        set
    };
    case.groups.iter().map(set).collect()
}

/// Each element is scaled once by the factor of each group it is in, including a hidden unit's weights to itself.
#[test]
fn elements_shrink_once_for_each_of_their_groups() {
    let (strength, rate) = (0.8, 0.5);
    for case in cases() {
        let (tensors, values) = (case.parameters.table.len(), &case.parameters.values);
        let mut expected: Vec<f64> = values.iter().copied().map(f64::from).collect();
        let (mut zeros, mut left) = (0, 0);
        let sets = sets(&case);
        // Layers are processed one after another; within one, all norms are computed first. Only hidden units are in
        // groups of two layers.
        let layers =
            if case.kind == StructureKind::HiddenUnits { sets.split_at(4) } else { sets.split_at(0) };
        for layer in [layers.0, layers.1] {
            let before = expected.clone();
            for set in layer {
                let norm = set.iter().map(|&at| before[at].powi(2)).sum::<f64>().sqrt();
                let factor = (1.0 - rate * strength / norm).max(0.0);
                *(if factor == 0.0 { &mut zeros } else { &mut left }) += 1;
                set.iter().for_each(|&at| expected[at] *= factor);
            }
        }
        assert!(left > 0, "{:?}: {zeros} zeros", case.kind);
        for (at, (found, expected)) in
            step(&case, strength, &vec![rate; tensors], values).iter().zip(&expected).enumerate()
        {
            // Factors, norms of rounded values, and each product are rounded.
            let error = (f64::from(*found) - expected).abs();
            assert!(
                error <= 8.0 * f64::from(f32::EPSILON) * expected.abs(),
                "{:?}: element {at}: {found} {expected}",
                case.kind
            );
        }
    }
}

/// If all other units are zero, a hidden unit's norm shrinks by exactly rate times strength, or the unit vanishes.
#[test]
fn a_hidden_unit_shortens_by_the_rate_times_the_strength() {
    let case = cases().pop().unwrap();
    assert_eq!(case.kind, StructureKind::HiddenUnits);
    for set in sets(&case) {
        let mut values = vec![0.0; case.parameters.values.len()];
        set.iter().for_each(|&at| values[at] = case.parameters.values[at]);
        // The rows and columns of other units overlap with it, so they are set to zero.
        let alone = |at: &usize| sets(&case).iter().filter(|other| other.contains(at)).count() == 1;
        set.iter().filter(|at| !alone(at)).for_each(|&at| values[at] = 0.0);
        let norm = |values: &[f32]| values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let before = norm(&values);
        let rates = vec![0.5; case.parameters.table.len()];
        let after = norm(&step(&case, before, &rates, &values));
        assert!((after - before / 2.0).abs() < 1e-6 * before, "{before} {after}");
        assert_eq!(norm(&step(&case, 2.1 * before, &rates, &values)), 0.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// If each tensor has its own rate, the step is the minimum that defines it: the gradient of a group that
    /// is left is zero, and a group is zero only if its gradient cannot be.
    #[test]
    fn rates_by_tensor_give_the_minimum(
        seed in any::<u64>(), exponents in prop::collection::vec(-12.0f64..2.0, 12), strength in 0.01f64..10.0,
    ) {
        for case in cases() {
            let sets = sets(&case);
            // Overlapping groups of one kind have no closed form for one step.
            if case.kind == StructureKind::HiddenUnits {
                continue;
            }
            let table = &case.parameters.table;
            let rates: Vec<f64> = exponents.iter().take(table.len()).map(|exponent| exponent.exp2()).collect();
            prop_assert_eq!(rates.len(), table.len());
            let rate_of = |at: usize| rates[table.iter().position(|tensor| tensor.range.contains(&at)).unwrap()];
            let scale = (seed % 7) as f32 - 3.0;
            let values: Vec<f32> = case.parameters.values.iter().map(|value| value * scale.exp2()).collect();
            let found = step(&case, strength, &rates, &values);
            for set in &sets {
                let length = |of: &dyn Fn(usize) -> f64| set.iter().map(|&at| of(at).powi(2)).sum::<f64>().sqrt();
                let (v, w) = (|at: usize| f64::from(values[at]), |at: usize| f64::from(found[at]));
                let norm = length(&w);
                if norm == 0.0 {
                    let pull = length(&|at| v(at) / rate_of(at));
                    prop_assert!(pull <= strength * (1.0 + 1e-6), "{:?}: {} is held by {}", case.kind, pull, strength);
                    continue;
                }
                for &at in set {
                    let gradient = (w(at) - v(at)) / rate_of(at) + strength * w(at) / norm;
                    // w and its factor are rounded, with a relative error of 2^-23, and so is the difference.
                    let rounding = 4.0 * f64::from(f32::EPSILON) * v(at).abs() / rate_of(at);
                    prop_assert!(gradient.abs() <= rounding + 1e-6 * strength * w(at).abs() / norm + 1e-12,
                        "{:?}: element {}: {} beside {}", case.kind, at, gradient, rounding);
                }
            }
            let outside = (0..values.len()).filter(|at| !sets.iter().any(|set| set.contains(at)));
            outside.for_each(|at| assert_eq!(found[at], values[at]));
        }
    }
}

/// Nearly equal rates give nearly the same result as equal ones, for hidden units too.
#[test]
fn rates_that_come_together_give_the_step_of_one() {
    for case in cases() {
        let (tensors, values) = (case.parameters.table.len(), &case.parameters.values);
        let one = step(&case, 0.8, &vec![0.5; tensors], values);
        let rates: Vec<f64> = (0..tensors).map(|tensor| 0.5 + 1e-12 * tensor as f64).collect();
        for (at, (a, b)) in one.iter().zip(step(&case, 0.8, &rates, values)).enumerate() {
            assert!((a - b).abs() <= 1e-6 * a.abs() + 1e-9, "{:?}: element {at}: {a} {b}", case.kind);
        }
    }
}

/// A tensor that does not move does not shrink, even if others in its group do.
#[test]
fn what_does_not_move_does_not_shrink() {
    let case = &cases()[0];
    let (table, values) = (&case.parameters.table, &case.parameters.values);
    let rates: Vec<f64> =
        table.iter().map(|tensor| if tensor.spec.role.decays() { 3.0 } else { 0.0 }).collect();
    let found = step(case, 0.8, &rates, values);
    for tensor in table {
        let of = |values: &[f32]| values[tensor.range.clone()].to_vec();
        assert_eq!(
            of(&found) == of(values),
            !tensor.spec.role.decays() || !tensor.name.starts_with("conv"),
            "{}",
            tensor.name
        );
    }
    let still = vec![0.0; table.len()];
    assert_eq!(&step(case, 0.8, &still, values), values);
    assert_eq!(&step(case, f64::MIN_POSITIVE, &rates, values), values);
}

/// The plain l1 norm shrinks each weight by the rate of its tensor.
#[test]
fn l1_shrinks_at_the_rate_of_each_tensor() {
    let (graph, parameters) = network();
    let job = Sparsity { method: SparsityMethod::Proximal, l1: 0.5, ..Sparsity::default() };
    let rates: Vec<f64> = (0..parameters.table.len()).map(|tensor| 0.125 * tensor as f64).collect();
    let mut values = parameters.values.clone();
    GroupLasso::new(&job, &graph, &parameters).unwrap().unwrap().make_zeros(&rates, &mut values);
    for (tensor, rate) in parameters.table.iter().zip(rates) {
        let by = if tensor.spec.role.decays() { 0.5 * rate as f32 } else { 0.0 };
        for at in tensor.range.clone() {
            let w = parameters.values[at];
            let expected = if by == 0.0 { w } else { (w.abs() - by).max(0.0) * w.signum() };
            assert_eq!(values[at], expected, "{}", tensor.name);
        }
    }
}
