//! `eval` and `inspect` on checkpoints that are damaged or not files.

use crate::damage::Damage::LinkOutside;
use crate::damage::{ALL, content};
use crate::state::{NEWEST, killed};

#[test]
fn a_checkpoint_that_is_none_is_refused_and_nothing_is_waited_for() {
    for damage in ALL {
        let place = killed();
        damage.put(&place.path(&format!("run/{NEWEST}")), &place.path("outside"));
        let before = content(&place.path("outside"));
        for command in ["eval", "inspect"] {
            let ended = place.run(&format!("{command} run/{NEWEST}"));
            match damage {
                // Reading changes nothing.
                LinkOutside => drop(ended.ended(0)),
                _ => drop(ended.refused(4, &[&format!("run/{NEWEST}: ")])),
            }
        }
        assert_eq!(content(&place.path("outside")), before);
    }
}

/// A checkpoint does not depend on the other files of its run.
#[test]
fn a_checkpoint_is_read_by_itself() {
    for name in ["job.toml", "run.toml", "metrics.jsonl", ".lock"] {
        for damage in ALL {
            let place = killed();
            damage.put(&place.path(&format!("run/{name}")), &place.path("outside"));
            place.run(&format!("inspect run/{NEWEST}")).ended(0);
        }
    }
}
