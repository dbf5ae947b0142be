//! Running a command line under `mpirun`, with a deadline.

use std::env;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A job that takes longer is ended.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long a job that is asked to end may take to do so.
const GRACE: Duration = Duration::from_secs(5);

const INSTALL: &str = "install Open MPI (Debian: apt-get install openmpi-bin libopenmpi-dev) or another MPI, \
                       or set MPIRUN to its launcher";

/// Whether a launcher started this process as a rank of a job.
pub fn is_rank() -> bool {
    ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"].iter().any(|name| env::var_os(name).is_some())
}

/// The `mpirun` of this machine: `$MPIRUN`, or the one on the path.
pub struct Launcher {
    program: String,
    is_open_mpi: bool,
}

/// How a job ended.
pub struct Finished {
    /// Exit code of the launcher; none if it was killed.
    pub code: Option<i32>,
    /// From start to end.
    pub seconds: f64,
    /// Standard output and standard error of all ranks.
    pub output: String,
}

impl Launcher {
    /// Finds the launcher and which MPI it belongs to.
    pub fn find() -> Result<Self, String> {
        let program = env::var("MPIRUN").unwrap_or_else(|_| "mpirun".into());
        let version = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|error| format!("cannot start `{program}` ({error}): {INSTALL}"))?;
        let is_open_mpi = String::from_utf8_lossy(&version.stdout).contains("Open MPI");
        Ok(Launcher { program, is_open_mpi })
    }

    /// Runs `program arguments...` as `ranks` ranks.
    pub fn run(&self, ranks: usize, program: &Path, arguments: &[&str]) -> io::Result<Finished> {
        let mut output = tempfile::tempfile()?;
        let start = Instant::now();
        let mut command = Command::new(&self.program);
        command.args(["-n", &ranks.to_string()]);
        if self.is_open_mpi {
            // Tests share the machine with each other's ranks: more ranks than cores, bound to none.
            command.args(["--oversubscribe", "--bind-to", "none"]);
            command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        }
        command.arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        let status = wait(&mut command.spawn()?, &mut output)?;
        output.rewind()?;
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes)?;
        Ok(Finished {
            code: status.code(),
            seconds: start.elapsed().as_secs_f64(),
            output: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// Runs this program with other arguments as `ranks` ranks.
    pub fn run_self(&self, ranks: usize, arguments: &[&str]) -> io::Result<Finished> {
        self.run(ranks, &env::current_exe()?, arguments)
    }
}

/// Waits for the launcher, at the deadline first asks it to end its job and then kills it.
fn wait(child: &mut Child, output: &mut File) -> io::Result<ExitStatus> {
    let start = Instant::now();
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !asked && start.elapsed() > DEADLINE {
            asked = true;
            io::Write::write_all(output, format!("\n[ended after {DEADLINE:?}]\n").as_bytes())?;
            // SAFETY: plain system call; the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
        }
        if start.elapsed() > DEADLINE + GRACE {
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
