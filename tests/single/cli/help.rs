//! What the program says about itself, and about a command line it does not understand.

use crate::program::Place;

#[test]
fn help_says_what_there_is_and_what_exit_codes_mean() {
    let help = Place::new().run("--help").ended(0);
    assert_eq!(help.err, "");
    for part in [
        "train",
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
    let place = Place::new();
    for (subcommand, example) in [
        ("train", "mpirun -n 2 ternflock train jobs/lenet-fashion.toml --resume"),
        ("eval", "ternflock eval runs/lenet-digits/checkpoints/best.h5"),
        ("inspect", "ternflock inspect runs/lenet-digits/checkpoints/best.h5"),
        ("sweep", "ternflock sweep jobs/large-batch-*.toml --seeds 1,2,3"),
        ("data", "ternflock data fetch mnist"),
        ("bench", "mpirun -n 4 ternflock bench allreduce"),
        ("bench infer", "ternflock bench infer masked.h5 small.h5 --verify"),
    ] {
        let help = place.run(&format!("{subcommand} --help")).ended(0);
        assert!(help.out.contains("Example") && help.out.contains(example), "{}", help.out);
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = Place::new().run("--version").ended(0);
    assert_eq!(version.out, concat!("ternflock ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_bad_command_line_is_refused_with_a_word_about_help() {
    let place = Place::new();
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
