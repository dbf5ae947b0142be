//! Unknown words of the command line. For an option that names a key of the job, the error suggests `--set`; for the
//! arguments of a command that has been renamed, it gives the new name.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use ternflock_job as job;

/// The names of some keys in other programs.
const ELSEWHERE: [(&str, &str); 7] = [
    ("lr", "optimizer.learning_rate"),
    ("batch", "train.global_batch"),
    ("batch_size", "train.global_batch"),
    ("max_steps", "train.steps"),
    ("model", "model.preset"),
    ("optimizer", "optimizer.kind"),
    ("schedule", "schedule.kind"),
];

/// The commands that take `--set`.
const WITH_SETS: [&[&str]; 4] = [&["train"], &["sweep"], &["forecast"], &["bench", "scaling"]];

/// The former name of `forecast`, which is now another command.
const FORMERLY_FORECAST: &str = "predict";

/// Adds to `error`, about the command line `words` (without the program), the command or the `--set` that was probably
/// meant.
pub fn explain(mut error: clap::Error, words: &[String]) -> clap::Error {
    if words.first().is_some_and(|command| command == FORMERLY_FORECAST) && is_forecast(&error, words) {
        let tip = "to forecast how fast a job trains, use 'ternflock forecast'".into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        return error;
    }
    let takes_sets = WITH_SETS.iter().any(|command| {
        words.len() >= command.len() && command.iter().zip(words).all(|(name, word)| name == word)
    });
    let unknown = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) if takes_sets => unknown.clone(),
        _ => return error,
    };
    let option = unknown.split('=').next().unwrap_or_default();
    let Some(name) = option.strip_prefix("--") else { return error };
    let value = value(option, words).unwrap_or("VALUE");
    let tips: Vec<_> = keys(name)
        .into_iter()
        .map(|key| format!("to set this key of the job, use '--set {key}={value}'").into())
        .collect();
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// Whether `error`, about the arguments `words` of `predict`, is about those of `forecast`: an option that only `forecast`
/// has, or a job.
fn is_forecast(error: &clap::Error, words: &[String]) -> bool {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) => {
            let option = unknown.split('=').next().unwrap_or_default().trim_start_matches('-');
            let command = super::help::command();
            command.find_subcommand("forecast").is_some_and(|forecast| {
                forecast.get_arguments().any(|argument| argument.get_long() == Some(option))
            })
        }
        (ErrorKind::MissingRequiredArgument, _) => words.iter().any(|word| word.ends_with(".toml")),
        _ => false,
    }
}

/// The keys of a job that an option called `name` may refer to: those that end in it, or those with this name
/// in other programs.
fn keys(name: &str) -> Vec<String> {
    let name = name.replace('-', "_");
    let mut keys = job::keys();
    keys.retain(|key| *key == name || key.rsplit('.').next() == Some(&name));
    if keys.is_empty() {
        keys.extend(ELSEWHERE.iter().filter(|(other, _)| *other == name).map(|(_, key)| (*key).to_owned()));
    }
    keys
}

/// The value given to `option` in `words`.
fn value<'a>(option: &str, words: &'a [String]) -> Option<&'a str> {
    let at = words.iter().position(|word| word.split('=').next() == Some(option))?;
    match words[at].split_once('=') {
        Some((_, value)) => Some(value),
        None => words.get(at + 1).map(String::as_str).filter(|word| !word.starts_with('-')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_keys_are_found() {
        assert_eq!(keys("epochs"), ["train.epochs"]);
        assert_eq!(keys("learning-rate"), ["optimizer.learning_rate"]);
        assert_eq!(keys("train.seed"), ["train.seed"]);
        assert_eq!(keys("kind"), ["task.kind", "optimizer.kind", "schedule.kind", "force.kind"]);
        assert_eq!(keys("batch-size"), ["train.global_batch"]);
        assert_eq!(keys("ranks"), [""; 0]);
    }

    /// Otherwise the advice would be wrong.
    #[test]
    fn what_other_programs_call_otherwise_is_a_key() {
        let keys = job::keys();
        assert!(ELSEWHERE.iter().all(|(_, key)| keys.iter().any(|known| known == key)));
    }

    #[test]
    fn the_value_stands_behind_the_option() {
        let words = ["train", "--epochs=3", "--seed", "7", "--mirror", "--lr"].map(String::from);
        let of = |option| value(option, &words);
        assert_eq!(
            [of("--epochs"), of("--seed"), of("--mirror"), of("--lr")],
            [Some("3"), Some("7"), None, None]
        );
    }
}
