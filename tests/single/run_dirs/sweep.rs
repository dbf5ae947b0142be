//! `sweep` over a run whose directory is damaged.

use std::fs;

use support::program::Place;

use crate::PROGRAM;
use crate::damage::Damage::{Empty, Fifo, Half, LinkNowhere, LinkOutside, Random};
use crate::damage::{ALL, content};

const SWEEP: &str = "sweep tiny.toml --seeds 1 --into sweep";
const RUN: &str = "sweep/tiny/seed=1";

/// A sweep with one complete run.
fn complete() -> Place {
    let place = Place::new(PROGRAM);
    place.run(SWEEP).ended(0);
    place
}

#[test]
fn events_that_are_lost_make_a_run_unfinished() {
    for damage in ALL {
        let place = complete();
        damage.put(&place.path(&format!("{RUN}/metrics.jsonl")), &place.path("outside"));
        let before = content(&place.path("outside"));
        let again = place.run(SWEEP);
        match damage {
            // The link is followed for reading, and the file behind it says that the run is complete.
            LinkOutside | Empty | Half | Random => drop(again.ended(0)),
            _ => {
                assert!(again.err.contains(RUN), "{damage:?}: {}", again.err);
                drop(again.ended(5));
            }
        }
        assert_eq!(content(&place.path("outside")), before, "{damage:?}");
    }
}

#[test]
fn a_job_that_cannot_be_read_is_named() {
    for damage in [Fifo, Empty, Random] {
        let place = complete();
        damage.put(&place.path(&format!("{RUN}/job.toml")), &place.path("outside"));
        place.run(SWEEP).refused(5, &[RUN, "job"]);
    }
}

/// The output of each run goes to a file of its own, never through a link.
#[test]
fn logs_are_written_through_no_link() {
    for damage in [Fifo, LinkOutside, LinkNowhere] {
        let place = Place::new(PROGRAM);
        fs::create_dir_all(place.path("sweep/tiny")).unwrap();
        damage.put(&place.path(&format!("{RUN}.log")), &place.path("outside"));
        let before = content(&place.path("outside"));
        place.run(SWEEP).refused(5, &[&format!("{RUN}.log: cannot be written: it is")]);
        assert_eq!(content(&place.path("outside")), before, "{damage:?}");
        assert!(!place.path("outside/nowhere").exists());
    }
}
