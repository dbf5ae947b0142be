//! How many threads compute in each rank, so that the ranks of a node share its cores and none is left idle.

use xxhash_rust::xxh3::xxh3_64;

use super::world::World;
use crate::error::Result;
use crate::tensor::{blas_default_threads, set_threads};
use crate::text::plural;

/// Where the ranks run, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Different hosts.
    pub hosts: usize,
    /// Threads that compute in this rank.
    pub threads: usize,
    /// Why so many.
    pub reason: String,
}

/// Variables by which a user says how many threads shall compute; OpenBLAS itself reads them.
const VARIABLES: [&str; 2] = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"];

/// Sets the threads that compute in this rank from the cores it may run on and the ranks that share them.
pub fn place(world: &mut World) -> Result<Placement> {
    let cores = allowed_cores();
    let host = xxh3_64(world.host().as_bytes());
    let mine = [host, xxh3_64(bytemuck::cast_slice(&cores))];
    let all = world.gather(mine)?;
    let mut hosts: Vec<u64> = all.iter().map(|record| record[0]).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let sharing = all.iter().filter(|record| **record == mine).count();
    let asked = VARIABLES.into_iter().find(|name| is_number(&std::env::var(name).unwrap_or_default()));
    let (threads, reason) = decide(cores.len(), sharing, asked.map(|name| (name, blas_default_threads())));
    set_threads(threads)?;
    Ok(Placement { hosts: hosts.len(), threads, reason })
}

/// Whether OpenBLAS takes `value` for a number of threads: it reads the digits it begins with, as of `4,2`.
fn is_number(value: &str) -> bool {
    let value = value.trim_start();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..digits].parse::<usize>().is_ok_and(|threads| threads > 0)
}

/// The number of threads for a rank that may use `cores` cores together with `sharing` ranks (itself included), unless
/// a variable asks for another; and why.
fn decide(cores: usize, sharing: usize, asked: Option<(&str, usize)>) -> (usize, String) {
    match asked {
        Some((name, threads)) => (threads, format!("{name} is set")),
        None if sharing == 1 => (cores.max(1), format!("a rank may use {}", plural(cores, "core"))),
        None => {
            let reason = format!("{} share {}", plural(sharing, "rank"), plural(cores, "core"));
            ((cores / sharing).max(1), reason)
        }
    }
}

/// The numbers of the cores this process may run on; one core where the system does not say.
fn allowed_cores() -> Vec<u64> {
    // SAFETY: the set is plain bits, for which all zero is a value; the call fills at most its size.
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

    #[test]
    fn ranks_share_their_cores_and_never_get_none() {
        assert_eq!(decide(8, 1, None), (8, "a rank may use 8 cores".into()));
        assert_eq!(decide(1, 1, None), (1, "a rank may use 1 core".into()));
        assert_eq!(decide(8, 3, None), (2, "3 ranks share 8 cores".into()));
        assert_eq!(decide(2, 5, None), (1, "5 ranks share 2 cores".into()));
        assert_eq!(decide(8, 1, Some(("OMP_NUM_THREADS", 3))), (3, "OMP_NUM_THREADS is set".into()));
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed_cores().is_empty());
    }
}
