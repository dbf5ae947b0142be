//! A step allocates nothing: every buffer is sized when the network is built. The allocator of this binary counts.

use support::counting::{Counting, allocations};
use ternflock::bench::{Stepper, default_batch};
use ternflock::compress::force::Force;
use ternflock::job::{self, Adapt, Distribution, ForceKind};
use ternflock::models::preset;
use ternflock::nn::layer::{Draw, Mode};
use ternflock::nn::{Execution, Graph, Network, Parameters, Shape};
use ternflock::smoothout::SmoothOut;
use ternflock::tensor::{set_threads, within};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of three steps after two others.
fn allocations_of_steps(model: &str, batch: usize) -> usize {
    let mut stepper = Stepper::new(model, Execution::float32(batch)).unwrap();
    // One entry into the pool: its queue allocates for 63 entries at a time, which is not part of a step.
    within(|| {
        let mut steps = |count: usize| (0..count).for_each(|_| assert!(stepper.step().is_finite()));
        steps(2);
        let before = allocations();
        steps(3);
        allocations() - before
    })
}

/// Allocations of adding forces three times.
fn allocations_of_force(kind: ForceKind) -> usize {
    let graph = preset("convnet-quick", Shape::Image { channels: 3, height: 32, width: 32 }, 10).unwrap();
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.initialise(1);
    let mut force = Force::new(&job::Force { kind, strength: 1e-3, layers: None }, &graph, &parameters.table)
        .unwrap()
        .unwrap();
    let Parameters { values, gradients, .. } = &mut parameters;
    within(|| {
        force.add(values, gradients);
        let before = allocations();
        (0..3).for_each(|_| force.add(values, gradients));
        allocations() - before
    })
}

/// Allocations of three forward and backward passes of layers with only some columns.
fn allocations_on_columns(batch: usize) -> usize {
    let tables = serde_json::json!([
        {"type": "conv2d", "filters": 7, "kernel": 3, "padding": 1, "columns": [1, 2, 5, 7]},
        {"type": "conv2d", "filters": 5, "kernel": 3, "stride": 2, "columns": [4, 20, 21, 40, 62]},
        {"type": "flatten"},
        {"type": "linear", "units": 9, "columns": [0, 9, 17, 44]},
    ]);
    let tables: Vec<_> = serde_json::from_value(tables).unwrap();
    let graph = Graph::from_tables(Shape::Image { channels: 1, height: 7, width: 7 }, tables).unwrap();
    let mut network = Network::new(graph, Execution::float32(batch)).unwrap();
    network.parameters.initialise(1);
    let mut step = || {
        network.forward(batch, Mode::Train(Draw::default()));
        network.output_and_gradient().1.fill(1.0);
        network.backward(batch);
    };
    within(|| {
        step();
        let before = allocations();
        (0..3).for_each(|_| step());
        allocations() - before
    })
}

/// Allocations of perturbing and restoring the weights three times.
fn allocations_of_noise(adapt: Adapt) -> usize {
    let graph = preset("resnet-20", Shape::Image { channels: 3, height: 32, width: 32 }, 10).unwrap();
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.initialise(1);
    let job =
        job::SmoothOut { a: 0.1, adapt, distribution: Distribution::Normal, ..job::SmoothOut::default() };
    let mut smoothout = SmoothOut::new(&job, &graph, &parameters.table).unwrap().unwrap();
    let mut step = || {
        (0..2).for_each(|_| smoothout.perturb(Draw::default(), 0.1, &mut parameters.values));
        smoothout.restore(&mut parameters.values);
    };
    within(|| {
        step();
        let before = allocations();
        (0..3).for_each(|_| step());
        allocations() - before
    })
}

/// A single test, so that nothing else runs in this process at the same time.
#[test]
fn steps_allocate_nothing() {
    for threads in [1, 2] {
        set_threads(threads).unwrap();
        for model in ["lenet", "convnet-quick", "resnet-20", "lstm-small"] {
            for batch in [3, default_batch(model).unwrap()] {
                assert_eq!(
                    allocations_of_steps(model, batch),
                    0,
                    "{model}, batch {batch}, {threads} threads"
                );
            }
        }
        for batch in [2, 24] {
            assert_eq!(allocations_on_columns(batch), 0, "columns, batch {batch}, {threads} threads");
        }
        for adapt in [Adapt::None, Adapt::Filter] {
            assert_eq!(allocations_of_noise(adapt), 0, "{adapt:?}, {threads} threads");
        }
        for kind in [ForceKind::L1, ForceKind::L2] {
            assert_eq!(allocations_of_force(kind), 0, "{kind:?}, {threads} threads");
        }
    }
    let counted = allocations();
    drop(std::hint::black_box(vec![0; 10]));
    assert_eq!(allocations(), counted + 1, "the allocator counts");
}
