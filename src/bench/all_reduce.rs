//! All-reduces between these ranks, from gradients to their mean, and the MPI library's own beside them.

use std::time::{Duration, Instant};

use serde::Serialize;
use ternflock_collectives::all_reduce::{Plan, SEGMENT, ring_f32};
use ternflock_collectives::codec::{Moments, Rounding, decode, encode};
use ternflock_collectives::planes::{BLOCK, TERNARY, width, words};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::mpi::{self, MpiTransport};
use ternflock_collectives::{Error as Failure, Result as Exchanged, Transport, small};
use xxhash_rust::xxh3::xxh3_64;

use super::contender::Contender;
use super::verify::{is_float_sum, is_ternary_mean};
use super::{CLIP_SIGMA, gradient, median, quantile, stream};
use crate::error::{Error, Result};

/// The ranks between which is measured.
pub struct Ranks {
    transport: Metered<MpiTransport>,
    topology: Topology,
}

/// What is measured, and how often.
#[derive(Clone, Debug)]
pub struct Plans {
    /// Sizes of vectors.
    pub elements: Vec<usize>,
    /// The ways to average them.
    pub contenders: Vec<Contender>,
    /// How often each is timed; none: as often as a few seconds allow.
    pub rounds: Option<usize>,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Ranks.
    pub ranks: usize,
    /// Nodes they run on.
    pub hosts: usize,
    /// The MPI library.
    pub mpi: String,
    /// A line a size and a contender.
    pub cases: Vec<Case>,
}

/// One way to average vectors of one size. Times are those of the slowest rank of each round.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The contender's name.
    pub algorithm: &'static str,
    /// Elements of the vector.
    pub elements: usize,
    /// Timed rounds.
    pub rounds: usize,
    /// The fastest round, in seconds.
    pub min_s: f64,
    /// The median.
    pub p50_s: f64,
    /// The 99th percentile by nearest rank: with fewer than 100 rounds the slowest.
    pub p99_s: f64,
    /// What the rank that sends most sends, counted; none for the library's, which are not ours to count.
    pub bytes_sent_per_rank: Option<u64>,
    /// What the rank that receives most receives, counted.
    pub bytes_received_per_rank: Option<u64>,
    /// What the rank that sends most sends by the formulas of docs/algorithms.md.
    pub formula_bytes_per_rank: Option<u64>,
    /// Bytes of the vector as float32, by the median.
    pub effective_bytes_per_s: f64,
    /// Copying the vector of float32, on all ranks at a time: the median, in seconds.
    pub memcpy_s: f64,
    /// Whether all ranks held the right result, before and after timing.
    pub verified: bool,
}

/// Seconds of timing for a case, and rounds, unless a number of rounds is asked for.
const BUDGET: f64 = 3.0;
const FEWEST: usize = 5;
const MOST: usize = 50;

impl Ranks {
    /// Starts MPI and joins the ranks of this job.
    pub fn join(deadline: Duration) -> Result<Ranks> {
        let transport = MpiTransport::init(deadline).map_err(failed)?;
        mpi::abort_on_panic();
        let topology = Topology::new(transport.nodes().to_vec());
        Ok(Ranks { transport: Metered::new(transport), topology })
    }

    /// This rank.
    pub fn rank(&self) -> usize {
        self.transport.rank()
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.transport.world()
    }

    /// Measures `plans`, which must be the same on all ranks.
    ///
    /// # Errors
    /// [`Error::Disagree`] for different plans, [`Error::Exchange`] when ranks are late or gone.
    pub fn measure(&mut self, plans: &Plans) -> Result<Report> {
        let mut agree = |what: &str, value| {
            small::agree(&mut self.transport, what, value).map_err(|failure| match failure {
                Failure::Disagree { .. } => Error::Disagree(failure.to_string()),
                other => failed(other),
            })
        };
        agree("the number of sizes to measure", plans.elements.len() as u64)?;
        for &elements in &plans.elements {
            agree("the number of elements to measure", elements as u64)?;
        }
        agree("the hash of what else is to be measured", xxh3_64(format!("{plans:?}").as_bytes()))?;
        let mut cases = Vec::new();
        for &elements in &plans.elements {
            cases.extend(self.measure_size(elements, plans).map_err(failed)?);
        }
        Ok(Report { ranks: self.size(), hosts: self.topology.nodes(), mpi: mpi::library_version(), cases })
    }

    /// All contenders on vectors of `elements`: each verified, then all in turn in each round, then verified again.
    fn measure_size(&mut self, elements: usize, plans: &Plans) -> Exchanged<Vec<Case>> {
        let mut vectors = Vectors::new(elements, self.rank(), self.size());
        let mut entrants = Vec::new();
        for &contender in &plans.contenders {
            vectors.reset();
            let before = self.transport.reading();
            self.average(contender, &mut vectors)?;
            let traffic = self.transport.reading() - before;
            let hash = vectors.hash();
            let is_right = vectors.is_right(contender, self.size());
            entrants.push(Entrant {
                contender,
                traffic,
                hash,
                verified: self.all(is_right)?,
                times: Vec::new(),
            });
        }
        let mut memcpy = Vec::new();
        let rounds = match plans.rounds {
            Some(rounds) => rounds,
            None => self.affordable(&mut vectors, &entrants)?,
        };
        for _ in 0..rounds {
            memcpy.push(self.timed(
                |_, vectors| {
                    vectors.reset();
                    Ok(())
                },
                &mut vectors,
            )?);
            for entrant in &mut entrants {
                vectors.reset();
                let time =
                    self.timed(|ranks, vectors| ranks.average(entrant.contender, vectors), &mut vectors)?;
                entrant.times.push(time);
                entrant.verified &= vectors.hash() == entrant.hash;
            }
        }
        let memcpy_s = median(memcpy);
        entrants.into_iter().map(|entrant| self.case(entrant, elements, memcpy_s)).collect()
    }

    /// Rounds for which all entrants together have the time.
    fn affordable(&mut self, vectors: &mut Vectors, entrants: &[Entrant]) -> Exchanged<usize> {
        let mut slowest = 0.0_f64;
        for entrant in entrants {
            vectors.reset();
            slowest =
                slowest.max(self.timed(|ranks, vectors| ranks.average(entrant.contender, vectors), vectors)?);
        }
        Ok(((BUDGET / slowest) as usize).clamp(FEWEST, MOST))
    }

    /// Seconds that `work` takes on the slowest rank, begun together.
    fn timed(
        &mut self,
        work: impl FnOnce(&mut Ranks, &mut Vectors) -> Exchanged<()>,
        vectors: &mut Vectors,
    ) -> Exchanged<f64> {
        small::barrier(&mut self.transport)?;
        let start = Instant::now();
        work(self, vectors)?;
        // Positive floats are ordered as their bits are.
        let mut seconds = [start.elapsed().as_secs_f32().to_bits()];
        small::max(&mut self.transport, &mut seconds)?;
        Ok(f64::from(f32::from_bits(seconds[0])))
    }

    /// Averages `vectors.values` into `vectors.result` (for the ternary ones), or sums it (for float32).
    fn average(&mut self, contender: Contender, vectors: &mut Vectors) -> Exchanged<()> {
        let Vectors { values, result, ternary, sums } = vectors;
        match contender {
            Contender::Ternary(algorithm) => {
                let (rank, world) = (self.rank(), self.size());
                let moments = Moments::of(values);
                let clip = moments.clip(CLIP_SIGMA);
                let mut scale = [moments.scale(clip).to_bits()];
                small::max(&mut self.transport, &mut scale)?;
                let scale = f32::from_bits(scale[0]);
                encode(values, clip, scale, Rounding::Stochastic(&stream(rank)), 0, ternary);
                let blocks = values.len().div_ceil(BLOCK);
                let plan = Plan { topology: &self.topology, blocks, segment: SEGMENT };
                algorithm.sum(&mut self.transport, plan, ternary, sums)?;
                decode(sums, width(world), 0, scale / world as f32, result);
                Ok(())
            }
            Contender::RingF32 => ring_f32::sum(&mut self.transport, ring_f32::SEGMENT, result),
            Contender::MpiAllreduceF32 => self.transport.inner_mut().allreduce_f32(result),
        }
    }

    /// Whether all ranks say yes.
    fn all(&mut self, yes: bool) -> Exchanged<bool> {
        let mut no = [u32::from(!yes)];
        small::max(&mut self.transport, &mut no)?;
        Ok(no[0] == 0)
    }

    fn case(&mut self, entrant: Entrant, elements: usize, memcpy_s: f64) -> Exchanged<Case> {
        let Entrant { contender, traffic, verified, mut times, .. } = entrant;
        let formula = self.formula(contender, elements);
        let own = [traffic.bytes_sent, traffic.bytes_received, formula.unwrap_or(0), u64::from(verified)];
        let all = small::all_gather(&mut self.transport, &own)?;
        let largest = |index: usize| all.iter().skip(index).step_by(own.len()).max().copied();
        let verified = all.iter().skip(3).step_by(own.len()).all(|verified| *verified == 1);
        times.sort_by(f64::total_cmp);
        let p50_s = quantile(&times, 0.5);
        Ok(Case {
            algorithm: contender.name(),
            elements,
            rounds: times.len(),
            min_s: quantile(&times, 0.0),
            p50_s,
            p99_s: quantile(&times, 0.99),
            bytes_sent_per_rank: formula.and_then(|_| largest(0)),
            bytes_received_per_rank: formula.and_then(|_| largest(1)),
            formula_bytes_per_rank: formula.and_then(|_| largest(2)),
            effective_bytes_per_s: (size_of::<f32>() * elements) as f64 / p50_s,
            memcpy_s,
            verified,
        })
    }

    /// Bytes that this rank sends, by the formulas.
    fn formula(&self, contender: Contender, elements: usize) -> Option<u64> {
        let (rank, world) = (self.rank(), self.size());
        match contender {
            Contender::Ternary(algorithm) => {
                let blocks = elements.div_ceil(BLOCK);
                let plan = Plan { topology: &self.topology, blocks, segment: SEGMENT };
                Some((algorithm.traffic(plan, rank) + small::max_traffic(1, world)).bytes_sent)
            }
            Contender::RingF32 => {
                Some(ring_f32::traffic(ring_f32::SEGMENT, elements, world, rank).bytes_sent)
            }
            Contender::MpiAllreduceF32 => None,
        }
    }
}

/// A contender on its way through the rounds.
struct Entrant {
    contender: Contender,
    /// Of one averaging.
    traffic: Traffic,
    /// Of its result.
    hash: u64,
    verified: bool,
    times: Vec<f64>,
}

/// What is averaged, and room for what comes of it.
struct Vectors {
    values: Vec<f32>,
    result: Vec<f32>,
    ternary: Vec<u64>,
    sums: Vec<u64>,
}

impl Vectors {
    fn new(elements: usize, rank: usize, world: usize) -> Vectors {
        let (mut values, blocks) = (Vec::new(), elements.div_ceil(BLOCK));
        gradient(elements, rank, &mut values);
        let result = values.clone();
        let (ternary, sums) = (vec![0; words(blocks, TERNARY)], vec![0; words(blocks, width(world))]);
        Vectors { values, result, ternary, sums }
    }

    /// Sums in place begin with the values.
    fn reset(&mut self) {
        self.result.copy_from_slice(&self.values);
    }

    fn hash(&self) -> u64 {
        xxh3_64(bytemuck::cast_slice(&self.result))
    }

    fn is_right(&self, contender: Contender, world: usize) -> bool {
        match contender {
            Contender::Ternary(_) => is_ternary_mean(&self.result, world),
            Contender::RingF32 | Contender::MpiAllreduceF32 => is_float_sum(&self.result, world),
        }
    }
}

fn failed(failure: Failure) -> Error {
    Error::Exchange(failure.to_string())
}
