use serde_json::json;

use super::*;
use crate::surgery::shrink;
use ternflock_job::Shrink;
use ternflock_job::Strengths;
use ternflock_nn::Shape;

mod definitions;
mod gradients;
mod proximal;

fn network() -> (Graph, Parameters) {
    let layers = [
        json!({"name": "conv1", "type": "conv2d", "filters": 6, "kernel": 3}),
        json!({"name": "relu1", "type": "relu"}),
        json!({"name": "conv2", "type": "conv2d", "filters": 5, "kernel": 3}),
        json!({"name": "flatten", "type": "flatten"}),
        json!({"name": "ip1", "type": "linear", "units": 3}),
    ];
    let tables = layers.into_iter().map(|layer| serde_json::from_value(layer).unwrap());
    let input = Shape::Image { channels: 2, height: 7, width: 7 };
    let graph = Graph::from_tables(input, tables).unwrap_or_else(|(error, _)| panic!("{error}"));
    let mut parameters = Parameters::new(&graph).unwrap();
    for (at, value) in parameters.values.iter_mut().enumerate() {
        *value = (at as f32 * 0.7).sin();
    }
    (graph, parameters)
}

fn sparsity(method: SparsityMethod, strength: f64) -> Sparsity {
    let strengths =
        Strengths { filters: strength, channels: strength, shapes: strength, ..Strengths::default() };
    Sparsity { method, strengths, ..Sparsity::default() }
}

#[test]
fn a_zero_group_stays_and_small_numbers_become_zero() {
    let (graph, mut parameters) = network();
    parameters.values.fill(0.0);
    parameters.values[..3].copy_from_slice(&[9e-5, -9e-5, 2e-4]);
    let mut lasso =
        GroupLasso::new(&sparsity(SparsityMethod::GroupLasso, 1.0), &graph, &parameters).unwrap().unwrap();
    lasso.add_gradients(&mut parameters);
    assert!(parameters.gradients.iter().all(|g| g.is_finite()));
    assert!(parameters.gradients[100..].iter().all(|&g| g == 0.0));
    lasso.make_zeros(&[0.1; 6], &mut parameters.values);
    assert_eq!(parameters.values[..3], [0.0, 0.0, 2e-4]);
}

/// The proximal step reduces each norm by rate times strength, but not below zero. With filters only, groups
/// do not overlap.
#[test]
fn the_proximal_step_shortens_norms() {
    let (graph, mut parameters) = network();
    let mut job = sparsity(SparsityMethod::Proximal, 0.0);
    // The first two filters are short.
    parameters.values[..2 * 18].iter_mut().for_each(|value| *value *= 0.1);
    let bias = parameters.table[1].range.clone();
    parameters.values[bias].fill(0.0);
    job.strengths.filters = 4.0;
    job.factors.insert("conv2".into(), 0.25);
    let filters = groups(&graph, &parameters, StructureKind::Filters).unwrap();
    let squares = |values: &[f32]| -> Vec<Vec<f64>> {
        filters
            .iter()
            .map(|groups| {
                let mut squares = vec![0.0; groups.count];
                groups.squares(values, &mut squares);
                squares
            })
            .collect()
    };
    let before = squares(&parameters.values);
    let mut lasso = GroupLasso::new(&job, &graph, &parameters).unwrap().unwrap();
    lasso.add_gradients(&mut parameters);
    assert!(parameters.gradients.iter().all(|&g| g == 0.0));
    lasso.make_zeros(&[0.7; 6], &mut parameters.values);
    let after = squares(&parameters.values);
    for (layer, strength) in [(0, 4.0), (1, 1.0)] {
        for (before, after) in before[layer].iter().zip(&after[layer]) {
            let expected = (before.sqrt() - 0.7 * strength).max(0.0);
            assert!((after.sqrt() - expected).abs() < 1e-5, "{} {expected}", after.sqrt());
        }
    }
    assert!(after[0].contains(&0.0) && after[1].iter().all(|&square| square > 0.0));
    // Surgery removes the zeros.
    let shrunk = shrink(&graph, &parameters, &Shrink::default()).unwrap();
    let zeros = after[0].iter().filter(|&&square| square == 0.0).count();
    assert_eq!(shrunk.surgery.units["conv1"].len(), 6 - zeros);
}

#[test]
fn what_is_not_there_is_refused() {
    let (graph, parameters) = network();
    let message = |job: Sparsity| GroupLasso::new(&job, &graph, &parameters).err().unwrap().to_string();
    let strengths = Strengths { hidden_units: 0.1, ..Strengths::default() };
    assert!(message(Sparsity { strengths, ..Sparsity::default() }).contains("sparsity.hidden_units = 0.1"));
    let mut job = sparsity(SparsityMethod::GroupLasso, 0.1);
    job.factors.insert("conv3".into(), 1.0);
    assert!(message(job).contains("`conv3`"), "nearest");
    assert!(GroupLasso::new(&Sparsity::default(), &graph, &parameters).unwrap().is_none());
}

/// Compared with its definition, only on weights, with the factor of a layer.
#[test]
fn l1_acts_on_each_weight_by_itself() {
    let (graph, mut parameters) = network();
    parameters.values[3] = 0.0;
    let job =
        |method| Sparsity { method, l1: 0.5, factors: [("ip1".into(), 0.5)].into(), ..Sparsity::default() };
    let before = parameters.values.clone();
    let strength = |at: usize| {
        let tensor = parameters.table.iter().find(|tensor| tensor.range.contains(&at)).unwrap();
        let factor = if tensor.name.starts_with("ip1") { 0.25 } else { 0.5 };
        if tensor.spec.role.decays() { factor } else { 0.0 }
    };
    let strengths: Vec<f32> = (0..before.len()).map(strength).collect();
    let mut lasso = GroupLasso::new(&job(SparsityMethod::GroupLasso), &graph, &parameters).unwrap().unwrap();
    parameters.gradients.fill(1.0);
    lasso.add_gradients(&mut parameters);
    for (at, &w) in before.iter().enumerate() {
        let sign = if w == 0.0 { 0.0 } else { w.signum() };
        assert_eq!(parameters.gradients[at], 1.0 + strengths[at] * sign, "{at}");
    }
    let mut proximal = GroupLasso::new(&job(SparsityMethod::Proximal), &graph, &parameters).unwrap().unwrap();
    proximal.add_gradients(&mut parameters);
    proximal.make_zeros(&[0.5; 6], &mut parameters.values);
    let mut zeros = 0;
    for (at, &w) in before.iter().enumerate() {
        let expected =
            if strengths[at] == 0.0 { w } else { (w.abs() - 0.5 * strengths[at]).max(0.0) * w.signum() };
        assert_eq!(parameters.values[at], expected, "{at}");
        zeros += usize::from(parameters.values[at].to_bits() == 0);
    }
    assert!(zeros > 10, "-0 would not be found by a comparison of bits: {zeros}");
    let unknown = Sparsity { factors: [("conv9".into(), 1.0)].into(), ..job(SparsityMethod::Proximal) };
    assert!(GroupLasso::new(&unknown, &graph, &parameters).is_err_and(|e| e.to_string().contains("`conv9`")));
}
