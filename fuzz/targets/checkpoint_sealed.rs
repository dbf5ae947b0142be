//! A checkpoint with arbitrary content and a matching header either loads or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternflock_checkpoint::load;
use ternflock_fuzz::{HEADER, sealed, write};

fuzz_target!(|file: &[u8]| {
    let content = file.get(HEADER..).unwrap_or_default();
    let path = write("sealed.h5", &sealed(content));
    if let Ok(snapshot) = load(&path) {
        // The snapshot contains nothing that was not in the file.
        let elements = |tensors: &[ternflock_checkpoint::Tensor]| -> usize {
            tensors.iter().map(|tensor| tensor.values.len()).sum()
        };
        let slots = snapshot.optimizer.iter().map(|slot| elements(&slot.tensors));
        let all = elements(&snapshot.parameters) + elements(&snapshot.recurrent_state) + slots.sum::<usize>();
        assert!(4 * all <= content.len());
    }
});
