//! Programs that this program starts and waits for.

use std::process::Command;

/// Sends `signal` to the program that `command` starts when the thread that started it ends. The program does not keep
/// running, however this process ends. Only Linux supports this.
pub fn end_with_parent(command: &mut Command, signal: libc::c_int) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        // SAFETY: a plain system call, which is allowed between `fork` and `exec`.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, signal);
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, signal);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Stdio;
    use std::thread;

    use super::*;

    #[test]
    fn a_child_does_not_outlive_the_thread_that_started_it() {
        let start = || {
            let mut command = Command::new("sleep");
            end_with_parent(command.arg("60").stdin(Stdio::null()), libc::SIGTERM);
            command.spawn().unwrap()
        };
        let mut child = thread::spawn(start).join().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGTERM));
    }
}
