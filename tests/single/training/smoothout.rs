//! SmoothOut in runs: the same network on all ranks, also after an interruption, and steps from the
//! unperturbed weights.

use support::digits::{assert_same_state, load};
use support::ranks::on_ranks;
use ternflock::compress::force::Force;
use ternflock::compress::group_lasso::GroupLasso;
use ternflock::error::Kind;
use ternflock::nn::layer::{Draw, Mode};
use ternflock::nn::loss::CrossEntropy;
use ternflock::nn::{Execution, Loss, Network, Targets};
use ternflock::optim::{Moment, Optimizer, learning_rate};
use ternflock::smoothout::SmoothOut;
use ternflock::train::{Trainer, build_graph, open_feeds, place, prepare};
use ternflock::world::World;

use crate::WORLDS;
use crate::language;
use crate::runs::{resume, short, train, train_until};

const NOISE: [&str; 2] = ["smoothout.a=0.02", "train.global_batch=240"];

/// If all micro-batches have the same size, each has the noise of its place, on any number of ranks: only the
/// order of sums differs.
#[test]
fn noise_belongs_to_places_and_not_to_ranks() {
    let run = |ranks: usize, more: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let sets = ["train.micro_batch=30", "exchange.gradients=float32", "optimizer.learning_rate=0.01"];
        let job = short(&[&NOISE[..], &sets, more].concat());
        train(ranks, &job, directory.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        load(directory.path(), 20).parameters
    };
    let off = |a: &[ternflock::checkpoint::Tensor], b: &[ternflock::checkpoint::Tensor]| {
        let pairs = a.iter().zip(b).flat_map(|(a, b)| a.values.iter().zip(&b.values));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let alone = run(1, &[]);
    for ranks in [2, 4, 8] {
        let distance = off(&alone, &run(ranks, &[]));
        assert!(distance < 1e-5, "{ranks} ranks: {distance}");
    }
    for other in ["smoothout.noise=shared", "smoothout.a=0", "smoothout.adapt=filter", "train.micro_batch=60"]
    {
        let distance = off(&alone, &run(1, &[other]));
        assert!(distance > 1e-4, "{other}: {distance}");
    }
}

/// A step whose gradients are averaged by an external function is the same step: with two ranks the sums of
/// our ring have only one order.
#[test]
fn a_step_averaged_from_outside_is_the_same_step() {
    let loaded = short(&[&NOISE[..], &["exchange.gradients=float32", "train.micro_batch=30"]].concat());
    let train = |outside: bool| {
        on_ranks(2, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            for _ in 0..5 {
                match outside {
                    true => trainer.step_by(&mut world, World::mean).unwrap(),
                    false => trainer.step(&mut world, false).unwrap(),
                };
            }
            trainer.network.parameters.values.to_vec()
        })
    };
    let (inside, outside) = (train(false), train(true));
    assert_eq!(inside[0], inside[1]);
    assert_eq!(inside, outside);
}

/// Ranks compare all parameters after every step. Momentum, penalties and forces use the unperturbed weights,
/// so zeros stay zero.
#[test]
fn runs_with_noise_resume_to_the_bit() {
    let variants: [&[&str]; 4] = [
        &["train.micro_batch=2"],
        &[
            "smoothout.adapt=filter",
            "smoothout.a=0.5",
            "smoothout.schedule=grow",
            "exchange.error_feedback=true",
        ],
        &["smoothout.noise=shared", "smoothout.distribution=normal", "smoothout.schedule=anneal"],
        &["sparsity.method=proximal", "sparsity.neurons=5", "force.strength=0.001", "smoothout.adapt=weight"],
    ];
    for (number, variant) in variants.into_iter().enumerate() {
        for ranks in if number == 0 { &WORLDS[..] } else { &[2] } {
            let job = short(&[&NOISE[..], variant].concat());
            let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            train(*ranks, &job, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
            train_until(9, *ranks, &job, halved.path());
            resume(*ranks, &job, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
            assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
            if number == 3 {
                let zeros = load(straight.path(), 20).parameters;
                let zeros = zeros.iter().flat_map(|tensor| &tensor.values).filter(|value| **value == 0.0);
                assert!(zeros.count() > 100);
            }
        }
    }
}

#[test]
fn recurrent_networks_train_with_noise() {
    let sets = ["smoothout.a=0.01", "train.global_batch=12", "train.micro_batch=3", "train.eval_every=3"];
    for ranks in [1, 2] {
        let job = language::short(&sets);
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(ranks, &job, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        train_until(8, ranks, &job, halved.path());
        resume(ranks, &job, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
    }
}

/// Noise of no effect on a loss: with a learning rate of almost zero, the weights end where they began.
#[test]
fn steps_are_made_from_the_clean_weights() {
    let directory = tempfile::tempdir().unwrap();
    let job = short(&[&NOISE[..], &["smoothout.a=1", "optimizer.learning_rate=1e-30"]].concat());
    train(2, &job, directory.path()).iter().for_each(|rank| assert!(rank.summary().complete));
    let other = tempfile::tempdir().unwrap();
    let still = short(&["train.steps=1", "optimizer.learning_rate=1e-30"]);
    train(1, &still, other.path());
    for (a, b) in load(directory.path(), 20).parameters.iter().zip(&load(other.path(), 1).parameters) {
        // A bias begins at zero, from where 1e-30 is a step.
        let same = a.values.iter().zip(&b.values).all(|(a, b)| (a - b).abs() < 1e-20);
        assert!(same, "`{}` has moved", a.name);
    }
}

#[test]
fn noise_that_breaks_the_loss_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for rank in train(2, &short(&["smoothout.a=1e38"]), directory.path()) {
        let error = rank.result.unwrap_err();
        assert_eq!(error.kind(), Kind::NonFinite);
        let text = error.to_string();
        assert!(text.contains("step 0") && text.contains("smoothout.a = 1"), "{text}");
    }
}

#[test]
fn layers_that_are_not_there_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (layers, said) in
        [("['conv9']", "is called `conv9`; did you mean `conv1`?"), ("[]", "there is no weight to perturb")]
    {
        let job = short(&["smoothout.a=0.1", &format!("smoothout.layers={layers}")]);
        let error = train(1, &job, directory.path()).remove(0).result.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// Three steps written out in the order of docs/algorithms.md, with everything that must use unperturbed
/// weights. They match to the bit, because the float32 gradients of one rank are not rounded.
#[test]
fn a_step_has_the_documented_order() {
    let loaded = short(&[
        "train.global_batch=24",
        "train.micro_batch=8",
        "exchange.gradients=float32",
        "smoothout.a=0.05",
        "smoothout.schedule=grow",
        "sparsity.filters=0.01",
        "sparsity.threshold=0.001",
        "force.strength=0.001",
        "optimizer.weight_decay=0.01",
    ]);
    let job = &loaded.job;
    let trained = on_ranks(1, |mut world| {
        place(&mut world).unwrap();
        let feed = open_feeds(&loaded).unwrap().train;
        let graph = build_graph(&job.model, &loaded.source, feed.input(), feed.target()).unwrap();
        let mut trainer = Trainer::new(job, graph, feed, world.topology(), true).unwrap();
        (0..3).for_each(|_| _ = trainer.step(&mut world, false).unwrap());
        trainer.network.parameters.values
    });

    let mut feed = open_feeds(&loaded).unwrap().train;
    let graph = build_graph(&job.model, &loaded.source, feed.input(), feed.target()).unwrap();
    let mut network = Network::new(graph, Execution::float32(8)).unwrap();
    network.parameters.initialise(job.train.seed);
    let table = network.parameters.table.clone();
    let mut noise = SmoothOut::new(&job.smoothout, network.graph(), &table).unwrap().unwrap();
    let mut lasso = GroupLasso::new(&job.sparsity, network.graph(), &network.parameters).unwrap().unwrap();
    let mut force = Force::new(&job.force, network.graph(), &table).unwrap().unwrap();
    let mut optimizer = Optimizer::new(&job.optimizer, network.parameters.values.len());
    let mut targets = Targets::default();
    for step in 0..3 {
        let clean = network.parameters.values.clone();
        let mut sums = vec![0.0f32; clean.len()];
        for first_sample in [0, 8, 16] {
            let draw = Draw { seed: job.train.seed, step, first_sample };
            noise.perturb(draw, noise.amplitude(step, 20), &mut network.parameters.values);
            feed.fill(step, first_sample..first_sample + 8, network.input_mut(8), &mut targets).unwrap();
            network.forward(8, Mode::Train(draw));
            let (outputs, gradient) = network.output_and_gradient();
            CrossEntropy.compute(outputs, &targets, 1.0 / 24.0, Some(gradient));
            network.backward(8);
            sums.iter_mut().zip(&network.parameters.gradients).for_each(|(sum, gradient)| *sum += gradient);
        }
        noise.restore(&mut network.parameters.values);
        assert_eq!(network.parameters.values, clean);
        network.parameters.gradients = sums;
        lasso.add_gradients(&mut network.parameters);
        force.add(&network.parameters.values, &mut network.parameters.gradients);
        let moment = Moment { step, steps: 20, epoch: 0, cuts: 0 };
        let rate = learning_rate(&job.schedule, job.optimizer.learning_rate, moment);
        optimizer.step(step, rate, &mut network.parameters);
        lasso.make_zeros(optimizer.rates(), &mut network.parameters.values);
    }
    assert!(network.parameters.values.contains(&0.0), "the threshold has work to do");
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(&trained[0]) == bits(&network.parameters.values));
}
