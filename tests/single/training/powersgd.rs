//! PowerSGD against its definition, computed without communication and in double precision from the state before the step.
//!
//! u is the unit roundoff of f32, 2^-24; norms are Frobenius norms.

use support::digits::{load, shipped};
use support::ranks::on_ranks;
use ternflock::checkpoint;
use ternflock::job::{self, Gradients};
use ternflock::nn::Parameters;
use ternflock::rng::{Purpose, Stream};
use ternflock::train::{Exchange, prepare};
use ternflock::world::World;
use ternflock_collectives::topology::Topology;

use crate::WORLDS;
use crate::exchange::{Local, SEED, average, gradients, graph, settings};
use crate::runs::{metrics, resume, resume_changed, short, train, train_until};

const U: f64 = 1.0 / (1_u64 << 24) as f64;
const STEPS: u64 = 5;

fn powersgd(rank: usize) -> job::Exchange {
    job::Exchange { powersgd_rank: rank, ..settings(Gradients::PowerSgd, 1, &[]) }
}

fn exchange(job: &job::Exchange, ranks: usize) -> Exchange {
    let parameters = Parameters::new(&graph()).unwrap();
    Exchange::new(job, SEED, &graph(), &parameters, Topology::single(ranks)).unwrap()
}

/// The state of `slot` for tensor `number`; nothing if there is none.
fn state(exchange: &Exchange, slot: &str, number: usize) -> Vec<f32> {
    let found = exchange.state().find(|state| (state.slot, state.tensor) == (slot, number));
    found.map_or(Vec::new(), |state| state.values.to_vec())
}

/// One tensor on one rank in one step: before it, and after.
#[derive(Default)]
struct Seen {
    gradient: Vec<f32>,
    residual: Vec<f32>,
    factor: Vec<f32>,
    mean: Vec<f32>,
    left: Vec<f32>,
}

/// By step and tensor. The first factors are given, so that the definition is all that is compared.
fn run(job: &job::Exchange, mut world: World) -> Vec<Vec<Seen>> {
    let (rank, parameters) = (world.rank(), Parameters::new(&graph()).unwrap());
    let mut exchange = exchange(job, world.size());
    let first = |number: usize| {
        let stream = Stream { seed: 9, purpose: Purpose::Test, step: 0, subject: 0, tensor: number as u16 };
        move |index: usize| (f64::from(stream.word(index as u64)) / f64::from(1_u32 << 31) - 1.0) as f32
    };
    for number in 0..parameters.table.len() {
        if let Some(factor) = exchange.state_mut("right_factor", number) {
            factor.iter_mut().enumerate().for_each(|(index, value)| *value = first(number)(index));
        }
    }
    let step = |step| {
        let mut values = gradients(&parameters, rank, step);
        let seen = |number: usize| Seen {
            gradient: values[parameters.table[number].range.clone()].to_vec(),
            residual: state(&exchange, "residual", number),
            factor: state(&exchange, "right_factor", number),
            ..Seen::default()
        };
        let mut all: Vec<Seen> = (0..parameters.table.len()).map(seen).collect();
        let before = world.traffic().bytes_sent;
        average(&mut exchange, &mut world, step, &mut values, Local::default());
        let sent = world.traffic().bytes_sent - before;
        assert_eq!(sent, exchange.formula_bytes_in(step..step + 1, rank), "step {step}, {job:?}");
        for (number, seen) in all.iter_mut().enumerate() {
            seen.mean = values[parameters.table[number].range.clone()].to_vec();
            seen.left = state(&exchange, "residual", number);
        }
        all
    };
    (0..STEPS).map(step).collect()
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Orthonormal columns with the span of `columns`, and the norm of R^-1, where `columns` = (result) R.
fn orthonormal(columns: Vec<Vec<f64>>) -> (Vec<Vec<f64>>, f64) {
    let (mut done, mut inverses) = (Vec::<Vec<f64>>::new(), Vec::<Vec<f64>>::new());
    for mut column in columns {
        // `column` = sum of shares * done + left * (the new one), so (the new one) = `column` / left - ...
        let mut of_inputs = vec![0.0; done.len() + 1];
        of_inputs[done.len()] = 1.0;
        for _ in 0..2 {
            for (other, inverse) in done.iter().zip(&inverses) {
                let share = inner(other, &column);
                column.iter_mut().zip(other).for_each(|(value, other)| *value -= share * other);
                of_inputs.iter_mut().zip(inverse).for_each(|(value, inverse)| *value -= share * inverse);
            }
        }
        let left = norm(column.iter().copied());
        done.push(column.iter().map(|value| value / left).collect());
        inverses.push(of_inputs.iter().map(|value| value / left).collect());
    }
    (done, norm(inverses.into_iter().flatten()))
}

/// The mean of a matrix by the definition, and the largest error of single precision: P rounds each rank's products, the
/// sums over P ranks and their mean; an error of P changes its orthonormal columns by at most sqrt(2) |R^-1| times that
/// (Sun, 1991), and the projection by twice that times |M|. Doubled for what is of second order.
fn by_definition(of_ranks: &[Vec<f32>], factor: &[f32], columns: usize) -> (Vec<f64>, f64) {
    let (ranks, rank) = (of_ranks.len() as f64, (factor.len() / columns) as f64);
    let elements = of_ranks[0].len();
    let mean = |at: usize| of_ranks.iter().map(|values| f64::from(values[at])).sum::<f64>() / ranks;
    let matrix: Vec<f64> = (0..elements).map(mean).collect();
    let norms: f64 =
        of_ranks.iter().map(|values| norm(values.iter().map(|v| f64::from(*v)))).sum::<f64>() / ranks;
    let factor = factor.chunks(columns).map(|column| column.iter().map(|v| f64::from(*v)).collect());
    let (q, of_factor) = orthonormal(factor.collect());
    let product = |q: &Vec<f64>| matrix.chunks(columns).map(|row| inner(row, q)).collect();
    let (p, inverse) = orthonormal(q.iter().map(product).collect());
    let mut exact = vec![0.0; elements];
    for p in &p {
        for column in 0..columns {
            let q: f64 = p.iter().enumerate().map(|(row, p)| p * matrix[row * columns + column]).sum();
            p.iter().enumerate().for_each(|(row, p)| exact[row * columns + column] += p * q);
        }
    }
    let size = norm(matrix.iter().copied());
    // The factor's columns are rounded relative to their size before they became orthonormal.
    let of_factor = of_factor * norm(q.iter().flatten().copied()) + 8.0 * rank;
    let of_p = (ranks + of_factor) * U * rank.sqrt() * norms;
    let of_columns = 2.0_f64.sqrt() * inverse * of_p + 4.0 * rank * U;
    (exact, 2.0 * (2.0 * of_columns * size + (ranks + rank + 4.0) * U * rank.sqrt() * norms))
}

/// Every matrix is the definition's projection, the same bits on all ranks; its residual is exactly what was not sent;
/// matrices for which factors are no smaller are the mean, as vectors are. The mean and the residuals add up to the
/// gradients.
#[test]
fn means_follow_the_definition() {
    let parameters = Parameters::new(&graph()).unwrap();
    for (ranks, rank, bucket_elements) in
        WORLDS.into_iter().flat_map(|ranks| [(ranks, 1, 1 << 18), (ranks, 2, 1), (ranks, 3, 100)])
    {
        let job = job::Exchange { bucket_elements, ..powersgd(rank) };
        let all = on_ranks(ranks, |world| run(&job, world));
        for (number, parameter) in parameters.table.iter().enumerate() {
            let (rows, elements) = (parameter.spec.shape[0], parameter.range.len());
            let columns = elements / rows;
            let is_matrix = rank * (rows + columns) < elements;
            let named = ["wide/weight", "out/weight"].contains(&&*parameter.name);
            assert_eq!(
                is_matrix,
                named || parameter.name == "conv1/weight" && rank < 3,
                "{}",
                parameter.name
            );
            let (mut sums, mut lost) = (vec![0.0; elements], vec![0.0; elements]);
            let mut tolerance = 0.0;
            let seen_at = |own: usize, step: usize| &all[own][step][number];
            for step in 0..STEPS as usize {
                let seen = |own: usize| seen_at(own, step);
                let what = format!("{} at step {step} of {ranks} ranks, {job:?}", parameter.name);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                let mean = &seen(0).mean;
                assert!((0..ranks).all(|own| bits(&seen(own).mean) == bits(mean)), "{what}");
                for own in 0..ranks {
                    lost.iter_mut()
                        .zip(&seen(own).gradient)
                        .for_each(|(lost, g)| *lost += f64::from(*g) / ranks as f64);
                }
                sums.iter_mut().zip(mean).for_each(|(sum, mean)| *sum += f64::from(*mean));
                if !is_matrix {
                    assert!(
                        (0..ranks).all(|own| seen(own).left.is_empty() && seen(own).factor.is_empty()),
                        "{what}"
                    );
                    continue;
                }
                assert!((0..ranks).all(|own| bits(&seen(own).factor) == bits(&seen(0).factor)), "{what}");
                let input = |own: usize| -> Vec<f32> {
                    let Seen { gradient, residual, .. } = seen(own);
                    gradient.iter().zip(residual).map(|(gradient, left)| gradient + left).collect()
                };
                let inputs: Vec<_> = (0..ranks).map(input).collect();
                for (own, input) in inputs.iter().enumerate() {
                    let left: Vec<f32> = input.iter().zip(mean).map(|(value, mean)| value - mean).collect();
                    assert_eq!(bits(&seen(own).left), bits(&left), "{what}");
                }
                // Two roundings on each rank.
                let largest =
                    |own: usize| inputs[own].iter().chain(mean).fold(0.0, |most: f32, v| most.max(v.abs()));
                tolerance += 4.0 * U * f64::from((0..ranks).map(largest).fold(0.0, f32::max));
                // One rank has no gradient at step 2: what is left of 3 rows without 2 directions is a single direction.
                // The second column is rounding error, for which the bound says nothing, and it is drawn anew.
                let single = (ranks, rank, rows) == (1, 2, 3);
                let factor = &seen(0).factor;
                let drawn = factor.chunks(columns).any(|column| column.iter().all(|value| *value == 0.0));
                assert_eq!(drawn, single && step == 3, "{what}");
                if drawn {
                    continue;
                }
                let (exact, error) = by_definition(&inputs, factor, columns);
                let off = norm(mean.iter().zip(&exact).map(|(mean, exact)| f64::from(*mean) - exact));
                assert!(off <= error, "{what}: off by {off:e}, at most {error:e}");
                // A useful bound, far below the projection itself.
                let useful = error < 0.01 * norm(exact.iter().copied());
                assert!(useful != (single && step == 2), "{what}: {error:e}");
            }
            if is_matrix {
                for (at, (sum, lost)) in sums.iter().zip(lost).enumerate() {
                    let left: f64 =
                        (0..ranks).map(|own| f64::from(all[own][STEPS as usize - 1][number].left[at])).sum();
                    let missing = lost - sum - left / ranks as f64;
                    assert!(missing.abs() <= tolerance, "{} {at}: {missing:e} are lost", parameter.name);
                }
            }
        }
    }
}

/// Before the start step matrices are means, exactly summed traffic included, and nothing is left; then factors begin.
#[test]
fn it_starts_at_its_step() {
    let parameters = Parameters::new(&graph()).unwrap();
    let [whole, factors] = [Gradients::Float32, Gradients::PowerSgd].map(|gradients| job::Exchange {
        gradients,
        powersgd_start: 3,
        ..powersgd(1)
    });
    for ranks in [1, 2, 3] {
        let (with, without) =
            (on_ranks(ranks, |world| run(&factors, world)), on_ranks(ranks, |world| run(&whole, world)));
        for (number, parameter) in parameters.table.iter().enumerate() {
            for step in 0..STEPS as usize {
                let [with, without] = [&with, &without].map(|all| &all[0][step][number]);
                let close =
                    with.mean.iter().zip(&without.mean).all(|(a, b)| (a - b).abs() <= 4e-6 * (1.0 + b.abs()));
                let begun = step >= 3 && parameter.spec.shape.len() > 1;
                assert_eq!(close, !begun, "{} at step {step} of {ranks} ranks", parameter.name);
                assert!(begun || with.left.iter().all(|left| *left == 0.0));
            }
        }
        let exchange = exchange(&factors, ranks);
        let [first, later] = [0..1, 3..4].map(|steps| exchange.formula_bytes_in(steps, 0));
        assert_eq!(exchange.formula_bytes_in(1..7, 0), 2 * first + 4 * later);
        assert_eq!(later, exchange.formula_bytes(0));
        assert_eq!(first > later, ranks > 1);
    }
}

/// A factor is drawn from the seed, equal on all ranks and different between tensors. One of a matrix without gradients
/// becomes zero, and the next step draws another.
#[test]
fn factors_are_drawn_where_there_are_none() {
    let parameters = Parameters::new(&graph()).unwrap();
    let wide = parameters.table.iter().position(|parameter| parameter.name == "wide/weight").unwrap();
    let place = parameters.table[wide].range.clone();
    let drawn = |seed: u64| {
        on_ranks(3, |mut world| {
            let topology = Topology::single(3);
            let mut exchange = Exchange::new(&powersgd(2), seed, &graph(), &parameters, topology).unwrap();
            let mut values = gradients(&parameters, world.rank(), 0);
            values[place.clone()].fill(0.0);
            average(&mut exchange, &mut world, 0, &mut values, Local::default());
            assert!(values[place.clone()].iter().all(|value| *value == 0.0));
            assert!(state(&exchange, "right_factor", wide).iter().all(|value| *value == 0.0));
            let mut values = gradients(&parameters, world.rank(), 1);
            average(&mut exchange, &mut world, 1, &mut values, Local::default());
            values[place.clone()].to_vec()
        })
    };
    let (first, other) = (drawn(1), drawn(2));
    assert!(first[0].iter().any(|value| *value != 0.0));
    assert!(first.iter().all(|values| *values == first[0]) && other[0] != first[0]);
}

/// Layers at low rank next to ternaries or float32: each tensor has the bits that it has if its method averages the same
/// tensors alone. Biases of a layer at low rank travel like those of other layers.
#[test]
fn named_layers_travel_at_low_rank() {
    let parameters = Parameters::new(&graph()).unwrap();
    let settings = |gradients, keep_float: &[&str], low_rank: &[&str]| job::Exchange {
        low_rank: low_rank.iter().map(ToString::to_string).collect(),
        bucket_elements: 1,
        powersgd_rank: 2,
        ..settings(gradients, 20, keep_float)
    };
    let alone = |gradients, keep_float: &[&str]| settings(gradients, keep_float, &[]);
    for gradients in [Gradients::Ternary, Gradients::Float32] {
        let hybrid = settings(gradients, &["conv1"], &["wide"]);
        // Of `wide` and `out` together, in buckets of their own.
        let (other, low_rank) =
            (alone(gradients, &["conv1"]), alone(Gradients::PowerSgd, &["conv1", "logits"]));
        for ranks in WORLDS {
            let all = |job: &job::Exchange| on_ranks(ranks, |world| run(job, world));
            let (hybrid, other, low_rank) = (all(&hybrid), all(&other), all(&low_rank));
            for (number, parameter) in parameters.table.iter().enumerate() {
                let alone = if parameter.name == "wide/weight" { &low_rank } else { &other };
                for (own, step) in (0..ranks).flat_map(|own| (0..STEPS as usize).map(move |step| (own, step)))
                {
                    let [found, expected] = [&hybrid, alone].map(|all| &all[own][step][number]);
                    // A bias that shares its bucket with a matrix is summed in another order.
                    let close = found.mean.iter().zip(&expected.mean).all(|(a, b)| (a - b).abs() < 1e-5);
                    assert!(
                        close && found.left.len() == expected.left.len(),
                        "{} on {ranks}",
                        parameter.name
                    );
                    if parameter.spec.shape.len() > 1 {
                        assert_eq!(found.mean, expected.mean, "{} at step {step} on {ranks}", parameter.name);
                        assert_eq!(found.left, expected.left, "{} at step {step} on {ranks}", parameter.name);
                    }
                }
            }
        }
    }
}

/// A layer is at low rank or stays float32, and exists; and its matrices become smaller.
#[test]
fn layers_at_low_rank_are_checked() {
    let refused = |low_rank: &str, sets: &[&str]| {
        let low_rank = format!("exchange.low_rank=[\"{low_rank}\"]");
        let loaded = shipped(&[sets, &[&low_rank]].concat());
        on_ranks(1, |mut world| prepare(&loaded, &mut world).err().map(|error| error.to_string())).remove(0)
    };
    let message = refused("conv9", &[]).unwrap();
    assert!(
        message.contains("exchange.low_rank: no layer is called `conv9`; did you mean `conv"),
        "{message}"
    );
    let message = refused("logits", &[]).unwrap();
    assert!(message.contains("is also in exchange.keep_float"), "{message}");
    let message = refused("conv2", &["exchange.powersgd_rank=60"]).unwrap();
    assert!(
        message.contains("no matrix of the layer `conv2`") && message.contains("a value of at most"),
        "{message}"
    );
    assert_eq!(refused("conv2", &[]), None);
    assert_eq!(refused("logits", &["exchange.keep_float=[]", "exchange.powersgd_rank=2"]), None);
}

#[test]
fn values_that_are_not_finite_stop_all_ranks() {
    let parameters = Parameters::new(&graph()).unwrap();
    for value in [f32::NAN, f32::INFINITY] {
        let agreed = on_ranks(3, |mut world| {
            let mut exchange = exchange(&powersgd(1), 3);
            let mut values = gradients(&parameters, world.rank(), 0);
            if world.rank() == 1 {
                values[parameters.table.last().unwrap().range.start - 1] = value;
            }
            average(&mut exchange, &mut world, 0, &mut values, Local::default())
        });
        assert!(agreed.iter().all(|agreed| agreed.non_finite == Some(1)), "{agreed:?}");
    }
}

const POWERSGD: [&str; 4] = [
    "exchange.gradients=powersgd",
    "exchange.powersgd_rank=2",
    "exchange.min_elements=1",
    "exchange.keep_float=[]",
];

/// The state goes through checkpoints, and a resumed run gives the bits of an uninterrupted one: resumed before PowerSGD
/// starts, and after.
#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    for (ranks, start) in [(1, 0), (2, 12), (3, 0), (4, 5)] {
        let start = format!("exchange.powersgd_start={start}");
        let loaded = short(&[&POWERSGD[..], &[&start, "exchange.verify_every=1"]].concat());
        let [straight, halved] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let ended = train(ranks, &loaded, straight.path());
        let traffic = ended[0].summary().traffic;
        assert_eq!(traffic.bytes_per_step, traffic.formula_bytes_per_step);
        train_until(10, ranks, &loaded, halved.path());
        let slots: Vec<_> = load(halved.path(), 10).optimizer.into_iter().map(|slot| slot.name).collect();
        assert_eq!(slots, ["momentum", "residual", "right_factor"]);
        for rank in resume(ranks, &loaded, halved.path()) {
            assert!(rank.summary().complete && rank.notes().is_empty(), "{:?}", rank.notes());
            let traffic = rank.summary().traffic;
            assert_eq!(traffic.bytes_per_step, traffic.formula_bytes_per_step);
        }
        support::digits::assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
        assert_eq!(metrics(straight.path(), "start")[0]["algorithm"], "powersgd");
    }
}

/// A run goes on with another rank, with other layers at low rank, and with more layers in float32: state that still fits
/// continues, other state begins anew or is dropped, and notes say so.
#[test]
fn a_run_resumes_with_other_settings() {
    let directory = tempfile::tempdir().unwrap();
    let settings = |rank: usize, steps: u64, others: &[&str]| {
        let (rank, steps) = (format!("exchange.powersgd_rank={rank}"), format!("train.steps={steps}"));
        short(&[&POWERSGD[..], &[&rank, &steps], others].concat())
    };
    let resumed = |loaded: &job::Loaded, expected: &[&str]| {
        for rank in resume_changed(2, loaded, directory.path()) {
            let notes = rank.notes();
            assert!(rank.summary().complete, "{notes:?}");
            for part in expected {
                assert!(notes.iter().any(|note| note.contains(part)), "{part} in {notes:?}");
            }
            // One for the changes to the job.
            assert_eq!(notes.len(), 1 + expected.len(), "{notes:?}");
        }
    };
    let shapes = |step: u64, slot: &str| -> Vec<(String, Vec<usize>)> {
        let slots = load(directory.path(), step).optimizer;
        let tensors = slots.into_iter().filter(|held| held.name == slot).flat_map(|held| held.tensors);
        tensors.map(|tensor| (tensor.name, tensor.shape)).collect()
    };
    let names =
        |step: u64, slot: &str| shapes(step, slot).into_iter().map(|(name, _)| name).collect::<Vec<_>>();

    train(2, &settings(4, 4, &[]), directory.path());
    assert!(shapes(4, "right_factor").iter().all(|(_, shape)| shape[..2] == [2, 4]));
    resumed(&settings(2, 6, &[]), &["no state `right_factor` of the averaging method of the shape"]);
    assert!(shapes(6, "right_factor").iter().all(|(_, shape)| shape[..2] == [2, 2]));
    let all = names(6, "residual");
    assert!(all.len() > 2 && names(6, "right_factor") == all, "{all:?}");

    let without = settings(2, 8, &["exchange.keep_float=[\"conv2\"]"]);
    let dropped = [
        "residuals of error feedback in the checkpoint are dropped for `conv2/weight`",
        "state `right_factor` of the averaging method in the checkpoint is dropped for `conv2/weight`",
    ];
    resumed(&without, &dropped);
    let rest: Vec<_> = all.iter().filter(|name| *name != "conv2/weight").cloned().collect();
    assert_eq!((names(8, "residual"), names(8, "right_factor")), (rest.clone(), rest));

    // Back, with ternaries for the others: the factor of the layer begins anew.
    let hybrid = settings(
        2,
        10,
        &["exchange.gradients=ternary", "exchange.low_rank=[\"conv2\"]", "exchange.error_feedback=false"],
    );
    let notes = [
        "no residuals of error feedback of the shape that the job needs for `conv2/weight`: they start from zero",
        "residuals of error feedback in the checkpoint are dropped for `",
        "no state `right_factor` of the averaging method of the shape that the job needs for `conv2/weight`: it starts anew",
        "state `right_factor` of the averaging method in the checkpoint is dropped for `",
    ];
    resumed(&hybrid, &notes);
    assert_eq!([names(10, "residual"), names(10, "right_factor")], [["conv2/weight"], ["conv2/weight"]]);
}

/// State that no settings explain is refused: values that do not fill their shape, no ranks, a residual of another shape, and
/// a tensor that the network does not have.
#[test]
fn malformed_state_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&[&POWERSGD[..], &["train.steps=2"]].concat());
    train(1, &loaded, directory.path());
    let sound = load(directory.path(), 2);
    let refused = |slot: &str, change: &dyn Fn(&mut checkpoint::Tensor)| {
        let mut snapshot = sound.clone();
        let slot = snapshot.optimizer.iter_mut().find(|held| held.name == slot).unwrap();
        change(&mut slot.tensors[0]);
        on_ranks(1, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            trainer.restore(&snapshot, 0, 1).err()
        })
        .remove(0)
        .unwrap_or_default()
    };
    for slot in ["residual", "right_factor"] {
        let message = refused(slot, &|tensor| tensor.values.truncate(1));
        assert!(message.contains("1 value"), "{slot}: {message}");
        let message = refused(slot, &|tensor| tensor.shape[0] = 0);
        assert!(message.contains("has shape [0, "), "{slot}: {message}");
        let message = refused(slot, &|tensor| tensor.shape.clear());
        assert!(message.contains("has shape []"), "{slot}: {message}");
        let message = refused(slot, &|tensor| tensor.name = "conv9/weight".into());
        assert!(message.contains("`conv9/weight`, which its network does not have"), "{slot}: {message}");
    }
    let message = refused("residual", &|tensor| tensor.shape = vec![1, tensor.values.len()]);
    assert!(message.contains("its network needs [ranks, "), "{message}");
}

/// The loss falls as it does in float32.
#[test]
fn a_network_is_trained() {
    const STEPS: usize = 200;
    let loss = |sets: &[&str]| {
        let loaded = shipped(&[sets, &["train.steps=200"]].concat());
        let losses = on_ranks(2, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            let losses: Vec<f64> =
                (0..STEPS).map(|_| trainer.step(&mut world, false).unwrap().tally.mean_loss()).collect();
            trainer.verify(&mut world).unwrap();
            losses
        });
        let last = losses.iter().flat_map(|losses| &losses[STEPS - 20..]);
        last.sum::<f64>() / 40.0
    };
    let (float32, low_rank) = (loss(&["exchange.gradients=float32"]), loss(&POWERSGD));
    assert!(low_rank < 1.5 * float32 + 0.05, "{low_rank}, in float32 {float32}");
}
