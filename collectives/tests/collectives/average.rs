//! Compares the mean of gradients in one call with a simple reference: the codec's definition, integers added
//! one at a time, and float32 sums in the order of the ring.

use proptest::prelude::*;
use ternflock_collectives::Error;
use ternflock_collectives::all_reduce::{Algorithm, Coding, cut};
use ternflock_collectives::average::{Averager, Method, Options};
use ternflock_collectives::codec::{Layout, Moments, Rounding};
use ternflock_collectives::kernels::{self, Kernels};
use ternflock_collectives::planes::{self, TERNARY};
use ternflock_collectives::random::{Purpose, Stream};
use ternflock_collectives::transport::Transport;

use crate::{on_ranks, random};

const WORLDS: [usize; 6] = [1, 2, 3, 4, 5, 8];
const STEPS: u64 = 3;

/// The gradients of a rank in a step: a few large ones among many, so that clipping matters.
fn gradients(seed: u64, step: u64, rank: usize, lengths: &[usize]) -> Vec<Vec<f32>> {
    let mut words = random(seed ^ step << 32, rank);
    let mut value = || (words.next().unwrap_or(0) as i64 as f32 / 2.0_f32.powi(63)).powi(5);
    lengths.iter().map(|length| (0..*length).map(|_| value()).collect()).collect()
}

/// The expected result of all ranks.
struct Reference {
    options: Options,
    /// By rank and tensor.
    residuals: Vec<Vec<Vec<f32>>>,
}

impl Reference {
    fn new(options: Options, lengths: &[usize], world: usize) -> Self {
        let zeros = || lengths.iter().map(|length| vec![0.0; *length]).collect();
        Reference { options, residuals: (0..world).map(|_| zeros()).collect() }
    }

    fn mean(&mut self, step: u64, gradients: &[Vec<Vec<f32>>]) -> Vec<Vec<f32>> {
        let tensors = 0..gradients[0].len();
        tensors
            .map(|tensor| {
                let ranks: Vec<&[f32]> = gradients.iter().map(|rank| rank[tensor].as_slice()).collect();
                match self.options.method {
                    Method::Ternary if ranks[0].len() >= self.options.min_elements => {
                        self.ternary(step, tensor, &ranks)
                    }
                    _ => float32(&ranks),
                }
            })
            .collect()
    }

    fn ternary(&mut self, step: u64, tensor: usize, ranks: &[&[f32]]) -> Vec<f32> {
        let Options { clip_sigma, error_feedback, seed, .. } = self.options;
        let portable = &kernels::available()[0];
        let sent: Vec<Vec<f32>> = ranks
            .iter()
            .enumerate()
            .map(|(rank, values)| {
                values.iter().zip(&self.residuals[rank][tensor]).map(|(value, left)| value + left).collect()
            })
            .collect();
        let moments: Vec<Moments> = sent.iter().map(|values| Moments::by(portable, values)).collect();
        let clips: Vec<f32> = moments.iter().map(|moments| moments.clip(clip_sigma)).collect();
        let scale = moments.iter().zip(&clips).map(|(m, clip)| m.scale(*clip)).fold(0.0, f32::max);
        let mut totals = vec![0; ranks[0].len()];
        for (rank, values) in sent.iter().enumerate() {
            let stream =
                Stream { seed, purpose: Purpose::Ternary, step, subject: rank as u32, tensor: tensor as u16 };
            let rounding = if error_feedback { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
            let ternaries = rounded(portable, values, clips[rank], scale, rounding);
            totals.iter_mut().zip(&ternaries).for_each(|(total, ternary)| *total += ternary);
            if error_feedback {
                let left =
                    values.iter().zip(&ternaries).map(|(value, ternary)| value - *ternary as f32 * scale);
                self.residuals[rank][tensor] = left.collect();
            }
        }
        totals.into_iter().map(|total| total as f32 * (scale / ranks.len() as f32)).collect()
    }
}

/// The ternaries of `values` as integers.
fn rounded(kernels: &Kernels, values: &[f32], clip: f32, scale: f32, rounding: Rounding) -> Vec<i32> {
    let mut payload = vec![0; Layout::new([values.len()]).words(TERNARY)];
    kernels.encode(values, clip, scale, rounding, 0, &mut payload);
    (0..values.len()).map(|element| planes::get(&payload, TERNARY, element)).collect()
}

/// Each chunk is summed from the rank after its owner around the ring. There may be at most one float32
/// tensor, because the ring sums all of them as one vector.
fn float32(ranks: &[&[f32]]) -> Vec<f32> {
    let world = ranks.len();
    let chunks = (0..world).map(|owner| (owner, cut::chunk(0..ranks[0].len(), world, owner)));
    chunks
        .flat_map(|(owner, chunk)| {
            chunk.map(move |element| {
                let order = (1..=world).map(|distance| ranks[(owner + distance) % world][element]);
                order.reduce(|sum, value| sum + value).unwrap_or(0.0) * (1.0 / world as f32)
            })
        })
        .collect()
}

fn options() -> impl Strategy<Value = Options> {
    let algorithm = (0..Algorithm::ALL.len()).prop_map(|index| Algorithm::ALL[index]);
    let clip = prop_oneof![Just(0.0_f32), Just(2.5), 0.5_f32..4.0];
    let coding = prop::sample::select(vec![Coding::Never, Coding::BetweenNodes, Coding::Always]);
    (algorithm, coding, clip, any::<bool>(), any::<u64>()).prop_map(
        |(algorithm, coding, clip_sigma, error_feedback, seed)| Options {
            method: Method::Ternary,
            algorithm,
            coding,
            clip_sigma,
            min_elements: 0,
            error_feedback,
            seed,
        },
    )
}

/// Runs the averager on ranks as threads, and compares results, residuals and traffic with the reference and
/// the formula.
fn check(world: usize, lengths: &[usize], options: Options, seed: u64) -> Result<(), TestCaseError> {
    let results = on_ranks(world, |transport| {
        let rank = transport.rank();
        let mut averager = Averager::new(transport, lengths, options).expect("all ranks agree");
        let mut means = Vec::new();
        for step in 0..STEPS {
            let mut tensors = gradients(seed, step, rank, lengths);
            let mut slices: Vec<&mut [f32]> = tensors.iter_mut().map(Vec::as_mut_slice).collect();
            let before = transport.reading();
            averager.mean(transport, step, &mut slices).expect("the mean runs");
            let (sent, bound) = (transport.reading() - before, averager.traffic());
            if options.coding == Coding::Always {
                assert_eq!(sent.messages_sent, bound.messages_sent, "rank {rank}");
                assert!(sent.bytes_sent <= bound.bytes_sent, "rank {rank}: {sent:?} {bound:?}");
            } else {
                // All ranks are on one node.
                assert_eq!(sent, bound, "rank {rank}");
            }
            means.push(tensors);
        }
        (means, averager.residual().to_vec())
    });
    let mut reference = Reference::new(options, lengths, world);
    for step in 0..STEPS {
        let all: Vec<_> = (0..world).map(|rank| gradients(seed, step, rank, lengths)).collect();
        let expected = reference.mean(step, &all);
        for ((means, _), _) in &results {
            prop_assert_eq!(&means[step as usize], &expected, "step {}", step);
        }
    }
    for (rank, ((_, residual), _)) in results.iter().enumerate() {
        let kept = lengths.iter().enumerate().filter(|(_, length)| **length >= options.min_elements);
        let expected: Vec<f32> =
            kept.flat_map(|(tensor, _)| reference.residuals[rank][tensor].clone()).collect();
        prop_assert_eq!(residual, if options.error_feedback { &expected } else { &[] as &[f32] });
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ternary_means_are_those_of_the_reference(
        lengths in prop::collection::vec(0..900_usize, 0..5), options in options(), seed in any::<u64>(),
    ) {
        for world in WORLDS {
            check(world, &lengths, options, seed)?;
        }
    }

    /// One tensor below the limit travels as float32, between two that are ternary.
    #[test]
    fn short_tensors_travel_as_float32(
        short in 0..200_usize, options in options(), seed in any::<u64>(),
    ) {
        let options = Options { min_elements: 200, ..options };
        for world in WORLDS {
            check(world, &[700, short, 200], options, seed)?;
        }
    }

    #[test]
    fn float32_means_are_those_of_the_reference(length in 0..2000_usize, seed in any::<u64>()) {
        let options = Options { method: Method::Float32, ..Options::default() };
        for world in WORLDS {
            check(world, &[length], options, seed)?;
        }
    }
}

/// Every rank gets the same error, and the next step is that of an averager which has not seen the failed one.
#[test]
fn a_gradient_that_is_not_finite_is_refused_on_all_ranks() {
    const LENGTHS: [usize; 2] = [600, 10];
    let options = Options { error_feedback: true, min_elements: 100, ..Options::default() };
    for (tensor, value) in [(0, f32::NAN), (1, f32::INFINITY)] {
        let run = |fails: bool| {
            on_ranks(4, |transport| {
                let rank = transport.rank();
                let mut averager = Averager::new(transport, &LENGTHS, options).expect("all ranks agree");
                let mut step = |step, poison: bool| {
                    let mut tensors = gradients(5, step, rank, &LENGTHS);
                    if poison && rank >= 2 {
                        tensors[tensor][3] = value;
                    }
                    let mut slices: Vec<&mut [f32]> = tensors.iter_mut().map(Vec::as_mut_slice).collect();
                    averager.mean(transport, step, &mut slices).map(|()| tensors)
                };
                step(0, false).expect("all is finite");
                if fails {
                    assert_eq!(step(1, true), Err(Error::NonFinite { rank: 2 }));
                }
                step(2, false).expect("all is finite")
            })
        };
        let means = |results: Vec<(Vec<Vec<f32>>, _)>| results.into_iter().map(|(means, _)| means).collect();
        let (failed, clean): (Vec<_>, Vec<_>) = (means(run(true)), means(run(false)));
        assert_eq!(failed, clean);
    }
}

#[test]
fn ranks_that_disagree_are_told_what_about() {
    let whats = [
        ("the number of tensors to average", &[10, 20][..], Options::default()),
        ("the number of elements to average", &[31], Options::default()),
        ("the hash of the options of averaging", &[30], Options { seed: 1, ..Options::default() }),
    ];
    for (what, lengths, options) in whats {
        let results = on_ranks(3, |transport| {
            let is_last = transport.rank() == 2;
            let (lengths, options) =
                if is_last { (lengths, options) } else { (&[30][..], Options::default()) };
            Averager::new(transport, lengths, options).map(|_| ()).expect_err("the last rank differs")
        });
        for (error, _) in results {
            assert!(
                matches!(&error, Error::Disagree { what: named, peer: 2, .. } if named == what),
                "{error}"
            );
        }
    }
    let results = on_ranks(2, |transport| {
        let lengths = if transport.rank() == 0 { [10, 20] } else { [20, 10] };
        Averager::new(transport, &lengths, Options::default()).map(|_| ()).expect_err("the sizes differ")
    });
    assert!(results[0].0.to_string().starts_with("the hash of the sizes of the tensors to average is"));
}
