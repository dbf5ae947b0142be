//! Refuses allocations that do not fit into the free memory.

use ternflock_base::available::Available;
use ternflock_base::error::{Error, Result};

/// Refuses `needed` bytes in each of `ranks` processes of this node, and `once` in one of them, if more is needed than is
/// free.
pub fn check_bytes(
    available: Available,
    what: &str,
    needed: u128,
    (ranks, once): (usize, u128),
    remedy: &str,
) -> Result<()> {
    let gigabytes = |bytes: u128| format!("{:.1} GB", bytes as f64 / 1e9);
    let all = needed.saturating_mul(ranks as u128).saturating_add(once);
    let largest = needed.saturating_add(once);
    let (together, free) = match available {
        Available { process: Some(left), .. } if largest > left => {
            let limit = "are left of the memory limit of a process (ulimit -v, ulimit -d)";
            let with =
                if once > 0 { format!(", with a checkpoint {}", gigabytes(largest)) } else { String::new() };
            (with, format!("{} {limit}", gigabytes(left)))
        }
        Available { node: Some(free), .. } if all > free => {
            let with = if once > 0 { " with a checkpoint" } else { "" };
            let together = match (ranks, once) {
                (1, 0) => String::new(),
                (1, _) => format!(",{with} {}", gigabytes(all)),
                _ => format!(", the {ranks} ranks of this node{with} {} together", gigabytes(all)),
            };
            (together, format!("{} are free", gigabytes(free)))
        }
        _ => return Ok(()),
    };
    let message = format!("{what} {} of memory{together}, but {free}; {remedy}", gigabytes(needed));
    Err(Error::Shape { layer: "network".into(), operation: "graph".into(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of a process is not shared with the other ranks; the memory of the node is.
    #[test]
    fn a_limit_of_each_process_and_one_of_the_node_count() {
        let refused = |node, process, ranks, once| {
            let check = check_bytes(
                Available { node, process },
                "it needs",
                1_000_000_000,
                (ranks, once),
                "shrink it",
            );
            check.err().map(|error| error.to_string())
        };
        for accepted in
            [(None, None), (Some(4_000_000_000), None), (Some(4_000_000_000), Some(1_000_000_000))]
        {
            assert_eq!(refused(accepted.0, accepted.1, 4, 0), None);
        }
        let message = refused(Some(3_900_000_000), Some(2_000_000_000), 4, 0).unwrap();
        let words = "it needs 1.0 GB of memory, the 4 ranks of this node 4.0 GB together, but 3.9 GB are free; shrink it";
        assert!(message.ends_with(words), "{message}");
        let message = refused(Some(9_000_000_000), Some(500_000_000), 4, 0).unwrap();
        assert!(message.contains("1.0 GB of memory, but 0.5 GB are left of the memory limit"), "{message}");
        // One of them needs 0.3 GB more.
        assert_eq!(refused(Some(4_300_000_000), Some(1_300_000_000), 4, 300_000_000), None);
        let message = refused(Some(4_200_000_000), None, 4, 300_000_000).unwrap();
        assert!(
            message.contains("ranks of this node with a checkpoint 4.3 GB together, but 4.2 GB"),
            "{message}"
        );
        let message = refused(Some(1_200_000_000), None, 1, 300_000_000).unwrap();
        assert!(
            message.contains("1.0 GB of memory, with a checkpoint 1.3 GB, but 1.2 GB are free"),
            "{message}"
        );
        let message = refused(None, Some(1_200_000_000), 4, 300_000_000).unwrap();
        assert!(
            message.contains("1.0 GB of memory, with a checkpoint 1.3 GB, but 1.2 GB are left"),
            "{message}"
        );
    }
}
