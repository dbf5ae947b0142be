//! Changes each byte of a checkpoint, one at a time, and makes the header match. The file then loads or is refused,
//! quickly.

use std::fs;
use std::time::{Duration, Instant};

use ternflock::checkpoint::load;

use crate::{CHECKPOINT, seal, trained};

/// The maximum time for loading. A tiny file takes well below a millisecond on a quiet machine.
const LONGEST: Duration = Duration::from_secs(5);

#[test]
fn any_byte_may_be_wrong() {
    let place = trained();
    let intact = fs::read(place.path(CHECKPOINT)).unwrap();
    let path = place.path("changed.h5");
    let (mut loaded, mut refused) = (0, 0);
    for at in 512..intact.len() {
        for flip in [0x01, 0xff] {
            let mut changed = intact.clone();
            changed[at] ^= flip;
            seal(&mut changed);
            fs::write(&path, changed).unwrap();
            let start = Instant::now();
            match load(&path) {
                Ok(_) => loaded += 1,
                Err(error) => {
                    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
                    refused += 1;
                }
            }
            assert!(start.elapsed() < LONGEST, "byte {at}");
        }
    }
    // Values, texts and unused space may contain anything; structure may not.
    assert!(loaded > 1000 && refused > 1000, "{loaded} loaded, {refused} refused");
}
