//! Finds out from the environment of this process which launcher started it.

/// Variables in which launchers tell a process the number of ranks, and the launchers that set them.
const SIZES: [(&str, &str); 4] = [
    ("OMPI_COMM_WORLD_SIZE", "mpirun of Open MPI"),
    ("PMI_SIZE", "mpiexec of MPICH or Intel MPI, or srun --mpi=pmi2"),
    ("MV2_COMM_WORLD_SIZE", "mpirun of MVAPICH"),
    ("SLURM_STEP_NUM_TASKS", "srun"),
];

/// Variables that show that MPI can find the other ranks.
const MEETING_POINTS: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK"];

/// Variables in which launchers tell a process its rank.
const RANKS: [&str; 5] =
    ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID"];

/// The launcher according to the environment.
#[derive(Debug, PartialEq)]
pub enum Launch {
    /// No launcher: a single process.
    Alone,
    /// MPI must be started; if the launcher's own count is known, its world must be as large.
    Mpi(Option<(usize, &'static str)>),
    /// Several processes that cannot find each other.
    Lost(usize),
}

/// The launcher according to the `variable`s of the environment.
pub fn recognise(variable: impl Fn(&str) -> Option<String>) -> Launch {
    let count = |name: &str| variable(name)?.parse::<usize>().ok();
    let claimed = SIZES.iter().find_map(|(name, launcher)| Some((count(name)?, *launcher)));
    let can_meet = MEETING_POINTS.iter().any(|name| variable(name).is_some());
    match claimed {
        _ if can_meet => Launch::Mpi(claimed),
        Some((ranks, _)) if ranks > 1 => Launch::Lost(ranks),
        _ => Launch::Alone,
    }
}

/// Whether the launcher is that of MPICH or of one of its descendants: only these use PMI with their ranks.
pub fn is_started_by_hydra() -> bool {
    std::env::var_os("PMI_RANK").is_some()
}

/// The name of this process in messages before MPI has assigned its rank, from the `variable`s of the environment.
pub fn who(variable: impl Fn(&str) -> Option<String>, host: &str) -> String {
    let size = SIZES.iter().find_map(|(name, _)| variable(name)?.parse::<usize>().ok());
    match (rank(&variable), size) {
        (Some(rank), Some(size)) => format!("rank {rank} of {size} on {host}"),
        (Some(rank), None) => format!("rank {rank} on {host}"),
        (None, _) => format!("process {} on {host}", std::process::id()),
    }
}

fn rank(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    RANKS.iter().find_map(|name| variable(name)?.parse().ok())
}

/// Whether this process is not the first of its job, according to the launcher's environment. It then leaves
/// messages that are the same on all ranks to rank 0.
pub fn is_not_first() -> bool {
    rank(|name| std::env::var(name).ok()).is_some_and(|rank| rank > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Launch {
        recognise(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn a_process_is_named_by_its_rank_where_the_launcher_tells_it() {
        let who = |variables: &[(&str, &str)]| {
            who(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()), "n2")
        };
        assert_eq!(who(&[("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "4")]), "rank 3 of 4 on n2");
        assert_eq!(who(&[("PMIX_RANK", "1"), ("SLURM_STEP_NUM_TASKS", "2")]), "rank 1 of 2 on n2");
        assert_eq!(who(&[("SLURM_PROCID", "1")]), "rank 1 on n2");
        assert_eq!(who(&[]), format!("process {} on n2", std::process::id()));
    }

    #[test]
    fn launchers_are_recognised() {
        assert_eq!(with(&[]), Launch::Alone);
        let open_mpi = with(&[("OMPI_COMM_WORLD_SIZE", "4"), ("PMIX_RANK", "1")]);
        assert_eq!(open_mpi, Launch::Mpi(Some((4, "mpirun of Open MPI"))));
        assert!(matches!(with(&[("PMI_RANK", "0"), ("PMI_SIZE", "2")]), Launch::Mpi(Some((2, _)))));
        assert!(matches!(
            with(&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "3")]),
            Launch::Mpi(Some((3, "srun")))
        ));
        // A batch script, or a step of one task.
        assert_eq!(with(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]), Launch::Alone);
        assert_eq!(with(&[("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")]), Launch::Alone);
        assert_eq!(with(&[("SLURM_PROCID", "2"), ("SLURM_STEP_NUM_TASKS", "4")]), Launch::Lost(4));
    }
}
