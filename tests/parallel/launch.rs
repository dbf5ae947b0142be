//! Running a command line under `mpirun`.

use std::env;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::running::{Finished, Running};

const INSTALL: &str = "install Open MPI (Debian: apt-get install openmpi-bin libopenmpi-dev) or another MPI, \
                       or set MPIRUN to its launcher";

/// Whether a launcher started this process as a rank of a job.
pub fn is_rank() -> bool {
    ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"].iter().any(|name| env::var_os(name).is_some())
}

/// The variables that Open MPI requires from root.
pub const ENVIRONMENT: [(&str, &str); 2] =
    [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];

/// The `mpirun` of this machine: `$MPIRUN`, or the one on the path.
pub struct Launcher {
    program: String,
    is_open_mpi: bool,
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

    /// Starts `program arguments...` as `ranks` ranks.
    pub fn start(&self, ranks: usize, program: &Path, arguments: &[&str]) -> io::Result<Running> {
        let words = self.command(&ranks.to_string());
        let mut words = words.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).envs(ENVIRONMENT).arg(program).args(arguments);
        Running::start(command)
    }

    /// The words that start `ranks` ranks of the command that follows them, in [`ENVIRONMENT`].
    pub fn command(&self, ranks: &str) -> String {
        // Tests share the machine with the ranks of other tests: there are more ranks than cores, and none is
        // bound to a core.
        let more = if self.is_open_mpi { " --oversubscribe --bind-to none" } else { "" };
        format!("{} -n {ranks}{more}", self.program)
    }

    /// Runs this program with other arguments as `ranks` ranks.
    pub fn run_self(&self, ranks: usize, arguments: &[&str]) -> io::Result<Finished> {
        self.start(ranks, &env::current_exe()?, arguments)?.finish()
    }
}
