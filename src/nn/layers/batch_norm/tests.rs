//! Tests of properties that gradient checks and golden values do not cover: ghost batches in the running
//! statistics, large means, and refusals.

use serde_json::{Map, Value, json};

use crate::layer::{Draw, Mode};
use crate::{Execution, Graph, LayerSpec, Network, Shape};

const TRAIN: Mode = Mode::Train(Draw { seed: 0, step: 0, first_sample: 0 });

fn network(spec: Value, input: Shape, batch: usize) -> Network {
    let table: Map<String, Value> = serde_json::from_value(spec).unwrap();
    let mut network =
        Network::new(Graph::from_tables(input, [table]).unwrap(), Execution::float32(batch)).unwrap();
    network.parameters.initialise(1);
    network
}

/// Powers of two: every number here is exact. Two ghost batches with the means 2 and 6 and the unbiased variances 8 and
/// 32; with momentum 1/2, the second weighs twice as much as the first.
#[test]
fn ghost_batches_enter_the_running_statistics_one_after_the_other() {
    let spec = json!({"type": "batch_norm", "ghost_batch": 2, "momentum": 0.5});
    let mut network = network(spec, Shape::Vector { features: 1 }, 4);
    assert_eq!(network.parameters.statistics.values, [0.0, 1.0]);
    network.input_mut(4).copy_from_slice(&[0.0, 4.0, 2.0, 10.0]);
    network.forward(4, TRAIN);
    assert_eq!(network.parameters.statistics.values, [3.5, 18.25]);
    network.forward(4, Mode::Evaluate);
    assert_eq!(network.parameters.statistics.values, [3.5, 18.25], "evaluation leaves them");
}

/// A deviation of 1 with a mean of 2^20, where single precision has steps of an eighth: the result is as
/// accurate as without a mean. A sum of squares would have lost the deviation.
#[test]
fn a_large_mean_costs_nothing() {
    let (input, n) = (Shape::Image { channels: 1, height: 16, width: 16 }, 20);
    let x: Vec<f32> = (0..256 * n).map(|i| ((i * 7 + i / 64) % 17) as f32 / 8.0).collect();
    let run = |shift: f32| {
        let mut network = network(json!({"type": "batch_norm"}), input, n);
        network.input_mut(n).iter_mut().zip(&x).for_each(|(to, x)| *to = x + shift);
        network.forward(n, TRAIN).to_vec()
    };
    let (plain, shifted) = (run(0.0), run((1 << 20) as f32));
    // The mean itself is rounded to an eighth; its error of at most a sixteenth shifts all elements equally.
    let moved = shifted[0] - plain[0];
    assert!(moved.abs() <= 0.0625 * 2.0, "{moved}");
    for (plain, shifted) in plain.iter().zip(&shifted) {
        assert!((shifted - plain - moved).abs() < 1e-5, "{plain} became {shifted}");
    }
}

#[test]
fn what_cannot_be_normalised_is_refused() {
    let image = Shape::Image { channels: 2, height: 1, width: 1 };
    let spec = |ghost: Option<usize>| -> LayerSpec {
        let mut spec = json!({"type": "batch_norm"});
        if let Some(ghost) = ghost {
            spec["ghost_batch"] = ghost.into();
        }
        serde_json::from_value(spec).unwrap()
    };
    let fits = |ghost, batch| spec(ghost).describe().fits_batch(&[image], batch);
    assert_eq!((fits(None, 2), fits(Some(2), 4)), (Ok(()), Ok(())));
    assert!(fits(Some(3), 4).unwrap_err().contains("ghost_batch = 3 does not divide the 4 samples"));
    assert!(fits(None, 1).unwrap_err().contains("only one value"));
    assert!(fits(Some(1), 4).unwrap_err().contains("only one value"));
    assert!(
        spec(Some(0)).describe().output(&[image]).unwrap_err().contains("ghost_batch must be at least 1")
    );
    let tokens = Shape::Tokens { steps: 2, vocabulary: 5 };
    assert!(spec(None).describe().output(&[tokens]).unwrap_err().contains("got tokens, 2 of 5"));
    for (key, value) in [("eps", 0.0), ("momentum", 0.0), ("momentum", 1.5)] {
        let layer: LayerSpec = serde_json::from_value(json!({"type": "batch_norm", key: value})).unwrap();
        assert!(layer.describe().output(&[image]).unwrap_err().contains(key));
    }
}

/// In evaluation the running statistics are constants: each output is linear in each single parameter, so
/// differences have no truncation error, and with powers of two there is almost no rounding.
#[test]
fn the_gradient_of_evaluation_is_that_of_constants() {
    let image = Shape::Image { channels: 1, height: 2, width: 1 };
    let conv = json!({"type": "conv2d", "filters": 2, "kernel": 1});
    let linear = json!({"type": "linear", "units": 2});
    for (input, first) in [(image, conv), (Shape::Vector { features: 2 }, linear)] {
        for relu in [false, true] {
            let norm = json!({"type": "batch_norm", "relu": relu, "eps": 0.75, "ghost_batch": 2});
            let tables = [first.clone(), norm]
                .map(|table| serde_json::from_value::<Map<String, Value>>(table).unwrap());
            let (graph, batch) = (Graph::from_tables(input, tables).unwrap(), 4);
            let mut network = Network::new(graph, Execution::float32(batch)).unwrap();
            // Deviations of 1 and 2 with eps.
            network.parameters.statistics.values = vec![0.5, -0.25, 0.25, 3.25];
            let count = network.parameters.values.len();
            let values: Vec<f32> = (0..count).map(|i| ((i * 5) % 7) as f32 / 4.0 - 0.625).collect();
            network.parameters.values.copy_from_slice(&values);
            let x: Vec<f32> = (0..2 * batch).map(|i| ((i * 3) % 8) as f32 - 3.5).collect();
            let r: Vec<f32> =
                (0..network.graph().output().elements() * batch).map(|i| (i % 5) as f32 - 1.5).collect();
            let loss = |network: &mut Network| -> f64 {
                network.input_mut(batch).copy_from_slice(&x);
                let y = network.forward(batch, Mode::Evaluate);
                y.iter().zip(&r).map(|(y, r)| f64::from(y * r)).sum()
            };
            // Whatever a training step has left behind.
            network.input_mut(batch).fill(1.0);
            network.forward(batch, TRAIN);
            network.parameters.statistics.values = vec![0.5, -0.25, 0.25, 3.25];
            loss(&mut network);
            network.output_and_gradient().1.copy_from_slice(&r);
            network.backward(batch);
            let gradients = network.parameters.gradients.clone();
            assert!(gradients.iter().filter(|&&gradient| gradient != 0.0).count() > 3, "{gradients:?}");
            for i in 0..count {
                let mut at = |value: f32| {
                    network.parameters.values[i] = value;
                    loss(&mut network)
                };
                let step = 2f32.powi(-8);
                let difference = (at(values[i] + step) - at(values[i] - step)) / f64::from(2.0 * step);
                at(values[i]);
                assert!(
                    (f64::from(gradients[i]) - difference).abs() < 1e-3,
                    "{i}: {} {difference}",
                    gradients[i]
                );
            }
        }
    }
}
