//! Update rules for ten steps on generated gradients, at changing rates, with and without clipping.

use serde_json::Value;
use ternflock::job::Job;
use ternflock::nn::{Graph, Parameters, Shape};
use ternflock::optim::Optimizer;

use crate::{INPUT, ROUNDING, WEIGHT, assert_close, floats, values};

/// Parameters and their updates stay within 2. A step rounds a parameter once, and its update by the few roundings that
/// the rule has, each at most of the largest value it comes across: below 8 with gradients of 8 and momentum.
const TOLERANCE: f64 = 10.0 * 8.0 * ROUNDING;

#[test]
fn ten_steps_of_each_rule_are_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("optimizers.json")).unwrap();
    let (rates, sizes) = (floats(&golden["rates"]), floats(&golden["sizes"]));
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!((rates.len(), cases.len()), (10, 14));
    for case in cases {
        let mut parameters = parameters();
        let mut optimizer = Optimizer::new(&job(&case["optimizer"]).optimizer, parameters.values.len());
        for (step, (&rate, &size)) in rates.iter().zip(&sizes).enumerate() {
            for (index, parameter) in parameters.table.iter().enumerate() {
                let seed = INPUT + 10 * step as u32 + 1000 * index as u32;
                let gradients = values(seed, parameter.range.len()).into_iter().map(|g| size as f32 * g);
                let place = &mut parameters.gradients[parameter.range.clone()];
                place.iter_mut().zip(gradients).for_each(|(to, g)| *to = g);
            }
            optimizer.step(step as u64, rate, &mut parameters);
        }
        for parameter in &parameters.table {
            let what = format!("{} {}", parameter.name, case["optimizer"]);
            let expected = floats(&case[parameter.spec.name]);
            assert_close(&what, &parameters.values[parameter.range.clone()], &expected, TOLERANCE);
        }
    }
}

/// A weight of 37 elements, which decays, and a bias of 5, which does not.
fn parameters() -> Parameters {
    crate::instructions::use_asked();
    let input = Shape::Vector { features: 37 };
    let tables = [
        r#"{"name": "a", "type": "linear", "units": 1, "bias": false}"#,
        r#"{"name": "b", "type": "linear", "units": 5}"#,
    ];
    let tables =
        tables.map(|table| serde_json::from_str::<Value>(table).unwrap().as_object().unwrap().clone());
    let graph = Graph::from_tables(input, tables).unwrap();
    let mut parameters = Parameters::new(&graph).unwrap();
    let names: Vec<_> = parameters.table.iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["a/weight", "b/weight", "b/bias"]);
    parameters.table.remove(1);
    for (parameter, seed) in parameters.table.iter().zip([WEIGHT, WEIGHT + 10]) {
        let place = &mut parameters.values[parameter.range.clone()];
        place.copy_from_slice(&values(seed, parameter.range.len()));
    }
    parameters
}

/// A job with the section `[optimizer]` that a case has.
fn job(optimizer: &Value) -> Job {
    let keys = optimizer.as_object().unwrap().iter().map(|(key, value)| format!("{key} = {value}\n"));
    let section = keys.collect::<String>();
    let text = format!(
        "name = 'golden'\n[data]\ndataset = 'digits'\n[model]\npreset = 'lenet'\n[train]\nsteps = 10\n[optimizer]\n\
         learning_rate = 1.0\n{section}"
    );
    Job::from_toml(&text).unwrap()
}

/// Decay applies only to the named layers, and never to a bias.
#[test]
fn only_named_layers_decay() {
    for (layers, expected) in [("[]", [1.0, 1.0]), ("['a']", [0.5, 1.0]), ("['b']", [1.0, 1.0])] {
        let optimizer = serde_json::json!({"momentum": 0.0, "weight_decay": 0.5});
        let mut job = job(&optimizer).optimizer;
        job.decay_layers = toml_strings(layers);
        let mut parameters = parameters();
        parameters.values.fill(1.0);
        Optimizer::new(&job, parameters.values.len()).step(0, 1.0, &mut parameters);
        let first = |index: usize| parameters.values[parameters.table[index].range.start];
        assert_eq!([first(0), first(1)], expected, "{layers}");
    }
}

fn toml_strings(text: &str) -> Option<Vec<String>> {
    Some(serde_json::from_str(&text.replace('\'', "\"")).unwrap())
}
