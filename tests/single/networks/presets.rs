//! Every preset on generated data of the size it was published for (but with fewer words), a few samples at a
//! time.

use std::fs;

use ternflock::job;
use ternflock::nn::Targets;
use ternflock::train::{build_graph, open_feeds};

use crate::{alone, begin, pass};

/// Images with the shape and classes of a sample, or text with 300 distinct words.
fn data(preset: &str) -> &'static str {
    match preset {
        "lenet" | "mlp" => "dataset = 'synthetic'\nshape = [1, 28, 28]\nsamples = 20",
        "alexnet" => "dataset = 'synthetic'\nshape = [3, 227, 227]\nclasses = 1000\nsamples = 2",
        "resnet-50" | "vgg-a" | "googlenet" => {
            "dataset = 'synthetic'\nshape = [3, 224, 224]\nclasses = 1000\nsamples = 6"
        }
        "rhn" | "lstm-small" | "lstm-medium" | "lstm-large" => {
            "dataset = 'synthetic-text'\ntokens = 1000\nvocabulary = 300\nsequence_length = 10"
        }
        _ => "dataset = 'synthetic'\nsamples = 20",
    }
}

/// ReLU and dropout silence units. Between two such layers 15 of 16 weights are silent for a sample, as in
/// vgg-a, so that it takes more of them until a fifth of the weights has a gradient.
fn samples(preset: &str) -> usize {
    if preset == "vgg-a" { 6 } else { 2 }
}

/// No parameter is cut off from the loss, and no gradient is NaN.
#[test]
fn every_preset_has_a_gradient_for_each_of_its_parameters() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    for preset in job::presets() {
        let path = directory.path().join("job.toml");
        let samples = samples(preset);
        let text = format!(
            "[data]\n{}\n[model]\npreset = '{preset}'\n[train]\nsteps = 1\nglobal_batch = {samples}\n[optimizer]\n\
             learning_rate = 1\n",
            data(preset)
        );
        fs::write(&path, text).unwrap();
        let loaded = job::load(&path, &[]).unwrap();
        let mut feed = open_feeds(&loaded).unwrap().train;
        let graph = build_graph(&loaded.job.model, &loaded.source, feed.input(), feed.target()).unwrap();
        let mut network = begin(graph, samples);
        let (mut input, mut targets) = (network.input_mut(samples).to_vec(), Targets::default());
        feed.fill(0, 0..samples, &mut input, &mut targets).unwrap();
        let loss = pass(&mut network, samples, &input, &targets.labels);
        assert!(loss.is_finite() && loss > 0.0, "{preset}: {loss}");
        for parameter in &network.parameters.table {
            let gradient = &network.parameters.gradients[parameter.range.clone()];
            let name = format!("{preset}: {}", parameter.name);
            assert!(gradient.iter().all(|value| value.is_finite()), "{name} is not finite");
            let moved = gradient.iter().filter(|value| **value != 0.0).count();
            // In a table of words, only those that occur have a gradient.
            let least = if parameter.name == "embedding/weight" { 1 } else { gradient.len() / 5 };
            assert!(moved >= least, "{name}: {moved} of {} have a gradient", gradient.len());
        }
    }
}
