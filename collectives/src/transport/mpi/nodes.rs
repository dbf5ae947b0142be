//! Which ranks share memory.

use mpi::collective::CommunicatorCollectives;
use mpi::collective::Root;
use mpi::topology::{Communicator, SimpleCommunicator};

/// The node of each rank of `communicator`, by rank, numbered in the order of first appearance. Collective.
pub(super) fn of(communicator: &SimpleCommunicator) -> Vec<usize> {
    let rank = communicator.rank();
    let node = communicator.split_shared(rank);
    // A node goes by the lowest of its ranks.
    let mut first = rank;
    node.process_at_rank(0).broadcast_into(&mut first);
    let mut firsts = vec![0; communicator.size() as usize];
    communicator.all_gather_into(&first, &mut firsts);
    number(&firsts)
}

/// `names` with each replaced by its place among the different ones.
fn number(names: &[i32]) -> Vec<usize> {
    let mut known = Vec::new();
    let mut number = |name| {
        known.iter().position(|other| *other == name).unwrap_or_else(|| {
            known.push(name);
            known.len() - 1
        })
    };
    names.iter().map(|name| number(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn nodes_are_numbered_as_they_appear() {
        assert_eq!(number(&[0, 1, 1, 0, 4, 1]), [0, 1, 1, 0, 2, 1]);
        assert_eq!(number(&[]), []);
    }
}
