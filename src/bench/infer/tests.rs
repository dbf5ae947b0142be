use serde_json::json;

use super::*;
use ternflock_nn::{Execution, Graph, Network, Shape};

fn network(name: &str, input: Shape, layers: serde_json::Value, batch: usize) -> Contestant {
    let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
    let mut network =
        Network::new(Graph::from_tables(input, tables).unwrap(), Execution::float32(batch)).unwrap();
    network.parameters.initialise(7);
    Contestant::new(name.into(), network)
}

/// 6 inputs, `hidden` units, 4 logits.
fn mlp(name: &str, hidden: usize) -> Contestant {
    let layers = json!([
        {"name": "ip1", "type": "linear", "units": hidden}, {"type": "relu"}, {"name": "ip2", "type": "linear", "units": 4},
    ]);
    network(name, Shape::Vector { features: 6 }, layers, 10)
}

/// A network of 50 units, 30 of which are zero, and the network of the other 20.
fn masked_and_shrunk() -> (Contestant, Contestant) {
    let (mut masked, mut shrunk) = (mlp("masked", 50), mlp("shrunk", 20));
    let kept: Vec<usize> = (0..50).filter(|unit| unit % 5 < 2).collect();
    let table =
        |contestant: &Contestant, index: usize| contestant.network.parameters.table[index].range.clone();
    let [weight, bias, second, second_bias] = [0, 1, 2, 3].map(|index| table(&masked, index));
    let values = &mut masked.network.parameters.values;
    let biases: Vec<f32> = (0..50).map(|unit| unit as f32 / 100.0).collect();
    values[bias.clone()].copy_from_slice(&biases);
    for unit in (0..50).filter(|unit| !kept.contains(unit)) {
        values[weight.start + 6 * unit..][..6].fill(0.0);
        values[bias.start + unit] = 0.0;
    }
    let rows = kept.iter().flat_map(|unit| values[weight.start + 6 * unit..][..6].to_vec());
    let biases = kept.iter().map(|unit| values[bias.start + unit]);
    let columns = (0..4).flat_map(|row| kept.iter().map(move |unit| 50 * row + unit));
    let columns = columns.map(|at| values[second.start + at]);
    let smaller: Vec<f32> = rows.chain(biases).chain(columns).chain(values[second_bias].to_vec()).collect();
    shrunk.network.parameters.values.copy_from_slice(&smaller);
    (masked, shrunk)
}

#[test]
fn a_shrunk_network_computes_what_the_masked_one_did() {
    let (mut masked, mut shrunk) = masked_and_shrunk();
    let verdict = verify::compare(&mut masked, &mut shrunk).unwrap();
    assert!(verdict.largest_logit > 0.01, "{verdict:?}");
    assert!(verdict.tolerance < 1e-4 * verdict.largest_logit, "{verdict:?}");
    assert!(verdict.largest_difference <= verdict.tolerance, "{verdict:?}");
}

#[test]
fn a_network_that_computes_something_else_is_found_out() {
    let (mut masked, mut shrunk) = masked_and_shrunk();
    let place = shrunk.network.parameters.values.len() - 1;
    shrunk.network.parameters.values[place] += 1e-3;
    let error = verify::compare(&mut masked, &mut shrunk).unwrap_err();
    assert_eq!(error.kind(), ternflock_base::error::Kind::Checkpoint);
    let error = error.to_string();
    assert!(error.starts_with("shrunk: does not compute the same as `masked`: of 40 logits"), "{error}");
    shrunk.network.parameters.values[place] = f32::NAN;
    let error = verify::compare(&mut masked, &mut shrunk).unwrap_err().to_string();
    assert!(error.contains("is NaN, not"), "{error}");
    let other = verify::compare(&mut masked, &mut network_of_five()).unwrap_err().to_string();
    assert!(other.contains("they cannot compute the same"), "{other}");
}

fn network_of_five() -> Contestant {
    let layers = json!([{"type": "linear", "units": 5}]);
    network("five", Shape::Vector { features: 6 }, layers, 10)
}

/// The hidden state of recurrent layers does not affect a comparison.
#[test]
fn networks_are_compared_from_the_beginning() {
    let lstm = || {
        let layers = json!([{"type": "embedding", "features": 5}, {"type": "lstm", "hidden": 7}, {"type": "linear", "units": 9}]);
        network("lstm", Shape::Tokens { steps: 4, vocabulary: 9 }, layers, 3)
    };
    let (mut one, mut two) = (lstm(), lstm());
    let first = one.pass().to_vec();
    assert_ne!(first, one.pass());
    assert_eq!(first, one.first_pass());
    one.pass();
    assert_eq!(verify::compare(&mut one, &mut two).unwrap().largest_difference, 0.0);
}

#[test]
fn networks_are_timed_in_turn_and_layer_by_layer() {
    let (masked, shrunk) = masked_and_shrunk();
    let inference = infer(vec![masked, shrunk], 0.0, true).unwrap();
    assert_eq!((inference.batch, inference.rounds, inference.models.len()), (10, 3, 2));
    let (first, second) = (&inference.models[0], &inference.models[1]);
    assert_eq!((first.params, first.flops), (6 * 50 + 50 + 50 * 4 + 4, 2 * (6 * 50 + 50 * 4)));
    assert!(first.median_ms > 0.0 && first.passes >= 3);
    assert_eq!((first.speed_up, second.speed_up), (1.0, first.median_ms / second.median_ms));
    let names: Vec<&str> = first.layers.iter().map(|layer| &layer.name[..]).collect();
    assert_eq!(names, ["ip1", "relu_2", "ip2"]);
    assert!(first.layers[0].median_ms > 0.0 && first.layers[1].csr.is_none());
    let csr = first.layers[0].csr.as_ref().unwrap();
    assert!(csr.median_ms > 0.0 && (csr.zeros - 0.6).abs() < 1e-12, "{csr:?}");
    assert_eq!(second.layers[0].csr.as_ref().unwrap().zeros, 0.0);
    let error = infer(vec![mlp("a", 3), network_of_other_input()], 0.0, false).unwrap_err().to_string();
    assert!(error.contains("`a` takes vectors of 6, but `b` takes vectors of 7"), "{error}");
    assert!(infer(Vec::new(), 0.0, false).is_err());
}

fn network_of_other_input() -> Contestant {
    network("b", Shape::Vector { features: 7 }, json!([{"type": "linear", "units": 4}]), 10)
}

#[test]
fn convolutions_have_a_sparse_form_too() {
    let layers = json!([
        {"type": "conv2d", "filters": 4, "kernel": 3, "padding": 1, "groups": 2}, {"type": "relu"},
        {"type": "flatten"}, {"type": "linear", "units": 3, "bias": false},
    ]);
    let mut one = network("conv", Shape::Image { channels: 2, height: 5, width: 6 }, layers, 9);
    one.network.parameters.values[..18].fill(0.0);
    let inference = infer(vec![one], 0.0, true).unwrap();
    let zeros: Vec<Option<f64>> =
        inference.models[0].layers.iter().map(|layer| layer.csr.as_ref().map(|csr| csr.zeros)).collect();
    assert_eq!(zeros, [Some(0.5), None, None, Some(0.0)]);
}

/// The published shapes: 66.0 million weights, and 21.8 million at 373 and 315 hidden units, with 7.48 times
/// fewer operations.
#[test]
fn hidden_units_are_as_many_as_asked_for() {
    let graph =
        |hidden: &[usize], embedding| sizes::graph("lstm-large", 30, Some(hidden), embedding).unwrap();
    let count =
        |graph: &Graph| ternflock_nn::parameters::count(&ternflock_nn::parameters::table(graph).unwrap());
    let work =
        |graph: &Graph| -> u64 { (0..graph.layers().len()).map(|i| graph.multiply_adds(i).unwrap()).sum() };
    let (large, small) = (graph(&[1500, 1500], None), graph(&[373, 315], None));
    assert_eq!(large, sizes::graph("lstm-large", 30, None, None).unwrap());
    assert_eq!((count(&large) + 50_000) / 100_000, 660);
    assert_eq!((count(&small) + 50_000) / 100_000, 218);
    assert!((work(&large) as f64 / work(&small) as f64 - 7.48).abs() < 0.01);
    assert_eq!(graph(&[373, 315], Some(373)).shape(1), Shape::Sequence { steps: 30, features: 373 });
    // Tied logits need an embedding with as many features as the last recurrent layer.
    let rhn = sizes::graph("rhn", 35, Some(&[517]), None).unwrap();
    assert_eq!(rhn.shape(1), Shape::Sequence { steps: 35, features: 517 });
}

#[test]
fn wrong_sizes_are_refused_by_name() {
    let error = |name, hidden: &[usize], embedding| {
        sizes::graph(name, 30, Some(hidden), embedding).unwrap_err().to_string()
    };
    let wrong = error("lstm-large", &[373], None);
    assert!(wrong.contains("`lstm-large` has 2 recurrent layers") && wrong.contains("not 1"), "{wrong}");
    let wrong = error("lenet", &[373], None);
    assert!(wrong.contains("--hidden: `lenet` has no recurrent layers"), "{wrong}");
    let wrong = sizes::graph("lenet", 30, None, Some(5)).unwrap_err().to_string();
    assert!(wrong.contains("--embedding: `lenet` has no embedding"), "{wrong}");
    let wrong = sizes::graph("lstm-huge", 30, None, None).unwrap_err().to_string();
    assert!(wrong.contains("no preset is called `lstm-huge`"), "{wrong}");
}

#[test]
fn every_preset_can_be_timed() {
    for name in ternflock_job::presets() {
        let graph = sizes::graph(name, 3, None, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let batch = default_batch(graph.input());
        assert_eq!(batch, if matches!(graph.input(), Shape::Tokens { .. }) { 10 } else { 64 }, "{name}");
    }
}
