//! Measures the latency and bandwidth of the links in a ring of ranks, with all links in use at once.

use std::time::Instant;

use super::{Link, SAMPLES, median};
use crate::planes::{TERNARY, words};
use crate::{Result, Transport, all_reduce, control};

/// Words of a very short message, and the number of messages that show the cost of one more.
const TINY: usize = 8;
const BURST: usize = 16;

/// Consecutive shifts per sample of the latency.
const ROW: usize = 4;

/// Words of a message with one segment of ternaries.
const SEGMENT: usize = words(all_reduce::SEGMENT, TERNARY);

/// The numbers of messages and words per message with which the bandwidth is measured.
const SIZES: [(usize, usize); 5] =
    [(1, SEGMENT / 8), (1, SEGMENT), (4, SEGMENT), (16, SEGMENT), (64, SEGMENT)];

/// After a shift that takes this number of seconds, no larger shift is measured.
const LONG: f64 = 0.02;

/// The minimum of a measured difference, in seconds, in case the clock did not advance.
const TICK: f64 = 1e-9;

/// Measures the links between the ranks of `ring`, each of which sends to the next one. Ranks that are not in
/// a ring of several ranks must call this too, and get a link that costs nothing: all ranks stop at the same
/// size.
///
/// `byte` is the cost per byte that one rank sends. Several rings may be measured at once, one on each node.
pub(super) fn measure(transport: &mut dyn Transport, ring: &[usize]) -> Result<Link> {
    let mut ring = Shifts::new(transport.rank(), ring);
    ring.time(transport, 1, 1, TINY)?;
    let latency = ring.time(transport, ROW, 1, TINY)?;
    let burst = ring.time(transport, 1, BURST, TINY)?;
    let mut byte = 0.0;
    for (messages, words) in SIZES {
        let seconds = ring.time(transport, 1, messages, words)?;
        byte = (seconds - latency).max(TICK) / (8 * messages * words) as f64;
        let mut slowest = [(seconds as f32).to_bits()];
        control::max(transport, &mut slowest)?;
        if f64::from(f32::from_bits(slowest[0])) >= LONG {
            break;
        }
    }
    if ring.peers.is_none() {
        return Ok(Link::default());
    }
    Ok(Link { latency: latency.max(TICK), message: (burst - latency).max(TICK) / (BURST - 1) as f64, byte })
}

/// The role of a rank in a ring that shifts messages by one place.
struct Shifts {
    /// The ranks that it sends to and receives from; `None` for a single rank or outside the ring.
    peers: Option<(usize, usize)>,
    /// The buffer that is copied into each message before it is sent, and from each message that has arrived,
    /// because every algorithm copies.
    content: Vec<u64>,
}

impl Shifts {
    fn new(rank: usize, ring: &[usize]) -> Self {
        let size = ring.len();
        let place = ring.iter().position(|member| *member == rank).filter(|_| size > 1);
        let peers = place.map(|place| (ring[(place + 1) % size], ring[(place + size - 1) % size]));
        Shifts { peers, content: vec![0; SEGMENT] }
    }

    /// Seconds per shift for `row` shifts of `messages` messages with `words` words each, on this rank; 0
    /// outside the ring.
    fn time(
        &mut self,
        transport: &mut dyn Transport,
        row: usize,
        messages: usize,
        words: usize,
    ) -> Result<f64> {
        let Some((next, previous)) = self.peers else { return Ok(0.0) };
        let mut times = [0.0; SAMPLES];
        for time in &mut times {
            let start = Instant::now();
            for _ in 0..row {
                for _ in 0..messages {
                    let mut message = transport.buffer(words);
                    message.copy_from_slice(&self.content[..words]);
                    transport.send(next, message)?;
                }
                for _ in 0..messages {
                    let message = transport.recv(previous, words)?;
                    self.content[..words].copy_from_slice(&message);
                    transport.recycle(message);
                }
            }
            *time = start.elapsed().as_secs_f64() / row as f64;
        }
        transport.flush()?;
        Ok(median(times))
    }
}
