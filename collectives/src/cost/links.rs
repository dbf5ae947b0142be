//! Latency and bandwidth of the links around a ring of ranks, all in use at once.

use std::time::Instant;

use super::{Link, SAMPLES, median};
use crate::planes::{TERNARY, words};
use crate::{Result, Transport, all_reduce, control};

/// Words of a message that carries next to nothing, and how many of them show what one more costs.
const TINY: usize = 8;
const BURST: usize = 16;

/// Shifts in a row that a sample of the latency takes.
const ROW: usize = 4;

/// Words of a message as long as a segment of ternaries.
const SEGMENT: usize = words(all_reduce::SEGMENT, TERNARY);

/// Messages, and words of each, by which the bandwidth is measured.
const SIZES: [(usize, usize); 5] =
    [(1, SEGMENT / 8), (1, SEGMENT), (4, SEGMENT), (16, SEGMENT), (64, SEGMENT)];

/// After a shift that takes this number of seconds, no larger one is tried.
const LONG: f64 = 0.02;

/// The least a measured difference may be, in seconds: a clock that stood still.
const TICK: f64 = 1e-9;

/// The links between the ranks of `ring`, each of which sends to the one after it. Ranks that are in no ring of several
/// come too, and get a link that costs nothing: all ranks stop at the same size.
///
/// `byte` is for what one rank sends. Several rings may turn at once, one on each node.
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

/// A rank's part in a ring that shifts messages round by one place.
struct Shifts {
    /// Whom it sends to, and whom it receives from; none alone or outside the ring.
    peers: Option<(usize, usize)>,
    /// What is copied into a message before it leaves, and out of one that has come: every algorithm does that.
    content: Vec<u64>,
}

impl Shifts {
    fn new(rank: usize, ring: &[usize]) -> Self {
        let size = ring.len();
        let place = ring.iter().position(|member| *member == rank).filter(|_| size > 1);
        let peers = place.map(|place| (ring[(place + 1) % size], ring[(place + size - 1) % size]));
        Shifts { peers, content: vec![0; SEGMENT] }
    }

    /// Seconds of one of `row` shifts of `messages` messages of `words` words, on this rank; 0 outside the ring.
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
