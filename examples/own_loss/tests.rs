//! The loss in jobs, in training and in evaluation.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::{Quantile, register};
use ternflock::checkpoint::load;
use ternflock::job::TaskKind;
use ternflock::nn::{Loss, Targets};
use ternflock::train::{Options, register_loss, run};
use ternflock::world::World;

/// Noise between 0 and 1 around a line: y = 10 x + noise.
fn table(path: &Path) {
    let rows = (0..4000).map(|n: u32| {
        let (x, noise) = (f64::from(n % 10), f64::from(n * 7919 % 1000) / 1000.0);
        format!("{x},{}\n", 10.0 * x + noise)
    });
    fs::write(path, format!("x,y\n{}", rows.collect::<String>())).unwrap();
}

/// The predictions lie at the quantile, not at the mean.
#[test]
fn a_loss_of_ones_own_decides_what_is_learnt() {
    register().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.toml");
    table(&directory.path().join("t.csv"));
    let job = |loss: &str| {
        format!(
            "[data]\ndataset = 'csv'\nfile = '{}'\ntargets = 'y'\nnormalise_targets = 'none'\n[task]\nloss = '{loss}'\n\
             [train]\nsteps = 3000\nglobal_batch = 50\neval_every = 0\n[optimizer]\nlearning_rate = 0.5\n[schedule]\nkind = \
             'polynomial'\n[exchange]\ngradients = 'float32'\n[[model.layers]]\nname = 'line'\ntype = 'linear'\nunits = 'targets'\n",
            directory.path().join("t.csv").display()
        )
    };
    fs::write(&path, job("quantile-90")).unwrap();
    let loaded = ternflock::train::load(&path, &[]).unwrap();
    let options = Options { run_dir: Some(directory.path().join("run")), ..Options::default() };
    let summary = run(&loaded, &options, &mut World::alone(), &AtomicBool::new(false), &mut |_| ()).unwrap();
    let snapshot = load(&summary.checkpoint).unwrap();
    let bias = snapshot.parameters.iter().find(|tensor| tensor.name == "line/bias").unwrap().values[0];
    // At the mean of x, 4.5, the quantile is 45.9 and the mean 45.5.
    assert!((bias - 45.9).abs() < 0.15, "{bias}");

    fs::write(&path, job("quantile-9")).unwrap();
    let message = ternflock::train::load(&path, &[]).unwrap_err().to_string();
    assert!(message.contains("did you mean \"quantile-90\"?"), "{message}");
    let message = |name| {
        let loss = Quantile { quantile: 0.5, name };
        register_loss(&[TaskKind::Regression], loss).unwrap_err().to_string()
    };
    assert!(message("quantile-90").contains("a loss called `quantile-90` already"));
    assert!(message("mse").contains("a loss called `mse` already"));
}

#[test]
fn gradients_are_those_of_the_loss() {
    let loss = Quantile { quantile: 0.9, name: "q" };
    let targets = Targets { values: vec![1.0, 2.0, 3.0, 4.0], width: 2, ..Targets::default() };
    let outputs = [0.0, 4.0, 3.5, 1.0];
    let mut gradient = [0.0; 4];
    let tally = loss.compute(&outputs, &targets, 2.0, Some(&mut gradient));
    assert_eq!(tally.samples, 2);
    assert!((tally.loss - (0.9 + 0.2 + 0.05 + 2.7) / 2.0).abs() < 1e-6, "{tally:?}");
    for (at, &slope) in gradient.iter().enumerate() {
        let loss_at = |by: f32| {
            let mut moved = outputs;
            moved[at] += by;
            loss.compute(&moved, &targets, 1.0, None).loss
        };
        let difference = 2.0 * (loss_at(0.25) - loss_at(-0.25)) / 0.5;
        assert!((f64::from(slope) - difference).abs() < 1e-5, "{at}: {slope} {difference}");
    }
}
