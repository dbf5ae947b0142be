//! Every preset on made-up data of the size it was published for (but for fewer words), two samples at a time.

use std::fs;

use ternflock::job;
use ternflock::models::PRESETS;
use ternflock::train::{build_graph, open_feeds};

use crate::{alone, begin, pass};

/// Images to a sample's shape and classes, or text of 300 kinds.
fn data(preset: &str) -> &'static str {
    match preset {
        "lenet" | "mlp" => "dataset = 'synthetic'\nshape = [1, 28, 28]\nsamples = 20",
        "alexnet" => "dataset = 'synthetic'\nshape = [3, 227, 227]\nclasses = 1000\nsamples = 2",
        "resnet-50" | "vgg-a" | "googlenet" => {
            "dataset = 'synthetic'\nshape = [3, 224, 224]\nclasses = 1000\nsamples = 2"
        }
        "rhn" | "lstm-small" | "lstm-medium" | "lstm-large" => {
            "dataset = 'synthetic-text'\ntokens = 1000\nvocabulary = 300\nsequence_length = 10"
        }
        _ => "dataset = 'synthetic'\nsamples = 20",
    }
}

/// No parameter is cut off from the loss, and none gets a gradient that is no number.
#[test]
fn every_preset_has_a_gradient_for_each_of_its_parameters() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    for preset in PRESETS {
        let path = directory.path().join("job.toml");
        let text = format!(
            "[data]\n{}\n[model]\npreset = '{preset}'\n[train]\nsteps = 1\nglobal_batch = 2\n[optimizer]\n\
             learning_rate = 1\n",
            data(preset)
        );
        fs::write(&path, text).unwrap();
        let loaded = job::load(&path, &[]).unwrap();
        let mut feed = open_feeds(&loaded).unwrap().train;
        let graph = build_graph(&loaded.job.model, &loaded.source, feed.input(), feed.classes()).unwrap();
        let mut network = begin(graph, 2);
        let (mut input, mut labels) = (network.input_mut(2).to_vec(), Vec::new());
        feed.fill(0, 0..2, &mut input, &mut labels).unwrap();
        let loss = pass(&mut network, 2, &input, &labels);
        assert!(loss.is_finite() && loss > 0.0, "{preset}: {loss}");
        for parameter in &network.parameters.table {
            let gradient = &network.parameters.gradients[parameter.range.clone()];
            let name = format!("{preset}: {}", parameter.name);
            assert!(gradient.iter().all(|value| value.is_finite()), "{name} is not finite");
            let moved = gradient.iter().filter(|value| **value != 0.0).count();
            // Rectifiers and dropout silence units, between two such layers as in vgg-a 15 of 16 weights a sample; of a table of
            // words only those that occur have a gradient.
            let least = if parameter.name == "embedding/weight" { 1 } else { gradient.len() / 10 };
            assert!(moved >= least, "{name}: {moved} of {} have a gradient", gradient.len());
        }
    }
}
