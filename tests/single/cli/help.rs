//! The help of the program, and its messages about a command line that it does not understand.

use support::program::{Place, finish};

use crate::PROGRAM;

#[test]
fn help_says_what_there_is_and_what_exit_codes_mean() {
    let help = Place::new(PROGRAM).run("--help").ended(0);
    assert_eq!(help.err, "");
    for part in [
        "train",
        "check",
        "eval",
        "inspect",
        "data",
        "bench",
        "Exit codes:",
        "the job file is wrong",
        "--resume continues",
    ] {
        assert!(help.out.contains(part), "no `{part}` in\n{}", help.out);
    }
    for code in [0, 2, 3, 4, 5, 6, 7, 75, 101] {
        let listed = help.out.lines().any(|line| line.trim_start().starts_with(&format!("{code}  ")));
        assert!(listed, "no exit code {code} in\n{}", help.out);
    }
}

#[test]
fn every_subcommand_shows_a_worked_example() {
    let place = Place::new(PROGRAM);
    for (subcommand, example) in [
        ("train", "mpirun -n 2 ternflock train jobs/lenet-fashion.toml --resume"),
        ("init", "ternflock init houses.csv --target price"),
        ("eval", "ternflock eval runs/lenet-digits/checkpoints/best.h5"),
        ("predict", "mpirun -n 2 ternflock predict best.h5 images.idx -o classes.npz"),
        ("sample", "ternflock sample best.h5 --temperature 0.7 --top-k 40 --seed 3"),
        ("inspect", "ternflock inspect runs/lenet-digits/checkpoints/best.h5"),
        ("export", "ternflock export small.h5 -o small.npz"),
        ("sweep", "ternflock sweep jobs/large-batch-*.toml --seeds 1,2,3"),
        ("data", "ternflock data fetch mnist"),
        ("job", "ternflock job schema > job.schema.json"),
        ("bench", "mpirun -n 4 ternflock bench allreduce"),
        ("bench infer", "ternflock bench infer masked.h5 small.h5 --verify"),
        ("bench compression", "ternflock bench compression jobs/lstm-ptb.toml --ranks 4 --at 20,160"),
    ] {
        let help = place.run(&format!("{subcommand} --help")).ended(0);
        assert!(help.out.contains("Example") && help.out.contains(example), "{}", help.out);
    }
}

/// Paragraphs fill the width of the terminal: no line breaks early.
#[test]
fn help_is_wrapped_once() {
    let place = Place::new(PROGRAM);
    for line in [
        "",
        "init",
        "train",
        "eval",
        "predict",
        "sample",
        "inspect",
        "compress",
        "export",
        "sweep",
        "data",
        "data fetch",
        "bench",
        "bench step",
        "bench infer",
        "bench scaling",
        "bench compression",
        "bench codec",
        "bench allreduce",
        "job",
        "job schema",
        "forecast",
    ] {
        for width in [80, 100] {
            let arguments: Vec<&str> = line.split_whitespace().chain(["--help"]).collect();
            let mut command = place.command(&arguments);
            let help = finish(command.env("COLUMNS", width.to_string())).ended(0).out;
            let lines: Vec<&str> = help.lines().collect();
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{line} at {width}\n{help}");
            for pair in lines.windows(2) {
                let indent = |line: &str| line.len() - line.trim_start().len();
                let words = |line: &str| line.split_whitespace().next().map(str::len);
                // Prose at the left margin, or the text of an option to the right of its name, that continues
                // in the next line.
                let goes_on =
                    indent(pair[0]) == indent(pair[1]) && (indent(pair[0]) == 0 || indent(pair[0]) >= 10);
                let Some(next) = words(pair[1]).filter(|_| goes_on && !pair[0].is_empty()) else { continue };
                // clap breaks before the width, never two words before it.
                let room = pair[0].chars().count() + 1 + next;
                assert!(room > width, "{line} at {width}: {pair:?}");
            }
        }
    }
}

/// For an option that is a key of the job, the error suggests what to use instead.
#[test]
fn an_option_that_is_a_key_is_sent_to_set() {
    let place = Place::new(PROGRAM);
    for (line, tip) in [
        ("train tiny.toml --epochs 3", "--set train.epochs=3"),
        ("train --epochs=3 tiny.toml", "--set train.epochs=3"),
        ("train tiny.toml --learning-rate 0.1", "--set optimizer.learning_rate=0.1"),
        ("train tiny.toml --lr 0.1", "--set optimizer.learning_rate=0.1"),
        ("train tiny.toml --batch-size=8", "--set train.global_batch=8"),
        ("train tiny.toml --train.seed 4", "--set train.seed=4"),
        ("train tiny.toml --mirror", "--set data.mirror=VALUE"),
        ("sweep tiny.toml --epochs 3", "--set train.epochs=3"),
        ("bench scaling tiny.toml --epochs 3", "--set train.epochs=3"),
        ("forecast tiny.toml --gradients float32", "--set exchange.gradients=float32"),
    ] {
        let option = line.split_whitespace().find(|word| word.starts_with("--")).unwrap();
        let option = option.split('=').next().unwrap();
        let refused = place.run(line).refused(2, &[&format!("unexpected argument '{option}"), tip, "--help"]);
        assert!(!refused.err.contains("as a value"), "{}", refused.err);
    }
    // No suggestion for commands without a job, or for options that are not keys.
    for line in ["inspect run.h5 --epochs 3", "train tiny.toml --ranks 2"] {
        let refused = place.run(line).refused(2, &["unexpected argument"]);
        assert!(!refused.err.contains("--set"), "{}", refused.err);
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = Place::new(PROGRAM).run("--version").ended(0);
    assert_eq!(version.out, concat!("ternflock ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_bad_command_line_is_refused_with_a_word_about_help() {
    let place = Place::new(PROGRAM);
    for (line, part) in [
        ("", "Usage: ternflock <COMMAND>"),
        ("fly", "unrecognized subcommand 'fly'"),
        ("train", "<JOB>"),
        ("train tiny.toml --set", "a value is required for '--set"),
        ("train tiny.toml --ranks 2", "unexpected argument '--ranks'"),
        ("train tiny.toml other.toml", "unexpected argument 'other.toml'"),
        ("eval --json", "<CHECKPOINT>"),
        ("inspect", "<CHECKPOINT>"),
        ("data", "Usage: ternflock data"),
        ("data fetch", "<NAME>"),
    ] {
        place.run(line).refused(2, &[part, "--help"]);
    }
    assert_eq!(place.names("."), ["tiny.toml"]);
}
