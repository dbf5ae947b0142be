//! Stalls: all ranks name the rank that they wait for, at any place in a chain.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use ternflock_collectives::transport::watch::{Late, Watched};
use ternflock_collectives::transport::{Lane, Length, Wait, threads};
use ternflock_collectives::{Error, Result, Transport, control, forward_transport};

/// The time until a warning. A late rank is late by three times as long.
const WARN_AFTER: Duration = Duration::from_millis(160);
const LATE_BY: Duration = Duration::from_millis(480);
const DEADLINE: Duration = Duration::from_secs(60);

/// The result of `act` on a rank, and its reports about late ranks.
type Outcome<R> = (Result<R>, Vec<Late>);

/// The outcomes of `act` on `world` ranks, whose hosts are named after them.
fn watched<R: Send>(
    world: usize,
    deadline: Duration,
    act: impl Fn(&mut dyn Transport) -> Result<R> + Sync,
) -> Vec<Outcome<R>> {
    let hosts: Vec<_> = (0..world).map(|rank| format!("host-{rank}")).collect();
    let said: Vec<_> = (0..world).map(|_| Mutex::new(Vec::new())).collect();
    let run = |transport| {
        let report = |late: &Late| said[late.rank].lock().expect("no rank panics").push(late.clone());
        act(&mut Watched::new(transport, hosts.clone(), WARN_AFTER, report))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let ranks = threads::world(world, deadline).into_iter();
        let running: Vec<_> = ranks.map(|rank| scope.spawn(|| run(rank))).collect();
        running.into_iter().map(|thread| thread.join().expect("a rank panicked")).collect()
    });
    results.into_iter().zip(said.into_iter().map(|said| said.into_inner().expect("no rank panics"))).collect()
}

/// Passes a number around the ring `world` times; each rank adds its own number. At the end, all know the
/// sum.
fn around(transport: &mut dyn Transport) -> Result<u64> {
    let (rank, world) = (transport.rank(), transport.world());
    let (mut sum, mut passed) = (rank as u64, rank as u64);
    for _ in 1..world {
        transport.send((rank + 1) % world, vec![passed])?;
        passed = transport.recv((rank + world - 1) % world, 1)?[0];
        sum += passed;
    }
    Ok(sum)
}

#[test]
fn all_ranks_of_a_ring_name_the_one_that_is_late_and_then_go_on() {
    for late in [0, 2, 4] {
        let outcomes = watched(5, DEADLINE, |transport| {
            transport.set_context(format_args!("step {}, `conv1.weight`", 7));
            if transport.rank() == late {
                thread::sleep(LATE_BY);
            }
            around(transport)
        });
        for (rank, (result, said)) in outcomes.into_iter().enumerate() {
            assert_eq!(result, Ok(10));
            if rank == late {
                assert_eq!(said, []);
                continue;
            }
            // At 1 x, and at 2 x unless the machine is very busy.
            assert!((1..=2).contains(&said.len()), "rank {rank}: {said:?}");
            for warning in said {
                assert_eq!((warning.late, warning.host.as_str()), (Some(late), &*format!("host-{late}")));
                assert_eq!(warning.peer, (rank + 4) % 5);
                assert_eq!(warning.is_lowest, rank == usize::from(late == 0));
                let text = warning.to_string();
                assert!(text.starts_with(&format!("rank {late} on host-{late} is late: ")), "{text}");
                assert!(text.contains("(step 7, `conv1.weight`); a wait of 60 s ends the job"), "{text}");
            }
        }
    }
}

#[test]
fn the_late_rank_of_a_collective_that_is_not_a_ring_is_named_too() {
    for late in [0, 5] {
        let outcomes = watched(7, DEADLINE, |transport| {
            if transport.rank() == late {
                thread::sleep(LATE_BY);
            }
            let rank = transport.rank() as u64;
            control::all_gather(transport, &[rank])
        });
        for (result, said) in outcomes {
            assert_eq!(result, Ok((0..7).collect()));
            assert!(said.iter().all(|warning| warning.late == Some(late)), "{said:?}");
        }
    }
}

#[test]
fn a_rank_that_never_comes_is_named_by_the_error() {
    let outcomes = watched(4, LATE_BY, |transport| {
        if transport.rank() == 2 {
            thread::sleep(3 * LATE_BY);
            return Ok(0);
        }
        around(transport)
    });
    let mut named = 0;
    for (rank, (result, said)) in outcomes.into_iter().enumerate().filter(|(rank, _)| *rank != 2) {
        assert!(said.iter().all(|warning| warning.late == Some(2)), "{said:?}");
        match result {
            Err(Error::Late(late)) => {
                assert_eq!((late.rank, late.late, late.host.as_str()), (rank, Some(2), "host-2"));
                assert!(late.seconds >= late.deadline_seconds);
                let text = Error::Late(late).to_string();
                assert!(text.ends_with("; a wait of 0.48 s ends the job"), "{text}");
                named += 1;
            }
            // The others end after the first one has ended.
            Err(Error::PeerGone { .. }) => {}
            other => panic!("rank {rank} ended with {other:?}"),
        }
    }
    assert!(named > 0);
}

#[test]
fn a_rank_that_dies_ends_the_ranks_that_need_it_at_once() {
    let outcomes =
        watched(4, DEADLINE, |transport| if transport.rank() == 2 { Ok(0) } else { around(transport) });
    for (rank, (result, _)) in outcomes.into_iter().enumerate().filter(|(rank, _)| *rank != 2) {
        assert!(matches!(result, Err(Error::PeerGone { .. })), "rank {rank} ended with {result:?}");
    }
}

#[test]
fn ranks_that_wait_for_each_other_are_told_so() {
    let outcomes = watched(3, LATE_BY, |transport| {
        let previous = (transport.rank() + 2) % 3;
        transport.recv(previous, 1).map(drop)
    });
    for (_, said) in &outcomes {
        assert!(said.iter().all(|warning| warning.late.is_none()), "{said:?}");
    }
    let all: Vec<_> = outcomes.iter().flat_map(|(_, said)| said).map(ToString::to_string).collect();
    assert!(
        all.len() >= 3 && all.iter().all(|text| text.starts_with("ranks wait for each other in a circle")),
        "{all:?}"
    );
    assert!(
        outcomes.iter().any(|(result, _)| matches!(result, Err(Error::Late(late)) if late.late.is_none()))
    );
}

#[test]
fn a_rank_that_is_late_again_and_again_is_named_each_time() {
    let outcomes = watched(3, DEADLINE, |transport| {
        for late in [1, 0, 1, 2] {
            if transport.rank() == late {
                thread::sleep(LATE_BY);
            }
            around(transport)?;
        }
        Ok(())
    });
    let named = |rank: usize| {
        let mut named: Vec<_> = outcomes[rank].1.iter().map(|warning| warning.late).collect();
        named.dedup();
        named
    };
    assert_eq!(named(0), [Some(1), Some(2)]);
    assert_eq!(named(1), [Some(0), Some(2)]);
    assert_eq!(named(2), [Some(1), Some(0), Some(1)]);
}

/// A transport whose waits receive early messages of rank 1, like those of an exchange that also moves
/// scales.
struct Beside<'a> {
    transport: &'a mut dyn Transport,
    taken: usize,
}

impl Transport for Beside<'_> {
    forward_transport!(
        transport: rank world nodes deadline set_context buffer recycle send_on poll pending
    );

    fn pause(&mut self, wait: &Wait) -> Result<()> {
        self.taken += usize::from(self.transport.poll(Lane::Ahead, 1, Length::Exactly(1))?.is_some());
        self.transport.pause(wait)
    }
}

/// Rank 2 waits for rank 0, and rank 0 waits for rank 1, which first sends `ahead` messages in another lane,
/// with intervals of an eighth of the time until a warning. Returns the number of messages that rank 0
/// received while it waited.
fn one_lane_moves(transport: &mut dyn Transport, ahead: usize) -> Result<usize> {
    match transport.rank() {
        0 => {
            let mut beside = Beside { transport, taken: 0 };
            beside.recv(1, 1)?;
            beside.send(2, vec![1])?;
            Ok(beside.taken)
        }
        1 => {
            for _ in 0..ahead {
                thread::sleep(WARN_AFTER / 8);
                transport.send_on(Lane::Ahead, 0, vec![1])?;
            }
            transport.send(0, vec![1]).map(|()| 0)
        }
        _ => transport.recv(0, 1).map(|_| 0),
    }
}

#[test]
fn what_comes_in_another_lane_ends_no_wait() {
    let outcomes = watched(3, DEADLINE, |transport| one_lane_moves(transport, 24));
    let (taken, said) = &outcomes[0];
    assert!(matches!(taken, Ok(taken) if *taken > 12), "{taken:?}");
    // At 1 x, 2 x, and 4 x if the machine is very busy, but not again after each message.
    assert!((1..=3).contains(&said.len()), "{said:?}");
    for (_, said) in outcomes {
        assert!(said.iter().all(|warning| warning.late == Some(1)), "{said:?}");
    }
}

#[test]
fn what_comes_in_another_lane_puts_off_no_deadline() {
    let mut outcomes = watched(3, LATE_BY, |transport| one_lane_moves(transport, 8 * 24));
    match outcomes.remove(0).0 {
        Err(Error::Late(late)) => assert_eq!(late.late, Some(1)),
        other => panic!("rank 0 ended with {other:?}"),
    }
}

#[test]
fn a_rank_whose_waits_keep_ending_speaks_for_nobody() {
    // Rank 2 sends to rank 0 after rank 0 has told the others that it waits, and before it would warn.
    // Finally, it sends to rank 1.
    let outcomes = watched(3, DEADLINE, |transport| {
        const TIMES: usize = 16;
        match transport.rank() {
            0 => (0..TIMES).try_for_each(|_| transport.recv(2, 1).map(drop)),
            1 => transport.recv(2, 1).map(drop),
            _ => {
                for _ in 0..TIMES {
                    thread::sleep(WARN_AFTER * 3 / 10);
                    transport.send(0, vec![1])?;
                }
                transport.send(1, vec![1])
            }
        }
    });
    assert!(outcomes.iter().all(|(result, _)| *result == Ok(())));
    // The second and third time, when rank 0 has waited for less than a sixth of that time unless the machine
    // is very busy.
    let said = &outcomes[1].1[1..];
    assert!(!said.is_empty());
    assert!(said.iter().all(|warning| warning.late == Some(2) && warning.is_lowest), "{said:?}");
}
