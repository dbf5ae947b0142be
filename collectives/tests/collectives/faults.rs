//! Peers that are late, gone or out of step: errors that name them, never a hang.

use std::thread;
use std::time::{Duration, Instant};

use ternflock_collectives::all_reduce::{ring_f32, ring_ternary};
use ternflock_collectives::planes::{TERNARY, width, words};
use ternflock_collectives::transport::Lane;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::threads::{self, ThreadTransport};
use ternflock_collectives::{Error, Transport, small};

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
        let mismatch = Error::LengthMismatch { rank: 0, peer: 1, expected_words: 5, got_words };
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
        assert_eq!(here.poll(lane, 1, 1), Ok(None));
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

/// Runs `act` on all ranks of a world in which waits are short and returns what became of each.
fn outcomes(
    world: usize,
    act: impl Fn(&mut ThreadTransport) -> Result<(), Error> + Sync,
) -> Vec<Result<(), Error>> {
    let ranks = threads::world(world, Duration::from_millis(200));
    let act = &act;
    thread::scope(|scope| {
        let running: Vec<_> = ranks.into_iter().map(|mut rank| scope.spawn(move || act(&mut rank))).collect();
        running.into_iter().map(|thread| thread.join().expect("a rank panicked")).collect()
    })
}

#[test]
fn a_rank_that_dies_in_a_ring_ends_it_for_all() {
    for dead in 0..4 {
        let outcomes = outcomes(4, |rank| {
            if rank.rank() == dead {
                return Ok(());
            }
            let (ternary, mut sums) = (vec![0; words(8, TERNARY)], vec![0; words(8, width(4))]);
            ring_ternary::sum(rank, &ternary, 8, &mut sums)
        });
        let mut named = false;
        for (rank, outcome) in outcomes.iter().enumerate().filter(|(rank, _)| *rank != dead) {
            match outcome {
                Err(Error::PeerGone { peer, .. } | Error::Timeout { peer, .. }) => named |= *peer == dead,
                other => panic!("rank {rank} ended with {other:?}"),
            }
        }
        assert!(named, "no rank names rank {dead}: {outcomes:?}");
    }
}

#[test]
fn ranks_with_different_element_counts_fail_instead_of_adding_strangers() {
    let outcomes = outcomes(2, |rank| {
        let mut values = vec![1.0; 100 + 50 * rank.rank()];
        ring_f32::sum(rank, &mut values)
    });
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome, Err(Error::LengthMismatch { .. }))),
        "{outcomes:?}"
    );
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
}

#[test]
fn a_record_of_another_length_is_refused() {
    let outcomes = outcomes(3, |rank| {
        let record = vec![0; 1 + rank.rank() / 2];
        small::all_gather(rank, &record).map(drop)
    });
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome, Err(Error::LengthMismatch { .. }))),
        "{outcomes:?}"
    );
}
