use std::process::Command;

use super::*;

/// Names the instruction set of a process that runs these tests again.
const ASKED: &str = "TERNFLOCK_TEST_ISA";

/// The decision that this process is asked to test.
pub(super) fn asked() -> Option<Decision> {
    let name = std::env::var(ASKED).ok()?;
    let isa = Isa::named(&name).expect("the name of an instruction set");
    Some(Decision { isa, arch: isa.arch().expect("an instruction set that this machine has") })
}

#[test]
fn the_most_capable_comes_last_and_scalar_code_always_runs() {
    let all: Vec<Isa> = Isa::available().collect();
    assert_eq!(all.first(), Some(&Isa::Scalar));
    // Kernels of this process may use another set if this is a test of that set.
    if std::env::var(ASKED).is_err() {
        assert_eq!(Isa::best(), Some(Isa::in_use()));
        // At most one set is skipped.
        assert!(all.last() == Some(&Isa::in_use()) || all.last() == Some(&Isa::Avx512Bf16) && is_intel());
        assert_eq!(format!("{:?}", arch()), format!("{:?}", Arch::new()), "that of pulp");
    }
}

#[test]
fn what_is_in_use_can_be_asked_for_and_nothing_else() {
    let used = Isa::in_use();
    set_isa(used).unwrap();
    for isa in Isa::ALL.into_iter().filter(|isa| *isa != used) {
        let message = set_isa(isa).unwrap_err().to_string();
        let has = Isa::available().any(|available| available == isa);
        let expected = match has {
            true => format!("`{}` was chosen after kernels had already used `{}`", isa.name(), used.name()),
            false => format!("does not have the instruction set `{}`; it has `scalar`", isa.name()),
        };
        assert!(message.contains(&expected), "{message}");
        assert_eq!(Isa::in_use(), used);
    }
}

/// All tests of this crate hold with each instruction set of this machine: kernels against plain references, on
/// all sizes.
#[test]
fn the_tests_of_kernels_hold_with_every_instruction_set() {
    if std::env::var(ASKED).is_ok() {
        return;
    }
    for isa in Isa::available().filter(|isa| *isa != Isa::in_use()) {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let run = again.arg("--test-threads=2").env(ASKED, isa.name()).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{}:\n{said}", isa.name());
        assert!(said.contains("what_is_in_use_can_be_asked_for_and_nothing_else ... ok"), "{said}");
    }
}
