//! All-reduces between these ranks, from gradients to their mean, compared with that of the MPI library.

use std::time::{Duration, Instant};

use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::mpi::{self, MpiTransport, OnCall};
use ternflock_collectives::{Result as Exchanged, Transport, control};
use xxhash_rust::xxh3::xxh3_64;

use super::averaging;
use super::contender::Contender;
use super::report::{Case, Report};
use super::vectors::Vectors;
use super::{Interference, Watch, memory};
use ternflock_base::available::available_bytes;
use ternflock_base::error::{Error, Kind, Result};
use ternflock_base::quantile::{median, quantile};
use ternflock_base::text::plural;
use ternflock_train::method::Method;

/// The ranks that take part in the measurement.
pub struct Ranks {
    transport: Metered<MpiTransport>,
    topology: Topology,
}

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct Plans {
    /// The sizes of the vectors.
    pub elements: Vec<usize>,
    /// The contenders that average them.
    pub contenders: Vec<Contender>,
    /// The number of timed rounds; `None`: as many as fit into a few seconds.
    pub rounds: Option<usize>,
}

/// The seconds of timing per case and the limits of rounds, unless the number of rounds is given.
const BUDGET: f64 = 3.0;
const FEWEST: usize = 5;
const MOST: usize = 50;

impl Ranks {
    /// Starts MPI and joins the ranks of this job. From then on, a panic ends all of them. `on_call` is
    /// called for MPI calls in progress.
    ///
    /// # Errors
    /// [`Error::Exchange`] if MPI cannot be started or a rank does not join before `deadline`.
    pub fn join(deadline: Duration, on_call: OnCall) -> Result<Ranks> {
        let transport = MpiTransport::init(deadline, Some(on_call))?;
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
    /// [`Error::Disagree`] for different plans. For vectors that do not fit into the memory of a node,
    /// [`Error::OnAllRanks`] on the lowest rank of such a node and [`Error::Elsewhere`] on all others.
    /// [`Error::Exchange`] if ranks are late or have ended.
    pub fn measure(&mut self, plans: &Plans) -> Result<Report> {
        let mut agree = |what: &str, value| control::agree(&mut self.transport, what, value);
        agree("the number of sizes to measure", plans.elements.len() as u64)?;
        for &elements in &plans.elements {
            agree("the number of elements to measure", elements as u64)?;
        }
        agree("the hash of the other settings of the measurement", xxh3_64(format!("{plans:?}").as_bytes()))?;
        self.check_memory(plans)?;
        let watch = Watch::start();
        let mut cases = Vec::new();
        for &elements in &plans.elements {
            cases.extend(self.measure_size(elements, plans)?);
        }
        let watched = control::all_gather(&mut self.transport, &watch.words())?;
        let interference = Interference::of(watched.as_chunks().0, &self.topology);
        let (ranks, hosts) = (self.size(), self.topology.nodes());
        Ok(Report { ranks, hosts, mpi: mpi::library_version(), interference, cases })
    }

    /// Refuses vectors that do not fit into the memory of a node for all of its ranks together.
    fn check_memory(&mut self, plans: &Plans) -> Result<()> {
        let (rank, nodes) = (self.rank(), self.transport.nodes());
        let neighbours = nodes.iter().filter(|node| **node == nodes[rank]).count();
        let elements = plans.elements.iter().copied().max().unwrap_or(0);
        let needed = neighbours as u128 * memory::all_reduce_bytes(elements, self.size());
        let what = format!("{} on {} of a node", plural(elements, "element"), plural(neighbours, "rank"));
        let mine = memory::check(&what, needed, available_bytes());
        // All ranks check before any of them allocates.
        let refused = control::all_gather(&mut self.transport, &[u64::from(mine.is_err())])?;
        match (refused.iter().position(|refused| *refused == 1), mine) {
            (None, _) => Ok(()),
            (Some(first), Err(error)) if first == rank => Err(Error::OnAllRanks(Box::new(error))),
            (Some(first), _) => Err(Error::Elsewhere { rank: first, kind: Kind::Usage }),
        }
    }

    /// Measures all contenders on vectors of `elements`. Each is verified, then timed once per round, then
    /// verified again.
    fn measure_size(&mut self, elements: usize, plans: &Plans) -> Exchanged<Vec<Case>> {
        let mut vectors = Vectors::new(elements, self.rank(), self.size(), &plans.contenders);
        let mut entrants = Vec::new();
        for &contender in &plans.contenders {
            let before = self.transport.reading();
            let Ranks { transport, topology } = self;
            averaging::begin(contender, transport, &mut vectors)?;
            averaging::run(contender, transport, topology, &mut vectors)?;
            averaging::finish(contender, &mut vectors);
            let traffic = self.transport.reading() - before;
            let formula = averaging::formula(contender, self.rank(), &self.topology, &mut vectors);
            let hash = vectors.hash();
            let is_right = vectors.is_right(contender);
            let verified = self.all(is_right)?;
            entrants.push(Entrant { contender, traffic, formula, hash, verified, times: Vec::new() });
        }
        let rounds = match plans.rounds {
            Some(rounds) => rounds,
            None => self.affordable(&mut vectors, &entrants)?,
        };
        let mut codecs: Vec<(&'static dyn Method, Vec<f64>)> = Vec::new();
        for method in entrants.iter().filter_map(|entrant| entrant.contender.compressor()) {
            if codecs.iter().all(|(of, _)| *of != method) {
                codecs.push((method, Vec::new()));
            }
        }
        let mut memcpy = Vec::new();
        for _ in 0..rounds {
            memcpy.push(self.timed_alone(Vectors::reset, &mut vectors)?);
            for (method, times) in &mut codecs {
                vectors.reset();
                times.push(self.timed_alone(|vectors| vectors.run_codec(*method), &mut vectors)?);
            }
            for entrant in &mut entrants {
                entrant.times.push(self.average(entrant.contender, &mut vectors)?);
                entrant.verified &= vectors.hash() == entrant.hash;
            }
        }
        let memcpy_s = median(memcpy);
        let codecs: Vec<_> = codecs.into_iter().map(|(method, times)| (method, median(times))).collect();
        let case = |entrant: Entrant| {
            let method = entrant.contender.compressor();
            let codec = codecs.iter().find(|(of, _)| Some(*of) == method).map(|(_, seconds)| *seconds);
            self.case(entrant, elements, memcpy_s, codec)
        };
        entrants.into_iter().map(case).collect()
    }

    /// The number of rounds that fit into the time for all entrants together.
    fn affordable(&mut self, vectors: &mut Vectors, entrants: &[Entrant]) -> Exchanged<usize> {
        let mut slowest = 0.0_f64;
        for entrant in entrants {
            slowest = slowest.max(self.average(entrant.contender, vectors)?);
        }
        Ok(((BUDGET / slowest) as usize).clamp(FEWEST, MOST))
    }

    /// Averages `vectors.values` into `vectors.result`. Returns the seconds of [`averaging::run`] on the
    /// slowest rank, after a common start.
    fn average(&mut self, contender: Contender, vectors: &mut Vectors) -> Exchanged<f64> {
        averaging::begin(contender, &mut self.transport, vectors)?;
        let run = |ranks: &mut Ranks, vectors: &mut Vectors| {
            averaging::run(contender, &mut ranks.transport, &ranks.topology, vectors)
        };
        let seconds = self.timed(run, vectors)?;
        averaging::finish(contender, vectors);
        Ok(seconds)
    }

    /// The seconds that `work` takes on the slowest rank, after a common start.
    fn timed(
        &mut self,
        work: impl FnOnce(&mut Ranks, &mut Vectors) -> Exchanged<()>,
        vectors: &mut Vectors,
    ) -> Exchanged<f64> {
        control::barrier(&mut self.transport)?;
        let start = Instant::now();
        work(self, vectors)?;
        // Positive floats have the same order as their bits.
        let mut seconds = [start.elapsed().as_secs_f32().to_bits()];
        control::max(&mut self.transport, &mut seconds)?;
        Ok(f64::from(f32::from_bits(seconds[0])))
    }

    /// The same for work without communication.
    fn timed_alone(&mut self, work: impl Fn(&mut Vectors), vectors: &mut Vectors) -> Exchanged<f64> {
        let work = |_: &mut Ranks, vectors: &mut Vectors| {
            work(vectors);
            Ok(())
        };
        self.timed(work, vectors)
    }

    /// Whether the answer is yes on all ranks.
    fn all(&mut self, yes: bool) -> Exchanged<bool> {
        let mut no = [u32::from(!yes)];
        control::max(&mut self.transport, &mut no)?;
        Ok(no[0] == 0)
    }

    fn case(
        &mut self,
        entrant: Entrant,
        elements: usize,
        memcpy_s: f64,
        codec_s: Option<f64>,
    ) -> Exchanged<Case> {
        let Entrant { contender, traffic, formula, verified, mut times, .. } = entrant;
        let own = [traffic.bytes_sent, traffic.bytes_received, formula.unwrap_or(0), u64::from(verified)];
        let all = control::all_gather(&mut self.transport, &own)?;
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
            codec_s,
            verified,
        })
    }
}

/// A contender and its results so far.
struct Entrant {
    contender: Contender,
    /// The traffic of one averaging.
    traffic: Traffic,
    /// Bytes that this rank sends according to the formulas.
    formula: Option<u64>,
    /// The check of its result.
    hash: u64,
    verified: bool,
    times: Vec<f64>,
}
