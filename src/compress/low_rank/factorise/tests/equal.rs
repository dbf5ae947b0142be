//! Full rank changes only rounding.
//!
//! Rounding is bounded as in Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1: the error
//! of a sum of n products is at most n u times the sum of their magnitudes, in any order; u = 2^-24. The same
//! layers compute this sum from the magnitudes of their weights and inputs.

use super::*;

const U: f32 = f32::EPSILON / 2.0;

fn magnitudes(parameters: &Parameters) -> Parameters {
    let mut parameters = parameters.clone();
    parameters.values.iter_mut().for_each(|v| *v = v.abs());
    parameters
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A network with one linear layer or convolution with `width` weights per filter: its output stays within
/// the bound, but not with a rank that is one lower.
fn one_layer(
    input_shape: Shape,
    layer: Value,
    width: usize,
    request: &dyn Fn(usize) -> LowRank,
    full: usize,
) {
    let (graph, parameters) = network(input_shape, json!([layer]));
    let x = input(&graph, 3);
    let before = run(&graph, &parameters, &x);
    let after = |rank: usize| {
        let result = factorise(&graph, &parameters, &request(rank)).unwrap();
        assert_eq!(result.layers[0].full_rank, Some(full), "{layer}");
        assert_eq!(result.graph.layers().len(), 2);
        (run(&result.graph, &result.parameters, &x), result)
    };
    let (y, result) = after(full);
    let x_size: Vec<f32> = x.iter().map(|x| x.abs()).collect();
    let sizes = run(&result.graph, &magnitudes(&result.parameters), &x_size);
    // The sums of before and after, the bias, and the rounding of both factors.
    let n = (2 * width + full + 6) as f32;
    for ((y, before), size) in y.iter().zip(&before).zip(&sizes) {
        assert!((y - before).abs() <= n * U * size, "{layer}: {y} {before} {size}");
    }
    let bound = n * U * sizes.iter().copied().fold(0.0, f32::max);
    let (less, _) = after(full - 1);
    assert!(farthest(&less, &before) > 10.0 * bound, "{layer}: a rank less is seen");
}

#[test]
fn convolutions_with_stride_and_padding() {
    let image = Shape::Image { channels: 3, height: 7, width: 6 };
    let conv = |filters: usize| {
        json!({"name": "c", "type": "conv2d", "filters": filters, "kernel": [3, 2], "stride": [2, 1],
            "padding": [1, 0], "init": "he_normal"})
    };
    for method in [LowRankMethod::Pca, LowRankMethod::Svd] {
        let request = |rank: usize| LowRank { method, ..at_rank("c", rank) };
        one_layer(image, conv(8), 18, &request, 8);
        one_layer(image, conv(30), 18, &request, 18);
    }
    // [C R, F S]: 9 x 16 and 9 x 4.
    let separable = |rank: usize| LowRank { separable: vec!["c".into()], ..at_rank("c", rank) };
    one_layer(image, conv(8), 18, &separable, 9);
    one_layer(image, conv(2), 18, &separable, 4);
    let wide = json!({"name": "c", "type": "conv2d", "filters": 5, "kernel": [2, 3], "stride": [1, 2],
        "padding": [0, 1]});
    one_layer(image, wide, 18, &separable, 6);
}

#[test]
fn convolutions_over_time() {
    let conv = |filters: usize| {
        json!({"name": "c", "type": "conv1d", "filters": filters, "kernel": 3, "padding": "same",
            "dilation": 2, "init": "he_normal"})
    };
    let sequence = Shape::Sequence { steps: 7, features: 4 };
    one_layer(sequence, conv(8), 12, &|rank| at_rank("c", rank), 8);
    one_layer(sequence, conv(20), 12, &|rank| at_rank("c", rank), 12);
    let (graph, parameters) = network(sequence, json!([conv(8)]));
    let separable = LowRank { separable: vec!["c".into()], ..at_rank("c", 2) };
    let message = factorise(&graph, &parameters, &separable).unwrap_err().to_string();
    assert!(message.contains("`c` is a conv1d layer; only a conv2d has a vertical"), "{message}");
}

#[test]
fn linear_layers_of_vectors_and_sequences() {
    for method in [LowRankMethod::Pca, LowRankMethod::Svd] {
        let request = |rank: usize| LowRank { method, ..at_rank("l", rank) };
        for (units, full) in [(7, 7), (30, 20)] {
            let linear = json!({"name": "l", "type": "linear", "units": units});
            one_layer(Shape::Vector { features: 20 }, linear.clone(), 20, &request, full);
            one_layer(Shape::Sequence { steps: 3, features: 20 }, linear, 20, &request, full);
        }
    }
}

/// Every kind of recurrent layer. The error of the gate sums, `delta`, changes the states: with rho the
/// largest sum of magnitudes in a row of the recurrent weight, and states, candidates and gates at most 1
/// (cells at most T = 3), a step increases an error s to at most s + (2.25 + rho / 4) (delta + rho s). For
/// lstm: the cell's error is s plus those of f c, i g, at most (3/4 + 1/4 + 1) of a gate sum's, and the
/// output adds 1/4; gru, rnn and a level of rhn are less.
#[test]
fn recurrent_layers() {
    let (steps, features, hidden) = (3, 12, 5);
    for (kind, gates, levels) in [("lstm", 4, 1), ("gru", 3, 1), ("rnn", 1, 1), ("rhn", 2, 2)] {
        let mut layer = json!({"name": "r", "type": kind, "hidden": hidden});
        if kind == "rhn" {
            layer["depth"] = json!(levels);
        }
        let (graph, mut parameters) = network(Shape::Sequence { steps, features }, json!([layer]));
        let hh = parameters.table[1].clone();
        assert_eq!(hh.name, "r/weight_hh");
        parameters.values[hh.range].iter_mut().for_each(|w| *w *= 0.1);
        let row = |row: &[f32]| row.iter().map(|w| w.abs()).sum::<f32>();
        let rho = tensor(&parameters, "r/weight_hh").chunks_exact(hidden).map(row).fold(0.0, f32::max);
        let x = input(&graph, 2);
        let before = run(&graph, &parameters, &x);
        let full = features.min(gates * hidden);
        let result = factorise(&graph, &parameters, &at_rank("r", full)).unwrap();
        let names: Vec<&str> = result.parameters.table[..3].iter().map(|p| &p.name[..]).collect();
        assert_eq!(names, ["r.basis/weight", "r/weight_ih", "r/weight_hh"]);
        assert_eq!(tensor(&result.parameters, "r/weight_hh"), tensor(&parameters, "r/weight_hh"));

        let (basis, expand) =
            (tensor(&result.parameters, "r.basis/weight"), tensor(&result.parameters, "r/weight_ih"));
        let size = |row: &[f32]| -> f32 {
            let largest =
                |k: usize| basis[k * features..(k + 1) * features].iter().map(|b| b.abs()).sum::<f32>();
            row.iter().enumerate().map(|(k, a)| a.abs() * largest(k)).sum()
        };
        let size = expand.chunks_exact(full).map(size).fold(0.0, f32::max) + rho + 1.0;
        // In addition to the sums: about 16 roundings in the functions and products of a step.
        let delta = (2 * features + full + hidden + 6 + 16) as f32 * U * size;
        let bound = (0..steps * levels).fold(0.0, |s, _| s + (2.25 + rho / 4.0) * (delta + rho * s));
        let y = run(&result.graph, &result.parameters, &x);
        assert!(farthest(&y, &before) <= bound, "{kind}: {} {bound}", farthest(&y, &before));
        let less = factorise(&graph, &parameters, &at_rank("r", full - 1)).unwrap();
        let less = run(&less.graph, &less.parameters, &x);
        assert!(farthest(&less, &before) > 10.0 * bound, "{kind}: {} {bound}", farthest(&less, &before));
    }
}

/// Recurrent weights as products, within their layers. In each step, the sum over the state is a sum over r
/// sums over the state. Its rounding is bounded by the same sum of magnitudes, |A| |B|; the rest is as above.
#[test]
fn recurrent_weights() {
    let (steps, features, hidden) = (3, 4, 7);
    for (kind, levels) in [("lstm", 1), ("gru", 1), ("rnn", 1), ("rhn", 2)] {
        let mut layer = json!({"name": "r", "type": kind, "hidden": hidden});
        if kind == "rhn" {
            layer["depth"] = json!(levels);
        }
        let (graph, mut parameters) = network(Shape::Sequence { steps, features }, json!([layer]));
        let [ih, hh] = ["r/weight_ih", "r/weight_hh"];
        let range = parameters.table.iter().find(|p| p.name == hh).unwrap().range.clone();
        parameters.values[range].iter_mut().for_each(|w| *w *= 0.1);
        let x = input(&graph, 2);
        let before = run(&graph, &parameters, &x);
        for method in [LowRankMethod::Pca, LowRankMethod::Svd] {
            let at = |rank: usize| LowRank { method, ..at_rank(hh, rank) };
            let result = factorise(&graph, &parameters, &at(hidden)).unwrap();
            let row = result.layers.iter().find(|row| row.layer == hh).unwrap();
            assert_eq!(
                (row.full_rank, row.rank, &row.outcome),
                (Some(hidden), Some(hidden), &Outcome::Product)
            );
            assert_eq!(reason(&result, "r"), "no rank was requested");
            assert_eq!(result.graph.layers().len(), 1, "it is one layer still");
            assert_eq!(tensor(&result.parameters, ih), tensor(&parameters, ih));

            let (a, b) = (tensor(&result.parameters, hh), tensor(&result.parameters, "r/weight_hh_basis"));
            let largest = |row: &[f32]| row.iter().map(|w| w.abs()).sum::<f32>();
            let basis: Vec<f32> = b.chunks_exact(hidden).map(largest).collect();
            let product = |row: &[f32]| row.iter().zip(&basis).map(|(a, b)| a.abs() * b).sum::<f32>();
            let rho = a.chunks_exact(hidden).map(product).fold(0.0, f32::max);
            let inputs = tensor(&parameters, ih).chunks_exact(features).map(largest).fold(0.0, f32::max);
            let delta = (features + 2 * hidden + 6 + 16) as f32 * U * (inputs + rho + 1.0);
            let bound = (0..steps * levels).fold(0.0, |s, _| s + (2.25 + rho / 4.0) * (delta + rho * s));
            let y = run(&result.graph, &result.parameters, &x);
            assert!(farthest(&y, &before) <= bound, "{kind}: {} {bound}", farthest(&y, &before));
            let less = factorise(&graph, &parameters, &at(1)).unwrap();
            let less = run(&less.graph, &less.parameters, &x);
            assert!(farthest(&less, &before) > 4.0 * bound, "{kind}: {} {bound}", farthest(&less, &before));
        }
    }
}

/// All of LeNet at once. A worst-case bound over several layers is too wide to be useful. Rounding errors
/// behave like a random walk instead, and stay far below 16 sqrt(d) u of the largest output for each of the
/// four layers.
#[test]
fn lenet() {
    let (graph, parameters) = super::lenet();
    let x = input(&graph, 4);
    let before = run(&graph, &parameters, &x);
    let largest = before.iter().fold(0.0f32, |l, y| l.max(y.abs()));
    let bound = 4.0 * 16.0 * 800f32.sqrt() * U * largest;
    let full = [("conv1", 20), ("conv2", 50), ("ip1", 500), ("ip2", 10)];
    let ranks = |less: usize| full.map(|(name, rank)| (name.to_string(), rank - less)).into();
    for separable in [vec![], vec!["conv1".to_string()]] {
        // conv1 as [C R, F S] is 5 x 100.
        let mut request = LowRank { ranks: ranks(0), cost_test: false, separable, ..LowRank::default() };
        if request.is_separable("conv1") {
            request.ranks.insert("conv1".into(), 5);
        }
        let result = factorise(&graph, &parameters, &request).unwrap();
        assert_eq!(result.graph.layers().len(), 8 + 4);
        let y = run(&result.graph, &result.parameters, &x);
        assert!(farthest(&y, &before) <= bound, "{} {bound}", farthest(&y, &before));
    }
    let less = LowRank { ranks: ranks(1), cost_test: false, ..LowRank::default() };
    let less = factorise(&graph, &parameters, &less).unwrap();
    assert!(farthest(&run(&less.graph, &less.parameters, &x), &before) > 10.0 * bound);
}

/// If a layer has only some columns of its matrix, the first of the two layers has the same columns. It
/// cannot have a separable form.
#[test]
fn layers_with_columns() {
    let image = Shape::Image { channels: 3, height: 7, width: 6 };
    let conv = json!({"name": "c", "type": "conv2d", "filters": 5, "kernel": 3, "init": "he_normal",
        "columns": [0, 3, 4, 10, 13, 20, 26]});
    let linear = json!({"name": "l", "type": "linear", "units": 6, "columns": [1, 2, 3, 5, 8]});
    one_layer(image, conv.clone(), 7, &|rank| at_rank("c", rank), 5);
    one_layer(Shape::Vector { features: 9 }, linear, 5, &|rank| at_rank("l", rank), 5);
    let (graph, parameters) = network(image, json!([conv]));
    let separable = LowRank { separable: vec!["c".into()], ..at_rank("c", 2) };
    let message = factorise(&graph, &parameters, &separable).unwrap_err().to_string();
    assert!(message.contains("its kernels have lost columns"), "{message}");
    // A stage's request for a separable form is done across filters instead, at a rank that the layer can
    // still have.
    let left = of_what_is_left(&LowRank { separable: vec!["c".into()], ..at_rank("c", 9) }, &graph).unwrap();
    assert_eq!(left, at_rank("c", 5));
}
