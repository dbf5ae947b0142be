//! Force Regularization: filters attract each other in direction, so that fewer directions are needed (W. Wen
//! et al., "Coordinating Filters for Faster Deep Neural Networks", ICCV 2017, section 3.2).
//!
//! Each other filter j of a layer exerts a force on filter i, W_i of d weights, along the difference of their
//! unit vectors w_i = W_i / |W_i|. The component of the sum along the filter itself is removed, so that only
//! the loss and weight decay change lengths. The rest is scaled by the length of the filter, so that long and
//! short filters rotate equally:
//!
//! ```text
//! f_ji = w_j - w_i  (l2)   or   (w_j - w_i) / |w_j - w_i|  (l1)
//! dW_i = |W_i| (f - (f . w_i) w_i),   f = sum over j of f_ji
//! g_i  = g_i - strength dW_i
//! ```
//!
//! With a negative strength, filters repel each other ("discrimination"). In a grouped convolution, forces
//! act within a group. As in the published code, a filter with a length of at most 1e-4 has no direction, so
//! no force acts on it or from it. With l1, there is also no force between filters whose directions differ by
//! at most 1e-4. Forces are summed over the other filters, not averaged.
//!
//! Every rank adds the force to the same averaged gradients, so the force must be the same to the bit on all
//! ranks. It therefore does not use BLAS, whose last bits depend on the number of threads and on the machine.
//! All sums here have a fixed order.

use std::collections::HashSet;

use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_job::{self as job, ForceKind};
use ternflock_nn::{Graph, Parameter, StructureKind};
use ternflock_tensor::within;

mod kernels;

/// Filters that attract each other: N rows of d weights from `start` on in the flat vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    start: usize,
    filters: usize,
    width: usize,
}

/// The forces of a network, with buffers for its largest layer.
#[derive(Clone, Debug)]
pub struct Force {
    kind: ForceKind,
    strength: f32,
    groups: Vec<Group>,
    /// w_i, `[N, d]`; zero for a filter without a direction.
    directions: Vec<f32>,
    /// |W_i|; zero for a filter without a direction.
    lengths: Vec<f32>,
    /// f, `[N, d]`.
    forces: Vec<f32>,
    /// The sum of all directions.
    sum: Vec<f32>,
}

impl Force {
    /// The forces that `job` sets for `graph`, whose parameters are laid out as in `table`; `None` if their
    /// strength is 0.
    ///
    /// # Errors
    /// If `job` names a layer without its own filters.
    pub fn new(job: &job::Force, graph: &Graph, table: &[Parameter]) -> Result<Option<Force>> {
        let groups = groups(job, graph, table)?;
        if job.strength == 0.0 {
            return Ok(None);
        }
        let most = |size: fn(&Group) -> usize| groups.iter().map(size).max().unwrap_or(0);
        Ok(Some(Force {
            kind: job.kind,
            strength: job.strength as f32,
            directions: vec![0.0; most(|group| group.filters * group.width)],
            lengths: vec![0.0; most(|group| group.filters)],
            forces: vec![0.0; most(|group| group.filters * group.width)],
            sum: vec![0.0; most(|group| group.width)],
            groups,
        }))
    }

    /// Adds the forces between the filters in `parameters` to the averaged `gradients`, before momentum. It
    /// allocates nothing, and its result depends neither on the number of threads nor on the machine.
    pub fn add(&mut self, parameters: &[f32], gradients: &mut [f32]) {
        within(|| self.add_here(parameters, gradients));
    }

    fn add_here(&mut self, parameters: &[f32], gradients: &mut [f32]) {
        for &Group { start, filters, width } in &self.groups {
            let range = start..start + filters * width;
            let directions = &mut self.directions[..range.len()];
            let (lengths, forces) = (&mut self.lengths[..filters], &mut self.forces[..range.len()]);
            kernels::directions(width, &parameters[range.clone()], directions, lengths);
            match self.kind {
                ForceKind::L1 => kernels::constant(width, directions, forces),
                ForceKind::L2 => {
                    kernels::linear(width, directions, lengths, &mut self.sum[..width], forces);
                }
            }
            kernels::add(width, -self.strength, directions, lengths, forces, &mut gradients[range]);
        }
    }
}

fn groups(job: &job::Force, graph: &Graph, table: &[Parameter]) -> Result<Vec<Group>> {
    let parts = |p: &Parameter| graph.layers()[p.layer].layer.parts();
    let is_made_of_filters = |p: &&Parameter| {
        let parts = parts(p);
        (parts.has(StructureKind::Filters) || parts.has(StructureKind::Neurons))
            && parts.matrix.is_some_and(|matrix| matrix.tensor == p.spec.name)
    };
    let candidates: Vec<&Parameter> = table.iter().filter(is_made_of_filters).collect();
    let name = |p: &Parameter| graph.layers()[p.layer].name.as_str();
    let names: Vec<&str> = candidates.iter().map(|p| name(p)).collect();
    let known: HashSet<&str> = names.iter().copied().collect();
    let layers = job.layers.as_ref().map(|layers| layers.iter().map(String::as_str).collect::<HashSet<_>>());
    if let Some(unknown) = job.layers.iter().flatten().find(|layer| !known.contains(layer.as_str())) {
        return Err(Error::Usage(format!(
            "force.layers: no convolution or linear layer with its own weight is called `{unknown}`; {}",
            suggest(unknown, &names)
        )));
    }
    let mut groups = Vec::new();
    for parameter in candidates {
        let parts = parts(parameter);
        let chosen = match &layers {
            None => parts.has(StructureKind::Filters),
            Some(layers) => layers.contains(name(parameter)),
        };
        let in_groups = parts.matrix.map_or(1, |matrix| matrix.groups);
        let filters = parameter.spec.shape[0] / in_groups;
        // There is no force on a single filter.
        if chosen && filters > 1 {
            let width = parameter.range.len() / parameter.spec.shape[0];
            let starts = parameter.range.clone().step_by(filters * width);
            groups.extend(starts.map(|start| Group { start, filters, width }));
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests;
