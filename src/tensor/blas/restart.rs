//! Restarts the program with better kernels if OpenBLAS itself has chosen poor ones.
//!
//! OpenBLAS reads `OPENBLAS_CORETYPE` in its own constructor, before anything of this program runs, and nothing can
//! change its choice later. Therefore a constructor of this program examines the choice before `main`. If the processor
//! has wider vectors than the kernels use, it calls `execve` on the same program with the variable set. The process
//! keeps its PID, arguments, standard streams and signal settings, so launchers still recognise it. Before that, a
//! child process computes products with the other kernels and checks them (`check`), so that kernels that crash or
//! return wrong numbers are not used.
//!
//! A variable that the user has set is kept. [`ASKED`] distinguishes it from one that this program has set:
//! launchers forward variables to nodes with other processors, where the choice is made again.

use std::ffi::{CString, OsString};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::check::products_are_right;
use super::kernels::{ASKED, CORE_TYPE, config, core_type, has_choice};
use super::room::check_blas_room;
use super::vectors::Vectors;
use ternflock_base::io::read_system;

/// Set in a child process that only checks kernels, to `CORE_TYPE:PID` with the PID of the parent: a leftover
/// variable in an environment has no effect.
const CHECK: &str = "TERNFLOCK_CHECK_OPENBLAS";

/// How long a check may take; it takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// The child process writes this to its standard output if the products are correct. Its exit code cannot be
/// used: if SIGCHLD is ignored, as some launchers do, the system discards the code.
const RIGHT: &[u8] = b"right";

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    if let Some(wanted) =
        std::env::var(CHECK).ok().and_then(|text| wanted(&text, std::os::unix::process::parent_id()))
    {
        if core_type().eq_ignore_ascii_case(&wanted) && products_are_right() {
            let _ = std::io::stdout().write_all(RIGHT).and_then(|()| std::io::stdout().flush());
        }
        // SAFETY: ends this process without running any of its other code.
        unsafe { libc::_exit(0) }
    }
    let Some(processor) = Vectors::of_processor() else { return };
    let variable = |name: &str| std::env::var(name).ok();
    let candidates = candidates(&core_type(), processor, has_choice(&config()), variable);
    // Only the program itself can be restarted, not a program that has loaded it as a library, nor a loader. Without
    // address space for products, no kernels can be checked.
    let Some(program) = (!candidates.is_empty() && check_blas_room(1).is_ok()).then(own_program).flatten()
    else {
        return;
    };
    if let Some(better) = candidates.into_iter().find(|candidate| works(&program, candidate)) {
        replace_process(&program, better);
    }
}

/// The core types to try instead of `current` on this `processor`, the best first; empty if `current` is
/// good, or if the user has chosen.
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

/// The core type that a child process of `parent` must check, if `text` requests a check.
fn wanted(text: &str, parent: u32) -> Option<String> {
    let (core_type, pid) = text.split_once(':')?;
    (pid.parse() == Ok(parent)).then(|| core_type.to_owned())
}

/// Whether OpenBLAS accepts the kernels `core_type` and computes correctly with them, tested in a separate process.
fn works(program: &Path, core_type: &str) -> bool {
    let mut command = Command::new(program);
    command.env(CORE_TYPE, core_type).env("OPENBLAS_NUM_THREADS", "1");
    command.env(CHECK, format!("{core_type}:{}", std::process::id()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let right = child.stdout.take().is_some_and(says_right);
    // The child has ended or takes too long.
    let _ = child.kill();
    let _ = child.wait();
    right
}

/// Whether [`RIGHT`] is read from `output` in time.
fn says_right(mut output: ChildStdout) -> bool {
    let (begin, mut said) = (Instant::now(), Vec::new());
    while let Some(left) = DEADLINE.checked_sub(begin.elapsed()) {
        let mut wait = libc::pollfd { fd: output.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one record, which lives until the call returns.
        let ready = unsafe { libc::poll(&mut wait, 1, left.as_millis() as libc::c_int) };
        let mut part = [0; RIGHT.len()];
        match (ready > 0).then(|| output.read(&mut part)) {
            None => {}
            Some(Ok(0) | Err(_)) => break,
            Some(Ok(count)) => said.extend_from_slice(&part[..count]),
        }
    }
    said == RIGHT
}

/// The file of the program that this process runs, if this code is part of it.
fn own_program() -> Option<PathBuf> {
    let program = std::fs::read_link("/proc/self/exe").ok()?;
    let here = constructor as *const () as usize;
    let maps = read_system(Path::new("/proc/self/maps")).ok()?;
    let path = maps.lines().find_map(|line| path_of(line, here))?;
    let is_own = program.as_os_str() == path;
    // A file that has since been replaced, for example by a build, is still available under this name.
    is_own.then(|| if program.exists() { program } else { "/proc/self/exe".into() })
}

/// The path in a line of `/proc/self/maps`, `from-to permissions offset device inode path`, if `address` is in its range.
fn path_of(line: &str, address: usize) -> Option<&str> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let inside = (number(from)?..number(to)?).contains(&address);
    inside.then(|| rest.find('/').map(|start| &rest[start..])).flatten()
}

/// Replaces the program of this process with `program` and the kernels `core_type`. Returns only if that
/// fails. Unlike [`std::os::unix::process::CommandExt::exec`] this leaves signals as they are.
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

    /// A launcher has forwarded the variables to a node with another processor.
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
    fn only_a_child_of_this_program_checks_kernels() {
        assert_eq!(wanted("SkylakeX:12", 12), Some("SkylakeX".into()));
        assert_eq!(wanted("SkylakeX:12", 13), None, "left in an environment");
        assert_eq!(wanted("SkylakeX", 12), None);
        assert_eq!(wanted("SkylakeX:x", 12), None);
    }

    #[test]
    fn only_the_whole_word_counts_and_no_wait_is_longer_than_needed() {
        let said = |script: &str| {
            let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
            let right = says_right(child.stdout.take().unwrap());
            child.wait().unwrap();
            right
        };
        assert!(said("printf ri; sleep 0.05; printf ght"));
        assert!(!said("printf rig; kill -9 $$"));
        assert!(!said("printf rightly"));
        assert!(!said("exit 42"));
    }

    #[test]
    fn a_line_of_maps_names_its_file() {
        let line = "5581e000-5581f000 r-xp 00002000 fe:01 1234                /opt/a b/ternflock";
        assert_eq!(path_of(line, 0x5581_e010), Some("/opt/a b/ternflock"));
        assert_eq!(path_of(line, 0x5581_f000), None);
        assert_eq!(path_of("7ffc0000-7ffd0000 rw-p 00000000 00:00 0    [stack]", 0x7ffc_0001), None);
    }
}
