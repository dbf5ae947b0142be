//! The datasets in a file.

use std::path::Path;

use ::hdf5::{Group, LinkType};

use super::{open_file, reason};
use ternflock_base::error::{Error, Result};

/// The deepest group that is listed, and the most datasets and groups: hard links can make a group its own member.
const DEEPEST: usize = 8;
const MOST: usize = 1000;

/// The paths of the datasets in the file at `path`, such as `/group/x`, in the order of their names. Links are not followed.
///
/// # Errors
/// If the file cannot be opened or listed.
pub fn names(path: &Path) -> Result<Vec<String>> {
    let file = open_file(path)?;
    let (mut found, mut visited) = (Vec::new(), 0);
    list(&file, "", 0, &mut found, &mut visited)
        .map_err(|error| Error::data(path, format!("cannot be listed: {}", reason(&error))))?;
    found.sort();
    Ok(found)
}

fn list(
    group: &Group,
    path: &str,
    depth: usize,
    found: &mut Vec<String>,
    visited: &mut usize,
) -> hdf5::Result<()> {
    *visited += 1;
    let mut members = Vec::new();
    group.iter_visit_default(|name, info| {
        if info.link_type == LinkType::Hard {
            members.push(name.to_owned());
        }
        Ok(())
    })?;
    for name in members {
        if found.len() == MOST || *visited > MOST {
            return Ok(());
        }
        let inside = format!("{path}/{name}");
        match group.group(&name) {
            Ok(inner) if depth < DEEPEST => list(&inner, &inside, depth + 1, found, visited)?,
            Ok(_) => {}
            // Named types are neither groups nor datasets.
            Err(_) if group.dataset(&name).is_ok() => found.push(inside),
            Err(_) => {}
        }
    }
    Ok(())
}
