//! The control groups (Linux cgroups, versions 1 and 2) of this process, as a container or a batch system sets them up.
//! A group's limit applies to all groups inside it.

use std::path::{Path, PathBuf};

use crate::io::read_system;

/// A version of control groups. Each version names its files differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One tree of groups per controller.
    V1,
    /// One tree for all controllers.
    V2,
}

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its version.
    pub version: Version,
    /// The directory of its files.
    pub path: PathBuf,
}

impl Group {
    /// The content of its file `name`, if it has one.
    pub fn read(&self, name: &str) -> Option<String> {
        read_system(&self.path.join(name)).ok()
    }
}

/// The groups whose `controller` (such as `memory` or `cpu`) limits this process, from the innermost outwards. `root`
/// is the root of the file system.
pub fn groups(root: &Path, controller: &str) -> Vec<Group> {
    let text = read_system(&root.join("proc/self/cgroup")).unwrap_or_default();
    text.lines().filter_map(|line| groups_of(line, root, controller)).flatten().collect()
}

/// The groups that a line of `/proc/self/cgroup` names: `number:controllers:path`.
fn groups_of(line: &str, root: &Path, controller: &str) -> Option<Vec<Group>> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (version, mount) = match parts.next()? {
        "" => (Version::V2, root.join("sys/fs/cgroup")),
        names if names.split(',').any(|name| name == controller) => {
            (Version::V1, root.join("sys/fs/cgroup").join(controller))
        }
        _ => return None,
    };
    // In a container, the path may be that of the host. The group at the mount point is then the container's.
    let path = Path::new(parts.next()?.trim_start_matches('/'));
    Some(path.ancestors().map(|group| Group { version, path: mount.join(group) }).collect())
}

/// How much of the processors a group of processes may use.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuQuota {
    /// The number of processors for all processes of the group together, such as 1.5.
    pub processors: f64,
    /// The directory of the group that sets it.
    pub group: PathBuf,
}

/// The tightest quota on the processors that this process may use, if there is one. `root` is the root of the file
/// system.
pub fn cpu_quota(root: &Path) -> Option<CpuQuota> {
    let quotas = groups(root, "cpu").into_iter().filter_map(|group| {
        let processors = quota_of(&group)?;
        Some(CpuQuota { processors, group: group.path })
    });
    quotas.min_by(|a, b| a.processors.total_cmp(&b.processors))
}

/// Version 2 has `QUOTA PERIOD` or `max PERIOD` in one file. Version 1 has one file for each, with -1 for no quota.
/// Both are in microseconds.
fn quota_of(group: &Group) -> Option<f64> {
    let (quota, period) = match group.version {
        Version::V2 => {
            let text = group.read("cpu.max")?;
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
        }
        Version::V1 => {
            let number = |name| group.read(name)?.trim().parse::<f64>().ok();
            (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
        }
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The quota on a system with these files, and the group that sets it.
    fn quota(files: &[(&str, &str)]) -> Option<(f64, String)> {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let quota = cpu_quota(root.path())?;
        let group = quota.group.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned();
        Some((quota.processors, group))
    }

    #[test]
    fn without_a_quota_there_is_none() {
        assert_eq!(quota(&[]), None);
        assert_eq!(quota(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cpu.max", "max 100000\n")]), None);
        assert_eq!(
            quota(&[("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/cpu.max", "nonsense\n")]),
            None
        );
    }

    #[test]
    fn the_tightest_group_of_version_2_counts() {
        let limits = |outer: &str, inner: &str| {
            quota(&[
                ("proc/self/cgroup", "0::/job/step\n"),
                ("sys/fs/cgroup/job/cpu.max", outer),
                ("sys/fs/cgroup/job/step/cpu.max", inner),
            ])
        };
        assert_eq!(limits("150000 100000\n", "max 100000\n"), Some((1.5, "sys/fs/cgroup/job".into())));
        assert_eq!(limits("max 100000\n", "200000 50000\n"), Some((4.0, "sys/fs/cgroup/job/step".into())));
        assert_eq!(limits("100000 100000\n", "200000 100000\n"), Some((1.0, "sys/fs/cgroup/job".into())));
    }

    /// For a container that does not see the path of its group.
    #[test]
    fn so_does_the_tightest_of_version_1() {
        let limit = |quota_us: &str| {
            quota(&[
                ("proc/self/cgroup", "4:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n0::/\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota_us),
                ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ])
        };
        assert_eq!(limit("50000\n"), Some((0.5, "sys/fs/cgroup/cpu".into())));
        assert_eq!(limit("-1\n"), None);
    }
}
