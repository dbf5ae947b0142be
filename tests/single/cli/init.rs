//! `ternflock init`: a job for each kind of data that trains as it is, and data that are refused.

use support::program::Place;

use crate::PROGRAM;

mod arrays;
mod data;
mod images;
mod table;
mod text;

/// An empty place.
fn place() -> Place {
    let place = Place::new(PROGRAM);
    std::fs::remove_file(place.path("tiny.toml")).unwrap();
    place
}

/// Runs `init` with `arguments`, which write `job`: it is printed as the next step, passes the check, and its first steps run.
/// Returns the job.
fn trains(place: &Place, arguments: &[&str], job: &str) -> String {
    let all = [&["init"][..], arguments].concat();
    let done = support::program::finish(&mut place.command(&all)).ended(0);
    let next = format!("Next:\n  ternflock check {job}\n  mpirun -n 2 ternflock train {job}\n");
    assert!(done.out.ends_with(&next), "{}\n{}", done.out, done.err);
    let text = place.read(job);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("# A first job, written by `ternflock init`"), "{first}");
    place.run(&format!("check {job} --ranks 2")).ended(0);
    let train = "--set train.steps=3 --run-dir run";
    place.run(&format!("train {job} {train}")).ended(0);
    let losses: Vec<f64> = place
        .read("run/metrics.jsonl")
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64())
        .collect();
    assert!(!losses.is_empty() && losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    std::fs::remove_dir_all(place.path("run")).unwrap();
    text
}

/// Each key of the sections before the network has a comment above it, unless it belongs to the key before it.
fn is_commented(job: &str) {
    let (settings, _) = job.split_once("# The network:").unwrap();
    let lines: Vec<&str> = settings.lines().collect();
    let keys = lines.iter().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    let bare = lines
        .windows(2)
        .filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#') && !pair[0].starts_with('#'));
    let bare: Vec<_> = bare.collect();
    assert!(keys >= 10 && bare.len() <= 2, "{bare:?}");
}

#[test]
fn the_job_is_not_replaced_unless_asked() {
    let place = place();
    place.write("t.csv", data::table(40));
    let text = trains(&place, &["t.csv"], "t.toml");
    is_commented(&text);
    place.run("init t.csv").refused(2, &["t.toml already exists", "--overwrite"]);
    place.write("t.toml", "mine");
    place.run("init t.csv").refused(2, &["t.toml already exists"]);
    assert_eq!(place.read("t.toml"), "mine");
    // The same data give the same job.
    place.run("init t.csv --overwrite").ended(0);
    assert_eq!(place.read("t.toml"), text);
    place.run("init t.csv -o t.csv --overwrite").refused(2, &[".csv means another format"]);
    place.run("init t.csv -o nowhere/t.toml").refused(4, &["there is no directory nowhere"]);
}

#[test]
fn paths_that_cannot_be_read_are_refused() {
    let place = place();
    place.write("t.csv", data::table(40));
    place.write("picture.png", "");
    place.write("t.scv", "");
    std::os::unix::fs::symlink("nowhere", place.path("link.csv")).unwrap();
    std::os::unix::fs::symlink("t.csv", place.path("good.csv")).unwrap();
    for (line, code, part) in [
        ("missing.csv", 3, "missing.csv: cannot be read: No such file"),
        ("link.csv", 3, "is a symbolic link whose target cannot be read"),
        ("picture.png", 3, "name the folder that holds a sub-folder of images per class"),
        ("t.scv", 3, "did you mean .csv? Supported: a folder"),
        (
            "t.csv --targets y.npy",
            2,
            "--targets names the file with the targets of an .npy file, but t.csv is a table",
        ),
        ("t.csv --inputs x", 2, "leave it out"),
        ("t.csv --horizon 3", 2, "--horizon needs --window"),
        ("/dev/null", 3, "is neither a file nor a folder"),
    ] {
        place.run(&format!("init {line}")).refused(code, &[part]);
    }
    assert!(place.names(".").iter().all(|name| !name.ends_with(".toml")), "nothing is written");
    trains(&place, &["good.csv"], "good.toml");
}

/// Paths with spaces and quotes, absolute or not.
#[test]
fn paths_are_quoted() {
    let place = place();
    let name = "it's \"my\" data, 2 \\ ü.csv";
    place.write(&format!("a b/{name}"), data::table(40));
    let text = trains(&place, &[&format!("a b/{name}")], "it-s--my--data--2----.toml");
    assert!(text.contains(r#"file = "a b/it's \"my\" data, 2 \\ ü.csv""#), "{text}");
    let path = place.path("a b").join(name);
    let text = trains(&place, &[path.to_str().unwrap(), "-o", "absolute.toml"], "absolute.toml");
    assert!(text.contains("file = \"/"), "{text}");
}

#[test]
fn a_job_whose_file_is_no_name_gets_one() {
    let place = place();
    place.write("t.csv", data::table(40));
    let done = support::program::finish(&mut place.command(&["init", "t.csv", "-o", "my job.toml"])).ended(0);
    assert!(done.out.ends_with("mpirun -n 2 ternflock train 'my job.toml'\n"), "{}", done.out);
    assert!(place.read("my job.toml").contains("name = \"my-job\"\n"));
    support::program::finish(&mut place.command(&["check", "my job.toml"])).ended(0);
}
