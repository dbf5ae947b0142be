//! How much memory this process may still allocate: the free memory of the machine, the rest of the limits of its control
//! groups (those of a container or a batch system), and the rest of the limits of the process itself.

use std::path::Path;

use crate::cgroup::{Group, Version, groups};
use crate::io::read_system;

/// The names of a group's files.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// The lines of `memory.stat` with memory that the kernel can reclaim: pages of files and its own caches.
    reclaimable: &'static [&'static str],
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: &["total_inactive_file", "total_active_file"],
};

const V2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    reclaimable: &["inactive_file", "active_file", "slab_reclaimable"],
};

/// Free memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Available {
    /// For all processes of this node together, if the system reports it.
    pub node: Option<u128>,
    /// For this process alone, if it has its own limit (`ulimit -v`, `ulimit -d`).
    pub process: Option<u128>,
}

impl Available {
    /// The current values from the system.
    pub fn now() -> Available {
        let limit = |resource| {
            let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: the call fills the structure, which it borrows.
            let said = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
            (said && limit.rlim_cur != libc::RLIM_INFINITY).then(|| u128::from(limit.rlim_cur))
        };
        Available::of(Path::new("/"), [limit(libc::RLIMIT_AS), limit(libc::RLIMIT_DATA)])
    }

    /// The values of the system whose files are below `root`. `limits` are the address space limit and the data limit of
    /// this process.
    fn of(root: &Path, limits: [Option<u128>; 2]) -> Available {
        let read = |name: &str| read_system(&root.join(name)).unwrap_or_default();
        let kilobytes = |text: &str, key: &str| word_after(text, key).map(|number| 1024 * number);
        let free = kilobytes(&read("proc/meminfo"), "MemAvailable:");
        let groups = groups(root, "memory");
        let status = if limits == [None; 2] { String::new() } else { read("proc/self/status") };
        let used = ["VmSize:", "VmData:"].map(|key| kilobytes(&status, key).unwrap_or(0));
        let left = limits.iter().zip(used).filter_map(|(limit, used)| Some((*limit)?.saturating_sub(used)));
        Available {
            node: free.into_iter().chain(groups.iter().filter_map(left_of)).min(),
            process: left.min(),
        }
    }

    /// The smaller of the two.
    pub fn bytes(&self) -> Option<u128> {
        self.node.into_iter().chain(self.process).min()
    }
}

/// Free memory in bytes for this process, if the system reports it.
pub fn available_bytes() -> Option<u128> {
    Available::now().bytes()
}

/// The rest of the limit of one group; `None` if it has no limit.
fn left_of(group: &Group) -> Option<u128> {
    let files = if group.version == Version::V1 { V1 } else { V2 };
    let number = |name: &str| group.read(name)?.trim().parse::<u128>().ok();
    let (limit, usage) = (number(files.limit)?, number(files.usage)?);
    let stat = group.read("memory.stat").unwrap_or_default();
    let reclaimable = files.reclaimable.iter().filter_map(|key| word_after(&stat, key)).sum();
    Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
}

/// The number after `key` in the first line that begins with it.
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
        Available::of(root.path(), [None; 2]).node
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
        assert_eq!(limits("1000000\n", "402000\n"), Some(600_077), "what only files take is not taken");
        assert_eq!(limits("1000000\n", "1500000\n"), Some(0));
        assert_eq!(limits("max\n", "402000\n"), Some(8_192_000));
        assert_eq!(limits("10000000000\n", "0\n"), Some(8_192_000), "the machine has less");
    }

    /// A limit of a nested group counts if it is the tighter one, and so does the limit of the group around both.
    #[test]
    fn all_groups_around_a_process_count() {
        for (version, groups) in [("0:", ""), ("4:memory", "memory/")] {
            let left = |outer: &str, inner: &str| {
                let (limit, usage) = match version {
                    "0:" => (V2.limit, V2.usage),
                    _ => (V1.limit, V1.usage),
                };
                let (cgroup, at) = (format!("{version}:/a/b/c\n"), format!("sys/fs/cgroup/{groups}a"));
                system(&[
                    MEMINFO,
                    ("proc/self/cgroup", &cgroup),
                    (&format!("{at}/{limit}"), outer),
                    (&format!("{at}/{usage}"), "400\n"),
                    (&format!("{at}/b/{limit}"), inner),
                    (&format!("{at}/b/{usage}"), "100\n"),
                ])
            };
            assert_eq!(left("5000\n", "9000\n"), Some(4600), "{version}");
            assert_eq!(left("9000\n", "5000\n"), Some(4900), "{version}");
        }
    }

    #[test]
    fn limits_of_the_process_itself_count() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let status = "Name:\tx\nVmSize:\t    3000 kB\nVmData:\t    1000 kB\n";
        fs::write(root.path().join("proc/self/status"), status).unwrap();
        let left = |limits| Available::of(root.path(), limits).bytes();
        assert_eq!(left([None, None]), None);
        assert_eq!(left([Some(4000 * 1024), None]), Some(1000 * 1024));
        assert_eq!(left([Some(4000 * 1024), Some(1500 * 1024)]), Some(500 * 1024));
        assert_eq!(left([Some(1024), None]), Some(0));
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
