//! At full rank, the two layers compute the same as the one. Below it, the result has exactly the requested
//! ranks.

mod equal;

use serde_json::{Map, Value, json};

use super::*;
use ternflock_job::LowRankMethod;
use ternflock_models::preset;
use ternflock_nn::layer::Mode;
use ternflock_nn::{Execution, Network, Shape};

fn network(input: Shape, layers: Value) -> (Graph, Parameters) {
    let tables: Vec<Map<String, Value>> = serde_json::from_value(layers).unwrap();
    let graph = Graph::from_tables(input, tables).map_err(|(error, _)| error).unwrap();
    with_parameters(graph)
}

fn with_parameters(graph: Graph) -> (Graph, Parameters) {
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.initialise(7);
    // Biases are initialised to zero, which would hide errors.
    for parameter in parameters.table.iter().filter(|p| !p.spec.role.decays()) {
        parameters.values[parameter.range.clone()]
            .iter_mut()
            .enumerate()
            .for_each(|(i, b)| *b = 0.1 * (i % 5) as f32);
    }
    (graph, parameters)
}

fn lenet() -> (Graph, Parameters) {
    with_parameters(preset("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap())
}

fn tensor<'a>(parameters: &'a Parameters, name: &str) -> &'a [f32] {
    let parameter = parameters.table.iter().find(|p| p.name == name).unwrap();
    &parameters.values[parameter.range.clone()]
}

fn set_filters(parameters: &mut Parameters, name: &str, filters: usize, kinds: usize) {
    let range = parameters.table.iter().find(|p| p.name == name).unwrap().range.clone();
    let weight = &mut parameters.values[range];
    let width = weight.len() / filters;
    (kinds * width..weight.len()).for_each(|i| weight[i] = weight[i - kinds * width]);
}

fn run(graph: &Graph, parameters: &Parameters, x: &[f32]) -> Vec<f32> {
    let batch = x.len() / graph.input().elements();
    let mut network = Network::new(graph.clone(), Execution::float32(batch)).unwrap();
    network.parameters = parameters.clone();
    network.input_mut(batch).copy_from_slice(x);
    network.forward(batch, Mode::Evaluate).to_vec()
}

/// Pseudo-random numbers in -1..1.
fn input(graph: &Graph, batch: usize) -> Vec<f32> {
    (0..graph.input().elements() * batch).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect()
}

fn at_rank(layer: &str, rank: usize) -> LowRank {
    LowRank { ranks: [(layer.into(), rank)].into(), cost_test: false, ..LowRank::default() }
}

fn reason<'a>(factorised: &'a Factorised, layer: &str) -> &'a str {
    match &factorised.layers.iter().find(|row| row.layer == layer).unwrap().outcome {
        Outcome::Kept(reason) => reason,
        Outcome::Factorised(_) | Outcome::Product => "factorised",
    }
}

/// There are three different filters in conv2, and nothing to gain elsewhere.
#[test]
fn only_what_gets_cheaper_is_factorised() {
    let (graph, mut parameters) = lenet();
    set_filters(&mut parameters, "conv2/weight", 50, 3);
    let result = factorise(&graph, &parameters, &LowRank::energy(0.99)).unwrap();
    let names: Vec<&str> = result.graph.layers().iter().map(|node| &node.name[..]).collect();
    let expected = ["conv1", "pool1", "conv2.basis", "conv2", "pool2", "flatten", "ip1", "relu1", "ip2"];
    assert_eq!(names, expected);
    let rows: Vec<&str> = result.layers.iter().map(|row| &row.layer[..]).collect();
    assert_eq!(rows, ["conv1", "conv2", "ip1", "ip2"]);
    let row = &result.layers[1];
    assert_eq!((row.full_rank, row.rank), (Some(50), Some(3)));
    assert!(row.energy.unwrap() > 0.999_999);
    assert_eq!(row.outcome, Outcome::Factorised(Form::CrossFilter));
    assert_eq!(row.before, Cost { parameters: 50 * 500 + 50, multiply_adds: 50 * 500 * 64 });
    assert_eq!(row.after, Cost { parameters: 3 * 500 + 50 * 3 + 50, multiply_adds: (3 * 500 + 50 * 3) * 64 });
    let count: usize = result.layers.iter().map(|row| row.after.parameters).sum();
    assert_eq!(count, result.parameters.values.len());
    assert!(reason(&result, "conv1").starts_with("at rank "), "{}", reason(&result, "conv1"));
    assert!(reason(&result, "ip1").contains("instead of 400500 and 400000"), "{}", reason(&result, "ip1"));
    assert!(reason(&result, "ip2").contains("computes the logits"));
    assert_eq!(Graph::from_json(&result.graph.to_json()).unwrap(), result.graph);

    // Unchanged parameters, including the second layer's bias, keep their values and optimizer state; the
    // others are new.
    let state: Vec<f32> = (1..=parameters.values.len()).map(|i| i as f32).collect();
    let taken = result.take(&state);
    for (parameter, origin) in result.parameters.table.iter().zip(&result.origins) {
        let (now, taken) =
            (&result.parameters.values[parameter.range.clone()], &taken[parameter.range.clone()]);
        match &origin {
            Some(origin) => {
                assert_eq!(now, &parameters.values[origin.clone()], "{}", parameter.name);
                assert_eq!(taken, &state[origin.clone()]);
                assert_eq!(now, tensor(&parameters, &parameter.name));
            }
            None => assert!(taken.iter().all(|&v| v == 0.0) && now.iter().any(|&v| v != 0.0)),
        }
    }
    let anew = result.parameters.table.iter().zip(&result.origins).filter(|(_, origin)| origin.is_none());
    let anew: Vec<&str> = anew.map(|(parameter, _)| &parameter.name[..]).collect();
    assert_eq!(anew, ["conv2.basis/weight", "conv2/weight"]);
}

#[test]
fn logits_and_excepted_layers_go_only_by_name() {
    let (graph, mut parameters) = lenet();
    set_filters(&mut parameters, "conv2/weight", 50, 3);
    let request = LowRank {
        ranks: [("ip2".into(), 4)].into(),
        except: vec!["conv2".into()],
        energy: Some(0.5),
        ..LowRank::default()
    };
    let result = factorise(&graph, &parameters, &request).unwrap();
    assert_eq!(reason(&result, "conv2"), "it is excepted");
    assert_eq!(reason(&result, "ip2"), "factorised");
    assert_eq!(result.graph.output(), Shape::Vector { features: 10 });
    assert_eq!(tensor(&result.parameters, "ip2.basis/weight").len(), 4 * 500);
    let only = factorise(&graph, &parameters, &at_rank("ip1", 100)).unwrap();
    assert_eq!(
        only.layers.iter().filter(|row| row.outcome != Outcome::Factorised(Form::CrossFilter)).count(),
        3
    );
    assert_eq!(reason(&only, "conv1"), "no rank was requested");
}

/// The statistics of batch norm, shortcuts and sums: a residual network keeps its structure.
#[test]
fn a_residual_network_stays_whole() {
    let graph = preset("resnet-20", Shape::Image { channels: 3, height: 16, width: 16 }, 10).unwrap();
    let (graph, mut parameters) = with_parameters(graph);
    let count = parameters.statistics.values.len();
    parameters.statistics.values = (0..count).map(|i| 1.0 + (i % 7) as f32).collect();
    for method in [LowRankMethod::Pca, LowRankMethod::Svd] {
        let result = factorise(&graph, &parameters, &LowRank { method, ..LowRank::energy(0.6) }).unwrap();
        let done = result.layers.iter().filter(|row| row.outcome == Outcome::Factorised(Form::CrossFilter));
        assert!(done.count() > 5, "{:?}", result.layers);
        assert_eq!(result.parameters.statistics.values, parameters.statistics.values);
        assert!(result.layers.iter().all(|row| row.after.parameters <= row.before.parameters));
        let y = run(&result.graph, &result.parameters, &input(&graph, 2));
        assert!(y.iter().all(|y| y.is_finite()));
        // A second time, factorised layers do not change, because the names are taken.
        let again = factorise(&result.graph, &result.parameters, &LowRank::energy(0.6)).unwrap();
        let first = result.layers.iter().find(|row| row.after != row.before).unwrap();
        assert!(reason(&again, &first.layer).contains("already"), "{}", reason(&again, &first.layer));
    }
}

#[test]
fn groups_and_shared_weights_are_left_alone() {
    let image = Shape::Image { channels: 4, height: 6, width: 6 };
    let (graph, parameters) = network(
        image,
        json!([
            {"name": "g", "type": "conv2d", "filters": 8, "kernel": 3, "groups": 2},
            {"type": "flatten"},
            {"name": "out", "type": "linear", "units": 3},
        ]),
    );
    let result = factorise(&graph, &parameters, &LowRank::energy(0.9)).unwrap();
    assert_eq!(reason(&result, "g"), "its filters are in 2 groups");
    let message = factorise(&graph, &parameters, &at_rank("g", 2)).unwrap_err().to_string();
    assert!(message.contains("`g` cannot be factorised: its filters are in 2"), "{message}");

    let (graph, parameters) = network(
        Shape::Tokens { steps: 3, vocabulary: 9 },
        json!([
            {"name": "words", "type": "embedding", "features": 4},
            {"name": "lstm", "type": "lstm", "hidden": 4},
            {"name": "out", "type": "linear", "units": 9, "tied": "words"},
        ]),
    );
    let request = LowRank { cost_test: false, ..LowRank::energy(1.0) };
    let result = factorise(&graph, &parameters, &request).unwrap();
    assert_eq!(reason(&result, "lstm"), "factorised");
    assert_eq!(reason(&result, "out"), "it computes the logits; set its rank to factorise it");
    let message = factorise(&graph, &parameters, &at_rank("out", 2)).unwrap_err().to_string();
    assert!(message.contains("its weight is that of `words`"), "{message}");
}

/// Each message names the layer and the remedy.
#[test]
fn what_cannot_be_is_refused() {
    let (graph, mut parameters) = lenet();
    let with = |change: &dyn Fn(&mut LowRank)| {
        let mut request = LowRank::energy(0.9);
        change(&mut request);
        request
    };
    let cases: [(LowRank, &str); 10] = [
        (at_rank("conv2", 51), "rank 51 is requested for `conv2`, but its largest rank is 50"),
        (
            LowRank { separable: vec!["conv1".into()], ..at_rank("conv1", 6) },
            "rank 6 is requested for `conv1`, but its largest rank is 5",
        ),
        (at_rank("conv2", 0), "rank of `conv2` must be at least 1"),
        (at_rank("cnv2", 3), "is called `cnv2`; did you mean `conv2`?"),
        (at_rank("pool1", 3), "is called `pool1`"),
        (LowRank::energy(0.0), "energy = 0 must be above 0"),
        (LowRank::energy(f64::NAN), "energy = NaN"),
        (with(&|r| r.separable = vec!["ip1".into()]), "`ip1` is a linear layer; only a conv2d"),
        (LowRank { separable: vec!["conv1".into()], ..LowRank::default() }, "set an energy or its rank"),
        (
            with(&|r| (r.separable, r.except) = (vec!["conv1".into()], vec!["conv1".into()])),
            "`conv1` is both requested and excepted",
        ),
    ];
    for (request, part) in cases {
        let message = factorise(&graph, &parameters, &request).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    parameters.values[1_000] = f32::NEG_INFINITY;
    let message = factorise(&graph, &parameters, &LowRank::energy(0.9)).unwrap_err().to_string();
    assert!(message.contains("`conv2/weight` holds -inf at element 480"), "{message}");
}

/// A recurrent weight has the name of its tensor, and stays if its layer does.
#[test]
fn recurrent_weights_have_names_of_their_own() {
    let (graph, parameters) = network(
        Shape::Sequence { steps: 3, features: 9 },
        json!([
            {"name": "a", "type": "lstm", "hidden": 6},
            {"name": "b", "type": "gru", "hidden": 8},
            {"name": "out", "type": "linear", "units": 9},
        ]),
    );
    let all = LowRank { cost_test: false, ..LowRank::energy(0.6) };
    let with = |change: &dyn Fn(&mut LowRank)| {
        let mut request = all.clone();
        change(&mut request);
        request
    };
    let whole = factorise(&graph, &parameters, &all).unwrap();
    for row in ["a", "a/weight_hh", "b", "b/weight_hh"] {
        assert_eq!(reason(&whole, row), "factorised", "{row}");
    }
    let hh = whole.layers.iter().find(|row| row.layer == "b/weight_hh").unwrap();
    let rank = hh.rank.unwrap();
    assert_eq!(hh.before, Cost { parameters: 3 * 8 * 8, multiply_adds: 3 * 3 * 8 * 8 });
    assert_eq!(hh.after, Cost { parameters: 4 * 8 * rank, multiply_adds: 3 * 4 * 8 * rank as u64 });
    let layers = ["a.basis", "a", "b.basis", "b", "out"];
    assert_eq!(whole.graph.layers().iter().map(|node| &node.name[..]).collect::<Vec<_>>(), layers);
    assert_eq!(whole.graph.layers()[3].layer.recurrent_rank(), Some(rank));
    assert_eq!(Graph::from_json(&whole.graph.to_json()).unwrap(), whole.graph);
    let again = factorise(&whole.graph, &whole.parameters, &all).unwrap();
    assert_eq!(reason(&again, "b/weight_hh"), "it is already a product");

    let except = |name: &str| with(&|r| r.except = vec![name.into()]);
    let spared = factorise(&graph, &parameters, &except("a")).unwrap();
    assert_eq!((reason(&spared, "a"), reason(&spared, "a/weight_hh")), ("it is excepted", "it is excepted"));
    let spared = factorise(&graph, &parameters, &except("a/weight_hh")).unwrap();
    assert_eq!((reason(&spared, "a"), reason(&spared, "a/weight_hh")), ("factorised", "it is excepted"));
    // A product for 24 x 8 has 32 r elements.
    let dear = LowRank { cost_test: true, ..at_rank("b/weight_hh", 6) };
    let dear = factorise(&graph, &parameters, &dear).unwrap();
    assert_eq!(
        reason(&dear, "b/weight_hh"),
        "at rank 6 it would have 192 parameters and 576 multiply-adds instead of 192 and 576"
    );

    let both = with(&|r| (r.ranks, r.except) = ([("a/weight_hh".into(), 2)].into(), vec!["a".into()]));
    let cases = [
        (at_rank("a/weight_hh", 7), "rank 7 is requested for `a/weight_hh`, but its largest rank is 6"),
        (at_rank("c/weight_hh", 7), "is called `c/weight_hh`"),
        (at_rank("out/weight_hh", 7), "is called `out/weight_hh`"),
        (at_rank("a/weight_ho", 7), "is called `a/weight_ho`; did you mean `a/weight_hh`?"),
        (both, "`a/weight_hh` is both requested and excepted"),
        (with(&|r| r.separable = vec!["a/weight_hh".into()]), "only a conv2d has a vertical"),
    ];
    for (request, part) in cases {
        let message = factorise(&graph, &parameters, &request).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let message =
        factorise(&whole.graph, &whole.parameters, &at_rank("a/weight_hh", 2)).unwrap_err().to_string();
    assert!(message.contains("is already a product of rank"), "{message}");
    // The request of a stage is limited to the remaining network: to existing ranks, and without layers that
    // are already factorised.
    let left = of_what_is_left(&at_rank("a/weight_hh", 99), &graph).unwrap();
    assert_eq!(left, at_rank("a/weight_hh", 6));
    let left = of_what_is_left(&at_rank("a/weight_hh", 2), &whole.graph).unwrap();
    assert!(left.ranks.is_empty());
}

/// A weight of zeros keeps one unit, and the network its biases.
#[test]
fn zeros_have_one_direction() {
    let (graph, mut parameters) = lenet();
    let range = parameters.table[2].range.clone();
    parameters.values[range].fill(0.0);
    let x = input(&graph, 2);
    let before = run(&graph, &parameters, &x);
    let result = factorise(&graph, &parameters, &LowRank::energy(0.95)).unwrap();
    assert_eq!((result.layers[1].rank, result.layers[1].energy), (Some(1), Some(1.0)));
    assert_eq!(reason(&result, "conv2"), "factorised");
    // The outputs of conv1 do not matter: only biases do, and their readers have not changed.
    let only = factorise(&graph, &parameters, &at_rank("conv2", 1)).unwrap();
    assert_eq!(run(&only.graph, &only.parameters, &x), before);
}
