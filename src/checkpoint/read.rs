//! A snapshot out of an HDF5 file (docs/checkpoint-format.md), once the header says that the file is whole.

use std::path::Path;

use hdf5::types::VarLenUnicode;
use hdf5::{Container, File, Group, IndexType, IterationOrder};

use super::snapshot::{Best, Data, Plateau, Progress, Slot, Snapshot, Stage, Tensor, elements};
use super::write::{FORMAT, cause};
use super::{FORMAT_VERSION, Origin, header};
use crate::job::Gradients;

/// Reads the whole checkpoint at `path`.
pub(super) fn load(path: &Path) -> Result<Snapshot, String> {
    let reader = Reader::open(path)?;
    let tensors = |section: &str| -> Result<Vec<Tensor>, String> {
        reader.tensor_names(section)?.iter().map(|name| reader.tensor(section, name)).collect()
    };
    let slot = |name: String| Ok(Slot { tensors: tensors(&format!("optimizer/{name}"))?, name });
    let snapshot = Snapshot {
        origin: reader.origin()?,
        network: reader.text_dataset("network")?,
        job: reader.text_dataset("job")?,
        parameters: tensors("parameters")?,
        optimizer: reader.members("optimizer")?.into_iter().map(slot).collect::<Result<_, String>>()?,
        carried: if reader.has("carried") { tensors("carried")? } else { Vec::new() },
        vocabulary: reader.vocabulary()?,
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
    same(reader.text_dataset("network")? == snapshot.network, "networks")?;
    same(reader.text_dataset("job")? == snapshot.job, "jobs")?;
    same(reader.progress()?.same_bits(&snapshot.progress), "progress attributes")?;
    let tensors = |section: &str, tensors: &[Tensor<V>]| {
        let names = reader.tensor_names(section)?;
        same(
            names.iter().eq(tensors.iter().map(|tensor| &tensor.name)),
            &format!("tensor names of `{section}`"),
        )?;
        tensors.iter().try_for_each(|tensor| {
            same(
                reader.tensor(section, &tensor.name)?.same_bits(tensor),
                &format!("values of `{}`", tensor.name),
            )
        })
    };
    tensors("parameters", &snapshot.parameters)?;
    if !snapshot.carried.is_empty() {
        tensors("carried", &snapshot.carried)?;
    }
    same(reader.vocabulary()? == snapshot.vocabulary, "vocabularies")?;
    same(reader.data()? == snapshot.data, "facts about the data")?;
    let slots = reader.members("optimizer")?;
    same(slots.iter().eq(snapshot.optimizer.iter().map(|slot| &slot.name)), "optimizer slots")?;
    snapshot.optimizer.iter().try_for_each(|slot| tensors(&format!("optimizer/{}", slot.name), &slot.tensors))
}

struct Reader {
    file: File,
    /// The size of the HDF5 file, which no tensor in it can exceed.
    bytes: u64,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, String> {
        let bytes = header::verify(path)?;
        let reader = Reader { file: File::open(path).map_err(cause)?, bytes };
        let format = attribute(&reader.file, "format", text)?;
        let version = attribute(&reader.file, "format_version", |value| value.read_scalar::<u32>())?;
        if format != FORMAT || !(1..=FORMAT_VERSION).contains(&version) {
            return Err(format!(
                "says it is a `{format}` of version {version}, not a `{FORMAT}` of 1 to {FORMAT_VERSION}"
            ));
        }
        Ok(reader)
    }

    fn origin(&self) -> Result<Origin, String> {
        Ok(Origin {
            program_version: attribute(&self.file, "program_version", text)?,
            created: attribute(&self.file, "created", text)?,
        })
    }

    fn progress(&self) -> Result<Progress, String> {
        let group = self.group("progress")?;
        let metrics = self.group("progress/metrics")?;
        let count = |name| attribute(&group, name, |value| value.read_scalar::<u64>());
        let float = |group: &Group, name: &str| attribute(group, name, |value| value.read_scalar::<f64>());
        let present = group.attr_names().map_err(cause)?;
        let has = |name: &str| present.iter().any(|other| other == name);
        let best = || -> Result<Best, String> {
            let metric = attribute(&group, "best_metric", text)?;
            let loss = has("best_loss").then(|| float(&group, "best_loss")).transpose()?;
            Ok(Best { step: count("best_step")?, metric, value: float(&group, "best_value")?, loss })
        };
        let plateau = || -> Result<Plateau, String> {
            let (cuts, waited) = (count("plateau_cuts")?, count("plateau_waited")?);
            Ok(Plateau { cuts, waited, best_loss: float(&group, "plateau_best_loss")? })
        };
        let stage = || -> Result<Stage, String> {
            let (start, optimizer_start) = (count("stage_start")?, count("optimizer_start")?);
            Ok(Stage { name: attribute(&group, "stage", text)?, start, optimizer_start })
        };
        let gradients = || -> Result<Gradients, String> {
            let name = attribute(&group, "gradients", text)?;
            let known = Gradients::ALL.into_iter().find(|gradients| gradients.name() == name);
            known.ok_or_else(|| format!("says its gradients travelled as `{name}`, which is unknown here"))
        };
        let optional = |name| has(name).then(|| attribute(&group, name, text)).transpose();
        let names = metrics.attr_names().map_err(cause)?;
        Ok(Progress {
            step: count("step")?,
            epoch: count("epoch")?,
            samples_seen: count("samples_seen")?,
            ranks: count("ranks")?,
            threads: count("threads")?,
            blas: optional("blas")?,
            vectors: optional("vectors")?,
            gradients: has("gradients").then(gradients).transpose()?,
            plateau: has("plateau_cuts").then(plateau).transpose()?,
            stage: has("stage").then(stage).transpose()?,
            best: has("best_step").then(best).transpose()?,
            metrics: names
                .into_iter()
                .map(|name| Ok((name.clone(), float(&metrics, &name)?)))
                .collect::<Result<_, String>>()?,
        })
    }

    fn text_dataset(&self, name: &str) -> Result<String, String> {
        self.file.dataset(name).and_then(|dataset| text(&dataset)).map_err(|error| missing(name, error))
    }

    fn has(&self, name: &str) -> bool {
        self.file.link_exists(name)
    }

    /// The words of a language model; none where there is no such dataset.
    fn vocabulary(&self) -> Result<Vec<String>, String> {
        if !self.has("vocabulary") {
            return Ok(Vec::new());
        }
        let dataset = self.file.dataset("vocabulary").map_err(|error| missing("vocabulary", error))?;
        // A word takes up at least its descriptor of 16 bytes.
        if dataset.shape().iter().product::<usize>() as u64 > self.bytes / 16 {
            return Err(format!(
                "its `vocabulary` states the shape {:?}, larger than the file",
                dataset.shape()
            ));
        }
        let words: Vec<VarLenUnicode> = dataset.read_raw().map_err(|error| missing("vocabulary", error))?;
        let owned = |word: &VarLenUnicode| String::from_utf8(word.as_bytes().into());
        words
            .iter()
            .map(owned)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("its `vocabulary`: {error}"))
    }

    /// What identifies the data; empty if the file does not contain it.
    fn data(&self) -> Result<Data, String> {
        let sets = if self.has("data") { self.members("data")? } else { Vec::new() };
        let facts = |set: String| {
            let group = self.group(&format!("data/{set}"))?;
            let names = group.attr_names().map_err(cause)?;
            let fact = |name: String| Ok((name.clone(), attribute(&group, &name, text)?));
            Ok((set, names.into_iter().map(fact).collect::<Result<_, String>>()?))
        };
        sets.into_iter().map(facts).collect()
    }

    /// The names of the tensors below the group `section`, in the order they were written.
    fn tensor_names(&self, section: &str) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for layer in self.members(section)? {
            let tensors = self.members(&format!("{section}/{layer}"))?;
            names.extend(tensors.iter().map(|tensor| format!("{layer}/{tensor}")));
        }
        Ok(names)
    }

    fn tensor(&self, section: &str, name: &str) -> Result<Tensor, String> {
        let path = format!("{section}/{name}");
        let dataset = self.file.dataset(&path).map_err(|error| missing(&path, error))?;
        if !dataset.dtype().map_err(cause)?.is::<f32>() {
            return Err(format!("its `{path}` is not of 32-bit floats"));
        }
        let shape = dataset.shape();
        let bytes = elements(&shape).and_then(|count| count.checked_mul(size_of::<f32>()));
        if bytes.is_none_or(|bytes| bytes as u64 > self.bytes) {
            return Err(format!("its `{path}` states the shape {shape:?}, larger than the file"));
        }
        let values = if bytes == Some(0) { Vec::new() } else { dataset.read_raw().map_err(cause)? };
        Ok(Tensor { name: name.into(), shape, values })
    }

    /// The names in the group at `path`, in the order they were created.
    fn members(&self, path: &str) -> Result<Vec<String>, String> {
        self.group(path)?
            .member_names_by(IndexType::CreationOrder, IterationOrder::Increasing)
            .map_err(|error| missing(path, error))
    }

    fn group(&self, path: &str) -> Result<Group, String> {
        self.file.group(path).map_err(|error| missing(path, error))
    }
}

fn attribute<T>(
    group: &Group,
    name: &str,
    read: impl Fn(&Container) -> hdf5::Result<T>,
) -> Result<T, String> {
    group.attr(name).and_then(|value| read(&value)).map_err(|error| missing(name, error))
}

fn text(value: &Container) -> hdf5::Result<String> {
    let text: VarLenUnicode = value.read_scalar()?;
    // The type trusts the file to be UTF-8.
    String::from_utf8(text.as_bytes().into()).map_err(|error| hdf5::Error::Internal(error.to_string()))
}

fn missing(name: &str, error: hdf5::Error) -> String {
    format!("has no usable `{name}`: {}", cause(error))
}
