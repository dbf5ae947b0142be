//! Peers that are late, have ended or are not synchronised: errors name them, and nothing hangs.

use std::time::{Duration, Instant};

use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, ring_f32};
use ternflock_collectives::planes::{TERNARY, width, words};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::threads::{self, ThreadTransport};
use ternflock_collectives::transport::{Lane, Length};
use ternflock_collectives::{Error, Transport, control};

use crate::on;
use crate::wrappers::Mortal;

fn pair(deadline: Duration) -> (ThreadTransport, ThreadTransport) {
    let mut ranks = threads::world(2, deadline).into_iter();
    (ranks.next().expect("rank 0"), ranks.next().expect("rank 1"))
}

#[test]
fn a_late_peer_is_a_timeout_after_which_its_message_still_arrives() {
    let deadline = Duration::from_millis(40);
    let (mut here, mut peer) = pair(deadline);
    let start = Instant::now();
    let error = here.recv(1, 3).expect_err("nothing was sent");
    assert!(start.elapsed() >= deadline);
    match &error {
        Error::Timeout { rank: 0, peer: 1, what, seconds } if *seconds >= 0.04 && what == "send 3 words" => {}
        other => panic!("{other}"),
    }
    let message = error.to_string();
    assert!(message.contains(" s for rank 1 to send 3 words: that rank is late, stuck or dead"), "{message}");
    peer.send(0, vec![1, 2, 3]).expect("sends");
    assert_eq!(here.recv(1, 3).expect("arrives"), [1, 2, 3]);
}

#[test]
fn a_peer_that_is_gone_is_named_once_its_last_messages_are_read() {
    let (mut here, mut peer) = pair(Duration::from_secs(60));
    peer.send(0, vec![9]).expect("sends");
    drop(peer);
    assert_eq!(here.recv(1, 1).expect("was sent before"), [9]);
    let gone = Error::PeerGone { rank: 0, peer: 1 };
    assert_eq!(here.recv(1, 1), Err(gone.clone()));
    assert_eq!(here.send(1, vec![1]), Err(gone));
}

#[test]
fn a_message_of_another_length_is_refused_with_both_and_the_next_is_read() {
    let (mut here, mut peer) = pair(Duration::from_secs(60));
    for got_words in [0, 4, 6, 1000] {
        peer.send(0, vec![0; got_words]).expect("sends");
        let mismatch = Error::LengthMismatch { rank: 0, peer: 1, expected: Length::Exactly(5), got_words };
        assert_eq!(here.recv(1, 5), Err(mismatch));
    }
    peer.send(0, vec![3; 5]).expect("sends");
    assert_eq!(here.recv(1, 5).expect("the right length"), [3; 5]);
}

#[test]
fn messages_of_a_lane_keep_their_order_whatever_comes_in_others() {
    let (mut here, mut peer) = pair(Duration::from_secs(60));
    for word in 0..4 {
        for (lane, tens) in [(Lane::Bulk, 0), (Lane::Ahead, 10), (Lane::Notes, 20)] {
            peer.send_on(lane, 0, vec![tens + word]).expect("sends");
        }
    }
    for (lane, tens) in [(Lane::Notes, 20), (Lane::Ahead, 10), (Lane::Bulk, 0)] {
        for word in 0..4 {
            assert_eq!(here.recv_on(lane, 1, 1).expect("receives"), [tens + word]);
        }
        assert_eq!(here.poll(lane, 1, Length::Exactly(1)), Ok(None));
    }
}

#[test]
fn notes_are_not_counted() {
    let (here, mut peer) = pair(Duration::from_secs(60));
    let mut here = Metered::new(here);
    for lane in [Lane::Notes, Lane::Ahead, Lane::Bulk, Lane::Notes] {
        here.send_on(lane, 1, vec![1; 5]).expect("sends");
        peer.send_on(lane, 0, vec![1; 3]).expect("sends");
        here.recv_on(lane, 1, 3).expect("receives");
    }
    let counted = Traffic::sent(5) + Traffic::received(3);
    assert_eq!(here.reading(), counted + counted);
}

/// Runs `act` on all ranks of a world with short waits and returns the outcome of each.
fn outcomes(
    world: usize,
    act: impl Fn(&mut ThreadTransport) -> Result<(), Error> + Sync,
) -> Vec<Result<(), Error>> {
    on(threads::world(world, Duration::from_millis(200)), act)
}

/// The all-reduce of `blocks` blocks of zeros.
fn sum(
    rank: &mut dyn Transport,
    algorithm: Algorithm,
    topology: &Topology,
    blocks: usize,
) -> Result<(), Error> {
    let plan = Plan { topology, blocks, segment: 2, coding: Coding::Never };
    let (ternary, mut sums) = (vec![0; words(blocks, TERNARY)], vec![0; words(blocks, width(rank.world()))]);
    algorithm.sum(rank, plan, &ternary, &mut sums)
}

#[test]
fn a_rank_that_is_dead_ends_the_all_reduce_for_all() {
    let topology = Topology::new(vec![0, 0, 1, 1, 1]);
    for (dead, algorithm) in (0..5).flat_map(|dead| Algorithm::ALL.map(|algorithm| (dead, algorithm))) {
        let outcomes = outcomes(5, |rank| match rank.rank() == dead {
            true => Ok(()),
            false => sum(rank, algorithm, &topology, 20),
        });
        let mut named = false;
        for (rank, outcome) in outcomes.iter().enumerate().filter(|(rank, _)| *rank != dead) {
            match outcome {
                Err(Error::PeerGone { peer, .. } | Error::Timeout { peer, .. }) => named |= *peer == dead,
                other => panic!("{}: rank {rank} ended with {other:?}", algorithm.name()),
            }
        }
        assert!(named, "{}: no rank names rank {dead}: {outcomes:?}", algorithm.name());
    }
}

#[test]
fn a_rank_that_dies_in_the_middle_ends_the_all_reduce_for_all() {
    let topology = Topology::new(vec![0, 1, 0, 1]);
    for algorithm in Algorithm::ALL {
        let last = algorithm
            .traffic(Plan { topology: &topology, blocks: 40, segment: 2, coding: Coding::Never }, 1)
            .messages_received;
        for after in 0..last {
            let outcomes = outcomes(4, |rank| match rank.rank() {
                1 => sum(&mut Mortal::new(rank, after), algorithm, &topology, 40),
                _ => sum(rank, algorithm, &topology, 40),
            });
            // Another rank may have finished if it needed nothing more from the dead rank.
            assert!(outcomes[1].is_err());
            for (rank, outcome) in outcomes.iter().enumerate().filter(|(rank, _)| *rank != 1) {
                let known = matches!(outcome, Ok(()) | Err(Error::PeerGone { .. } | Error::Timeout { .. }));
                assert!(known, "{}: rank {rank} ended with {outcome:?}", algorithm.name());
            }
            let first = after == 0 && outcomes.iter().any(Result::is_ok);
            assert!(!first, "{}: a sum without the dead rank's part: {outcomes:?}", algorithm.name());
        }
    }
}

#[test]
fn ranks_with_different_block_counts_fail_instead_of_adding_strangers() {
    let topology = Topology::new(vec![0, 0, 1, 1, 1]);
    // One more block, chunks that differ by complete segments, and twice or half as many blocks.
    for (blocks, other) in [(7, 8), (40, 41), (40, 60), (40, 80), (40, 20), (2000, 5)] {
        for (odd, algorithm) in (0..5).flat_map(|odd| Algorithm::ALL.map(|algorithm| (odd, algorithm))) {
            let outcomes = outcomes(5, |rank| {
                let blocks = if rank.rank() == odd { other } else { blocks };
                sum(rank, algorithm, &topology, blocks)
            });
            let refused = |outcome: &Result<(), Error>| matches!(outcome, Err(Error::LengthMismatch { .. }));
            let what = format!("{}: {blocks}, rank {odd} {other}: {outcomes:?}", algorithm.name());
            assert!(outcomes.iter().any(refused), "{what}");
            assert!(outcomes.iter().all(Result::is_err), "{what}");
        }
    }
}

#[test]
fn floats_of_different_lengths_fail_instead_of_adding_strangers() {
    for other in [50, 98, 102, 150, 200] {
        let outcomes = outcomes(2, |rank| {
            let mut values = vec![1.0; if rank.rank() == 0 { 100 } else { other }];
            ring_f32::sum(rank, 10, &mut values)
        });
        let refused = |outcome: &Result<(), Error>| matches!(outcome, Err(Error::LengthMismatch { .. }));
        assert!(outcomes.iter().any(refused), "{other}: {outcomes:?}");
        assert!(outcomes.iter().all(Result::is_err), "{other}: {outcomes:?}");
    }
}

#[test]
fn a_record_of_another_length_is_refused() {
    let outcomes = outcomes(3, |rank| {
        let record = vec![0; 1 + rank.rank() / 2];
        control::all_gather(rank, &record).map(drop)
    });
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome, Err(Error::LengthMismatch { .. }))),
        "{outcomes:?}"
    );
}
