//! Every link between pages, and from pages to the code, has a target.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::markdown::{Link, anchors, links};
use super::{pages, root};

/// Pages outside `docs/`.
const OTHERS: [&str; 5] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "slurm/README.md"];

#[test]
fn every_link_leads_somewhere() {
    let (mut broken, mut count) = (Vec::new(), 0);
    for page in pages("docs").into_iter().chain(OTHERS.map(PathBuf::from)) {
        for link in links(&read(&page)) {
            count += 1;
            if let Err(reason) = follow(&page, &link) {
                broken.push(format!("{}: [{}]({}): {reason}", page.display(), link.text, link.target));
            }
        }
    }
    assert!(count > 100, "only {count} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_summary_lists_every_page_once() {
    let mut listed: Vec<_> = links(&read(Path::new("docs/SUMMARY.md")))
        .into_iter()
        .map(|link| Path::new("docs").join(link.target))
        .collect();
    listed.sort();
    let mut all = pages("docs");
    all.retain(|page| page != Path::new("docs/SUMMARY.md"));
    assert_eq!(listed, all);
}

fn read(page: &Path) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

fn follow(page: &Path, link: &Link) -> Result<(), String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| link.target.starts_with(scheme)) {
        return Ok(());
    }
    let (path, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
    let target = match path {
        "" => page.to_owned(),
        path => normal(&page.parent().unwrap_or(Path::new("")).join(path)),
    };
    let absolute = root().join(&target);
    if !absolute.exists() {
        return Err(format!("there is no {}", target.display()));
    }
    if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
        return Err(format!("{} has no heading #{anchor}", target.display()));
    }
    let is_code = target.starts_with("src") || target.starts_with("collectives");
    match symbol(&link.text).filter(|_| is_code) {
        Some(name) if !defines(&absolute, name) => Err(format!("nothing there is called {name}")),
        _ => Ok(()),
    }
}

/// `path` without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

/// The last part of a name in code, as in `` `Trainer::step` ``; none if the text is a path or prose.
fn symbol(text: &str) -> Option<&str> {
    let name = text.strip_prefix('`')?.strip_suffix('`')?.rsplit("::").next()?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

/// Whether Rust code at or below `path` defines `name`.
fn defines(path: &Path, name: &str) -> bool {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        return entries.into_iter().any(|entry| defines(&entry, name));
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return false;
    }
    let text = fs::read_to_string(path).unwrap();
    let is_defined = |(at, _): (usize, &str)| {
        let ends = !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let keywords = ["fn ", "struct ", "enum ", "trait ", "type ", "const "];
        ends && keywords.iter().any(|keyword| text[..at].ends_with(keyword))
    };
    text.match_indices(name).any(is_defined)
}
