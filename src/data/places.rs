//! The directories in which data sets are found.

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

use super::{Entry, Origin};

/// The variable that names a directory with one subdirectory per data set, shared by a user's projects or by the users
/// of a cluster.
pub(super) const ROOT: &str = "TERNFLOCK_DATA";

/// The directories above those of the data sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// `$TERNFLOCK_DATA`, if that is set.
    pub root: Option<PathBuf>,
    /// The user's cache; `None` for a user without a home directory.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The places of this process.
    pub fn here() -> Places {
        let root = env::var_os(ROOT).filter(|root| !root.is_empty()).map(PathBuf::from);
        Places { root, cache: Xdg::new().ok().map(|places| places.cache_dir().join("ternflock")) }
    }

    /// The directories that may hold `entry`, in order of preference; empty for a set that only its owner can
    /// place.
    pub fn candidates(&self, entry: &Entry) -> Vec<PathBuf> {
        if entry.origins.is_empty() {
            return Vec::new();
        }
        let packaged = entry.origins.iter().filter_map(|origin| match origin {
            Origin::Directory(directory) => Some(PathBuf::from(directory)),
            _ => None,
        });
        let of_project = Some(PathBuf::from("data"));
        let roots = [&self.root, &of_project, &self.cache].into_iter().flatten();
        roots.map(|root| root.join(entry.name)).chain(packaged).collect()
    }

    /// The place of the data set called `name`.
    fn default_directory(&self, name: &str) -> PathBuf {
        let root = self.root.as_deref().or(self.cache.as_deref());
        root.unwrap_or(Path::new("data")).join(name)
    }
}

/// The place for a fetched data set, independent of the current directory: `$TERNFLOCK_DATA/<name>` if that
/// variable is set, else `ternflock/<name>` in the user's cache (`$XDG_CACHE_HOME`, by default `~/.cache`).
pub fn default_directory(name: &str) -> PathBuf {
    Places::here().default_directory(name)
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn the_users_own_directories_come_before_the_packages() {
        let entry = find("fashion-mnist").unwrap();
        let expected = [
            "root/fashion-mnist",
            "data/fashion-mnist",
            "/cache/ternflock/fashion-mnist",
            "/usr/share/datasets/fashion-mnist",
        ];
        let (root, cache) = (Some("root".into()), Some("/cache/ternflock".into()));
        let places = Places { root, cache };
        assert_eq!(places.candidates(entry), expected.map(PathBuf::from));
        let places = Places { root: None, ..places };
        assert_eq!(places.candidates(entry), expected[1..].iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_fetched_does_not_depend_on_the_current_directory() {
        let (root, cache) = (Some("/root".into()), Some("/cache/ternflock".into()));
        let places = Places { root, cache };
        assert_eq!(places.default_directory("kjv"), Path::new("/root/kjv"));
        let places = Places { root: None, ..places };
        assert_eq!(places.default_directory("kjv"), Path::new("/cache/ternflock/kjv"));
        assert_eq!(Places::default().default_directory("kjv"), Path::new("data/kjv"));
    }
}
