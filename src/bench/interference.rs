//! Detects whether other work interfered with a measurement: how many processors other programs kept busy meanwhile,
//! and how long our threads waited for one. Both counts come from the operating system (Linux); on other systems
//! nothing is known and nothing is reported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use ternflock_collectives::topology::Topology;

use ternflock_base::io::read_system;

/// If threads wait for a processor for more than this share of their time, the machine counts as busy.
const WAITING: f64 = 0.05;

/// If other programs keep more than this share of the processors busy, the machine counts as busy too: they slow ours
/// down through caches, memory and clock rate.
const OTHERS: f64 = 0.10;

/// In shorter measurements, the system's ticks of 10 ms are too coarse to detect other programs.
const SHORTEST: f64 = 0.2;

/// How much other work interfered.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Interference {
    /// The share of their time that threads with work to do waited for a processor, on the rank that waited most.
    pub waiting: Option<f64>,
    /// Processors that other programs kept busy on average, on the host where there were most.
    pub others: Option<f64>,
    /// Processors of that host.
    pub processors: usize,
    /// Whether that is too much to trust the times.
    pub busy: bool,
}

/// What a rank reports about itself, as the bits of floats: its share of waiting; its own processor time, that of its
/// whole host and the elapsed time, in seconds; and the number of processors of the host. Unknown values are NaN.
pub type Words = [u64; 5];

/// Watches the machine; start it before the first timing.
pub struct Watch {
    start: Instant,
    threads: Option<Threads>,
    own: f64,
    host: Option<f64>,
}

impl Watch {
    /// Starts watching.
    pub fn start() -> Watch {
        let host = host().map(|(busy, _)| busy);
        Watch { start: Instant::now(), threads: threads(), own: cpu_seconds(), host }
    }

    /// What this rank reports to the others; see [`Interference::of`].
    pub fn words(&self) -> Words {
        let waiting = self.threads.as_ref().zip(threads()).and_then(|(before, now)| share(before, &now));
        let host = host();
        let busy = self.host.zip(host).map(|(before, (now, _))| now - before);
        let seconds = self.start.elapsed().as_secs_f64();
        let told = [waiting.unwrap_or(f64::NAN), cpu_seconds() - self.own, busy.unwrap_or(f64::NAN), seconds];
        let [waiting, own, busy, seconds] = told.map(f64::to_bits);
        [waiting, own, busy, seconds, host.map_or(0, |(_, processors)| processors as u64)]
    }

    /// The interference for a single process.
    pub fn finish(&self) -> Interference {
        Interference::of(&[self.words()], &Topology::flat(1))
    }
}

impl Interference {
    /// The interference for the ranks of `topology`, each of which has reported its [`Words`].
    pub fn of(ranks: &[Words], topology: &Topology) -> Interference {
        let known = |bits: u64| Some(f64::from_bits(bits)).filter(|value| value.is_finite());
        let waiting = ranks.iter().filter_map(|words| known(words[0])).reduce(f64::max);
        let others = (0..topology.nodes()).filter_map(|node| {
            let members = || topology.members(node).iter().filter_map(|&rank| ranks.get(rank));
            let own: f64 = members().filter_map(|words| known(words[1])).sum();
            let first = members().next()?;
            let seconds = known(first[3]).filter(|seconds| *seconds >= SHORTEST)?;
            let busy = known(first[2])?;
            Some((((busy - own) / seconds).max(0.0), first[4] as usize))
        });
        let others = others.max_by(|a, b| a.0.total_cmp(&b.0));
        let processors = others.map_or(0, |(_, processors)| processors);
        let is_crowded = others.is_some_and(|(others, processors)| others > OTHERS * processors as f64);
        let busy = is_crowded || waiting.is_some_and(|waiting| waiting > WAITING);
        Interference { waiting, others: others.map(|(others, _)| others), processors, busy }
    }

    /// A warning if the machine was too busy, otherwise `None`.
    pub fn warning(&self) -> Option<String> {
        let others = self
            .others
            .map(|others| format!("other programs used {others:.1} of its {} processors", self.processors));
        let waiting = self
            .waiting
            .map(|waiting| format!("threads waited {:.0} % of their time for a processor", 100.0 * waiting));
        let said: Vec<String> = others.into_iter().chain(waiting).collect();
        self.busy.then(|| {
            format!(
                "this machine was busy during the measurement: {}; measure again when it is idle, with at \
                 most one thread per processor",
                said.join(", and ")
            )
        })
    }
}

/// The processor time that this process has used.
pub fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the record that it borrows.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// By thread id: seconds that the thread has run, and seconds that it has waited to run.
type Threads = BTreeMap<u64, [f64; 2]>;

/// The threads of this process; `None` if the system does not count.
fn threads() -> Option<Threads> {
    let read = |task: fs::DirEntry| {
        let times = parse_thread(&read_system(&task.path().join("schedstat")).ok()?)?;
        Some((task.file_name().to_str()?.parse().ok()?, times))
    };
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    Some(tasks.flatten().filter_map(read).collect()).filter(|threads: &Threads| !threads.is_empty())
}

/// The share of their time that threads waited between two counts; `None` if none of them did anything. The count of a
/// thread that ended in between is lost, so it is left out of both; one that began in between started at 0.
fn share(before: &Threads, now: &Threads) -> Option<f64> {
    let since = |(thread, [ran, waited]): (&u64, &[f64; 2])| {
        let [ran_before, waited_before] = before.get(thread).copied().unwrap_or_default();
        // A new thread may have the id of one that ended: a count that is less than before means nothing.
        [(ran - ran_before).max(0.0), (waited - waited_before).max(0.0)]
    };
    let [ran, waited] = now
        .iter()
        .map(since)
        .fold([0.0; 2], |[ran, waited], [more_ran, more_waited]| [ran + more_ran, waited + more_waited]);
    (ran + waited > 0.0).then(|| waited / (ran + waited))
}

/// Parses a thread's `schedstat`: nanoseconds run, nanoseconds waited, and time slices.
fn parse_thread(text: &str) -> Option<[f64; 2]> {
    let mut words = text.split_whitespace().map(|word| word.parse::<u64>().ok());
    Some([words.next()??, words.next()??].map(|nanoseconds| 1e-9 * nanoseconds as f64))
}

/// Seconds that all processors of this host together have been busy, and their number.
fn host() -> Option<(f64, usize)> {
    // SAFETY: a plain system call.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    parse_host(&read_system(Path::new("/proc/stat")).ok()?, ticks as f64).filter(|_| ticks > 0)
}

/// Parses `/proc/stat`, which counts in ticks. Everything except idle time and waiting for disks counts as busy,
/// including time that a hypervisor gave to other machines.
fn parse_host(text: &str, ticks_per_second: f64) -> Option<(f64, usize)> {
    let all = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let counts: Vec<f64> = all.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests take is part of user.
    let busy: f64 = counts
        .iter()
        .take(8)
        .enumerate()
        .filter(|(at, _)| ![3, 4].contains(at))
        .map(|(_, count)| count)
        .sum();
    let is_processor = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some((busy / ticks_per_second, text.lines().filter(is_processor).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_counts_are_read() {
        let stat = "cpu  100 20 30 4000 50 6 7 8 9 0\ncpu0 50 10 15 2000 25 3 3 4 9 0\ncpu1 50 10 15 2000 25 3 4 4 0 0\nintr 5\n";
        assert_eq!(parse_host(stat, 100.0), Some((1.71, 2)));
        assert_eq!(parse_host("intr 5\n", 100.0), None);
        assert_eq!(parse_thread("2000000000 500000000 152\n"), Some([2.0, 0.5]));
        assert_eq!(parse_thread(""), None);
    }

    #[test]
    fn a_thread_that_ends_takes_nothing_from_what_the_others_waited() {
        let before = Threads::from([(1, [2.0, 1.0]), (2, [50.0, 30.0])]);
        let one = Threads::from([(1, [5.0, 2.0])]);
        assert_eq!(share(&before, &one), Some(0.25), "thread 2 has ended");
        let begun = Threads::from([(1, [2.0, 1.0]), (3, [1.0, 3.0])]);
        assert_eq!(share(&before, &begun), Some(0.75), "thread 3 has begun");
        let reused = Threads::from([(1, [3.0, 1.0]), (2, [1.0, 1.0])]);
        assert_eq!(share(&before, &reused), Some(0.0), "another thread 2");
        assert_eq!(share(&before, &before), None);
    }

    fn words(waiting: f64, own: f64, busy: f64) -> Words {
        let [waiting, own, busy, seconds] = [waiting, own, busy, 10.0].map(f64::to_bits);
        [waiting, own, busy, seconds, 4]
    }

    #[test]
    fn a_quiet_machine_is_not_warned_of() {
        let quiet = Interference::of(&[words(0.01, 10.0, 11.0)], &Topology::flat(1));
        assert_eq!(
            quiet,
            Interference { waiting: Some(0.01), others: Some(0.1), processors: 4, busy: false }
        );
        assert_eq!(quiet.warning(), None);
        let unknown = Interference::of(&[words(f64::NAN, 10.0, f64::NAN)], &Topology::flat(1));
        assert_eq!((unknown.waiting, unknown.others, unknown.busy), (None, None, false));
    }

    #[test]
    fn threads_that_wait_and_programs_beside_are_warned_of() {
        let waits = Interference::of(&[words(0.3, 10.0, 10.0)], &Topology::flat(1));
        assert!(waits.busy && waits.warning().unwrap().contains("threads waited 30 % of their time"));
        let beside = Interference::of(&[words(0.0, 10.0, 25.0)], &Topology::flat(1));
        assert!(
            beside.busy && beside.warning().unwrap().contains("other programs used 1.5 of its 4 processors")
        );
    }

    /// Ranks of the same host do not count as other programs; the worst rank and the worst host count.
    #[test]
    fn ranks_stand_together() {
        let both = [words(0.01, 9.0, 19.0), words(0.02, 9.0, 19.0)];
        let together = Interference::of(&both, &Topology::new(vec![0, 0]));
        assert_eq!((together.waiting, together.others, together.busy), (Some(0.02), Some(0.1), false));
        let apart = Interference::of(&both, &Topology::flat(2));
        assert_eq!((apart.others, apart.busy), (Some(1.0), true));
    }

    /// The work of a spinning thread of this process is in the host's count, and does not count as other programs.
    #[test]
    fn our_own_work_is_counted_as_ours() {
        const SPUN: f64 = 0.4;
        // The host's count may be some ticks of 10 ms behind.
        const TICKS: f64 = 0.05;
        let watch = Watch::start();
        let begin = thread_seconds();
        while thread_seconds() - begin < SPUN {
            std::hint::spin_loop();
        }
        let words = watch.words();
        let [_, own, busy, seconds] = [0, 1, 2, 3].map(|at| f64::from_bits(words[at]));
        // Time of the other tests in this process is its own too.
        assert!(own >= SPUN && seconds >= SPUN, "{own} s of {seconds} s");
        assert_eq!(busy.is_nan(), cfg!(not(target_os = "linux")), "Linux counts");
        if busy.is_nan() {
            return;
        }
        assert!(busy >= SPUN - TICKS, "the host was busy for {busy} s, this thread alone for {SPUN} s");
        let others = Interference::of(&[words], &Topology::flat(1)).others.unwrap() * seconds;
        assert!(
            others <= (busy - SPUN).max(0.0) + 1e-9,
            "{others} s of others, {busy} s in all, {own} s own"
        );
    }

    fn thread_seconds() -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call fills the record that it borrows.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
    }
}
