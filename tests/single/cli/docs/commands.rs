//! The commands that the pages tell readers to type, run in order, and the figures of the README.

use std::fs;

use libc::SIGINT;
use support::program::{Place, Watched};
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT, ring_f32};
use ternflock_collectives::topology::Topology;

use super::markdown::commands;
use super::root;
use crate::PROGRAM;

/// A place with the jobs of the repository.
fn checkout() -> Place {
    let place = Place::new(PROGRAM);
    for job in fs::read_dir(root().join("jobs")).unwrap() {
        let job = job.unwrap();
        place.write(&format!("jobs/{}", job.file_name().to_str().unwrap()), fs::read(job.path()).unwrap());
    }
    place
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// Runs the lines of `page` that call the program directly. The others need a launcher, a build or a cluster.
fn run(place: &Place, page: &str) -> usize {
    let text = read(page);
    let lines = commands(&text).into_iter().filter_map(|line| line.strip_prefix("ternflock "));
    let mut count = 0;
    for line in lines {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        if comment.contains("Ctrl-C") {
            let run = Watched::start(place.command(&command.split_whitespace().collect::<Vec<_>>()));
            run.read_until("samples/s");
            run.running.signal(SIGINT);
            run.finish().ended(75);
        } else {
            place.run(command).ended(0);
        }
        count += 1;
    }
    count
}

#[test]
fn the_commands_of_the_readme_run() {
    assert!(run(&checkout(), "README.md") >= 3);
}

/// In one place, because later pages use the runs of earlier ones. The last page of the tutorial needs a cluster.
#[test]
fn the_commands_of_the_tutorial_and_of_guides_run() {
    let place = checkout();
    let pages = [
        "tutorial/first-run",
        "tutorial/resume",
        "tutorial/ranks",
        "tutorial/small-network",
        "how-to/low-rank",
        "how-to/export",
        "how-to/large-batches",
        "how-to/forecast",
    ];
    for page in pages {
        assert!(run(&place, &format!("docs/{page}.md")) > 0, "{page}");
    }
}

/// "| 8 | 7.4 bits | 56 bits | 7.6 |" is what the ring predicts, and the tests of the collectives hold that to the meter.
#[test]
fn the_bits_of_the_readme_are_those_of_the_ring() {
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells[..] {
            ["", ranks, ternary, float, ratio, ""] if ternary.ends_with(" bits") => {
                let numbers = [ternary, float, ratio].map(|cell| cell.trim_end_matches(" bits").to_owned());
                Some((ranks.parse::<usize>().unwrap(), numbers))
            }
            _ => None,
        }
    });
    let mut count = 0;
    for (ranks, printed) in rows {
        // Divides into blocks and chunks without remainder.
        let elements = 512 * ranks;
        let topology = Topology::flat(ranks);
        let plan = Plan { topology: &topology, blocks: ranks, segment: SEGMENT, coding: Coding::Never };
        let bits = |bytes: u64| 8.0 * bytes as f64 / elements as f64;
        let ternary = bits(Algorithm::RingTernary.traffic(plan, 0).bytes_sent);
        let float = bits(ring_f32::traffic(ring_f32::SEGMENT, elements, ranks, 0).bytes_sent);
        let rounded = |value: f64| [format!("{value:.0}"), format!("{value:.1}")];
        for (value, printed) in [ternary, float, float / ternary].into_iter().zip(printed) {
            assert!(rounded(value).contains(&printed), "{ranks} ranks: {printed} is printed for {value}");
        }
        count += 1;
    }
    assert_eq!(count, 3);
}
