//! Ends this process if an MPI call takes too long, or if a signal arrives during one: nothing else can end the wait.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::launcher;
use super::signals::Signals;
use super::streams::last_words;
use ternflock_base::error::Kind;
use ternflock_base::io::read_system;
use ternflock_world::{Call, OnCall, Patience};

/// How long output may take to reach the launcher, which may lose it once the process ends.
pub const UNTIL_HEARD: Duration = Duration::from_millis(500);

/// How long the ranks may take to end MPI together after a signal, which has usually ended the run by then.
const GRACE: Duration = Duration::from_secs(10);

/// The action for a call.
#[derive(Debug, PartialEq)]
enum Due {
    Warning(String),
    /// The last message and the exit code.
    End(String, u8),
}

/// Warns about long MPI calls, and ends this process after the deadline of `patience` or after a signal.
pub fn oversee(patience: Patience, signals: Option<Signals>) -> OnCall {
    // Not on the watching thread: MPI changes the environment while it starts.
    let who = launcher::who(|name| std::env::var(name).ok(), &host());
    let has_warned = AtomicBool::new(false);
    Arc::new(move |call, waited| {
        let signal = signals.as_ref().and_then(Signals::seen);
        match due(&who, call, waited, patience, signal) {
            Some(Due::Warning(text)) if !has_warned.swap(true, Ordering::Relaxed) => last_words(&text),
            None | Some(Due::Warning(_)) => {}
            Some(Due::End(text, code)) => {
                last_words(&text);
                thread::sleep(UNTIL_HEARD);
                // SAFETY: ends this process without running any other code, which might wait too.
                unsafe { libc::_exit(code.into()) }
            }
        }
    })
}

fn host() -> String {
    read_system(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default().trim().to_owned()
}

fn due(
    who: &str,
    call: Call,
    waited: Duration,
    patience: Patience,
    signal: Option<(i32, &str)>,
) -> Option<Due> {
    let seconds = waited.as_secs_f64();
    let whom = if call.is_start() { "the other ranks or the launcher" } else { "the other ranks" };
    if let Some((number, name)) = signal
        && (call.is_start() || waited >= GRACE)
    {
        let (code, what) = match call.is_start() {
            true => {
                ((128 + number) as u8, "ended the start; nothing was done and nothing is lost".to_owned())
            }
            false => (Kind::Exchange.exit_code(), format!("ended a wait of {seconds:.0} s for {whom}")),
        };
        return Some(Due::End(format!("{who}: {name} {what} ({call}, exit code {code})"), code));
    }
    if waited >= patience.deadline {
        let code = Kind::Exchange.exit_code();
        let then = match call {
            Call::Finalize => "all output has been written",
            _ => "make sure that all of them run and can reach each other, and start again",
        };
        let text = format!(
            "{who} waited {seconds:.1} s for {whom} in {call} and ends the job (exit code {code}): ranks that do not say \
             so are late, stopped or dead; {then}"
        );
        return Some(Due::End(text, code));
    }
    (waited >= patience.warn_after).then(|| {
        Due::Warning(format!(
            "{who} has waited {seconds:.1} s for {whom} in {call}: ranks that do not say so are late, stopped or dead; \
             after {:.0} s the job ends",
            patience.deadline.as_secs_f64()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const PATIENCE: Patience =
        Patience { warn_after: Duration::from_secs(30), deadline: Duration::from_secs(300) };

    fn due(call: Call, waited: Duration, signal: Option<(i32, &str)>) -> Option<Due> {
        super::due("rank 1 of 4 on n2", call, waited, PATIENCE, signal)
    }

    #[test]
    fn a_call_that_lasts_is_warned_of_and_then_ends_the_process() {
        assert_eq!(due(Call::Init, 29 * S, None), None);
        let Some(Due::Warning(text)) = due(Call::Init, 30 * S, None) else { panic!() };
        assert_eq!(
            text,
            "rank 1 of 4 on n2 has waited 30.0 s for the other ranks or the launcher in MPI_Init_thread: ranks that do not say \
             so are late, stopped or dead; after 300 s the job ends"
        );
        let Some(Due::End(text, 7)) = due(Call::Duplicate, 300 * S, None) else { panic!() };
        assert_eq!(
            text,
            "rank 1 of 4 on n2 waited 300.0 s for the other ranks or the launcher in MPI_Comm_dup and ends the job (exit code 7): \
             ranks that do not say so are late, stopped or dead; make sure that all of them run and can reach each other, and start again"
        );
        let Some(Due::End(text, 7)) = due(Call::Finalize, 301 * S, None) else { panic!() };
        assert!(text.ends_with("; all output has been written"), "{text}");
    }

    #[test]
    fn a_signal_ends_the_start_at_once_and_the_end_after_a_while() {
        let signal = Some((libc::SIGTERM, "SIGTERM"));
        for call in [Call::Init, Call::Duplicate, Call::Split] {
            let Some(Due::End(text, 143)) = due(call, Duration::ZERO, signal) else { panic!() };
            assert!(text.starts_with("rank 1 of 4 on n2: SIGTERM ended the start; "), "{text}");
        }
        assert_eq!(due(Call::Finalize, 9 * S, signal), None);
        let Some(Due::End(text, 7)) = due(Call::Finalize, 10 * S, signal) else { panic!() };
        assert!(text.contains("SIGTERM ended a wait of 10 s for the other ranks (MPI_Finalize"), "{text}");
    }
}
