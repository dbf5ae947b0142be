//! `--set section.key=value`: values from the command line that override those of the file.

use toml::de::DeValue;
use toml::{Table, Value};

use super::names;
use super::parse::{Path, Walk};
use super::places::Places;
use super::problems::Problems;
use super::section::{Section, Selector};
use super::size::{self, MOST_STAGES};
use super::source::{Place, Source};
use ternflock_base::suggest::suggest;
use ternflock_base::text::quote;

/// Overrides the values in `table` with each of `sets`, in order; the last one for a key wins.
/// `stage.NAME.key` and `stage.NAME.section.key` are the keys of a stage.
///
/// Two rules keep an override from contradicting the file it overrides. Of two keys that exclude each other,
/// the last one given replaces the other. If a schedule or optimizer gets another kind, the file's keys that
/// not every kind has are dropped, because they describe the kind that was replaced.
pub(crate) fn apply(
    sets: &[String],
    sections: &[&Section],
    table: &mut Table,
    source: &mut Source,
    problems: &mut Problems,
) {
    if sets.len() > MOST_SETS {
        let message = format!("there may be {MOST_SETS} overrides (--set), found {}", sets.len());
        return problems.add(Place::File, message);
    }
    let mut parts = vec![(None, kinds(sections, table))];
    let stages =
        table.get("stage").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table);
    parts.extend(stages.enumerate().map(|(number, stage)| (Some(number), kinds(sections, stage))));
    for set in sets {
        let at = source.add_set(set);
        let found = split(set).and_then(|(path, text)| {
            let (stage, path) = locate(path, table)?;
            size::check(text).map_err(|message| format!("the value {message}"))?;
            Ok((stage, section_and_key(path, text)?, text))
        });
        let (stage, (section, key), text) = match found {
            Ok(found) => found,
            Err(message) => {
                problems.add(source.blame(at), message);
                continue;
            }
        };
        let Some(table) = part(table, stage) else { continue };
        drop_excluded(sections, section, key, table, source, stage);
        let (value, places) = match DeValue::parse(text) {
            Ok(value) => {
                let path = names::path(section, key);
                let path = stage.map_or_else(|| path.clone(), |number| format!("stage[{number}].{path}"));
                Walk { at: &|_| at, source, problems }.value(value.into_inner(), 0, &Path::Said(&path))
            }
            // Text that is not TOML is a string: `exchange.gradients=float32` needs no quotes.
            Err(_) => (Some(Value::String(text.to_owned())), Places::scalar(at)),
        };
        source.replace(stage, section, key, Some(places));
        if let Some(value) = value {
            insert(section, key, value, table);
        }
    }
    for (stage, kinds_of_file) in parts {
        let Some(table) = part(table, stage) else { continue };
        for ((section, selector), kind_of_file) in that_reset(sections).zip(kinds_of_file) {
            let key = selector.key.name();
            if source.is_set(stage, section.name, key)
                && get(table, section.name, key) != kind_of_file.as_ref()
            {
                drop_owned(section, table, source, stage);
            }
        }
    }
}

/// The maximum number of `--set` arguments per command.
const MOST_SETS: usize = 1000;

/// If `over`, the section of a stage, has another kind than `base`, the same section of the job: drops the
/// keys of `base` that only some kinds have.
pub(crate) fn drop_other_kind(section: &Section, base: &mut Table, over: &Table, source: &mut Source) {
    let Some(selector) = section.selector.as_ref().filter(|selector| selector.resets) else { return };
    let Some(kind) = over.get(selector.key.name()) else { return };
    let kind_of_job = base.get(selector.key.name()).cloned().or(selector.default().map(Value::String));
    if Some(kind) != kind_of_job.as_ref() {
        let owned: Vec<String> = base.keys().filter(|key| section.is_owned(key)).cloned().collect();
        for key in owned {
            base.remove(&key);
            if !over.contains_key(&key) {
                source.leave_out(section.name, &key);
            }
        }
    }
}

/// The sections whose keys depend on a kind that an override can replace.
fn that_reset<'a>(sections: &'a [&Section]) -> impl Iterator<Item = (&'a Section, &'a Selector)> {
    let selecting = sections.iter().filter_map(|section| Some((*section, section.selector.as_ref()?)));
    selecting.filter(|(_, selector)| selector.resets)
}

fn kinds(sections: &[&Section], table: &Table) -> Vec<Option<Value>> {
    that_reset(sections)
        .map(|(section, selector)| get(table, section.name, selector.key.name()).cloned())
        .collect()
}

/// The path and the value's text of a `--set`.
fn split(set: &str) -> Result<(&str, &str), String> {
    let (path, text) = set.split_once('=').ok_or("expected section.key=value, such as `train.steps=100`")?;
    Ok((path.trim(), text.trim()))
}

/// The index of the stage that `path` refers to, if any, and the rest of the path.
fn locate<'a>(path: &'a str, table: &Table) -> Result<(Option<usize>, &'a str), String> {
    let Some(rest) = path.strip_prefix("stage.") else { return Ok((None, path)) };
    let Some((name, rest)) = rest.split_once('.') else {
        return Err(format!("expected stage.NAME.section.key=value, found `{}`", quote(path)));
    };
    let stages = || table.get("stage").and_then(Value::as_array).into_iter().flatten().take(MOST_STAGES);
    let shown = quote(name);
    match stages().position(|stage| name_of(stage) == Some(name)) {
        Some(number) => Ok((Some(number), rest)),
        None if stages().next().is_none() => {
            Err(format!("there is no stage `{shown}`: the job has no [[stage]]"))
        }
        None => {
            let names: Vec<&str> = stages().filter_map(name_of).collect();
            Err(format!("there is no stage `{shown}`; {}", suggest(name, &names)))
        }
    }
}

fn name_of(stage: &Value) -> Option<&str> {
    stage.get("name").and_then(Value::as_str)
}

/// The top level of the file, or the stage with this index.
fn part(table: &mut Table, stage: Option<usize>) -> Option<&mut Table> {
    let Some(number) = stage else { return Some(table) };
    table.get_mut("stage")?.as_array_mut()?.get_mut(number)?.as_table_mut()
}

/// The section ("" for the top) and the key of a path.
fn section_and_key<'a>(path: &'a str, text: &str) -> Result<(&'a str, &'a str), String> {
    let (section, key) = path.split_once('.').unwrap_or(("", path));
    let is_whole_section = section.is_empty() && text.starts_with('{');
    if key.is_empty() || key.contains('.') || path.starts_with('.') || is_whole_section {
        return Err(format!("expected section.key=value, one key at a time, found `{}`", quote(path)));
    }
    Ok((section, key))
}

fn insert(section: &str, key: &str, value: Value, table: &mut Table) {
    let target = match section {
        "" => Some(table),
        section => table.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut(),
    };
    // A section that is not a table is reported when it is read.
    if let Some(target) = target {
        target.insert(key.to_owned(), value);
    }
}

fn get<'a>(table: &'a Table, section: &str, key: &str) -> Option<&'a Value> {
    table.get(section)?.as_table()?.get(key)
}

fn remove(section: &str, key: &str, table: &mut Table, source: &mut Source, stage: Option<usize>) {
    if let Some(Value::Table(keys)) = table.get_mut(section) {
        keys.remove(key);
        source.replace(stage, section, key, None);
    }
}

fn drop_excluded(
    sections: &[&Section],
    section: &str,
    key: &str,
    table: &mut Table,
    source: &mut Source,
    stage: Option<usize>,
) {
    let exclude =
        sections.iter().find(|known| known.name == section).map_or(&[][..], |known| known.exactly_one);
    if exclude.contains(&key) {
        let others = exclude.iter().filter(|&&other| other != key);
        others.for_each(|other| remove(section, other, table, source, stage));
    }
}

fn drop_owned(section: &Section, table: &mut Table, source: &mut Source, stage: Option<usize>) {
    let Some(Value::Table(keys)) = table.get(section.name) else { return };
    let stays = |key: &String| !section.is_owned(key) || source.is_set(stage, section.name, key);
    for key in keys.keys().filter(|key| !stays(key)).cloned().collect::<Vec<String>>() {
        remove(section.name, &key, table, source, stage);
    }
}
