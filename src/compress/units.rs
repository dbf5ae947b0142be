//! The units of a network, joined if they belong together: a filter, its bias, its batch norm and the channel
//! that later layers read; or a hidden unit with all its gates, its recurrent column and the weights that
//! read it.
//!
//! This module does not know the types of layers; everything follows from their declarations ([`Coupling`]).
//! The units of each layer's output are nodes. Nodes are joined if layers compute them from the same unit or
//! add them to each other.

use ternflock_base::error::Result;
use ternflock_nn::coupling::{Axis, Coupling, Units};
use ternflock_nn::layer::{ParameterSpec, TensorRole, WEIGHT};
use ternflock_nn::parameters::{find, numbers_of};
use ternflock_nn::{Graph, Parameter};

/// All units of a network that can only be removed together, numbered from 0.
pub struct CoupledUnits {
    /// The number, by source (0 is the network's input, i + 1 the output of layer i) and place in it.
    pub of_source: Vec<Vec<usize>>,
    /// The axes of the parameters that count units, in the order of their table. A tied weight appears once
    /// per layer that has it.
    pub parameters: Vec<UnitAxis>,
    /// The same for tensors that are not trained.
    pub statistics: Vec<UnitAxis>,
    /// By number: the reason why it cannot be removed, if there is one.
    pub pinned: Vec<Option<&'static str>>,
    /// By number: whether it is zero if all weights that produce it are.
    pub zero_stays_zero: Vec<bool>,
}

/// An axis of a tensor that counts units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitAxis {
    /// The tensor's place in its table.
    pub tensor: usize,
    /// The number of the axis.
    pub axis: usize,
    /// The layer that declares this; for a tied weight, not the layer that owns it.
    pub layer: usize,
    /// The role of the tensor's slices for the units.
    pub role: Role,
    /// The number of the unit by place along the axis.
    pub units: Vec<usize>,
}

/// The role of a slice of a tensor for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It produces the unit.
    Makes,
    /// It reads the unit.
    Reads,
}

impl CoupledUnits {
    /// The units of `graph`, whose tensors are listed in `parameters` and `statistics`.
    ///
    /// # Errors
    /// Those of [`Graph::coupling`].
    pub fn new(graph: &Graph, parameters: &[Parameter], statistics: &[Parameter]) -> Result<CoupledUnits> {
        let couplings = (0..graph.layers().len()).map(|index| graph.coupling(index));
        let couplings = couplings.collect::<Result<Vec<_>>>()?;
        let of_source = join(graph, parameters, &couplings);
        let count = of_source.iter().flatten().max().map_or(0, |&last| last + 1);
        let mut all = CoupledUnits {
            pinned: vec![None; count],
            zero_stays_zero: vec![true; count],
            of_source,
            parameters: Vec::new(),
            statistics: Vec::new(),
        };
        all.pin(0, "it is the network's input");
        all.pin(graph.layers().len(), "it is the network's output");
        for (layer, coupling) in couplings.iter().enumerate() {
            all.declare(graph, layer, coupling, [parameters, statistics])?;
        }
        for layer in 0..couplings.len() {
            all.pin_what_shares(graph, parameters, layer);
        }
        Ok(all)
    }

    /// The number of units.
    pub fn count(&self) -> usize {
        self.pinned.len()
    }

    fn pin(&mut self, source: usize, why: &'static str) {
        for &unit in &self.of_source[source] {
            self.pinned[unit] = self.pinned[unit].or(Some(why));
        }
    }

    /// The rows of a weight that is shared with a layer other than an embedding are units of two layers, and
    /// so are its columns. The units that it produces and reads cannot be removed.
    fn pin_what_shares(&mut self, graph: &Graph, table: &[Parameter], layer: usize) {
        let Some(owner) = graph.tied(layer).filter(|&owner| !shares_a_table(table, owner)) else { return };
        for sharer in [owner, layer] {
            for source in graph.sources(sharer).iter().copied().chain([sharer + 1]) {
                self.pin(source, "its weight is shared by two layers");
            }
        }
    }

    fn declare(
        &mut self,
        graph: &Graph,
        layer: usize,
        coupling: &Coupling,
        tables: [&[Parameter]; 2],
    ) -> Result<()> {
        if let Some(why) = coupling.keeps_output {
            self.pin(layer + 1, why);
        }
        for &source in graph.sources(layer) {
            if let Some(why) = coupling.keeps_inputs {
                self.pin(source, why);
            }
        }
        if !coupling.zero_stays_zero {
            for &unit in &self.of_source[layer + 1] {
                self.zero_stays_zero[unit] = false;
            }
        }
        let [parameters, statistics] = tables;
        let own = |table: &'_ [Parameter]| {
            let axes =
                numbers_of(table, layer).map(|tensor| self.axes(graph, layer, tensor, &table[tensor].spec));
            axes.collect::<Vec<_>>().concat()
        };
        let mut all = own(parameters);
        let statistics = own(statistics);
        if let (Some(owner), Some(spec)) = (graph.tied(layer), graph.tied_spec(layer)?)
            && let Some((tensor, _)) = find(parameters, owner, WEIGHT)
        {
            all.extend(self.axes(graph, layer, tensor, &spec));
        }
        self.parameters.extend(all);
        self.statistics.extend(statistics);
        Ok(())
    }

    /// The axes that count units in tensor number `tensor`, which `layer` declares as `spec`.
    fn axes(&self, graph: &Graph, layer: usize, tensor: usize, spec: &ParameterSpec) -> Vec<UnitAxis> {
        let unit_axis = |(axis, counts): (usize, &Axis)| {
            let (role, units) = self.counted(graph, layer, counts)?;
            Some(UnitAxis { tensor, axis, layer, role, units })
        };
        spec.axes.iter().enumerate().filter_map(unit_axis).collect()
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

/// Whether the weight that other layers share with layer `owner` is a table of rows whose columns are the
/// layer's units.
fn shares_a_table(table: &[Parameter], owner: usize) -> bool {
    find(table, owner, WEIGHT).is_some_and(|(_, weight)| weight.spec.role == TensorRole::Table)
}

/// The numbers of the units by source and place.
fn join(graph: &Graph, table: &[Parameter], couplings: &[Coupling]) -> Vec<Vec<usize>> {
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
        // The number of units of earlier inputs.
        let mut beside = 0;
        for &source in graph.sources(layer) {
            let (input, output) = (firsts[source], firsts[layer + 1]);
            for unit in 0..graph.shape(source).units() {
                match coupling.units {
                    Units::Own => (),
                    Units::Inputs | Units::Sum => sets.join(input + unit, output + unit),
                    Units::SideBySide => sets.join(input + unit, output + beside + unit),
                    Units::Within(first) => sets.join(input + unit, output + first + unit),
                    Units::Spread(times) => {
                        (0..times).for_each(|at| sets.join(input + unit, output + unit * times + at));
                    }
                }
            }
            beside += graph.shape(source).units();
        }
        // The columns of an embedding's weight are its units, and also the units that a tied layer reads.
        if let Some(owner) = graph.tied(layer).filter(|&owner| shares_a_table(table, owner)) {
            let read = graph.sources(layer)[0];
            (0..graph.shape(read).units())
                .for_each(|unit| sets.join(firsts[read] + unit, firsts[owner + 1] + unit));
        }
    }
    let numbers = sets.numbers();
    let units = |source: usize| numbers[firsts[source]..][..graph.shape(source).units()].to_vec();
    (0..sources).map(units).collect()
}

/// Disjoint sets (Galler and Fischer, 1964), each represented by its smallest member.
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

    /// The number of the set of each member. Sets are numbered in the order of their first members.
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
