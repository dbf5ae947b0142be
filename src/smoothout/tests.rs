use proptest::prelude::*;

use super::noise::{bits, perturb_filters, perturb_tensor};
use super::*;
use ternflock_job::Noise;
use ternflock_nn::Parameters;
use ternflock_tensor::set_threads;

const DRAW: Draw = Draw { seed: 5, step: 7, first_sample: 96 };

/// conv1 of 3 filters of 2 x 3 x 3, batch norm, 4 units of 3 x 4 x 4, and a bias each.
fn network() -> (Graph, Parameters) {
    let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
        {"name": "conv1", "type": "conv2d", "filters": 3, "kernel": 3, "padding": 1},
        {"name": "bn1", "type": "batch_norm"},
        {"type": "flatten"},
        {"name": "out", "type": "linear", "units": 4},
    ]))
    .unwrap();
    let graph =
        Graph::from_tables(ternflock_nn::Shape::Image { channels: 2, height: 4, width: 4 }, layers).unwrap();
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.initialise(3);
    parameters.values.iter_mut().enumerate().for_each(|(i, value)| *value += 0.01 * (i % 7) as f32);
    (graph, parameters)
}

fn noise(job: job::SmoothOut) -> (SmoothOut, Parameters) {
    let (graph, parameters) = network();
    (SmoothOut::new(&job, &graph, &parameters.table).unwrap().unwrap(), parameters)
}

fn job(a: f64) -> job::SmoothOut {
    job::SmoothOut { a, ..job::SmoothOut::default() }
}

fn values_of<'p>(parameters: &'p Parameters, values: &'p [f32], name: &str) -> &'p [f32] {
    &values[parameters.table.iter().find(|p| p.name == name).unwrap().range.clone()]
}

/// The noisy weights of `job`, in a flat vector.
fn perturbed(job: job::SmoothOut, draw: Draw) -> (Parameters, Vec<f32>) {
    let (mut smoothout, parameters) = noise(job);
    let mut values = parameters.values.clone();
    let a = smoothout.amplitude(0, 10);
    smoothout.perturb(draw, a, &mut values);
    (parameters, values)
}

#[test]
fn weights_come_back_to_the_bit() {
    let (mut smoothout, mut parameters) = noise(job(0.3));
    // Bits that `w + t - t` would lose.
    parameters.values[0] = 1e-30;
    parameters.values[1] = -0.0;
    let before = parameters.values.clone();
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for first_sample in [0, 32, 64] {
        smoothout.perturb(Draw { first_sample, ..DRAW }, 0.3, &mut parameters.values);
        assert_ne!(parameters.values, before);
    }
    smoothout.restore(&mut parameters.values);
    assert_eq!(bits(&parameters.values), bits(&before));
    // Restoring again does nothing. After an update of tensors that are not perturbed, the next noise keeps
    // the update.
    smoothout.restore(&mut parameters.values);
    assert_eq!(bits(&parameters.values), bits(&before));
    let bn = parameters.table.iter().find(|p| p.name == "bn1/weight").unwrap().range.clone();
    parameters.values[bn.clone()].fill(7.0);
    smoothout.perturb(DRAW, 0.3, &mut parameters.values);
    assert_eq!(parameters.values[bn], [7.0; 3]);
}

/// The noise of each micro-batch is added to the clean weights, not to those of the micro-batch before.
#[test]
fn noise_does_not_add_up() {
    let (mut smoothout, parameters) = noise(job(0.3));
    let mut values = parameters.values.clone();
    smoothout.perturb(Draw { first_sample: 0, ..DRAW }, 0.3, &mut values);
    smoothout.perturb(DRAW, 0.3, &mut values);
    assert_eq!(values, perturbed(job(0.3), DRAW).1);
}

#[test]
fn each_weight_moves_by_its_own_draw() {
    let (a, tensor) = (0.25f32, 3u16);
    let (parameters, noisy) = perturbed(job(f64::from(a)), DRAW);
    let weight = values_of(&parameters, &parameters.values, "out/weight");
    assert_eq!(parameters.table[usize::from(tensor + 1)].name, "out/weight");
    let stream = Stream { seed: 5, purpose: Purpose::SmoothOut, step: 7, subject: 96, tensor: tensor + 1 };
    for (i, (&clean, &noisy)) in weight.iter().zip(values_of(&parameters, &noisy, "out/weight")).enumerate() {
        let u = (f32::from(bits(&stream, i)) - 32767.5) / 32768.0;
        assert_eq!(noisy, clean + a * u, "weight {i}");
    }
}

#[test]
fn filters_move_by_their_share() {
    for distribution in [Distribution::Uniform, Distribution::Normal] {
        let job = job::SmoothOut { adapt: Adapt::Filter, distribution, ..job(0.2) };
        let (parameters, noisy) = perturbed(job, DRAW);
        let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        for (name, filter) in [("conv1/weight", 18), ("out/weight", 48), ("conv1/bias", 1), ("out/bias", 1)] {
            let clean = values_of(&parameters, &parameters.values, name);
            let moved: Vec<f32> =
                values_of(&parameters, &noisy, name).iter().zip(clean).map(|(noisy, w)| noisy - w).collect();
            for (clean, moved) in clean.chunks(filter).zip(moved.chunks(filter)) {
                // 1e-6 is added to the norm of the draws. A draw may itself be 1e-5, and differences of
                // floats are rounded.
                let (expected, found) = (0.2 * norm(clean), norm(moved));
                assert!(
                    (found - expected).abs() < 0.1 * expected.max(1e-6),
                    "{name}: {found}, not {expected}"
                );
            }
        }
        let weight = values_of(&parameters, &parameters.values, "conv1/weight");
        let moved = values_of(&parameters, &noisy, "conv1/weight");
        let (expected, found) = (
            0.2 * norm(&weight[..18]),
            norm(&{ moved[..18].iter().zip(weight).map(|(noisy, w)| noisy - w).collect::<Vec<_>>() }),
        );
        assert!((found / expected - 1.0).abs() < 1e-4, "{found}, not {expected}");
    }
}

/// A recurrent highway network of 3 levels of 4 hidden units on 5 features, no weight of which is zero.
fn recurrent() -> (Graph, Parameters) {
    let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
        {"name": "words", "type": "embedding", "features": 5},
        {"name": "rhn", "type": "rhn", "hidden": 4, "depth": 3},
        {"name": "logits", "type": "linear", "units": 7},
    ]))
    .unwrap();
    let tokens = ternflock_nn::Shape::Tokens { steps: 2, vocabulary: 7 };
    let graph = Graph::from_tables(tokens, layers).unwrap();
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.values.iter_mut().enumerate().for_each(|(i, value)| *value = 0.5 + (i as f32).sin() / 4.0);
    (graph, parameters)
}

fn moved(parameters: &Parameters, noisy: &[f32], name: &str) -> Vec<f32> {
    let clean = values_of(parameters, &parameters.values, name);
    values_of(parameters, noisy, name).iter().zip(clean).map(|(noisy, w)| noisy - w).collect()
}

/// A filter of a recurrent weight is a row of one level, for one gate of one unit; in its bias, each number is a
/// filter. A pruned row has a norm of zero and so gets no noise.
#[test]
fn levels_of_a_recurrent_weight_are_rows_of_filters() {
    let (graph, mut parameters) = recurrent();
    let range = |parameters: &Parameters, name: &str| {
        parameters.table.iter().find(|p| p.name == name).unwrap().range.clone()
    };
    let (hh, bias) = (range(&parameters, "rhn/weight_hh"), range(&parameters, "rhn/bias"));
    assert_eq!((hh.len(), bias.len()), (3 * 8 * 4, 3 * 8));
    // Row 2 of the second level, and that row's bias; one row a thousand times as long as the others.
    parameters.values[hh.clone()][(8 + 2) * 4..(8 + 3) * 4].fill(0.0);
    parameters.values[bias][8 + 2] = 0.0;
    parameters.values[hh][5 * 4..6 * 4].iter_mut().for_each(|value| *value *= 1000.0);
    let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let job = job::SmoothOut { adapt: Adapt::Filter, ..job(0.2) };
    let mut noise = SmoothOut::new(&job, &graph, &parameters.table).unwrap().unwrap();
    let mut noisy = parameters.values.clone();
    noise.perturb(DRAW, 0.2, &mut noisy);
    for (name, row) in [
        ("words/weight", 5),
        ("rhn/weight_ih", 5),
        ("rhn/weight_hh", 4),
        ("rhn/bias", 1),
        ("logits/weight", 4),
        ("logits/bias", 1),
    ] {
        let (clean, moved) =
            (values_of(&parameters, &parameters.values, name), moved(&parameters, &noisy, name));
        for (number, (clean, moved)) in clean.chunks(row).zip(moved.chunks(row)).enumerate() {
            let (expected, found) = (0.2 * norm(clean), norm(moved));
            // Differences of floats near 1 are rounded, and a draw may be so small that the 1e-6 in the formula
            // matters.
            assert!(
                (found - expected).abs() <= 2e-2 * expected,
                "{name} row {number}: {found}, not {expected}"
            );
            assert!(expected > 0.0 || moved.iter().all(|&by| by == 0.0), "{name} row {number}");
        }
    }
}

/// Frozen zeros get no noise of any kind, and a filter's noise is relative to its remaining weights. Biases are not
/// frozen.
#[test]
fn frozen_zeros_have_no_noise() {
    let (graph, mut parameters) = recurrent();
    let weights: Vec<_> =
        parameters.table.iter().filter(|p| p.spec.role.decays()).map(|p| p.range.clone()).collect();
    for range in weights.iter().cloned() {
        parameters.values[range].iter_mut().step_by(3).for_each(|value| *value = 0.0);
    }
    let bias = parameters.table.iter().find(|p| p.name == "rhn/bias").unwrap().range.clone();
    parameters.values[bias.start] = 0.0;
    let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    for adapt in [Adapt::None, Adapt::Weight, Adapt::Filter] {
        for distribution in [Distribution::Uniform, Distribution::Normal] {
            let job = job::SmoothOut { adapt, distribution, ..job(0.2) };
            let noisy = |spare: bool| {
                let noise = SmoothOut::new(&job, &graph, &parameters.table).unwrap().unwrap();
                let (mut noise, mut values) = (noise.spare_zeros(spare), parameters.values.clone());
                noise.perturb(DRAW, 0.2, &mut values);
                values
            };
            let (frozen, free) = (noisy(true), noisy(false));
            let is_weight = |at: usize| weights.iter().any(|range| range.contains(&at));
            for (at, &clean) in parameters.values.iter().enumerate() {
                let is_zero = clean == 0.0 && is_weight(at);
                assert_eq!(is_zero, is_zero && frozen[at] == 0.0, "{adapt:?}: element {at}");
                assert!(is_zero || clean == 0.0 || frozen[at] != clean, "{adapt:?}: element {at}");
                if adapt != Adapt::Filter && !is_zero {
                    assert_eq!(frozen[at], free[at], "what is not frozen moves as it does");
                }
            }
            assert_eq!(frozen[bias.start] != 0.0, adapt == Adapt::None);
            let zeros_move =
                weights.iter().cloned().flatten().any(|at| parameters.values[at] == 0.0 && free[at] != 0.0);
            assert_eq!(zeros_move, adapt != Adapt::Weight);
            let clean = values_of(&parameters, &parameters.values, "rhn/weight_hh");
            for (clean, moved) in clean.chunks(4).zip(moved(&parameters, &frozen, "rhn/weight_hh").chunks(4))
            {
                let (expected, found) = (0.2 * norm(clean), norm(moved));
                let is_share = (found - expected).abs() <= 1e-3 * expected;
                assert!(adapt != Adapt::Filter || is_share, "{found}, not {expected}");
            }
        }
    }
}

#[test]
fn weights_move_in_proportion() {
    let (parameters, noisy) = perturbed(job::SmoothOut { adapt: Adapt::Weight, ..job(0.2) }, DRAW);
    let (_, plain) = perturbed(job(0.2), DRAW);
    for name in ["conv1/weight", "out/weight"] {
        let clean = values_of(&parameters, &parameters.values, name);
        let both = values_of(&parameters, &noisy, name).iter().zip(values_of(&parameters, &plain, name));
        for (&w, (noisy, plain)) in clean.iter().zip(both) {
            // Both differences are of numbers below 1, with two roundings each.
            assert!(((noisy - w) - w.abs() * (plain - w)).abs() <= 4.0 * f32::EPSILON, "{w} {noisy} {plain}");
        }
    }
}

#[test]
fn batch_norm_is_left_out_unless_asked_for() {
    let moves = |job, name| {
        let (parameters, noisy) = perturbed(job, DRAW);
        let (clean, noisy) =
            (values_of(&parameters, &parameters.values, name), values_of(&parameters, &noisy, name));
        assert!(clean == noisy || clean.iter().zip(noisy).all(|(clean, noisy)| clean != noisy));
        clean != noisy
    };
    let with = || job::SmoothOut { batch_norm: true, ..job(0.1) };
    let of = || job::SmoothOut { layers: Some(vec!["out".into()]), ..job(0.1) };
    for name in ["conv1/weight", "conv1/bias", "out/weight", "out/bias"] {
        assert!(moves(job(0.1), name) && moves(with(), name));
        assert_eq!(moves(of(), name), name.starts_with("out"));
    }
    for name in ["bn1/weight", "bn1/bias"] {
        assert_eq!([job(0.1), with(), of()].map(|job| moves(job, name)), [false, true, false]);
    }
}

#[test]
fn micro_batches_and_ranks_draw_apart_or_alike() {
    let other = Draw { first_sample: 128, ..DRAW };
    let at = |noise, draw| perturbed(job::SmoothOut { noise, ..job(0.1) }, draw).1;
    assert_ne!(at(Noise::PerRank, DRAW), at(Noise::PerRank, other));
    assert_eq!(at(Noise::Shared, DRAW), at(Noise::Shared, other));
    assert_ne!(at(Noise::Shared, DRAW), at(Noise::Shared, Draw { step: 8, ..DRAW }));
    assert_ne!(at(Noise::Shared, DRAW), at(Noise::Shared, Draw { seed: 6, ..DRAW }));
}

#[test]
fn schedules_follow_their_formulas() {
    let at = |schedule, t: u64| noise(job::SmoothOut { schedule, ..job(2.0) }).0.amplitude(t, 100);
    assert_eq!([0, 99].map(|t| at(NoiseSchedule::Constant, t)), [2.0, 2.0]);
    // sqrt(16^-0.55) = 2^-1.1.
    let anneal = [0, 15].map(|t| at(NoiseSchedule::Anneal, t));
    assert!(anneal[0] == 2.0 && (anneal[1] - 2.0 * 2f32.powf(-1.1)).abs() < 1e-6, "{anneal:?}");
    let grow = [0, 50, 100].map(|t| at(NoiseSchedule::Grow, t));
    assert!(grow[0] < 1e-4 && grow[0] > 0.0 && grow[1] == 1.0 && grow[2] > 1.9999, "{grow:?}");
}

#[test]
fn nothing_to_perturb_is_refused_and_no_noise_is_none() {
    let (graph, parameters) = network();
    let new = |job: job::SmoothOut| SmoothOut::new(&job, &graph, &parameters.table);
    assert!(new(job(0.0)).unwrap().is_none());
    let named = |a, names: &[&str]| job::SmoothOut {
        layers: Some(names.iter().map(ToString::to_string).collect()),
        ..job(a)
    };
    let error = new(named(0.1, &["conv2"])).unwrap_err().to_string();
    assert!(error.contains("is called `conv2`; did you mean `conv1`?"), "{error}");
    assert!(new(named(0.0, &["conv2"])).is_err(), "a wrong name is wrong whether or not there is noise");
    let error = new(named(0.1, &["bn1"])).unwrap_err().to_string();
    assert!(error.contains("is called `bn1`"), "{error}");
    let error = new(named(0.1, &[])).unwrap_err().to_string();
    assert!(error.contains("no weight to perturb") && error.contains("batch_norm = true"), "{error}");
}

/// Mean, variance and kurtosis of 200,000 draws, within 5 standard errors; neighbours are not correlated.
#[test]
fn draws_have_the_moments_of_their_distribution() {
    let n = 200_000;
    for (shape, variance, kurtosis) in
        [(Shape::Uniform, 1.0 / 3.0, 1.8), (Shape::Normal(quantiles::normal().into()), 1.0, 3.0)]
    {
        let stream = Stream { seed: 1, purpose: Purpose::SmoothOut, step: 0, subject: 0, tensor: 0 };
        let mut draws = vec![0.0; n];
        perturb_tensor(&stream, &shape, &vec![0.0; n], &mut draws, |_, u| u);
        let mean_of = |value: &dyn Fn(usize) -> f64| (0..n).map(value).sum::<f64>() / n as f64;
        let draw = |i: usize| f64::from(draws[i % n]);
        let root = (n as f64).sqrt();
        assert!(mean_of(&draw).abs() < 5.0 * f64::sqrt(variance) / root);
        let second = mean_of(&|i| draw(i).powi(2));
        assert!((second / variance - 1.0).abs() < 5.0 * f64::sqrt(kurtosis - 1.0) / root, "{second}");
        for distance in [1, 8, 64] {
            let together = mean_of(&|i| draw(i) * draw(i + distance));
            assert!(together.abs() < 5.0 * variance / root, "{distance} apart: {together}");
        }
    }
}

proptest! {
    /// The kernels follow the definition for any length, on one thread and on two.
    #[test]
    fn kernels_equal_the_definition(
        length in 1usize..700, more in 0usize..3, filter in 1usize..40, step in 0u64..1 << 39, subject in any::<u32>()
    ) {
        // Also beyond the number of weights that one thread processes at a time.
        let length = length + more * 16_384;
        let stream = Stream { seed: 3, purpose: Purpose::SmoothOut, step, subject, tensor: 1 };
        let clean: Vec<f32> = (0..length).map(|i| ((i * 31) % 17) as f32 / 17.0 - 0.5).collect();
        let table: std::sync::Arc<[f32]> = quantiles::normal().into();
        for shape in [Shape::Uniform, Shape::Normal(table)] {
            let u: Vec<f32> = (0..length).map(|i| {
                let bits = bits(&stream, i);
                match &shape {
                    Shape::Uniform => (f32::from(bits) - 32767.5) / 32768.0,
                    Shape::Normal(table) => table[usize::from(bits)],
                }
            }).collect();
            let mut results = Vec::new();
            for threads in [1, 2] {
                set_threads(threads).unwrap();
                let (mut plain, mut filters) = (vec![f32::NAN; length], vec![f32::NAN; length]);
                perturb_tensor(&stream, &shape, &clean, &mut plain, |w, u| w + 0.25 * u);
                perturb_filters(&stream, &shape, 0.25, (filter, false), &clean, &mut filters);
                for i in 0..length {
                    prop_assert_eq!(plain[i], clean[i] + 0.25 * u[i]);
                }
                results.push((plain, filters));
            }
            set_threads(1).unwrap();
            prop_assert_eq!(&results[0], &results[1]);
            // Sums in double precision in another order, then one rounding.
            for ((clean, u), noisy) in clean.chunks(filter).zip(u.chunks(filter)).zip(results[0].1.chunks(filter)) {
                let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                let scale = 0.25 * norm(clean) / (norm(u) + 1e-6);
                for ((w, u), noisy) in clean.iter().zip(u).zip(noisy) {
                    let exact = f64::from(*w) + scale * f64::from(*u);
                    prop_assert!((f64::from(*noisy) - exact).abs() <= 3.0 * f64::from(f32::EPSILON) * (w.abs() as f64 + (scale * f64::from(*u)).abs() + 1e-9));
                }
            }
        }
    }
}
