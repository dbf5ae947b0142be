//! Everything that needs several processes.
//!
//! Started by `cargo test`, this program runs itself under `mpirun` for each number of ranks in turn; started by a
//! launcher, it is one of those ranks. To add a case, write a function and one line of [`CASES`].
//!
//! Sample runs:
//! - `cargo test --release --test parallel`
//! - `cargo test --release --test parallel -- ring_ternary::p4` (any part of the names that `--list` prints)
//! - `cargo test --release --test parallel -- --ignored giant` (tests that need 5 GB of memory)
//! - `make faults` (hundreds of jobs in which a rank is killed or stopped)
//! - `MPICC=mpicc.mpich MPIRUN=mpirun.mpich cargo test --release --target-dir target/mpich --test parallel`
//! - `mpirun -n 2 target/release/deps/parallel-... collectives` (the cases of two ranks, output as it comes)
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod bench;
mod collectives;
mod communicators;
// `cargo test --test parallel` does not build examples, so this one is a part of the test.
#[path = "../../collectives/examples/mpi.rs"]
mod example;
mod fatal;
mod inside;
mod launch;
mod options;
mod outside;
mod running;
mod training;
mod transport;

use std::process::ExitCode;

use launch::Launcher;
use options::Options;
use ternflock_collectives::transport::mpi::MpiTransport;
use training::{faults, stalled};

/// One test, at several numbers of ranks.
struct Case {
    name: &'static str,
    worlds: &'static [usize],
    body: Body,
}

/// The kinds of cases; a case fails by panicking.
enum Body {
    /// A function that every rank of a job runs.
    Ranks(fn(&mut MpiTransport)),
    /// A function outside MPI that gets the number of ranks, runs jobs of its own and checks how they end.
    Job(fn(&Launcher, usize)),
}

use Body::{Job, Ranks};

/// Numbers of ranks: all that are tested, those with several ranks, and one for cases that take about a
/// second each.
const ANY: &[usize] = &[1, 2, 3, 4, 5, 8];
const PEERS: &[usize] = &[2, 3, 4, 5, 8];
const TWO: &[usize] = &[2];
const THREE: &[usize] = &[3];
const FOUR: &[usize] = &[4];
const TWO_AND_THREE: &[usize] = &[2, 3];

const CASES: &[Case] = &[
    Case { name: "transport::large_messages", worlds: ANY, body: Ranks(transport::large_messages) },
    Case { name: "transport::order", worlds: PEERS, body: Ranks(transport::order) },
    Case { name: "transport::lanes", worlds: ANY, body: Ranks(transport::lanes) },
    Case { name: "transport::late_peer", worlds: PEERS, body: Ranks(transport::late_peer) },
    Case { name: "transport::wrong_length", worlds: PEERS, body: Ranks(transport::wrong_length) },
    Case { name: "transport::describes_itself", worlds: ANY, body: Ranks(transport::describes_itself) },
    Case { name: "transport::thread_level", worlds: TWO, body: Job(transport::thread_level) },
    Case { name: "transport::notes_left", worlds: PEERS, body: Job(transport::notes_left) },
    Case { name: "transport::stray_left", worlds: PEERS, body: Job(transport::stray_left) },
    Case { name: "transport::library_sum", worlds: ANY, body: Ranks(transport::library_sum) },
    Case { name: "communicators::halves", worlds: ANY, body: Ranks(communicators::halves) },
    Case { name: "communicators::refused", worlds: PEERS, body: Ranks(communicators::refused) },
    Case {
        name: "communicators::started_elsewhere",
        worlds: &[1, 2, 3],
        body: Job(communicators::started_elsewhere),
    },
    Case { name: "communicators::example", worlds: TWO, body: Job(communicators::example) },
    Case { name: "collectives::ring_ternary", worlds: ANY, body: Ranks(collectives::ring_ternary) },
    Case { name: "collectives::gather_ternary", worlds: ANY, body: Ranks(collectives::gather_ternary) },
    Case { name: "collectives::direct_ternary", worlds: ANY, body: Ranks(collectives::direct_ternary) },
    Case { name: "collectives::halving_ternary", worlds: ANY, body: Ranks(collectives::halving_ternary) },
    Case {
        name: "collectives::hierarchical_ternary",
        worlds: ANY,
        body: Ranks(collectives::hierarchical_ternary),
    },
    Case { name: "collectives::coded", worlds: ANY, body: Ranks(collectives::coded) },
    Case { name: "collectives::ring_f32", worlds: ANY, body: Ranks(collectives::ring_f32) },
    Case { name: "collectives::max", worlds: ANY, body: Ranks(collectives::max) },
    Case { name: "collectives::all_gather", worlds: ANY, body: Ranks(collectives::all_gather) },
    Case { name: "collectives::broadcast", worlds: ANY, body: Ranks(collectives::broadcast) },
    Case { name: "collectives::barrier", worlds: ANY, body: Ranks(collectives::barrier) },
    Case { name: "collectives::agree", worlds: PEERS, body: Ranks(collectives::agree) },
    Case { name: "collectives::average", worlds: ANY, body: Ranks(collectives::average) },
    Case { name: "bench::all_reduce", worlds: ANY, body: Job(bench::all_reduce) },
    Case { name: "bench::scaling", worlds: ANY, body: Job(bench::scaling) },
    Case { name: "bench::forecast", worlds: ANY, body: Job(bench::forecast) },
    Case { name: "bench::several", worlds: TWO, body: Job(bench::several) },
    Case { name: "bench::disagreeing", worlds: TWO, body: Job(bench::disagreeing) },
    Case { name: "bench::too_large", worlds: TWO, body: Job(bench::too_large) },
    Case { name: "fatal::panic", worlds: PEERS, body: Job(fatal::panic) },
    Case { name: "fatal::panic_beside", worlds: TWO_AND_THREE, body: Job(fatal::panic_beside) },
    Case { name: "fatal::abort", worlds: THREE, body: Job(fatal::abort) },
    Case { name: "fatal::killed", worlds: THREE, body: Job(fatal::killed) },
    Case { name: "fatal::message_nobody_takes", worlds: THREE, body: Job(fatal::message_nobody_takes) },
    Case { name: "training::same_bits", worlds: ANY, body: Job(training::same_bits) },
    Case { name: "training::stages", worlds: &[1, 2, 4], body: Job(training::stages) },
    Case { name: "training::poor_kernels", worlds: TWO, body: Job(training::poor_kernels) },
    Case { name: "training::language", worlds: TWO_AND_THREE, body: Job(training::language) },
    Case { name: "training::made_up_text", worlds: TWO_AND_THREE, body: Job(training::made_up_text) },
    Case { name: "training::eval", worlds: THREE, body: Job(training::eval) },
    Case { name: "training::predict", worlds: THREE, body: Job(training::predict) },
    Case { name: "training::kill_and_resume", worlds: TWO_AND_THREE, body: Job(training::kill_and_resume) },
    Case { name: "training::signal", worlds: TWO_AND_THREE, body: Job(training::signal) },
    Case { name: "training::rank_killed", worlds: THREE, body: Job(training::rank_killed) },
    Case { name: "training::stalled::for_a_while", worlds: TWO_AND_THREE, body: Job(stalled::for_a_while) },
    Case { name: "training::stalled::for_ever", worlds: TWO_AND_THREE, body: Job(stalled::for_ever) },
    Case { name: "training::stalled::at_start", worlds: TWO_AND_THREE, body: Job(stalled::at_start) },
    Case { name: "training::stalled::at_start_signal", worlds: TWO, body: Job(stalled::at_start_signal) },
    Case { name: "training::stalled::at_start_of_bench", worlds: TWO, body: Job(stalled::at_start_of_bench) },
    Case { name: "training::stalled::in_a_call", worlds: TWO, body: Job(stalled::in_a_call) },
    Case { name: "training::stalled::launcher", worlds: TWO, body: Job(stalled::launcher) },
    Case { name: "training::faults::few", worlds: FOUR, body: Job(faults::few) },
    Case { name: "training::diverges", worlds: THREE, body: Job(training::diverges) },
    Case { name: "training::bad_job", worlds: THREE, body: Job(training::bad_job) },
    Case { name: "training::changed_job", worlds: THREE, body: Job(training::changed_job) },
    Case { name: "training::full_disk", worlds: TWO, body: Job(training::full_disk) },
];

/// Cases that need so much time or memory that they run only with `--ignored`.
const LARGE: &[Case] = &[
    Case { name: "transport::giant", worlds: TWO, body: Ranks(transport::giant) },
    Case { name: "training::faults::many", worlds: FOUR, body: Job(faults::many) },
];

impl Case {
    /// The case's name at `world` ranks.
    fn label(&self, world: usize) -> String {
        format!("{}::p{world}", self.name)
    }
}

fn main() -> ExitCode {
    let run = Options::parse(std::env::args().skip(1))
        .and_then(|options| if launch::is_rank() { inside::run(&options) } else { outside::run(&options) });
    run.unwrap_or_else(|message| {
        eprintln!("parallel tests: {message}");
        ExitCode::FAILURE
    })
}
