//! Decides which method averages which tensors, and which tensors are sent together.

use std::collections::HashSet;

use super::bucket::Bucket;
use super::choose_method::with_gradients;
use super::method::powersgd::{PowerSgd, largest_rank};
use super::method::{Method, Setup, Share, Tensor, float32::Float32, of, with_settings};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_job::{self as job, Gradients};
use ternflock_nn::layer::TensorRole;
use ternflock_nn::{Graph, Parameter};

/// The word in `exchange.keep_float`, `exchange.row_scales` and `exchange.low_rank` that stands for the network's output layer.
const LOGITS: &str = "logits";

/// The word in `exchange.row_scales` that stands for the tables of all embeddings.
const EMBEDDINGS: &str = "embeddings";

/// The buckets of a network's gradients in the order in which a backward pass finishes them, each with the
/// layer that it begins at.
///
/// A bucket is full at `bucket_elements`: the gradients of the last layers are sent while earlier layers are
/// still computing, but not in pieces so small that latency outweighs bandwidth.
pub(super) fn buckets(
    method: &'static dyn Method,
    job: &job::Exchange,
    graph: &Graph,
    table: &[Parameter],
    world: usize,
) -> Result<Vec<(usize, Bucket)>> {
    let groups = groups(method, job, graph, table)?.into_iter();
    Ok(groups.map(|group| (group.layer, Bucket::new(group, job, world))).collect())
}

/// Number of values that the methods will keep from step to step on a rank, known before they are created.
pub fn state_elements(
    job: &job::Exchange,
    graph: &Graph,
    table: &[Parameter],
    world: usize,
) -> Result<usize> {
    let elements = |group: &Group| {
        let setup = group.setup(job, world);
        let of = |(method, tensors): &(&dyn Method, Vec<Tensor>)| method.state_elements(tensors, &setup);
        group.parts.iter().map(of).sum::<usize>()
    };
    let of_method = |gradients| {
        let job = with_gradients(job, gradients);
        Ok(groups(of(gradients), &job, graph, table)?.iter().map(elements).sum())
    };
    match job.gradients {
        // Before the ranks have chosen, the most that any method needs.
        Gradients::Auto => {
            Gradients::all().map(of_method).try_fold(0, |most: usize, of: Result<usize>| Ok(most.max(of?)))
        }
        _ => Ok(groups(of(job.gradients), job, graph, table)?.iter().map(elements).sum()),
    }
}

/// Per bucket, the share of each of its methods.
pub fn shares(job: &job::Exchange, graph: &Graph, table: &[Parameter]) -> Result<Vec<Vec<Share>>> {
    let shares =
        |group: Group| group.parts.iter().map(|(method, tensors)| Share::new(*method, tensors)).collect();
    Ok(groups(of(job.gradients), job, graph, table)?.into_iter().map(shares).collect())
}

/// The plan of a bucket.
pub(super) struct Group<'a> {
    /// The layer it begins at.
    layer: usize,
    members: &'a [Parameter],
    /// Per method, without methods that have no tensors.
    pub parts: Vec<(&'static dyn Method, Vec<Tensor>)>,
}

impl Group<'_> {
    /// "conv1/weight", or "conv1/weight to ip1/bias".
    pub fn name(&self) -> String {
        match self.members {
            [] => String::new(),
            [only] => only.name.clone(),
            [first, .., last] => format!("{} to {}", first.name, last.name),
        }
    }

    /// The name of one of its tensors.
    pub fn name_of(&self, tensor: &Tensor) -> String {
        let start = self.members.first().map_or(0, |first| first.range.start);
        let found = self.members.iter().find(|member| member.range.start - start == tensor.range.start);
        found.map_or_else(String::new, |member| member.name.clone())
    }

    /// The settings that its payloads are built for.
    pub fn setup<'a>(&self, job: &'a job::Exchange, world: usize) -> Setup<'a> {
        let elements = self.members.iter().map(|parameter| parameter.range.len()).sum();
        Setup { job, bucket_elements: elements, world }
    }
}

/// By tensor of `table`: the method that averages its gradient if the job's method is `method`.
///
/// 1. float32 for small tensors and the layers of `exchange.keep_float`
/// 2. PowerSGD for matrices of the layers of `exchange.low_rank`
/// 3. `method` for all others
///
/// A method leaves tensors to the next of 2, 3 and float32 if it does not make them smaller.
pub fn assigned(
    method: &'static dyn Method,
    job: &job::Exchange,
    graph: &Graph,
    table: &[Parameter],
) -> Result<Vec<&'static dyn Method>> {
    let low_rank: HashSet<usize> = low_rank_layers(job, graph)?.into_iter().collect();
    let method = with_settings(method, job);
    let assign = |(parameter, candidate): (&Parameter, bool)| -> &'static dyn Method {
        let compresses = |method: &dyn Method| method.compresses(&parameter.spec.shape);
        let factors: &'static dyn Method = PowerSgd::of_rank(job.powersgd_rank);
        match candidate {
            true if low_rank.contains(&parameter.layer) && compresses(factors) => factors,
            true if compresses(method) => method,
            _ => &Float32,
        }
    };
    Ok(table.iter().zip(candidates(job, graph, table)?).map(assign).collect())
}

/// By tensor of `table`: whether `method`, with the settings of `job`, compresses its gradient. With a lossless method, none
/// is compressed.
pub fn compressed(
    method: &'static dyn Method,
    job: &job::Exchange,
    graph: &Graph,
    table: &[Parameter],
) -> Result<Vec<bool>> {
    let assigned = assigned(method, job, graph, table)?;
    Ok(assigned.into_iter().map(|of| !of.is_lossless() && of.same_kind(method)).collect())
}

/// By tensor of `table`: whether `job` lets its gradient be compressed.
fn candidates(job: &job::Exchange, graph: &Graph, table: &[Parameter]) -> Result<Vec<bool>> {
    let float32: HashSet<usize> = float32_layers(&job.keep_float, graph)?.into_iter().collect();
    let is_candidate = |parameter: &Parameter| {
        parameter.range.len() >= job.min_elements && !float32.contains(&parameter.layer)
    };
    Ok(table.iter().map(is_candidate).collect())
}

/// Refuses an `exchange.powersgd_rank` with which PowerSGD compresses no matrix of the network, or none of a layer of
/// `exchange.low_rank`.
///
/// # Errors
/// [`Error::Usage`] with the largest value that compresses one.
pub fn check_rank(job: &job::Exchange, graph: &Graph, table: &[Parameter]) -> Result<()> {
    let candidates = candidates(job, graph, table)?;
    let largest = |layer: Option<usize>| {
        let of = table.iter().zip(&candidates).filter(|(parameter, candidate)| {
            **candidate && layer.is_none_or(|layer| parameter.layer == layer)
        });
        of.map(|(parameter, _)| largest_rank(&parameter.spec.shape)).max().unwrap_or(0)
    };
    let refuse = |of: &str, largest: usize| {
        let advice = match largest {
            0 => "it has no matrix of at least exchange.min_elements elements".to_owned(),
            largest => {
                format!("its factors are no smaller than the matrices; use a value of at most {largest}")
            }
        };
        Err(Error::Usage(format!(
            "exchange.powersgd_rank = {} compresses no matrix of {of}: {advice}",
            job.powersgd_rank
        )))
    };
    let rank = job.powersgd_rank;
    if job.gradients == Gradients::PowerSgd {
        return match largest(None) {
            most if most > 0 && rank > most => refuse("this network", most),
            _ => Ok(()),
        };
    }
    // Without the owners of shared weights, which follow the names.
    for layer in named_layers("low_rank", &job.low_rank, graph)?.into_iter().take(job.low_rank.len()) {
        let most = largest(Some(layer)).max(graph.tied(layer).map_or(0, |owner| largest(Some(owner))));
        if rank > most {
            return refuse(&format!("the layer `{}`", graph.layers()[layer].name), most);
        }
    }
    Ok(())
}

fn groups<'a>(
    method: &'static dyn Method,
    job: &job::Exchange,
    graph: &Graph,
    table: &'a [Parameter],
) -> Result<Vec<Group<'a>>> {
    let assigned = assigned(method, job, graph, table)?;
    let scaled = has_row_scales(job, graph, table)?;
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
        let mut parts = by_method(method, &assigned[first..end]);
        for (index, (parameter, of)) in members.iter().zip(&assigned[first..end]).enumerate() {
            let Some((_, tensors)) = parts.iter_mut().find(|(method, _)| method == of) else { continue };
            tensors.push(Tensor {
                number: (first + index) as u16,
                range: parameter.range.start - start..parameter.range.end - start,
                shape: parameter.spec.shape.clone(),
                sparse_rows: has_sparse_rows(graph, parameter),
                row_scales: scaled[first + index],
            });
        }
        groups.push(Group { layer, members, parts });
        end = first;
    }
    Ok(groups)
}

/// Each of the methods in `assigned` once, without tensors: `first` before the others, and float32 after them.
fn by_method(
    first: &'static dyn Method,
    assigned: &[&'static dyn Method],
) -> Vec<(&'static dyn Method, Vec<Tensor>)> {
    let mut methods: Vec<(&'static dyn Method, Vec<Tensor>)> = Vec::new();
    for method in assigned {
        if methods.iter().all(|(known, _)| known != method) {
            methods.push((*method, Vec::new()));
        }
    }
    methods.sort_by_key(
        |(method, _)| if method.same_kind(first) { 0 } else { 1 + usize::from(method.is_lossless()) },
    );
    methods
}

/// Whether the gradient of `parameter` is zero except in the rows that a step's samples select. If another layer shares
/// the table, as tied logits do, every row has a gradient.
pub fn has_sparse_rows(graph: &Graph, parameter: &Parameter) -> bool {
    parameter.spec.role == TensorRole::Table && !graph.shares_weight(parameter.layer)
}

/// The numbers of the layers that `names` keep in float32.
pub fn float32_layers(names: &[String], graph: &Graph) -> Result<Vec<usize>> {
    named_layers("keep_float", names, graph)
}

/// The tensors of `table` whose large rows have scales of their own, by tensor: those of the layers in `exchange.row_scales`,
/// in which "embeddings" stands for all tables.
///
/// # Errors
/// [`Error::Usage`] for a layer that does not exist.
pub fn has_row_scales(job: &job::Exchange, graph: &Graph, table: &[Parameter]) -> Result<Vec<bool>> {
    let (all, names): (Vec<String>, Vec<String>) =
        job.row_scales.iter().cloned().partition(|name| name == EMBEDDINGS);
    let layers = named_layers("row_scales", &names, graph)?;
    let has = |parameter: &Parameter| {
        layers.contains(&parameter.layer) || !all.is_empty() && parameter.spec.role == TensorRole::Table
    };
    Ok(table.iter().map(has).collect())
}

/// The numbers of the layers that travel by PowerSGD whatever the method of the others is.
///
/// # Errors
/// [`Error::Usage`] for a layer that does not exist, and for one that is to stay float32.
pub fn low_rank_layers(job: &job::Exchange, graph: &Graph) -> Result<Vec<usize>> {
    let layers = named_layers("low_rank", &job.low_rank, graph)?;
    let float32 = float32_layers(&job.keep_float, graph)?;
    match layers.iter().find(|layer| float32.contains(layer)) {
        None => Ok(layers),
        Some(&both) => Err(Error::Usage(format!(
            "exchange.low_rank: the layer `{}` is also in exchange.keep_float, which keeps it in float32; remove it from one of the two",
            graph.layers()[both].name
        ))),
    }
}

/// The numbers of the layers that `names` in the list `exchange.key` stand for.
fn named_layers(key: &str, names: &[String], graph: &Graph) -> Result<Vec<usize>> {
    let logits = graph.logits_layer()?;
    let refuse = |name: &String| {
        let layers = graph.layers().iter().map(|node| node.name.as_str()).filter(|name| *name != LOGITS);
        let words = if key == "row_scales" { &[LOGITS, EMBEDDINGS][..] } else { &[LOGITS] };
        let known: Vec<&str> = layers.chain(words.iter().copied()).collect();
        let advice = suggest(name, &known);
        Error::Usage(format!("exchange.{key}: no layer is called `{name}`; {advice}"))
    };
    let number = |name: &String| {
        let layer = if name == LOGITS { logits } else { Some(name.as_str()) };
        layer.and_then(|layer| graph.find(layer)).ok_or_else(|| refuse(name))
    };
    let mut layers = names.iter().map(number).collect::<Result<Vec<_>>>()?;
    // A shared weight counts as its owner's.
    let owners: Vec<_> = layers.iter().filter_map(|&layer| graph.tied(layer)).collect();
    layers.extend(owners);
    Ok(layers)
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
        let kept = float32_layers(&[LOGITS.into()], &graph).unwrap();
        let names: Vec<_> = kept.iter().map(|&layer| graph.layers()[layer].name.as_str()).collect();
        assert_eq!(names, ["logits", "embedding"]);
    }

    #[test]
    fn row_scales_are_those_of_named_layers() {
        let graph = preset("lstm-small", Shape::Tokens { steps: 2, vocabulary: 50 }, 50).unwrap();
        let table = ternflock_nn::Parameters::new(&graph).unwrap().table;
        let names = |row_scales: &[&str]| {
            let row_scales = row_scales.iter().map(ToString::to_string).collect();
            let job = job::Exchange { row_scales, ..job::Exchange::default() };
            let has = has_row_scales(&job, &graph, &table)?;
            Ok(table.iter().zip(has).filter(|(_, has)| *has).map(|(p, _)| p.name.clone()).collect::<Vec<_>>())
        };
        let of = |row_scales: &[&str]| -> Result<Vec<String>> { names(row_scales) };
        let all = of(&["logits", "embeddings"]).unwrap();
        assert_eq!(all, ["embedding/weight", "logits/weight", "logits/bias"]);
        assert_eq!(of(&["embedding"]).unwrap(), ["embedding/weight"]);
        assert!(of(&[]).unwrap().is_empty());
        let refused = of(&["embeding"]).unwrap_err().to_string();
        assert!(refused.contains("exchange.row_scales: no layer is called `embeding`"), "{refused}");
    }
}
