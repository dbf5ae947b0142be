//! The door for averaging methods: one that this program does not have averages gradients and trains.

use support::digits::shipped;
use support::ranks::on_ranks;
use ternflock::job;
use ternflock::nn::Parameters;
use ternflock::train::method::{Bytes, Method, ReductionPath, VirtualRanks, wire};
use ternflock::train::{Exchange, prepare};
use ternflock_collectives::all_reduce::Algorithm;
use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::topology::Topology;

use crate::exchange::{Local, SEED, average, gradients, graph, settings};
use crate::row_means::RowMeans;

const RANKS: [usize; 3] = [1, 2, 3];

fn exchange(job: &job::Exchange, parameters: &Parameters, ranks: usize) -> Exchange {
    Exchange::with_method(&RowMeans, job, SEED, &graph(), parameters, Topology::single(ranks)).unwrap()
}

/// Each row becomes its mean over columns and ranks, the tensors that stay float32 their means, and all ranks hold the
/// same bits. `wide/bias` is zero on all ranks at step 1, and then less is sent than the bound.
#[test]
fn gradients_are_averaged() {
    let parameters = Parameters::new(&graph()).unwrap();
    let job = job::Exchange { bucket_elements: 1, ..settings(job::Gradients::Ternary, 20, &["logits"]) };
    for ranks in RANKS {
        for step in [0, 1] {
            let all = on_ranks(ranks, |mut world| {
                let mut exchange = exchange(&job, &parameters, ranks);
                assert_eq!(exchange.compressed_parameters(), 27 + 621 + 23);
                assert_eq!(exchange.algorithm(), "row_means_f32");
                let Bytes::AtMost(bound) = exchange.bytes_sent(world.rank()) else { panic!("exact") };
                let before = world.traffic().bytes_sent;
                let mut values = gradients(&parameters, world.rank(), step);
                average(&mut exchange, &mut world, step, &mut values, Local::default());
                let sent = world.traffic().bytes_sent - before;
                assert_eq!(sent < bound, step == 1 && ranks > 1, "{sent} of {bound} on {ranks} ranks");
                assert!(sent <= bound);
                values
            });
            assert!(all.iter().all(|values| *values == all[0]));
            let own: Vec<_> = (0..ranks).map(|rank| gradients(&parameters, rank, step)).collect();
            for parameter in &parameters.table {
                let is_compressed = ["conv1/weight", "wide/weight", "wide/bias"].contains(&&*parameter.name);
                let rows = if is_compressed { parameter.spec.shape[0] } else { parameter.range.len() };
                let columns = parameter.range.len() / rows;
                for row in 0..rows {
                    let place =
                        parameter.range.start + row * columns..parameter.range.start + (row + 1) * columns;
                    let sum: f64 =
                        own.iter().flat_map(|own| &own[place.clone()]).map(|g| f64::from(*g)).sum();
                    let mean = sum / (columns * ranks) as f64;
                    for value in &all[0][place] {
                        assert!(
                            (f64::from(*value) - mean).abs() < 1e-5,
                            "{}: {value}, {mean}",
                            parameter.name
                        );
                    }
                }
            }
        }
    }
}

/// What error feedback keeps is there for the checkpoint and for a resumed run, which goes on with the same bits.
#[test]
fn state_can_be_taken_along() {
    let parameters = Parameters::new(&graph()).unwrap();
    let job = settings(job::Gradients::Ternary, 20, &["logits"]);
    for ranks in RANKS {
        on_ranks(ranks, |mut world| {
            let mut step = |exchange: &mut Exchange, step| {
                let mut values = gradients(&parameters, world.rank(), step);
                average(exchange, &mut world, step, &mut values, Local::default());
                values
            };
            let mut straight = exchange(&job, &parameters, ranks);
            step(&mut straight, 0);
            let mut resumed = exchange(&job, &parameters, ranks);
            let mut taken = 0;
            for state in straight.state() {
                assert_eq!(*state.shape, *parameters.table[state.tensor].spec.shape);
                resumed.state_mut(state.slot, state.tensor).unwrap().copy_from_slice(state.values);
                taken += 1;
            }
            assert_eq!(taken, 3);
            assert_eq!(step(&mut straight, 3), step(&mut resumed, 3));
        });
    }
}

/// The loss falls, and all ranks hold the same parameters.
#[test]
fn a_network_is_trained() {
    let loaded = shipped(&["train.steps=300"]);
    for ranks in RANKS {
        let losses = on_ranks(ranks, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            trainer.set_method(&RowMeans, &loaded.job.exchange, world.topology()).unwrap();
            let mut loss = || trainer.step(&mut world, false).unwrap().tally.mean_loss();
            let losses: Vec<f64> = (0..300).map(|_| loss()).collect();
            trainer.verify(&mut world).unwrap();
            losses
        });
        let mean = |steps: std::ops::Range<usize>| {
            let all = losses.iter().flat_map(|losses| &losses[steps.clone()]);
            all.sum::<f64>() / (steps.len() * ranks) as f64
        };
        assert!(mean(290..300) < 0.8 * mean(0..10), "{} to {} on {ranks} ranks", mean(0..10), mean(290..300));
    }
}

/// The cost model and the virtual clock ask the method: rows cost, columns do not.
#[test]
fn costs_are_those_of_the_method() {
    let far = Link { latency: 1e-4, message: 1e-6, byte: 1e-7 };
    let costs = Costs { intra_node: far, inter_node: far, copy: 1e-9, add_floats: 1e-9, ..Costs::default() };
    let topology = Topology::flat(4);
    let path = ReductionPath { algorithm: Algorithm::RingTernary, topology: &topology };
    let ranks = VirtualRanks::new(&topology, &costs, wire(&far));
    let by_model = |shape: [usize; 2]| RowMeans.seconds(&[shape.to_vec()], &costs, &path);
    let by_clock =
        |shape: [usize; 2]| RowMeans.rehearse(&[shape.to_vec()], path.algorithm, &ranks).unwrap().exchange;
    for seconds in [&by_model as &dyn Fn(_) -> f64, &by_clock] {
        assert_eq!(seconds([1000, 10]), seconds([1000, 20]));
        assert!(seconds([100_000, 10]) > 10.0 * seconds([1000, 10]));
    }
}
