//! Training on values and on several labels, from samples in memory: by every loss, with the same scores on any number of
//! ranks.

use std::sync::Arc;

use serde_json::json;
use support::digits::shipped;
use support::ranks::on_ranks;
use ternflock::data::{Facts, SampleFeed, SampleSet, Samples, Selection};
use ternflock::error::Result;
use ternflock::job::{LossKind, Metric, Task, TaskKind};
use ternflock::nn::{Evaluation, Execution, Graph, Measures, Network, Shape, TargetKind, Targets};
use ternflock::train::{Evaluator, Trainer, evaluate};

use crate::WORLDS;

/// Samples of three features within 1. The two targets are linear functions of the features, in steps of 2^-10; as labels,
/// whether these are positive.
struct Line {
    are_labels: bool,
    wrong: bool,
}

const SAMPLES: usize = 301;

impl Line {
    fn features(number: usize) -> [f32; 3] {
        [7, 31, 57].map(|factor| ((number * factor) % 101) as f32 / 50.0 - 1.0)
    }
}

impl Samples for Line {
    fn input(&self) -> Shape {
        Shape::Vector { features: 3 }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Values(2)
    }

    fn len(&self) -> usize {
        SAMPLES
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        targets.values.clear();
        targets.width = 2;
        for (&number, input) in numbers.iter().zip(inputs.chunks_exact_mut(3)) {
            let [a, b, c] = Line::features(number);
            input.copy_from_slice(&[a, b, c]);
            let values = [a - 0.5 * b + 0.25, 2.0 * c];
            let shown = |value: f32| if self.are_labels { f32::from(u8::from(value > 0.0)) } else { value };
            targets.values.extend(values.map(shown));
            if self.wrong && number == 7 {
                targets.values[0] = 0.5;
            }
        }
        Ok(())
    }

    fn labels(&self) -> Option<Vec<usize>> {
        None
    }

    fn hash(&self) -> u64 {
        1
    }

    fn facts(&self) -> Facts {
        vec![("samples", SAMPLES.to_string())]
    }
}

fn selection(kind: TaskKind) -> Selection {
    Selection::all(Arc::new(Line { are_labels: kind == TaskKind::MultiLabel, wrong: false }))
}

/// A linear network after `steps` steps of `task` on `ranks` ranks, and its evaluation on each rank.
fn trained(task: &Task, steps: usize, ranks: usize) -> Vec<(Vec<f32>, Evaluation)> {
    let (steps, kind) = (format!("train.steps={steps}"), task.kind.unwrap());
    let sets = [
        steps.as_str(),
        "train.global_batch=30",
        "exchange.gradients=float32",
        "optimizer.learning_rate=0.5",
        "optimizer.momentum=0",
        "optimizer.weight_decay=0",
        "schedule.kind=cosine",
    ];
    let mut job = shipped(&sets).job;
    job.task = task.clone();
    on_ranks(ranks, |mut world| {
        let layers = serde_json::from_value(json!([{"type": "linear", "units": 2}])).unwrap();
        let layers: Vec<serde_json::Map<_, _>> = layers;
        let graph = Graph::from_tables(Shape::Vector { features: 3 }, layers).unwrap();
        let feed = SampleFeed::new(selection(kind), job.train.seed, job.train.global_batch).unwrap();
        let mut trainer = Trainer::new(&job, graph, Box::new(feed), world.topology(), true).unwrap();
        while trainer.step < trainer.steps {
            trainer.step(&mut world, false).unwrap();
        }
        trainer.verify(&mut world).unwrap();
        let mut evaluator = Evaluator::new(Box::new(SampleSet::new(selection(kind))), task).unwrap();
        let evaluation = evaluate(&mut evaluator, &mut trainer.network, &mut world).unwrap();
        (trainer.network.parameters.values.clone(), evaluation)
    })
}

#[test]
fn a_line_is_learnt_by_every_loss() {
    for (loss, huber_delta) in [(LossKind::Mse, None), (LossKind::Mae, None), (LossKind::Huber, Some(0.5))] {
        let kind = Some(TaskKind::Regression);
        let task = Task { kind, loss: Some(loss), huber_delta, ..Task::default() };
        let all = trained(&task, 300, 2);
        assert_eq!(all[0], all[1], "every rank has the same result");
        let Measures::Values(outputs) = &all[0].1.measures else { panic!() };
        let scores = outputs.mean_scores();
        assert!(scores.r2.unwrap() > 0.99 && scores.rmse.unwrap() < 0.1, "{loss:?}: {scores:?}");
        let squares = all[0].1.tally.rmse();
        assert!((squares - scores.rmse.unwrap()).abs() < 1e-12, "{squares} {scores:?}");
    }
}

#[test]
fn labels_are_learnt_and_counted() {
    let task = Task {
        kind: Some(TaskKind::MultiLabel),
        loss: Some(LossKind::BinaryCrossEntropy),
        metric: Some(Metric::MacroF1),
        ..Task::default()
    };
    let all = trained(&task, 300, 2);
    let Measures::Labels(counts) = &all[0].1.measures else { panic!() };
    assert!(counts.macro_f1().unwrap() > 0.97, "{:?}", counts.scores());
    let correct = all[0].1.tally.correct;
    assert!(correct > 280 && correct <= SAMPLES as u64, "{correct}");
}

/// The same parameters on any number of ranks: an untrained network.
#[test]
fn counts_are_the_same_on_any_number_of_ranks() {
    for kind in [TaskKind::MultiLabel, TaskKind::Regression] {
        let task = Task { kind: Some(kind), ..Task::default() };
        let of = |ranks| trained(&task, 1, ranks).swap_remove(ranks - 1).1;
        let alone = of(1);
        for ranks in WORLDS {
            let shared = of(ranks);
            assert_eq!(shared.tally.samples, alone.tally.samples);
            match (&shared.measures, &alone.measures) {
                (Measures::Labels(shared), Measures::Labels(alone)) => {
                    let samples = |counts: &ternflock::nn::metrics::Counts| -> Vec<u64> {
                        counts.scores().iter().map(|scores| scores.samples).collect()
                    };
                    assert_eq!(samples(shared), samples(alone));
                }
                (Measures::Values(shared), Measures::Values(alone)) => {
                    // Gradients are summed in another order, which moves weights by roundings.
                    let (shared, alone) = (shared.mean_scores(), alone.mean_scores());
                    let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-5;
                    assert!(
                        near(shared.r2, alone.r2) && near(shared.rmse, alone.rmse),
                        "{shared:?} {alone:?}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_label_that_is_neither_0_nor_1_is_refused() {
    let task = Task { kind: Some(TaskKind::MultiLabel), ..Task::default() };
    let wrong = Selection::all(Arc::new(Line { are_labels: true, wrong: true }));
    let layers = serde_json::from_value(json!([{"type": "linear", "units": 2}])).unwrap();
    let layers: Vec<serde_json::Map<_, _>> = layers;
    let graph = Graph::from_tables(Shape::Vector { features: 3 }, layers).unwrap();
    let execution = Execution::float32(64);
    let mut network = Network::new(graph, execution).unwrap();
    let mut evaluator = Evaluator::new(Box::new(SampleSet::new(wrong)), &task).unwrap();
    let message = evaluator.evaluate(&mut network, 0..SAMPLES).unwrap_err().to_string();
    assert!(message.contains("task.kind = \"multi-label\" needs 0 or 1"), "{message}");
}
