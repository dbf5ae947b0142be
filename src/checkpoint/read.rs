//! Reads a snapshot from an HDF5 file (docs/checkpoint-format.md) after its header has been checked.

use std::cell::Cell;
use std::path::Path;

use super::container::{Attributes, Container, Group};
use super::snapshot::{Best, Data, Plateau, Progress, Slot, Snapshot, Stage, Tensor};
use super::write::{FORMAT, RECURRENT_STATE};
use super::{FORMAT_VERSION, Origin, header};
use ternflock_job::Gradients;

/// Reads the complete checkpoint at `path`.
pub(super) fn load(path: &Path) -> Result<Snapshot, String> {
    let reader = Reader::open(path)?;
    let optimizer = reader.group(&reader.root, "optimizer")?;
    let slot = |(name, address): &(String, u64)| {
        let tensors = reader.tensors(&reader.group_at(*address, name)?, name)?;
        Ok(Slot { name: name.clone(), tensors })
    };
    let snapshot = Snapshot {
        origin: reader.origin()?,
        network: reader.text("network")?,
        job: reader.text("job")?,
        parameters: reader.tensors(&reader.group(&reader.root, "parameters")?, "parameters")?,
        optimizer: optimizer.members()?.iter().map(slot).collect::<Result<_, String>>()?,
        recurrent_state: reader.recurrent_state()?,
        vocabulary: reader.vocabulary()?,
        preparation: reader.preparation()?,
        data: reader.data()?,
        progress: reader.progress()?,
    };
    snapshot.check()?;
    Ok(snapshot)
}

/// Refuses a file at `path` that does not hold `snapshot` to the bit. Reads one tensor at a time.
pub(super) fn compare<V: AsRef<[f32]>>(path: &Path, snapshot: &Snapshot<V>) -> Result<(), String> {
    let reader = Reader::open(path)?;
    let same = |same: bool, what: &str| if same { Ok(()) } else { Err(format!("its {what} differ")) };
    same(reader.origin()? == snapshot.origin, "version and date")?;
    same(reader.text("network")? == snapshot.network, "networks")?;
    same(reader.text("job")? == snapshot.job, "jobs")?;
    same(reader.progress()?.same_bits(&snapshot.progress), "progress attributes")?;
    let tensors = |section: &str, group: &Group, tensors: &[Tensor<V>]| {
        let mut expected = tensors.iter();
        reader.each_tensor(group, section, &mut |tensor| {
            let same_bits = expected.next().is_some_and(|expected| tensor.same_bits(expected));
            same(same_bits, &format!("values of `{section}/{}`", tensor.name))
        })?;
        same(expected.next().is_none(), &format!("tensor names of `{section}`"))
    };
    tensors("parameters", &reader.group(&reader.root, "parameters")?, &snapshot.parameters)?;
    match reader.root.member(RECURRENT_STATE).is_some() {
        true => {
            let group = reader.group(&reader.root, RECURRENT_STATE)?;
            tensors(RECURRENT_STATE, &group, &snapshot.recurrent_state)?
        }
        false => same(snapshot.recurrent_state.is_empty(), &format!("tensor names of `{RECURRENT_STATE}`"))?,
    }
    same(reader.vocabulary()? == snapshot.vocabulary, "vocabularies")?;
    same(reader.preparation()? == snapshot.preparation, "preparations of data")?;
    same(reader.data()? == snapshot.data, "facts about the data")?;
    let optimizer = reader.group(&reader.root, "optimizer")?;
    let slots = optimizer.members()?.iter().map(|(name, _)| name);
    same(slots.eq(snapshot.optimizer.iter().map(|slot| &slot.name)), "optimizer slots")?;
    snapshot
        .optimizer
        .iter()
        .try_for_each(|slot| tensors(&slot.name, &reader.group(&optimizer, &slot.name)?, &slot.tensors))
}

struct Reader {
    container: Container,
    root: Group,
    /// The number of bytes that tensor names may still take. Each name repeats the name of its layer.
    names: Cell<u64>,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, String> {
        let (file, length) = header::verify(path)?;
        let container = Container::open(file, header::SIZE as u64, length)?;
        let root = container.root().map_err(|reason| format!("its root group: {reason}"))?;
        let names = Cell::new(length.saturating_mul(4));
        let reader = Reader { container, root, names };
        let format = reader.attribute(&reader.root.attributes, "format")?;
        let version = reader.root.attributes.u32("format_version").map_err(unusable("format_version"))?;
        if format != FORMAT || !(1..=FORMAT_VERSION).contains(&version) {
            return Err(format!(
                "is a `{format}` of version {version}, not a `{FORMAT}` of version 1 to {FORMAT_VERSION}"
            ));
        }
        Ok(reader)
    }

    fn origin(&self) -> Result<Origin, String> {
        let text = |name| self.attribute(&self.root.attributes, name);
        Ok(Origin { program_version: text("program_version")?, created: text("created")? })
    }

    fn progress(&self) -> Result<Progress, String> {
        let group = self.group(&self.root, "progress")?;
        let metrics = self.group(&group, "metrics")?.attributes;
        let attributes = &group.attributes;
        let count = |name: &str| attributes.u64(name).map_err(unusable(name));
        let float = |attributes: &Attributes, name: &str| attributes.f64(name).map_err(unusable(name));
        let text = |name: &str| self.attribute(attributes, name);
        let has = |name: &str| attributes.has(name);
        let best = || -> Result<Best, String> {
            let loss = has("best_loss").then(|| float(attributes, "best_loss")).transpose()?;
            let (metric, value) = (text("best_metric")?, float(attributes, "best_value")?);
            Ok(Best { step: count("best_step")?, metric, value, loss })
        };
        let plateau = || -> Result<Plateau, String> {
            let (cuts, waited) = (count("plateau_cuts")?, count("plateau_waited")?);
            Ok(Plateau { cuts, waited, best_loss: float(attributes, "plateau_best_loss")? })
        };
        let stage = || -> Result<Stage, String> {
            let (start, optimizer_start) = (count("stage_start")?, count("optimizer_start")?);
            Ok(Stage { name: text("stage")?, start, optimizer_start })
        };
        let gradients = || -> Result<Gradients, String> {
            let name = text("gradients")?;
            let known = Gradients::all().find(|gradients| gradients.name() == name);
            known.ok_or_else(|| format!("has the unknown gradient format {name:?}"))
        };
        let metric = |name: &str| Ok((name.to_owned(), float(&metrics, name)?));
        Ok(Progress {
            step: count("step")?,
            epoch: count("epoch")?,
            samples_seen: count("samples_seen")?,
            ranks: count("ranks")?,
            threads: count("threads")?,
            blas: has("blas").then(|| text("blas")).transpose()?,
            vectors: has("vectors").then(|| text("vectors")).transpose()?,
            products: has("products").then(|| text("products")).transpose()?,
            gradients: has("gradients").then(gradients).transpose()?,
            plateau: has("plateau_cuts").then(plateau).transpose()?,
            stage: has("stage").then(stage).transpose()?,
            best: has("best_step").then(best).transpose()?,
            metrics: metrics.names().map(metric).collect::<Result<_, String>>()?,
        })
    }

    /// The states of recurrent layers; none if the group is missing.
    fn recurrent_state(&self) -> Result<Vec<Tensor>, String> {
        match self.root.member(RECURRENT_STATE).is_some() {
            true => self.tensors(&self.group(&self.root, RECURRENT_STATE)?, RECURRENT_STATE),
            false => Ok(Vec::new()),
        }
    }

    /// The words of a language model; none if the data set is missing.
    fn vocabulary(&self) -> Result<Vec<String>, String> {
        match self.root.member("vocabulary") {
            Some(address) => self.texts(address).map_err(unusable("vocabulary")),
            None => Ok(Vec::new()),
        }
    }

    /// How samples are prepared; empty if the data set is missing.
    fn preparation(&self) -> Result<String, String> {
        match self.root.member("preparation") {
            Some(address) => self.single(address).map_err(unusable("preparation")),
            None => Ok(String::new()),
        }
    }

    /// The facts that identify the data; empty if the file does not contain it.
    fn data(&self) -> Result<Data, String> {
        if self.root.member("data").is_none() {
            return Ok(Data::new());
        }
        let data = self.group(&self.root, "data")?;
        let facts = |(set, address): &(String, u64)| {
            let facts = self.group_at(*address, set)?.attributes;
            let fact = |name: &str| Ok((name.to_owned(), self.attribute(&facts, name)?));
            Ok((set.clone(), facts.names().map(fact).collect::<Result<_, String>>()?))
        };
        data.members()?.iter().map(facts).collect()
    }

    /// The tensors of the group `section`, in the order in which they were written.
    fn tensors(&self, group: &Group, section: &str) -> Result<Vec<Tensor>, String> {
        let mut tensors = Vec::new();
        self.each_tensor(group, section, &mut |tensor| {
            tensors.push(tensor);
            Ok(())
        })?;
        Ok(tensors)
    }

    /// Calls `visit` with each tensor of the group `section`, in the order in which they were written.
    fn each_tensor(
        &self,
        group: &Group,
        section: &str,
        visit: &mut dyn FnMut(Tensor) -> Result<(), String>,
    ) -> Result<(), String> {
        for (layer, address) in group.members()? {
            for (tensor, address) in self.group_at(*address, layer)?.members()? {
                let name = format!("{layer}/{tensor}");
                let left = self.names.get().checked_sub(name.len() as u64);
                self.names.set(left.ok_or("the names of its tensors are far longer than the file")?);
                let (shape, values) = self
                    .floats(*address)
                    .map_err(|reason| format!("its `{}/{}`: {reason}", shown(section), shown(&name)))?;
                visit(Tensor { name, shape, values })?;
            }
        }
        Ok(())
    }

    /// Shape and values of the tensor at `address`.
    fn floats(&self, address: u64) -> Result<(Vec<usize>, Vec<f32>), String> {
        let dataset = self.container.dataset(address)?;
        let values = self.container.floats(&dataset)?;
        Ok((dataset.shape()?, values))
    }

    /// The single string of the data set `name`.
    fn text(&self, name: &str) -> Result<String, String> {
        let address = self.root.member(name).ok_or("there is no such data set");
        address.map_err(String::from).and_then(|address| self.single(address)).map_err(unusable(name))
    }

    fn single(&self, address: u64) -> Result<String, String> {
        let dataset = self.container.dataset(address)?;
        match dataset.shape()?.is_empty() {
            true => self.container.texts(&dataset)?.pop().ok_or_else(|| "it is empty".into()),
            false => Err("it is not a single string".into()),
        }
    }

    fn texts(&self, address: u64) -> Result<Vec<String>, String> {
        self.container.texts(&self.container.dataset(address)?)
    }

    /// The string attribute `name`.
    fn attribute(&self, attributes: &Attributes, name: &str) -> Result<String, String> {
        let text = attributes.text(name).and_then(|descriptor| self.container.text(&descriptor));
        text.map_err(unusable(name))
    }

    /// The group `name` in `parent`.
    fn group(&self, parent: &Group, name: &str) -> Result<Group, String> {
        let address = parent.member(name).ok_or_else(|| "there is no such group".to_owned());
        self.group_at(address.map_err(unusable(name))?, name)
    }

    /// The group at `address`, which messages call `name`.
    fn group_at(&self, address: u64, name: &str) -> Result<Group, String> {
        self.container.group(address).map_err(unusable(name))
    }
}

/// An error: the part called `name` cannot be used, and why.
fn unusable(name: &str) -> impl Fn(String) -> String {
    move |reason| format!("has no usable `{}`: {reason}", shown(name))
}

/// A name as messages show it: at most 64 characters.
fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(64).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}
