//! The interface for averaging methods: a method that this program does not have averages gradients and
//! trains.

use support::digits::shipped;
use support::ranks::on_ranks;
use ternflock::checkpoint::{Snapshot, load, save};
use ternflock::compress::operation::Operation;
use ternflock::job::{self, Loaded, Shrink};
use ternflock::nn::Parameters;
use ternflock::train::method::{Bytes, Method, ReductionPath, VirtualRanks, wire};
use ternflock::train::{Exchange, Trainer, prepare};
use ternflock::world::World;
use ternflock_collectives::all_reduce::{Algorithm, Coding};
use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::topology::Topology;

use crate::exchange::{Local, SEED, average, gradients, graph, settings};
use crate::row_means::{ROW_MEANS, RowMeans};

const RANKS: [usize; 3] = [1, 2, 3];

fn exchange(job: &job::Exchange, parameters: &Parameters, ranks: usize) -> Exchange {
    Exchange::with_method(&ROW_MEANS, job, SEED, &graph(), parameters, Topology::single(ranks)).unwrap()
}

/// Each row becomes its mean over columns and ranks, the tensors that stay float32 become their means, and
/// all ranks hold the same bits. `wide/bias` is zero on all ranks at step 1, so fewer bytes are sent than the
/// bound.
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

/// The state is available for the checkpoint and for a resumed run, which continues with the same bits.
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
                let shape = &parameters.table[state.tensor].spec.shape;
                match state.slot {
                    "residual" => assert_eq!(state.shape, shape),
                    slot => assert_eq!((slot, state.shape), ("last_means", &shape[..1])),
                }
                resumed.state_mut(state.slot, state.tensor).unwrap().copy_from_slice(state.values);
                taken += 1;
            }
            assert_eq!(taken, 2 * 3);
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
            trainer.set_method(&ROW_MEANS, &loaded.job.exchange, world.topology()).unwrap();
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
    let path =
        ReductionPath { algorithm: Algorithm::RingTernary, coding: Coding::Never, topology: &topology };
    let ranks = VirtualRanks::new(&topology, &costs, wire(&far));
    let by_model = |shape: [usize; 2]| ROW_MEANS.seconds(&[shape.to_vec()], &costs, &path);
    let by_clock =
        |shape: [usize; 2]| ROW_MEANS.rehearse(&[shape.to_vec()], path.algorithm, &ranks).unwrap().exchange;
    for seconds in [&by_model as &dyn Fn(_) -> f64, &by_clock] {
        assert_eq!(seconds([1000, 10]), seconds([1000, 20]));
        assert!(seconds([100_000, 10]) > 10.0 * seconds([1000, 10]));
    }
}

fn steps(trainer: &mut Trainer, world: &mut World, steps: usize) {
    (0..steps).for_each(|_| _ = trainer.step(world, false).unwrap());
}

/// A trainer of a digits network whose gradients are averaged by row means.
fn digits(loaded: &Loaded, world: &mut World) -> Trainer {
    let (mut trainer, _) = prepare(loaded, world).unwrap();
    trainer.set_method(&ROW_MEANS, &loaded.job.exchange, world.topology()).unwrap();
    trainer
}

fn bits(trainer: &Trainer) -> Vec<u32> {
    trainer.network.parameters.values.iter().map(|value| value.to_bits()).collect()
}

/// A checkpoint holds the state of the method in its slots, and the resumed run gives the bits of an
/// uninterrupted one. It would not do so without the method's own slot.
#[test]
fn a_checkpoint_holds_the_state() {
    let (loaded, directory) = (shipped(&["train.steps=8"]), tempfile::tempdir().unwrap());
    for ranks in RANKS {
        let path = directory.path().join(format!("{ranks}.h5"));
        on_ranks(ranks, |mut world| {
            let mut straight = digits(&loaded, &mut world);
            steps(&mut straight, &mut world, 4);
            let gathered = straight.gather(&mut world).unwrap();
            let saved = match world.rank() {
                0 => save(&path, &straight.snapshot(&gathered, &loaded.job, ranks, None, None)),
                _ => Ok(()),
            };
            world.all_or_none(saved).unwrap();
            steps(&mut straight, &mut world, 4);

            let mut snapshot = load(&path).unwrap();
            let slots: Vec<_> = snapshot.optimizer.iter().map(|slot| slot.name.as_str()).collect();
            assert_eq!(slots, ["momentum", "last_means", "residual"]);
            let last = &snapshot.optimizer[1].tensors[0];
            assert_eq!((last.name.as_str(), &last.shape[..]), ("conv2/weight", &[ranks, 32][..]));
            let mut resume = |snapshot: &Snapshot| {
                let mut resumed = digits(&loaded, &mut world);
                resumed.restore(snapshot, world.rank(), ranks).unwrap();
                steps(&mut resumed, &mut world, 4);
                bits(&resumed)
            };
            assert!(resume(&snapshot) == bits(&straight), "on {ranks} ranks");
            snapshot.optimizer.retain(|slot| slot.name != "last_means");
            assert!(resume(&snapshot) != bits(&straight), "on {ranks} ranks");
        });
    }
}

/// Surgery keeps the method and carries over the slot that is laid out as the parameters; it reports the one that is not.
#[test]
fn surgery_carries_the_state_over() {
    let loaded = shipped(&["train.steps=8"]);
    on_ranks(2, |mut world| {
        let mut trainer = digits(&loaded, &mut world);
        steps(&mut trainer, &mut world, 3);
        let parameters = &mut trainer.network.parameters;
        // The filters 1 and 5 of conv2, each of 16 channels of 3 x 3, and their biases.
        let zero = |name: &str, each: usize, values: &mut [f32]| {
            let table = &parameters.table;
            let start = table.iter().find(|parameter| parameter.name == name).unwrap().range.start;
            for filter in [1, 5] {
                values[start + filter * each..][..each].fill(0.0);
            }
        };
        let mut values = parameters.values.clone();
        zero("conv2/weight", 16 * 9, &mut values);
        zero("conv2/bias", 1, &mut values);
        parameters.values = values;
        let residuals = |trainer: &Trainer| -> Vec<Vec<f32>> {
            trainer.exchange().residuals().map(|(_, values)| values.to_vec()).collect()
        };
        let before = residuals(&trainer);

        let parameters = &trainer.network.parameters;
        let shrink = Some(Shrink { round_to: 1, columns: false });
        let operation = Operation::new(trainer.network.graph(), parameters, shrink.as_ref(), None).unwrap();
        let notes = trainer.transplant(&operation, loaded.job.clone(), false, world.topology()).unwrap();
        assert_eq!(
            notes,
            ["the state `last_means` of the averaging method starts anew: surgery cannot carry it over"]
        );
        let after = residuals(&trainer);
        let kept = before[0].chunks(16 * 9).enumerate().filter(|(filter, _)| ![1, 5].contains(filter));
        assert_eq!(after[0], kept.flat_map(|(_, values)| values).copied().collect::<Vec<_>>());
        assert!(after[0].iter().any(|value| *value != 0.0));
        assert_eq!(trainer.exchange().algorithm(), "row_means_f32");
        steps(&mut trainer, &mut world, 2);
        trainer.verify(&mut world).unwrap();
    });
}

/// A slot with the name of an optimizer's slot or of running statistics in checkpoints is refused before a
/// run begins.
#[test]
fn slots_have_one_owner() {
    let loaded = shipped(&[]);
    on_ranks(1, |mut world| {
        let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
        let mut set = |method: &'static RowMeans| {
            let set = trainer.set_method(method, &loaded.job.exchange, world.topology());
            set.map_err(|error| error.to_string())
        };
        let refused = set(&RowMeans { slot: "first_moment" }).unwrap_err();
        assert!(refused.contains("`row_means` keeps its state in the slot `first_moment`"), "{refused}");
        assert!(set(&RowMeans { slot: "statistics" }).unwrap_err().contains("running statistics"));
        set(&ROW_MEANS).unwrap();
    });
}
