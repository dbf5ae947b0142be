//! Restarts the program with better kernels if OpenBLAS has chosen poor ones by itself.
//!
//! OpenBLAS reads `OPENBLAS_CORETYPE` in its own constructor, before anything of this program runs, and nothing can
//! change its choice later. Therefore a constructor of this program examines the choice before `main`. If the processor
//! has wider vectors than the kernels use, it calls `execve` on the same program with the variable set. The process
//! keeps its PID, arguments, standard streams and signal settings, so launchers still recognise it. Before that, a
//! child process computes products with the other kernels and checks them (`check`), so that kernels that crash or
//! return wrong numbers are not used.
//!
//! A variable that the user has set is kept. [`ASKED`] distinguishes it from one that this program has set: launchers
//! pass variables on to nodes with other processors, and there the choice is made again.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::check::products_are_right;
use super::kernels::{ASKED, CORE_TYPE, config, core_type, has_choice};
use super::vectors::Vectors;

/// Set in a child process that only checks the kernels that it names.
const CHECK: &str = "TERNFLOCK_CHECK_OPENBLAS";

/// How long a check may take; it takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// The exit code of the child process on success; no crash or signal produces it.
const RIGHT: i32 = 42;

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    if let Ok(wanted) = std::env::var(CHECK) {
        let right = core_type().eq_ignore_ascii_case(&wanted) && products_are_right();
        // SAFETY: ends this process without running any other code of it.
        unsafe { libc::_exit(if right { RIGHT } else { 1 }) }
    }
    let Some(processor) = Vectors::of_processor() else { return };
    let variable = |name: &str| std::env::var(name).ok();
    let candidates = candidates(&core_type(), processor, has_choice(&config()), variable);
    // Only the program itself can be restarted: not a program that has loaded it as a library, and not a loader.
    let Some(program) = (!candidates.is_empty()).then(own_program).flatten() else { return };
    if let Some(better) = candidates.into_iter().find(|candidate| works(&program, candidate)) {
        replace_process(&program, better);
    }
}

/// The core types to try instead of `current` on this `processor`, the best first; none if `current` is good, or if the
/// user has chosen.
fn candidates(
    current: &str,
    processor: Vectors,
    has_choice: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<&'static str> {
    let set = variable(CORE_TYPE).filter(|value| !value.is_empty());
    let by_user = set.is_some() && set != variable(ASKED);
    let Some(used) = Vectors::of_kernels(current) else { return Vec::new() };
    if by_user || !has_choice || used == processor {
        return Vec::new();
    }
    let wider = |vectors: &Vectors| *vectors <= processor && (*vectors > used || used > processor);
    let all = [Vectors::Avx512, Vectors::Fma, Vectors::Avx, Vectors::Sse];
    all.into_iter().filter(wider).map(Vectors::core_type).collect()
}

/// Whether OpenBLAS accepts the kernels `core_type` and computes correctly with them, tested in a separate process.
fn works(program: &Path, core_type: &str) -> bool {
    let mut command = Command::new(program);
    command.env(CORE_TYPE, core_type).env(CHECK, core_type).env("OPENBLAS_NUM_THREADS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Ok(Some(status)) => return status.code() == Some(RIGHT),
            Err(_) => return false,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// The file of the program that this process runs, if this code is part of it.
fn own_program() -> Option<PathBuf> {
    let program = std::fs::read_link("/proc/self/exe").ok()?;
    let here = constructor as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find_map(|line| path_of(line, here))?;
    (program.as_os_str() == path).then_some(program)
}

/// The path in a line of `/proc/self/maps`, `from-to permissions offset device inode path`, if `address` is in its range.
fn path_of(line: &str, address: usize) -> Option<&str> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let inside = (number(from)?..number(to)?).contains(&address);
    inside.then(|| rest.find('/').map(|start| &rest[start..])).flatten()
}

/// Replaces the program of this process by `program` with the kernels `core_type`; returns only if that fails. Unlike
/// [`std::os::unix::process::CommandExt::exec`] this leaves signals as they are.
fn replace_process(program: &Path, core_type: &str) {
    let text = |value: OsString| CString::new(value.into_vec()).ok();
    let set = [(CORE_TYPE, core_type), (ASKED, core_type)];
    let others = std::env::vars_os().filter(|(name, _)| set.iter().all(|(other, _)| name != other));
    let joined = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        name
    };
    let set = set.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let variables: Option<Vec<CString>> = others.chain(set).map(joined).map(text).collect();
    let arguments: Option<Vec<CString>> = std::env::args_os().map(text).collect();
    let program = text(program.as_os_str().to_owned());
    let (Some(program), Some(arguments), Some(variables)) = (program, arguments, variables) else { return };
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, variables) = (pointers(&arguments), pointers(&variables));
    // SAFETY: texts and lists end with a zero and live until the call, which returns only if it has failed.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(current: &str, processor: Vectors, set: &str, asked: &str) -> Vec<&'static str> {
        let variable = |name: &str| Some(if name == CORE_TYPE { set } else { asked }.to_owned());
        candidates(current, processor, true, variable)
    }

    #[test]
    fn poor_kernels_are_replaced_by_the_widest_that_the_processor_allows() {
        assert_eq!(of("Prescott", Vectors::Avx512, "", ""), ["SkylakeX", "Haswell", "Sandybridge"]);
        assert_eq!(of("Prescott", Vectors::Fma, "", ""), ["Haswell", "Sandybridge"]);
        assert_eq!(of("Haswell", Vectors::Avx512, "", ""), ["SkylakeX"]);
    }

    #[test]
    fn good_kernels_and_unknown_ones_stay() {
        assert!(of("SkylakeX", Vectors::Avx512, "", "").is_empty());
        assert!(of("Zen", Vectors::Fma, "", "").is_empty());
        assert!(of("Of2031", Vectors::Avx512, "", "").is_empty());
        assert!(candidates("Prescott", Vectors::Avx512, false, |_| None).is_empty(), "there is no choice");
    }

    #[test]
    fn what_the_user_has_set_stays() {
        assert!(of("Prescott", Vectors::Avx512, "Prescott", "").is_empty());
        assert!(of("Haswell", Vectors::Avx512, "Haswell", "SkylakeX").is_empty());
    }

    /// A launcher has passed the variables on to a node with another processor.
    #[test]
    fn what_was_chosen_on_another_node_is_chosen_anew() {
        assert_eq!(of("Haswell", Vectors::Avx512, "Haswell", "Haswell"), ["SkylakeX"]);
        assert_eq!(
            of("SkylakeX", Vectors::Fma, "SkylakeX", "SkylakeX"),
            ["Haswell", "Sandybridge", "Prescott"]
        );
        assert!(of("SkylakeX", Vectors::Avx512, "SkylakeX", "SkylakeX").is_empty());
    }

    #[test]
    fn a_line_of_maps_names_its_file() {
        let line = "5581e000-5581f000 r-xp 00002000 fe:01 1234                /opt/a b/ternflock";
        assert_eq!(path_of(line, 0x5581_e010), Some("/opt/a b/ternflock"));
        assert_eq!(path_of(line, 0x5581_f000), None);
        assert_eq!(path_of("7ffc0000-7ffd0000 rw-p 00000000 00:00 0    [stack]", 0x7ffc_0001), None);
    }
}
