//! Compares the collectives over MPI with the results of one process, and their traffic with the meter.

use std::thread;
use std::time::{Duration, SystemTime};

use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT, ring_f32 as ring};
use ternflock_collectives::average::{Averager, Options};
use ternflock_collectives::planes::{self, BLOCK, TERNARY, WORDS, width};
use ternflock_collectives::random::{Purpose, Stream};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::Metered;
use ternflock_collectives::transport::mpi::MpiTransport;
use ternflock_collectives::transport::threads;
use ternflock_collectives::{Error, Transport, control};

/// Words that differ by rank and by size.
fn random(rank: usize, size: usize) -> impl Iterator<Item = u64> {
    let stream =
        Stream { seed: 9, purpose: Purpose::Test, step: size as u64, subject: rank as u32, tensor: 0 };
    (0..).map(move |index| u64::from(stream.word(2 * index)) << 32 | u64::from(stream.word(2 * index + 1)))
}

fn ternaries(rank: usize, blocks: usize) -> Vec<u64> {
    let mut payload: Vec<u64> = random(rank, blocks).take(planes::words(blocks, TERNARY)).collect();
    for block in payload.as_chunks_mut::<{ TERNARY * WORDS }>().0 {
        let (nonzero, negative) = block.split_at_mut(WORDS);
        nonzero.iter().zip(negative).for_each(|(nonzero, negative)| *negative &= nonzero);
    }
    payload
}

/// Sizes around the number of ranks, where chunks are empty or uneven, and one large enough to leave the small
/// messages' path of an MPI library.
fn sizes(world: usize) -> [usize; 8] {
    [0, 1, 2, world - 1, world, world + 1, 37, 2000]
}

/// Segments of a few blocks, so that these sizes have many, and the usual ones.
const SEGMENTS: [usize; 2] = [3, SEGMENT];

/// Worlds on one node, alternating between two nodes, and with one node per rank.
fn topologies(world: usize) -> [Topology; 3] {
    let two = Topology::new((0..world).map(|rank| rank % 2).collect());
    [Topology::single(world), two, Topology::flat(world)]
}

pub fn ring_ternary(transport: &mut MpiTransport) {
    equals_the_plain_sum(transport, Algorithm::RingTernary);
}

pub fn gather_ternary(transport: &mut MpiTransport) {
    equals_the_plain_sum(transport, Algorithm::GatherTernary);
}

pub fn direct_ternary(transport: &mut MpiTransport) {
    equals_the_plain_sum(transport, Algorithm::DirectTernary);
}

pub fn halving_ternary(transport: &mut MpiTransport) {
    equals_the_plain_sum(transport, Algorithm::HalvingTernary);
}

pub fn hierarchical_ternary(transport: &mut MpiTransport) {
    equals_the_plain_sum(transport, Algorithm::HierarchicalTernary);
}

fn equals_the_plain_sum(transport: &mut MpiTransport, algorithm: Algorithm) {
    let (rank, world) = (transport.rank(), transport.world());
    for blocks in sizes(world) {
        let inputs: Vec<_> = (0..world).map(|rank| ternaries(rank, blocks)).collect();
        let plain = |element| inputs.iter().map(|input| planes::get(input, TERNARY, element)).sum::<i32>();
        let plain: Vec<i32> = (0..blocks * BLOCK).map(plain).collect();
        for (topology, segment) in topologies(world).iter().flat_map(|t| SEGMENTS.map(|s| (t, s))) {
            let plan = Plan { topology, blocks, segment, coding: Coding::Never };
            let mut sums = vec![u64::MAX; planes::words(blocks, width(world))];
            let mut meter = Metered::new(&mut *transport);
            algorithm.sum(&mut meter, plan, &inputs[rank], &mut sums).expect("the all-reduce runs");
            assert_eq!(meter.reading(), algorithm.traffic(plan, rank), "{plan:?}");
            let sums = (0..blocks * BLOCK).map(|element| planes::get(&sums, width(world), element));
            assert!(sums.eq(plain.iter().copied()), "{plan:?}");
        }
    }
}

/// Messages of any length up to that of their planes arrive, and give the same sums.
pub fn coded(transport: &mut MpiTransport) {
    let (rank, world) = (transport.rank(), transport.world());
    let blocks = 12 * world + 40;
    // Few elements are not 0, and none at all in the second half.
    let mut input = ternaries(rank, blocks);
    let half = input.len() / 2;
    for (index, block) in input.as_chunks_mut::<{ 2 * WORDS }>().0.iter_mut().enumerate() {
        let kept = 0x1000_0200_0040_0801_u64.rotate_left((7 * index + rank) as u32);
        block.iter_mut().for_each(|word| *word &= kept);
    }
    input[half..].fill(0);
    for (topology, segment) in topologies(world).iter().flat_map(|t| [9, SEGMENT].map(|s| (t, s))) {
        for algorithm in Algorithm::ALL {
            let mut sum = |coding| {
                let plan = Plan { topology, blocks, segment, coding };
                let mut sums = vec![u64::MAX; planes::words(blocks, width(world))];
                let mut meter = Metered::new(&mut *transport);
                algorithm.sum(&mut meter, plan, &input, &mut sums).expect("the all-reduce runs");
                (sums, meter.reading(), algorithm.traffic(plan, rank))
            };
            let (expected, exact, _) = sum(Coding::Never);
            for coding in [Coding::BetweenNodes, Coding::Always] {
                let (sums, sent, bound) = sum(coding);
                assert!(sums == expected, "{} {coding:?}", algorithm.name());
                assert_eq!((bound, sent.messages_sent), (exact, exact.messages_sent));
                let is_less = coding == Coding::Always && exact.bytes_sent > 0;
                let limit = if is_less { exact.bytes_sent - 1 } else { exact.bytes_sent };
                assert!(sent.bytes_sent <= limit, "{} {coding:?}: {sent:?} {exact:?}", algorithm.name());
            }
        }
    }
}

pub fn ring_f32(transport: &mut MpiTransport) {
    let (rank, world) = (transport.rank(), transport.world());
    for elements in sizes(world).map(|size| 51 * size) {
        let floats = |rank| random(rank, elements).take(elements).map(|word| word as i64 as f32 / 1e18);
        let mut sums: Vec<f32> = floats(rank).collect();
        let mut meter = Metered::new(&mut *transport);
        ring::sum(&mut meter, 1000, &mut sums).expect("the ring runs");
        assert_eq!(meter.reading(), ring::traffic(1000, elements, world, rank), "{elements} elements");

        let mut exact = vec![(0.0, 0.0); elements];
        for rank in 0..world {
            for ((sum, magnitude), term) in exact.iter_mut().zip(floats(rank)) {
                *sum += f64::from(term);
                *magnitude += f64::from(term).abs();
            }
        }
        for (element, (sum, (exact, magnitude))) in sums.iter().zip(exact).enumerate() {
            // P - 1 roundings of partial sums that stay below the sum of magnitudes.
            let tolerance = world as f64 * 2.0_f64.powi(-24) * magnitude;
            assert!(
                (f64::from(*sum) - exact).abs() <= tolerance,
                "element {element}: {sum}, exactly {exact}"
            );
        }
        let hash = sums.iter().fold(0_u64, |hash, sum| hash.rotate_left(5) ^ u64::from(sum.to_bits()));
        control::agree(transport, "the sum", hash).expect("the same bits on every rank");
    }
}

pub fn max(transport: &mut MpiTransport) {
    let (rank, world) = (transport.rank(), transport.world());
    for length in [0, 1, 2, 7, 1000] {
        let input = |rank| random(rank, length).take(length).map(|word| word as u32);
        let mut values: Vec<u32> = input(rank).collect();
        let mut meter = Metered::new(&mut *transport);
        control::max(&mut meter, &mut values).expect("max runs");
        assert_eq!(meter.reading(), control::max_traffic(length, world));
        for rank in 0..world {
            assert!(
                values.iter().zip(input(rank)).all(|(max, value)| *max >= value),
                "rank {rank} has a larger one"
            );
        }
        let inputs: Vec<Vec<u32>> = (0..world).map(|rank| input(rank).collect()).collect();
        for (index, max) in values.iter().enumerate() {
            assert!(inputs.iter().any(|input| input[index] == *max), "{max} is no rank's value {index}");
        }
    }
}

pub fn all_gather(transport: &mut MpiTransport) {
    let (rank, world) = (transport.rank(), transport.world());
    for length in [0, 1, 3, 50_000] {
        let record = |rank| random(rank, length).take(length);
        let own: Vec<u64> = record(rank).collect();
        let mut meter = Metered::new(&mut *transport);
        let records = control::all_gather(&mut meter, &own).expect("all-gather runs");
        assert_eq!(meter.reading(), control::all_gather_traffic(length, world));
        assert!(records.into_iter().eq((0..world).flat_map(record)), "records of {length} words");
    }
}

pub fn broadcast(transport: &mut MpiTransport) {
    for length in [0, 1, 100, 300_000] {
        let from_root = || random(0, length).take(length);
        let mut words: Vec<u64> = if transport.rank() == 0 { from_root().collect() } else { vec![5; 3] };
        control::broadcast(transport, &mut words).expect("broadcast runs");
        assert!(words.into_iter().eq(from_root()), "{length} words");
    }
}

/// No rank leaves before the last has arrived. All ranks are on one host and read the same clock.
pub fn barrier(transport: &mut MpiTransport) {
    let now = || {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        time.as_nanos() as u64
    };
    let rank = transport.rank();
    thread::sleep(Duration::from_millis(rank as u64 * 5));
    let came = now();
    control::barrier(transport).expect("the barrier runs");
    let times = control::all_gather(transport, &[came, now()]).expect("all-gather runs");
    let last_came = times.iter().step_by(2).max();
    let first_left = times.iter().skip(1).step_by(2).min();
    assert!(first_left >= last_came, "a rank left at {first_left:?}, another came at {last_came:?}");
}

/// A value that differs on one rank is refused on all ranks, with a message that names it.
pub fn agree(transport: &mut MpiTransport) {
    let (rank, last) = (transport.rank(), transport.world() - 1);
    control::agree(transport, "the job", 77).expect("all hold 77");
    let value = if rank == last { 78 } else { 77 };
    let error = control::agree(transport, "the job", value).expect_err("one holds 78");
    let expected = Error::Disagree { what: "the job".into(), rank: 0, value: 77, peer: last, peer_value: 78 };
    assert_eq!(error, expected);
}

/// The means of ranks under MPI are, to the bit, those of ranks that are threads.
pub fn average(transport: &mut MpiTransport) {
    const LENGTHS: [usize; 3] = [70_000, 10, 3_000];
    fn means(transport: &mut dyn Transport) -> Vec<Vec<f32>> {
        let rank = transport.rank();
        let options =
            Options { error_feedback: true, algorithm: Algorithm::HalvingTernary, ..Options::default() };
        let mut averager = Averager::new(transport, &LENGTHS, options).expect("all ranks agree");
        let step = |step| {
            let floats = |length| random(rank, length + step as usize).map(|word| word as i64 as f32 / 1e18);
            let mut tensors = LENGTHS.map(|length| floats(length).take(length).collect::<Vec<f32>>());
            let mut slices = tensors.each_mut().map(Vec::as_mut_slice);
            averager.mean(transport, step, &mut slices).expect("the mean runs");
            tensors
        };
        (0..3).flat_map(step).collect()
    }
    let ranks = threads::world(transport.world(), Duration::from_secs(60));
    let on_threads = thread::scope(|scope| {
        let running: Vec<_> =
            ranks.into_iter().map(|mut rank| scope.spawn(move || means(&mut rank))).collect();
        running.into_iter().map(|rank| rank.join().expect("no rank panics")).collect::<Vec<_>>()
    });
    let under_mpi = means(transport);
    assert!(on_threads.iter().all(|means| *means == under_mpi));
}
