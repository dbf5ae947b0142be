//! The same comparisons with every instruction set of this machine, each in a process of its own: a process
//! decides once.

use std::process::Command;

use ternflock::tensor::{Isa, set_isa};

/// Names the instruction set of a process that runs the comparisons again.
const ASKED: &str = "TERNFLOCK_TEST_ISA";

/// Sets the instruction set that this process is asked to test. Each comparison calls this before anything else;
/// one that forgets it fails, because kernels then already use another set.
pub fn use_asked() {
    if let Ok(name) = std::env::var(ASKED) {
        set_isa(Isa::named(&name).expect("the name of an instruction set")).unwrap();
    }
}

#[test]
fn every_instruction_set_computes_what_pytorch_says() {
    if std::env::var(ASKED).is_ok() {
        return;
    }
    use_asked();
    for isa in Isa::available().filter(|isa| *isa != Isa::in_use()) {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let run = again.arg("--test-threads=2").env(ASKED, isa.name()).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{}:\n{said}", isa.name());
        for test in [
            "layers::layers_compute_what_pytorch_says ... ok",
            "resnet::ten_steps_of_resnet_are_pytorchs ... ok",
        ] {
            assert!(said.contains(test), "{}:\n{said}", isa.name());
        }
    }
}
