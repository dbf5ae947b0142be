//! How much memory this process may still take: what the machine has left, and what the control groups that it is in (those of
//! a container or of a batch system) leave of their limits.

use std::path::Path;

use crate::cgroup::{Group, Version, groups};
use crate::io::read_system;

/// The names of a group's files.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// The line of `memory.stat` with what the kernel gives up first: files read and not used since.
    reclaimable: &'static str,
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

const V2: Files = Files { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

/// Bytes of memory that are free now, where the system says how many.
pub fn available_bytes() -> Option<u128> {
    available(Path::new("/"))
}

fn available(root: &Path) -> Option<u128> {
    let meminfo = read_system(&root.join("proc/meminfo")).unwrap_or_default();
    let free = word_after(&meminfo, "MemAvailable:").map(|kilobytes| 1024 * kilobytes);
    let groups = groups(root, "memory");
    free.into_iter().chain(groups.iter().filter_map(left_of)).min()
}

/// What is left of the limit of one group; none where it has none.
fn left_of(group: &Group) -> Option<u128> {
    let files = if group.version == Version::V1 { V1 } else { V2 };
    let number = |name: &str| group.read(name)?.trim().parse::<u128>().ok();
    let (limit, usage) = (number(files.limit)?, number(files.usage)?);
    let reclaimable =
        word_after(&group.read("memory.stat").unwrap_or_default(), files.reclaimable).unwrap_or(0);
    Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
}

/// The number behind the first word `key` of a line.
fn word_after(text: &str, key: &str) -> Option<u128> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next() == Some(key)).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> Option<u128> {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        available(root.path())
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:   8000 kB\n");

    #[test]
    fn without_groups_what_the_machine_has_left_counts() {
        assert_eq!(system(&[]), None);
        assert_eq!(system(&[MEMINFO]), Some(8_192_000));
        assert_eq!(system(&[MEMINFO, ("proc/self/cgroup", "0::/\n")]), Some(8_192_000));
    }

    /// A job of a batch system: the limit is the job's, the process is in one of its steps.
    #[test]
    fn the_tightest_group_around_a_process_counts() {
        let job = "sys/fs/cgroup/slurm/job_7";
        let limits = |job_limit: &str, job_usage: &str| {
            system(&[
                MEMINFO,
                ("proc/self/cgroup", "0::/slurm/job_7/step_0\n"),
                ("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n"),
                ("sys/fs/cgroup/slurm/job_7/step_0/memory.current", "300\n"),
                (&format!("{job}/memory.max"), job_limit),
                (&format!("{job}/memory.current"), job_usage),
                (&format!("{job}/memory.stat"), "anon 5\ninactive_file 2000\nactive_file 77\n"),
            ])
        };
        assert_eq!(limits("1000000\n", "402000\n"), Some(600_000), "what only files take is not taken");
        assert_eq!(limits("1000000\n", "1500000\n"), Some(0));
        assert_eq!(limits("max\n", "402000\n"), Some(8_192_000));
        assert_eq!(limits("10000000000\n", "0\n"), Some(8_192_000), "the machine has less");
    }

    /// Version 1, in a container that does not see the path of its group; "unlimited" is a number there.
    #[test]
    fn so_do_the_groups_of_version_1() {
        let memory = |limit: &str| {
            system(&[
                MEMINFO,
                ("proc/self/cgroup", "5:cpu:/docker/ab\n4:memory:/docker/ab\n0::/\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", limit),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5000\n"),
                ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1000\n"),
            ])
        };
        assert_eq!(memory("9000\n"), Some(5000));
        assert_eq!(memory("9223372036854771712\n"), Some(8_192_000));
    }
}
