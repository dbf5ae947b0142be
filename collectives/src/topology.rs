//! Which ranks share a node.

/// The node of each rank. Ranks of one node communicate through memory, others through a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// By rank, numbered in the order in which nodes first appear.
    node: Vec<usize>,
    /// The ranks, node after node, in rank order within each.
    order: Vec<usize>,
    /// Where the ranks of each node begin in `order`, and its end.
    starts: Vec<usize>,
}

impl Topology {
    /// A world whose rank `r` is on node `node_of_rank[r]`. The nodes may have any numbers; [`Topology::node_of`] numbers
    /// them in the order in which they first appear.
    pub fn new(mut node_of_rank: Vec<usize>) -> Self {
        let mut names = Vec::new();
        for node in &mut node_of_rank {
            let known = names.iter().position(|name| name == node);
            let number = known.unwrap_or(names.len());
            if known.is_none() {
                names.push(*node);
            }
            *node = number;
        }
        let node = node_of_rank;
        let mut order: Vec<usize> = (0..node.len()).collect();
        order.sort_by_key(|rank| node[*rank]);
        let starts = (0..=names.len()).map(|n| order.partition_point(|rank| node[*rank] < n)).collect();
        Topology { node, order, starts }
    }

    /// A world of `world` ranks, each on its own node.
    pub fn flat(world: usize) -> Self {
        Topology::new((0..world).collect())
    }

    /// A world of `world` ranks on one node.
    pub fn single(world: usize) -> Self {
        Topology::new(vec![0; world])
    }

    /// Number of ranks.
    pub fn world(&self) -> usize {
        self.node.len()
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// The node of `rank`, in `0..nodes()`.
    ///
    /// # Panics
    /// If there is no such rank.
    pub fn node_of(&self, rank: usize) -> usize {
        self.node[rank]
    }

    /// The ranks of `node`, ascending.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn members(&self, node: usize) -> &[usize] {
        &self.order[self.starts[node]..self.starts[node + 1]]
    }

    /// All ranks, node after node: neighbours in this order share a node wherever possible.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_as_they_appear_and_list_their_ranks() {
        let topology = Topology::new(vec![7, 3, 7, 7, 0, 3]);
        assert_eq!((topology.world(), topology.nodes()), (6, 3));
        assert_eq!([0, 1, 2].map(|node| topology.members(node)), [&[0, 2, 3][..], &[1, 5], &[4]]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|rank| topology.node_of(rank)), [0, 1, 0, 0, 2, 1]);
        assert_eq!(topology.order(), [0, 2, 3, 1, 5, 4]);
        assert_eq!(topology, Topology::new(vec![1, 2, 1, 1, 5, 2]));
    }

    #[test]
    fn flat_has_a_node_a_rank_and_single_has_one() {
        let (flat, single) = (Topology::flat(3), Topology::single(3));
        assert_eq!((flat.nodes(), single.nodes()), (3, 1));
        assert_eq!(flat.members(2), [2]);
        assert_eq!(single.members(0), [0, 1, 2]);
        assert_eq!((flat.order(), single.order()), (&[0, 1, 2][..], &[0, 1, 2][..]));
    }
}
