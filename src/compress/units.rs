//! The units of a network, joined where they are one: a filter, its bias, its batch norm and the channel that later layers
//! read of it; a hidden unit with all its gates, the column that reads it back, and what consumes it.
//!
//! Nothing here knows a kind of layer: all follows from what each declares ([`Coupling`]). The units of every layer's output
//! are nodes, and those that layers make of the same unit, or add to one another, are joined.

use ternflock_base::error::Result;
use ternflock_nn::coupling::{Axis, Coupling, Units};
use ternflock_nn::parameters::numbers_of;
use ternflock_nn::{Graph, LayerSpec, Parameter};

/// All units of a network that can only be removed together, numbered from 0.
pub struct CoupledUnits {
    /// By source (0 is the network's input, i + 1 the output of layer i) and place in it: the number.
    pub of_source: Vec<Vec<usize>>,
    /// What counts units among the axes of the parameters, in the order of their table. A tied weight comes once for each
    /// layer that has it.
    pub parameters: Vec<UnitAxis>,
    /// The same of the tensors that are not trained.
    pub statistics: Vec<UnitAxis>,
    /// By number: why it cannot be removed, if it cannot.
    pub kept: Vec<Option<&'static str>>,
    /// By number: whether it is zero when all that makes it is.
    pub zero_stays_zero: Vec<bool>,
}

/// An axis of a tensor that counts units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitAxis {
    /// The tensor's place in its table.
    pub tensor: usize,
    /// Which of its axes.
    pub axis: usize,
    /// The layer that says so: another than the tensor's own where that is tied.
    pub layer: usize,
    /// What the tensor's slices do with the units.
    pub role: Role,
    /// The number of the unit by place along the axis.
    pub units: Vec<usize>,
}

/// What a slice of a tensor is to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It makes the unit.
    Makes,
    /// It reads the unit.
    Reads,
}

impl CoupledUnits {
    /// Of `graph`, whose tensors stand in `parameters` and `statistics`.
    ///
    /// # Errors
    /// Those of [`Graph::coupling`].
    pub fn new(graph: &Graph, parameters: &[Parameter], statistics: &[Parameter]) -> Result<CoupledUnits> {
        let couplings = (0..graph.layers().len()).map(|index| graph.coupling(index));
        let couplings = couplings.collect::<Result<Vec<_>>>()?;
        let of_source = join(graph, &couplings);
        let count = of_source.iter().flatten().max().map_or(0, |&last| last + 1);
        let mut all = CoupledUnits {
            kept: vec![None; count],
            zero_stays_zero: vec![true; count],
            of_source,
            parameters: Vec::new(),
            statistics: Vec::new(),
        };
        all.keep(0, "it is the network's input");
        all.keep(graph.layers().len(), "it is the network's output");
        for (layer, coupling) in couplings.iter().enumerate() {
            all.declare(graph, layer, coupling, [parameters, statistics]);
        }
        for layer in 0..couplings.len() {
            all.keep_what_shares(graph, layer);
        }
        Ok(all)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.kept.len()
    }

    fn keep(&mut self, source: usize, why: &'static str) {
        for &unit in &self.of_source[source] {
            self.kept[unit] = self.kept[unit].or(Some(why));
        }
    }

    /// A weight that is shared with another layer than an embedding has rows that are units of two layers, and columns too:
    /// what it makes and reads stays.
    fn keep_what_shares(&mut self, graph: &Graph, layer: usize) {
        let Some(owner) = graph.tied(layer).filter(|&owner| !is_embedding(graph, owner)) else { return };
        for sharer in [owner, layer] {
            for source in graph.sources(sharer).iter().copied().chain([sharer + 1]) {
                self.keep(source, "its weight is shared by two layers");
            }
        }
    }

    fn declare(&mut self, graph: &Graph, layer: usize, coupling: &Coupling, tables: [&[Parameter]; 2]) {
        if let Some(why) = coupling.keeps_output {
            self.keep(layer + 1, why);
        }
        for &source in graph.sources(layer) {
            if let Some(why) = coupling.keeps_inputs {
                self.keep(source, why);
            }
        }
        if !coupling.zero_stays_zero {
            for &unit in &self.of_source[layer + 1] {
                self.zero_stays_zero[unit] = false;
            }
        }
        let own = |table: &[Parameter]| -> Vec<usize> { numbers_of(table, layer).collect() };
        let mut tensors = own(tables[0]);
        // A layer's weight is its first tensor.
        tensors.extend(graph.tied(layer).and_then(|owner| numbers_of(tables[0], owner).next()));
        let axes = |tensors: Vec<usize>, declared: &[Vec<Axis>]| -> Vec<UnitAxis> {
            let all = tensors.into_iter().zip(declared);
            all.flat_map(|(tensor, axes)| {
                axes.iter().enumerate().map(move |(axis, counts)| (tensor, axis, counts))
            })
            .filter_map(|(tensor, axis, counts)| {
                let (role, units) = self.counted(graph, layer, counts)?;
                Some(UnitAxis { tensor, axis, layer, role, units })
            })
            .collect()
        };
        let (parameters, statistics) =
            (axes(tensors, &coupling.parameters), axes(own(tables[1]), &coupling.statistics));
        self.parameters.extend(parameters);
        self.statistics.extend(statistics);
    }

    /// The units that an axis of a tensor of `layer` counts.
    fn counted(&self, graph: &Graph, layer: usize, axis: &Axis) -> Option<(Role, Vec<usize>)> {
        let (input, output) = (&self.of_source[graph.sources(layer)[0]], &self.of_source[layer + 1]);
        match axis {
            Axis::Free => None,
            Axis::Makes(times) => Some((Role::Makes, output.repeat(*times))),
            Axis::ReadsOwn => Some((Role::Reads, output.clone())),
            Axis::Reads => Some((Role::Reads, input.clone())),
            Axis::ReadsAt(places) => Some((Role::Reads, places.iter().map(|&unit| input[unit]).collect())),
        }
    }
}

fn is_embedding(graph: &Graph, layer: usize) -> bool {
    matches!(graph.layers()[layer].layer, LayerSpec::Embedding(_))
}

/// The numbers of the units by source and place.
fn join(graph: &Graph, couplings: &[Coupling]) -> Vec<Vec<usize>> {
    let sources = graph.layers().len() + 1;
    let firsts: Vec<usize> = (0..sources)
        .scan(0, |end, source| {
            let first = *end;
            *end += graph.shape(source).units();
            Some(first)
        })
        .collect();
    let total = firsts[sources - 1] + graph.shape(sources - 1).units();
    let mut sets = Sets::new(total);
    for (layer, coupling) in couplings.iter().enumerate() {
        // Units of the inputs before.
        let mut beside = 0;
        for &source in graph.sources(layer) {
            let (input, output) = (firsts[source], firsts[layer + 1]);
            for unit in 0..graph.shape(source).units() {
                match coupling.units {
                    Units::Own => (),
                    Units::Inputs => sets.join(input + unit, output + unit),
                    Units::SideBySide => sets.join(input + unit, output + beside + unit),
                    Units::Within(first) => sets.join(input + unit, output + first + unit),
                    Units::Spread(times) => {
                        (0..times).for_each(|at| sets.join(input + unit, output + unit * times + at));
                    }
                }
            }
            beside += graph.shape(source).units();
        }
        // The columns of an embedding's weight are its units, and those that a layer tied to it reads.
        if let Some(owner) = graph.tied(layer).filter(|&owner| is_embedding(graph, owner)) {
            let read = graph.sources(layer)[0];
            (0..graph.shape(read).units())
                .for_each(|unit| sets.join(firsts[read] + unit, firsts[owner + 1] + unit));
        }
    }
    let numbers = sets.numbers();
    let units = |source: usize| numbers[firsts[source]..][..graph.shape(source).units()].to_vec();
    (0..sources).map(units).collect()
}

/// Disjoint sets (Galler and Fischer, 1964), each known by its smallest member.
struct Sets(Vec<usize>);

impl Sets {
    fn new(members: usize) -> Sets {
        Sets((0..members).collect())
    }

    fn first(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }

    /// The number of each member's set: sets are numbered in the order of their first members.
    fn numbers(&mut self) -> Vec<usize> {
        let mut numbers: Vec<usize> = Vec::with_capacity(self.0.len());
        let mut next = 0;
        for member in 0..self.0.len() {
            let first = self.first(member);
            let number = if first == member { next } else { numbers[first] };
            next += usize::from(first == member);
            numbers.push(number);
        }
        numbers
    }
}
