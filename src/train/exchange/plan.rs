//! Which tensors travel as ternaries and which as float32, and with which others each travels.

use std::collections::HashSet;

use super::bucket::{Bucket, Tensor};
use ternflock_base::error::{Error, Result};
use ternflock_job::{self as job, suggest};
use ternflock_nn::{Graph, Parameter};

/// The word in `exchange.keep_float` that stands for the network's output layer.
const LOGITS: &str = "logits";

/// The buckets of a network's gradients in the order a backward pass finishes them, with the layer that each begins at.
///
/// A bucket is full at `bucket_elements`: what the last layers leave is sent while earlier ones still compute, yet not
/// in so small pieces that latency counts more than bytes.
pub(super) fn buckets(
    job: &job::Exchange,
    graph: &Graph,
    table: &[Parameter],
    world: usize,
) -> Result<Vec<(usize, Bucket)>> {
    let groups = groups(job, graph, table)?.into_iter();
    let bucket = |Group { layer, members, tensors }: Group| {
        (layer, Bucket::new(name(members), tensors, job.error_feedback, world))
    };
    Ok(groups.map(bucket).collect())
}

/// Numbers that error feedback keeps on a rank: asked before they are made.
pub fn residual_elements(job: &job::Exchange, graph: &Graph, table: &[Parameter]) -> Result<usize> {
    let groups = groups(job, graph, table)?;
    let elements = groups.iter().map(|group| Bucket::residual_elements(job.error_feedback, &group.tensors));
    Ok(elements.sum())
}

/// What becomes a bucket.
struct Group<'a> {
    /// The layer it begins at.
    layer: usize,
    members: &'a [Parameter],
    tensors: Vec<Tensor>,
}

fn groups<'a>(job: &job::Exchange, graph: &Graph, table: &'a [Parameter]) -> Result<Vec<Group<'a>>> {
    let kept: HashSet<usize> = kept_layers(&job.keep_float, graph)?.into_iter().collect();
    let is_float = |parameter: &Parameter| {
        job.gradients == job::Gradients::Float32
            || parameter.range.len() < job.min_elements
            || kept.contains(&parameter.layer)
    };
    let (mut groups, mut end) = (Vec::<Group>::new(), table.len());
    for layer in (0..graph.layers().len()).rev() {
        let first = table.partition_point(|parameter| parameter.layer < layer);
        let members = &table[first..end];
        let elements: usize = members.iter().map(|parameter| parameter.range.len()).sum();
        if layer > 0 && elements < job.bucket_elements.max(1) {
            continue;
        }
        // Layers before the first parameter need no bucket of their own.
        if let Some(later) = groups.last_mut().filter(|_| members.is_empty()) {
            later.layer = layer;
            continue;
        }
        let start = members.first().map_or(0, |parameter| parameter.range.start);
        let tensors = members.iter().enumerate().map(|(index, parameter)| Tensor {
            number: (first + index) as u16,
            range: parameter.range.start - start..parameter.range.end - start,
            is_float: is_float(parameter),
        });
        groups.push(Group { layer, members, tensors: tensors.collect() });
        end = first;
    }
    Ok(groups)
}

/// "conv1/weight", or "conv1/weight to ip1/bias".
fn name(members: &[Parameter]) -> String {
    match members {
        [] => String::new(),
        [only] => only.name.clone(),
        [first, .., last] => format!("{} to {}", first.name, last.name),
    }
}

/// The numbers of the layers that `names` keep in float32.
pub fn kept_layers(names: &[String], graph: &Graph) -> Result<Vec<usize>> {
    let logits = graph.logits_layer()?;
    let refuse = |name: &String| {
        let known: Vec<&str> = graph.layers().iter().map(|node| node.name.as_str()).chain([LOGITS]).collect();
        let advice = suggest(name, &known);
        Error::Usage(format!("exchange.keep_float: no layer is called `{name}`; {advice}"))
    };
    let number = |name: &String| {
        let layer = if name == LOGITS { logits } else { Some(name.as_str()) };
        layer.and_then(|layer| graph.find(layer)).ok_or_else(|| refuse(name))
    };
    let mut kept = names.iter().map(number).collect::<Result<Vec<_>>>()?;
    // A weight that is shared is its owner's.
    let owners: Vec<_> = kept.iter().filter_map(|&layer| graph.tied(layer)).collect();
    kept.extend(owners);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_models::preset;
    use ternflock_nn::Shape;

    #[test]
    fn a_weight_that_the_logits_share_is_kept_too() {
        let input = Shape::Tokens { steps: 2, vocabulary: 50 };
        let graph = preset("rhn", input, 50).unwrap();
        let kept = kept_layers(&[LOGITS.into()], &graph).unwrap();
        let names: Vec<_> = kept.iter().map(|&layer| graph.layers()[layer].name.as_str()).collect();
        assert_eq!(names, ["logits", "embedding"]);
    }
}
