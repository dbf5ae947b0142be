//! A rank whose peers send arbitrary messages of any length in any order: every operation ends with a result or an error.
//!
//! The input gives the algorithm and the messages that are coded, the number of ranks, this rank's number, and then messages:
//! a length and words.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, ring_f32};
use ternflock_collectives::simulated::Recorder;
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::{Lane, Length};
use ternflock_collectives::{Result, Transport, codec, control, forward_transport, planes};
use ternflock_world::World;

/// All other ranks, simulated from the input.
struct Peers {
    recorder: Recorder,
    input: Vec<u8>,
    at: usize,
}

impl Peers {
    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.input.get(self.at - 1).copied()
    }
}

impl Transport for Peers {
    forward_transport!(recorder: rank world nodes set_context buffer recycle pending pause);

    fn deadline(&self) -> Duration {
        Duration::ZERO
    }

    fn send_on(&mut self, _: Lane, to: usize, _: Vec<u64>) -> Result<()> {
        assert!(to < self.world() && to != self.rank());
        Ok(())
    }

    fn poll(&mut self, _: Lane, from: usize, expected: Length) -> Result<Option<Vec<u64>>> {
        // 255 means a message of the expected length, so that the input need not give it.
        let length = match self.byte() {
            None => return Ok(None),
            Some(255) => expected.max().min(1 << 12),
            Some(length) => usize::from(length),
        };
        expected.check(self.rank(), from, length)?;
        let mut word = || (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte().unwrap_or(0)));
        Ok(Some((0..length).map(|_| word()).collect()))
    }
}

fuzz_target!(|input: &[u8]| {
    let [what, world, rank, node, rest @ ..] = input else { return };
    let world = usize::from(*world) % 8 + 1;
    let nodes: Vec<usize> = (0..world).map(|rank| rank / (usize::from(*node) % world + 1)).collect();
    let topology = Topology::new(nodes);
    let mut recorder = Recorder::new(&topology);
    recorder.begin(usize::from(*rank) % world);
    let mut peers = Peers { recorder, input: rest.to_vec(), at: 0 };
    let blocks = 3;
    match what % 12 {
        number @ 0..5 => {
            let coding = [Coding::Never, Coding::BetweenNodes, Coding::Always][usize::from(what / 12 % 3)];
            let plan = Plan { topology: &topology, blocks, segment: 2, coding };
            let width = planes::width(world);
            let mut sums = vec![0; planes::words(blocks, width)];
            let ternary = vec![0; planes::words(blocks, planes::TERNARY)];
            let sum = Algorithm::ALL[usize::from(number)].sum(&mut peers, plan, &ternary, &mut sums);
            // Any content of the planes is a valid number.
            let mut values = vec![0.0; 512 * blocks];
            codec::decode(&sums, width, 0, 1.0, &mut values);
            assert!(values.iter().all(|value: &f32| value.is_finite()));
            drop(sum);
        }
        5 => drop(ring_f32::sum(&mut peers, 7, &mut [0.0; 100])),
        6 if what / 12 % 2 == 1 => {
            let reduction = control::Reduction::new(Lane::Bulk, 70).with_sparse(1, 66);
            drop(reduction.complete(&mut peers, &mut [1; 72]));
        }
        6 => drop(control::max_or(&mut peers, 2, &mut [1, 2, 3])),
        7 => drop(control::all_gather(&mut peers, &[1, 2])),
        8 => drop(control::broadcast(&mut peers, &mut vec![1, 2, 3])),
        9 => drop(control::agree(&mut peers, "the input", 7)),
        other => {
            let mut world = World::new(Box::new(peers), "host", Duration::MAX, Box::new(|_| {}));
            match other {
                10 => drop(world.broadcast("a text from rank 0")),
                _ => {
                    drop(world.texts("a text of each rank"));
                    drop(world.all_or_none(Ok(())));
                    drop(world.gather_to_root(&[1.0, 2.0, 3.0]));
                }
            }
        }
    }
});
