//! Refuses allocations that do not fit into the free memory.

use ternflock_base::available::Available;
use ternflock_base::error::{Error, Result};

/// Refuses `needed` bytes in each of `ranks` processes of this node if more is needed than is free.
pub fn check_bytes(available: Available, what: &str, needed: u128, ranks: usize, remedy: &str) -> Result<()> {
    let gigabytes = |bytes: u128| format!("{:.1} GB", bytes as f64 / 1e9);
    let all = needed.saturating_mul(ranks as u128);
    let (together, free) = match available {
        Available { process: Some(left), .. } if needed > left => {
            let limit = "are left of the memory limit of a process (ulimit -v, ulimit -d)";
            (String::new(), format!("{} {limit}", gigabytes(left)))
        }
        Available { node: Some(free), .. } if all > free => {
            let together = match ranks {
                1 => String::new(),
                _ => format!(", the {ranks} ranks of this node {} together", gigabytes(all)),
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
        let refused = |node, process, ranks| {
            let check =
                check_bytes(Available { node, process }, "it needs", 1_000_000_000, ranks, "shrink it");
            check.err().map(|error| error.to_string())
        };
        for accepted in
            [(None, None), (Some(4_000_000_000), None), (Some(4_000_000_000), Some(1_000_000_000))]
        {
            assert_eq!(refused(accepted.0, accepted.1, 4), None);
        }
        let message = refused(Some(3_900_000_000), Some(2_000_000_000), 4).unwrap();
        let words = "it needs 1.0 GB of memory, the 4 ranks of this node 4.0 GB together, but 3.9 GB are free; shrink it";
        assert!(message.ends_with(words), "{message}");
        let message = refused(Some(9_000_000_000), Some(500_000_000), 4).unwrap();
        assert!(message.contains("1.0 GB of memory, but 0.5 GB are left of the memory limit"), "{message}");
    }
}
