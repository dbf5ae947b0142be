//! The number of compute threads in each rank, chosen so that the ranks of a node share its cores and none is
//! idle, and the BLAS that they use.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use ternflock_base::cgroup::{CpuQuota, cpu_quota};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_tensor::{Chosen, Trouble, blas, blas_computes, blas_default_threads, set_threads};
use ternflock_world::World;

/// Where the ranks run, and the settings that follow from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The number of different hosts.
    pub hosts: usize,
    /// The number of compute threads in this rank.
    pub threads: usize,
    /// The reason for this number.
    pub reason: String,
    /// The BLAS of rank 0.
    pub blas: String,
    /// Why BLAS uses these kernels, if it did not choose them itself.
    pub blas_reason: Option<&'static str>,
    /// Problems of the BLAS kernels, and differences between ranks.
    pub blas_warnings: Vec<String>,
}

/// Environment variables that set the number of compute threads; OpenBLAS reads them too.
const VARIABLES: [&str; 2] = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"];

/// Sets the number of compute threads in this rank from the cores and the CPU quota that it shares with other ranks,
/// and checks the BLAS of each rank.
///
/// # Errors
/// [`Error::Usage`] if the BLAS of a rank would use instructions that its processor does not have, or if the system
/// refuses that many threads or the address space that BLAS needs on them.
pub fn place(world: &mut World) -> Result<Placement> {
    let (cores, quota) = (allowed_cores(), cpu_quota(Path::new("/")));
    let host = xxh3_64(world.host().as_bytes());
    let group = quota.as_ref().map_or(0, |quota| xxh3_64(quota.group.as_os_str().as_encoded_bytes()));
    let mine = [host, xxh3_64(bytemuck::cast_slice(&cores)), group];
    let all = world.gather(mine)?;
    let mut hosts: Vec<u64> = all.iter().map(|record| record[0]).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let sharing =
        |with: [usize; 2]| all.iter().filter(|rank| with.iter().all(|&i| rank[i] == mine[i])).count();
    let cores = Shared { of: cores.len(), ranks: sharing([0, 1]) };
    let quota = quota.map(|CpuQuota { processors, .. }| Shared { of: processors, ranks: sharing([0, 2]) });
    let (threads, reason) = decide(cores, quota, asked());
    let set = set_threads(threads);
    world.all_or_none(set)?;
    let (blas, blas_warnings) = look_at_blas(world)?;
    let blas_reason = reason_of_blas();
    Ok(Placement { hosts: hosts.len(), threads, reason, blas, blas_reason, blas_warnings })
}

/// The number of compute threads in each of `ranks` ranks of a node like this one, and the reason for it.
pub(super) fn threads_for(ranks: usize) -> (usize, String) {
    let quota = cpu_quota(Path::new("/")).map(|CpuQuota { processors, .. }| Shared { of: processors, ranks });
    decide(Shared { of: allowed_cores().len(), ranks }, quota, asked())
}

/// Sets the number of compute threads in this process, which has no other ranks.
///
/// # Errors
/// Those of [`place`].
pub(super) fn place_alone(threads: usize) -> Result<()> {
    set_threads(threads)?;
    look_at_blas(&mut World::alone()).map(|_| ())
}

/// The number of threads that a variable sets, and its name.
fn asked() -> Option<(&'static str, usize)> {
    let asked = VARIABLES.into_iter().find(|name| is_number(&std::env::var(name).unwrap_or_default()));
    asked.map(|name| (name, blas_default_threads()))
}

/// The BLAS of rank 0, and problems of it or of those of the other ranks; none if BLAS does not compute.
fn look_at_blas(world: &mut World) -> Result<(String, Vec<String>)> {
    let blas = blas();
    let trouble = blas.trouble.as_ref().filter(|_| blas_computes());
    let usable = match trouble {
        Some(Trouble::Impossible(text)) => Err(Error::Usage(text.clone())),
        _ => Ok(()),
    };
    world.all_or_none(usable)?;
    let all = world.texts(&blas.to_string())?;
    let differences = differences(&all).filter(|_| blas_computes());
    Ok((all[0].clone(), [trouble.map(Trouble::to_string), differences].into_iter().flatten().collect()))
}

/// Why BLAS uses these kernels in this rank, if it did not choose them itself.
fn reason_of_blas() -> Option<&'static str> {
    match blas().chosen {
        Chosen::ByBlas => None,
        Chosen::ByProgram => Some("chosen by ternflock: OpenBLAS does not know this processor"),
        Chosen::ByUser => Some("OPENBLAS_CORETYPE is set"),
    }
}

/// How the arithmetic of the ranks differs, such as their BLAS, if it does; `all` is indexed by rank.
pub(super) fn differences(all: &[String]) -> Option<String> {
    let others: Vec<(usize, &String)> = all.iter().enumerate().filter(|(_, blas)| **blas != all[0]).collect();
    let (rank, first) = others.first()?;
    let more = match others.len() {
        1 => String::new(),
        count => format!(" (and {} more differ)", count - 1),
    };
    Some(format!(
        "rank {rank} differs from rank 0{more}: {first}. Sums are rounded differently, so the last bits depend on which rank \
         runs where"
    ))
}

/// Whether OpenBLAS accepts `value` as a number of threads: it reads only the leading digits, for example of
/// `4,2`.
fn is_number(value: &str) -> bool {
    let value = value.trim_start();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..digits].parse::<usize>().is_ok_and(|threads| threads > 0)
}

/// A resource shared by several ranks, including this one.
#[derive(Clone, Copy)]
struct Shared<T> {
    of: T,
    ranks: usize,
}

/// The number of threads for a rank that may use these `cores` and at most this `quota` of their time, unless a
/// variable sets another number; and the reason.
fn decide(cores: Shared<usize>, quota: Option<Shared<f64>>, asked: Option<(&str, usize)>) -> (usize, String) {
    let by_cores = (cores.of / cores.ranks).max(1);
    // Threads beyond the quota do not help: all threads are stopped for the rest of each period.
    let by_quota = quota.map(|quota| (quota, ((quota.of / quota.ranks as f64) as usize).max(1)));
    match (asked, by_quota) {
        (Some((name, threads)), _) => (threads, format!("{name} is set")),
        (None, Some((quota, threads))) if threads < by_cores => {
            let who = match quota.ranks {
                1 => "a rank may use".to_owned(),
                ranks => format!("{} share", plural(ranks, "rank")),
            };
            // Formats a number with two digits, without trailing zeros.
            let amount = (quota.of * 100.0).round() / 100.0;
            let unit = if amount == 1.0 { "core" } else { "cores" };
            (threads, format!("{who} {amount} {unit}, the CPU quota of the control group"))
        }
        _ if cores.ranks == 1 => (by_cores, format!("a rank may use {}", plural(by_cores, "core"))),
        _ => (by_cores, format!("{} share {}", plural(cores.ranks, "rank"), plural(cores.of, "core"))),
    }
}

/// The numbers of the cores this process may run on; one core if the system does not report them.
fn allowed_cores() -> Vec<u64> {
    // SAFETY: the set is plain bits, for which all zeros is a valid value; the call fills at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return vec![0];
        }
        set
    };
    // SAFETY: reads bits below the size of the set.
    (0..libc::CPU_SETSIZE as usize)
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .map(|c| c as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ranks` ranks on `cores` cores with a common quota.
    fn on(cores: usize, ranks: usize, quota: Option<f64>) -> (usize, String) {
        decide(Shared { of: cores, ranks }, quota.map(|of| Shared { of, ranks }), None)
    }

    #[test]
    fn ranks_share_their_cores_and_never_get_none() {
        assert_eq!(on(8, 1, None), (8, "a rank may use 8 cores".into()));
        assert_eq!(on(1, 1, None), (1, "a rank may use 1 core".into()));
        assert_eq!(on(8, 3, None), (2, "3 ranks share 8 cores".into()));
        assert_eq!(on(2, 5, None), (1, "5 ranks share 2 cores".into()));
        let cores = Shared { of: 8, ranks: 1 };
        let asked = Some(("OMP_NUM_THREADS", 3));
        assert_eq!(
            decide(cores, Some(Shared { of: 1.0, ranks: 1 }), asked),
            (3, "OMP_NUM_THREADS is set".into())
        );
    }

    #[test]
    fn a_quota_counts_where_it_is_less_than_the_cores() {
        let told = |amount: &str| format!("a rank may use {amount}, the CPU quota of the control group");
        assert_eq!(on(2, 1, Some(1.0)), (1, told("1 core")));
        assert_eq!(on(8, 1, Some(2.5)), (2, told("2.5 cores")));
        assert_eq!(on(8, 1, Some(0.25)), (1, told("0.25 cores")));
        assert_eq!(on(8, 1, Some(64.0)), (8, "a rank may use 8 cores".into()));
        let shared = (2, "4 ranks share 8 cores, the CPU quota of the control group".into());
        assert_eq!(on(64, 4, Some(8.0)), shared);
        // Each rank is bound to its own core; together the ranks may use two cores.
        let bound = decide(Shared { of: 1, ranks: 1 }, Some(Shared { of: 2.0, ranks: 4 }), None);
        assert_eq!(bound, (1, "a rank may use 1 core".into()));
    }

    #[test]
    fn ranks_with_another_blas_are_named() {
        let all =
            |texts: &[&str]| differences(&texts.iter().map(|text| text.to_string()).collect::<Vec<_>>());
        assert_eq!(all(&["a", "a", "a"]), None);
        assert!(all(&["a", "a", "b"]).unwrap().starts_with("rank 2 differs from rank 0: b. "));
        assert!(
            all(&["a", "b", "c"]).unwrap().starts_with("rank 1 differs from rank 0 (and 1 more differ): b. ")
        );
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed_cores().is_empty());
    }
}
