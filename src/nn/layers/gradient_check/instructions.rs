//! The checks of this crate's kernels with every instruction set of this machine, each in a process of its own: a
//! process decides once.

use std::process::Command;

use ternflock_tensor::{Isa, set_isa};

/// Names the instruction set of a process that runs the checks again.
const ASKED: &str = "TERNFLOCK_TEST_ISA";

/// Sets the instruction set that this process is asked to test. Each check calls this before anything else; a
/// check that forgets it fails, because kernels then already use another set.
pub fn use_asked() {
    if let Ok(name) = std::env::var(ASKED) {
        set_isa(Isa::named(&name).expect("the name of an instruction set")).unwrap();
    }
}

/// Without the coarse check of all examples, which takes long.
#[test]
fn gradients_are_right_with_every_instruction_set() {
    if std::env::var(ASKED).is_ok() {
        return;
    }
    for isa in Isa::available().filter(|isa| *isa != Isa::in_use()) {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["layers::gradient_check", "layers::recurrent", "--skip", "every_layer"]);
        let run = again.arg("--test-threads=2").env(ASKED, isa.name()).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{}:\n{said}", isa.name());
        for test in [
            "gradient_check::conv2d ... ok",
            "gradient_check::linear ... ok",
            "gradient_check::sequences::conv1d ... ok",
            "layer_norm::any_size_is_its_definition ... ok",
            "activations::every_function_has_the_bits_of_its_definition ... ok",
            "recurrent::check::lstm ... ok",
        ] {
            assert!(said.contains(test), "{}:\n{said}", isa.name());
        }
    }
}
