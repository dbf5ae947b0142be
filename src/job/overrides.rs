//! `--set section.key=value`: values of the command line laid over those of the file.

use toml::de::DeValue;
use toml::{Table, Value};

use super::places::Places;
use super::problems::Problems;
use super::source::{Path, Place, Source, Walk};
use super::stage::MOST_STAGES;
use super::{Model, Train, names, optimizer, schedule, size};
use ternflock_base::text::quote;

/// Lays each of `sets` over `table`, in order; what was said last holds. `stage.NAME.key` and `stage.NAME.section.key` are those
/// of a stage.
///
/// Two rules keep an override from contradicting the file it overrides. Of two keys that exclude each other, the one
/// said last replaces the other. And a schedule or optimizer of another kind is another one: the keys that the file
/// gives to its own kind, and that not every kind has, are dropped.
pub(super) fn apply(sets: &[String], table: &mut Table, source: &mut Source, problems: &mut Problems) {
    if sets.len() > MOST_SETS {
        let message = format!("there may be {MOST_SETS} overrides (--set), found {}", sets.len());
        return problems.add(Place::File, message);
    }
    let mut parts = vec![(None, kinds(table))];
    let stages =
        table.get("stage").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table);
    parts.extend(stages.enumerate().map(|(number, stage)| (Some(number), kinds(stage))));
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
        drop_excluded(section, key, table, source, stage);
        let (value, places) = match DeValue::parse(text) {
            Ok(value) => {
                let path = names::path(section, key);
                let path = stage.map_or_else(|| path.clone(), |number| format!("stage[{number}].{path}"));
                Walk { at: &|_| at, source, problems }.value(value.into_inner(), 0, &Path::Said(&path))
            }
            // What is not TOML is a string: `exchange.gradients=float32` needs no quotes.
            Err(_) => (Some(Value::String(text.to_owned())), Places::scalar(at)),
        };
        source.replace(stage, section, key, Some(places));
        if let Some(value) = value {
            insert(section, key, value, table);
        }
    }
    for (stage, kinds_of_file) in parts {
        let Some(table) = part(table, stage) else { continue };
        for (((section, owns), kind), kind_of_file) in WITH_KINDS.iter().zip(kinds(table)).zip(kinds_of_file)
        {
            if source.is_set(stage, section, "kind") && kind != kind_of_file {
                drop_owned(section, owns, table, source, stage);
            }
        }
    }
}

/// The maximum number of `--set` arguments per command.
const MOST_SETS: usize = 1000;

/// Of the keys `base` of the job's section `section`, drops those that only some kinds have, if `over`, a stage's, says another
/// kind.
pub(super) fn drop_other_kind(section: &str, base: &mut Table, over: &Table, source: &mut Source) {
    let Some((_, owns)) = WITH_KINDS.iter().find(|(name, _)| *name == section) else { return };
    // The kinds that are not said.
    let default = Value::String(if section == "optimizer" { "sgd" } else { "fixed" }.to_owned());
    let Some(kind) = over.get("kind") else { return };
    if kind != base.get("kind").unwrap_or(&default) {
        let owned: Vec<String> = base.keys().filter(|key| owns(key)).cloned().collect();
        for key in owned {
            base.remove(&key);
            if !over.contains_key(&key) {
                source.leave_out(section, &key);
            }
        }
    }
}

/// A section whose `kind` decides what other keys it has, and whether a key is one of those.
type WithKinds = (&'static str, fn(&str) -> bool);

const WITH_KINDS: [WithKinds; 2] =
    [("optimizer", |key| optimizer::KINDS.owns(key)), ("schedule", |key| schedule::KINDS.owns(key))];

fn kinds(table: &Table) -> [Option<Value>; 2] {
    WITH_KINDS.map(|(section, _)| get(table, section, "kind").cloned())
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
            Err(format!("there is no stage `{shown}`; {}", names::suggest(name, &names)))
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
    // A section that is no table is reported when it is read.
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

fn drop_excluded(section: &str, key: &str, table: &mut Table, source: &mut Source, stage: Option<usize>) {
    let exclude: &[&str] = match section {
        "train" => &Train::LENGTH,
        "model" => &Model::STRUCTURE,
        _ => return,
    };
    if exclude.contains(&key) {
        exclude
            .iter()
            .filter(|&&other| other != key)
            .for_each(|other| remove(section, other, table, source, stage));
    }
}

fn drop_owned(
    section: &str,
    owns: &fn(&str) -> bool,
    table: &mut Table,
    source: &mut Source,
    stage: Option<usize>,
) {
    let Some(Value::Table(keys)) = table.get(section) else { return };
    let stays = |key: &String| !owns(key) || source.is_set(stage, section, key);
    for key in keys.keys().filter(|key| !stays(key)).cloned().collect::<Vec<String>>() {
        remove(section, &key, table, source, stage);
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{MINIMAL, accepted, minimal, refused};
    use crate::{Gradients, OptimizerKind, ScheduleKind};

    /// Earlier overrides act as if they were in the file: later ones of another kind drop them, and repeating them
    /// changes nothing.
    #[test]
    fn overrides_hold_when_a_run_is_taken_up() {
        let own = |sets: &[&str]| [sets.iter().map(ToString::to_string).collect::<Vec<_>>()];
        let started =
            ["train.steps=7", "schedule.kind=multistep", "schedule.milestones=[4]", "schedule.gamma=0.5"];
        let whole = accepted(MINIMAL, &started).job;
        for again in [&[][..], &started, &started[..1]] {
            assert_eq!(accepted(MINIMAL, again).after(&own(&started)).unwrap().job, whole, "{again:?}");
        }
        let other =
            accepted(MINIMAL, &["schedule.kind=fixed", "train.epochs=3"]).after(&own(&started)).unwrap();
        assert_eq!(other.job, accepted(MINIMAL, &["schedule.kind=fixed", "train.epochs=3"]).job);
        assert_eq!(other.sets(), ["schedule.kind=fixed", "train.epochs=3"]);
        let message = accepted(MINIMAL, &[]).after(&own(&["train.stepps=7"])).unwrap_err().to_string();
        assert!(
            message.starts_with("--set train.stepps=7, which the run was started with: unknown key"),
            "{message}"
        );
        let later = accepted(MINIMAL, &["train.epochs=3"]).after(&own(&["optimizer.momentum=0.5"])).unwrap();
        let places = ["train.epochs", "optimizer.momentum"].map(|key| later.source.at(key));
        assert_eq!(
            places,
            ["--set train.epochs=3", "--set optimizer.momentum=0.5, which the run was started with"]
        );
    }

    /// A change that was allowed is a start of its own: it drops what those before it say of another kind, as it drops what the
    /// file says.
    #[test]
    fn each_start_drops_what_those_before_it_say_of_another_kind() {
        let starts = |starts: &[&[&str]]| -> Vec<Vec<String>> {
            starts.iter().map(|sets| sets.iter().map(ToString::to_string).collect()).collect()
        };
        let multistep = &["schedule.kind=multistep", "schedule.milestones=[4]", "schedule.gamma=0.5"][..];
        let (fixed, steps) = (&["schedule.kind=fixed"][..], &["train.steps=7"][..]);
        let after = |earlier: &[&[&str]]| accepted(MINIMAL, &[]).after(&starts(earlier));
        assert_eq!(after(&[multistep, fixed]).unwrap().job, accepted(MINIMAL, &[]).job);
        let again = after(&[multistep, fixed, steps, multistep]).unwrap();
        assert_eq!(again.job, accepted(MINIMAL, &[multistep, steps].concat()).job);
        let at_once = after(&[&[multistep, fixed].concat()]).unwrap_err().to_string();
        assert!(at_once.contains("schedule.milestones belongs to kind = \"multistep\""), "{at_once}");
    }

    #[test]
    fn an_override_wins_over_the_file_and_over_earlier_ones() {
        let sets =
            ["optimizer.learning_rate=0.5", "exchange.gradients=float32", "optimizer.learning_rate = 1e-3"];
        let job = accepted(MINIMAL, &sets).job;
        assert_eq!(job.optimizer.learning_rate, 0.001);
        assert_eq!(job.exchange.gradients, Gradients::Float32);
    }

    #[test]
    fn a_value_is_toml_where_it_can_be_and_a_string_where_not() {
        let keep = "exchange.keep_float=[\"logits\", 'conv1']";
        let job = accepted(MINIMAL, &[keep, "data.dataset=mnist", "data.dir=/some where/a=b"]).job;
        assert_eq!(job.exchange.keep_float, ["logits", "conv1"]);
        assert_eq!(job.data.dir.unwrap().to_str(), Some("/some where/a=b"));
        assert_eq!(
            refused(MINIMAL, &["train.epochs=1 2"]),
            [
                "--set train.epochs=1 2: train.epochs must be a whole number of at least 0, found the string \"1 2\""
            ]
        );
    }

    #[test]
    fn bad_overrides_are_blamed_themselves() {
        assert_eq!(
            refused(
                MINIMAL.replace("epochs", "epoch"),
                &[
                    "train.sead=3",
                    "trian.seed=3",
                    "epochs=3",
                    "train.log_every=-1",
                    "nothing",
                    "a.b.c=1",
                    ".x=1",
                    "train={ steps = 1 }",
                    "exchange.timeout=1e999",
                ]
            ),
            [
                "job.toml:6: unknown key `epoch` in [train]; did you mean `epochs`?",
                "--set train.sead=3: unknown key `sead` in [train]; did you mean `seed`?",
                "--set trian.seed=3: unknown section [trian]; did you mean [train]?",
                "--set epochs=3: unknown key `epochs` at the top of the file; it belongs in [train]",
                "--set train.log_every=-1: train.log_every must be a whole number of at least 0, \
                 found the integer -1",
                "--set nothing: expected section.key=value, such as `train.steps=100`",
                "--set a.b.c=1: expected section.key=value, one key at a time, found `a.b.c`",
                "--set .x=1: expected section.key=value, one key at a time, found `.x`",
                "--set train={ steps = 1 }: expected section.key=value, one key at a time, found `train`",
                "--set exchange.timeout=1e999: exchange.timeout must be a finite number, found 1e999",
            ]
        );
    }

    #[test]
    fn of_two_keys_that_exclude_each_other_the_last_said_holds() {
        let train = accepted(MINIMAL, &["train.steps=100"]).job.train;
        assert_eq!((train.epochs, train.steps), (None, Some(100)));
        let train = accepted(MINIMAL, &["train.steps=100", "train.epochs=2"]).job.train;
        assert_eq!((train.epochs, train.steps), (Some(2), None));
        let model = accepted(MINIMAL, &["model.layers=[{ type = 'linear', units = 10 }]"]).job.model;
        assert_eq!((model.preset, model.layers.map(|layers| layers.len())), (None, Some(1)));
    }

    #[test]
    fn a_schedule_of_another_kind_starts_afresh() {
        let text = minimal("[schedule]\nkind = \"step\"\ngamma = 0.5\nevery = 10\n");
        let schedule = |sets: &[&str]| accepted(&text, sets).job.schedule.kind;
        assert_eq!(schedule(&["schedule.kind=fixed"]), ScheduleKind::Fixed);
        assert_eq!(schedule(&["schedule.kind=inv"]), ScheduleKind::Inv { gamma: 0.0001, power: 0.75 });
        assert_eq!(
            schedule(&["schedule.power=2", "schedule.kind=polynomial"]),
            ScheduleKind::Polynomial { power: 2.0 },
            "what --set itself gives stays"
        );
        assert_eq!(
            schedule(&["schedule.kind=step"]),
            ScheduleKind::Step { gamma: 0.5, every: 10 },
            "the same kind"
        );
        assert_eq!(
            refused(&text, &["schedule.kind=fixed", "schedule.every=3"]),
            ["--set schedule.every=3: schedule.every belongs to kind = \"step\"; this schedule is \"fixed\""]
        );
    }

    #[test]
    fn an_optimizer_of_another_kind_keeps_what_every_kind_has() {
        let text = minimal("momentum = 0.5\nweight_decay = 0.25\n");
        let job = accepted(&text, &["optimizer.kind=adam", "optimizer.beta1=0.5"]).job.optimizer;
        let adam = OptimizerKind::Adam { beta1: 0.5, beta2: 0.999, epsilon: 1e-8, decoupled_decay: false };
        assert_eq!((job.kind, job.learning_rate, job.weight_decay), (adam, 0.1, 0.25));
        assert_eq!(
            refused(&text, &["optimizer.kind=adam", "optimizer.momentum=0.5"]),
            [
                "--set optimizer.momentum=0.5: optimizer.momentum belongs to kind = \"sgd\", \"nesterov\", \"lars\"; \
              this optimizer is \"adam\""
            ]
        );
    }
}
