//! An accepted job reads back from its canonical text as an equal job.
//!
//! Lines that begin with `--set ` are overrides; all other lines are the job file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternflock_job::{self as job, Job};

fuzz_target!(|input: &str| {
    let (sets, lines): (Vec<&str>, Vec<&str>) = input.lines().partition(|line| line.starts_with("--set "));
    let sets: Vec<String> = sets.iter().map(|line| line["--set ".len()..].to_owned()).collect();
    match job::parse("job.toml".into(), &lines.join("\n"), &sets, Some("job")) {
        Ok(loaded) => {
            let text = loaded.job.to_toml();
            let again = Job::from_toml(&text).expect("the canonical text of a job is a job");
            // Two jobs are equal exactly if their texts are.
            assert_eq!(again.to_toml(), text);
        }
        Err(error) => assert!(error.to_string().len() < 1 << 20, "a message longer than its reader can read"),
    }
});
