//! The process that `cargo test` starts: runs the cases as jobs and counts.

use std::panic::catch_unwind;
use std::process::ExitCode;

use crate::launch::Launcher;
use crate::options::Options;
use crate::{ANY, Body, Case};

/// Runs the cases that `options` select; the exit code says whether all of them passed.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let selected = |world: usize| {
        options
            .cases()
            .iter()
            .filter(move |case| case.worlds.contains(&world) && options.select(&case.label(world)))
    };
    if options.list {
        ANY.iter()
            .for_each(|world| selected(*world).for_each(|case| println!("{}: test", case.label(*world))));
        return Ok(ExitCode::SUCCESS);
    }
    let of_all = if options.ignored { vec!["--ignored"] } else { Vec::new() };
    let mut tally = Tally { launcher: Launcher::find()?, of_all, passed: 0, failed: Vec::new() };
    for world in ANY {
        let (ranks, jobs): (Vec<_>, Vec<_>) =
            selected(*world).partition(|case| matches!(case.body, Body::Ranks(_)));
        tally.run_ranks(*world, &ranks)?;
        jobs.into_iter().for_each(|case| tally.run_job(*world, case));
    }
    Ok(tally.finish())
}

struct Tally {
    launcher: Launcher,
    /// Arguments of every job.
    of_all: Vec<&'static str>,
    passed: usize,
    /// Labels, and the output of all their ranks.
    failed: Vec<(String, String)>,
}

impl Tally {
    /// Runs cases one after another in one job. A case that fails ends the job, so the remaining cases start
    /// another.
    fn run_ranks(&mut self, world: usize, mut cases: &[&Case]) -> Result<(), String> {
        while !cases.is_empty() {
            let labels: Vec<String> = cases.iter().map(|case| case.label(world)).collect();
            let mut arguments = self.of_all.clone();
            arguments.push("--exact");
            arguments.extend(labels.iter().map(String::as_str));
            let job =
                self.launcher.run_self(world, &arguments).map_err(|error| format!("mpirun: {error}"))?;

            let done = labels.iter().take_while(|label| job.output.contains(&passed(label))).count();
            labels[..done].iter().for_each(|label| self.pass(label));
            match labels.get(done) {
                Some(label) => self.fail(label, job.output),
                None if job.code != Some(0) => {
                    self.fail(&format!("the end of the job::p{world}"), job.output)
                }
                None => {}
            }
            cases = &cases[labels.len().min(done + 1)..];
        }
        Ok(())
    }

    fn run_job(&mut self, world: usize, case: &Case) {
        let Body::Job(run) = case.body else { return };
        let launcher = &self.launcher;
        match catch_unwind(|| run(launcher, world)) {
            Ok(()) => self.pass(&case.label(world)),
            Err(_) => self.fail(&case.label(world), "its message stands above".into()),
        }
    }

    fn pass(&mut self, label: &str) {
        println!("{}", passed(label));
        self.passed += 1;
    }

    fn fail(&mut self, label: &str, output: String) {
        println!("test {label} ... FAILED");
        self.failed.push((label.to_owned(), output));
    }

    fn finish(self) -> ExitCode {
        for (label, output) in &self.failed {
            println!("\n---- {label} ----\n{}", output.trim_end());
        }
        println!("\n{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The line of a case that passed: rank 0 prints it, and this process looks for it.
pub fn passed(label: &str) -> String {
    format!("test {label} ... ok")
}
