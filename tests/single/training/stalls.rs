//! A rank that is slow outside the exchange: the others report which one, and at which operation.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::digits::shipped;
use support::ranks::on_ranks_that_warn;
use ternflock::report::Event;
use ternflock::train::{Options, run};
use ternflock::world::Late;

const WARN_AFTER: Duration = Duration::from_millis(300);

/// Rank 0 lingers when the run is prepared, and when a checkpoint is written.
#[test]
fn warnings_name_the_rank_and_the_step() {
    let sets = ["train.steps=4", "checkpoint.every=2", "train.eval_every=0", "exchange.verify_every=0"];
    let (loaded, directory) = (shipped(&sets), tempfile::tempdir().unwrap());
    let options = Options { run_dir: Some(directory.path().into()), ..Options::default() };
    let said = Arc::new(Mutex::new(Vec::new()));
    let saying = Arc::clone(&said);
    let warn = move |late: &Late| saying.lock().unwrap().push(late.clone());
    let results = on_ranks_that_warn(3, WARN_AFTER, warn, |mut world| {
        let rank = world.rank();
        let lingers =
            |event: &Event| matches!(event, Event::Start { .. } | Event::Checkpoint { step: 2, .. });
        let mut sink = |event: &Event| {
            if rank == 0 && lingers(event) {
                thread::sleep(3 * WARN_AFTER);
            }
        };
        run(&loaded, &options, &mut world, &AtomicBool::new(false), &mut sink).map(|summary| summary.complete)
    });
    assert!(results.into_iter().all(|result| result.unwrap()));

    let said = said.lock().unwrap();
    assert!(said.iter().all(|late| late.late == Some(0) && late.host == "here"), "{said:?}");
    for rank in [1, 2] {
        for step in ["step 0", "step 2"] {
            let tells = |late: &&Late| late.rank == rank && late.context.starts_with(step);
            assert!(said.iter().any(|late| tells(&late)), "rank {rank} does not say {step}: {said:?}");
        }
    }
}
