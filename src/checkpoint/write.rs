//! Writes a snapshot as an HDF5 file (docs/checkpoint-format.md).

use std::fs;

use hdf5::plist::group_create::LinkCreationOrder;
use hdf5::plist::link_create::CharEncoding;
use hdf5::types::VarLenUnicode;
use hdf5::{File, Group};

use super::memory::in_memory;
use super::snapshot::{Data, Progress, Snapshot, Tensor};
use super::{FORMAT_VERSION, header};

/// The value of the root attribute `format`.
pub(super) const FORMAT: &str = "ternflock checkpoint";

/// The group of [`Snapshot::recurrent_state`], under the name that older versions read.
pub(super) const RECURRENT_STATE: &str = "carried";

/// The checked `snapshot` as an HDF5 file in memory, with a blank header.
pub(super) fn image<V: AsRef<[f32]>>(snapshot: &Snapshot<V>) -> Result<fs::File, String> {
    let image = in_memory(header::SIZE as u64, |file| contents(file, snapshot))?;
    header::tidy(&image).map_err(|error| format!("no memory for the file: {error}"))?;
    Ok(image)
}

fn contents<V: AsRef<[f32]>>(file: &File, snapshot: &Snapshot<V>) -> hdf5::Result<()> {
    text_attribute(file, "format", FORMAT)?;
    file.new_attr::<u32>().create("format_version")?.write_scalar(&FORMAT_VERSION)?;
    text_attribute(file, "program_version", &snapshot.origin.program_version)?;
    text_attribute(file, "created", &snapshot.origin.created)?;
    text_dataset(file, "network", &snapshot.network)?;
    text_dataset(file, "job", &snapshot.job)?;
    tensors(&ordered_group(file, "parameters")?, &snapshot.parameters)?;
    let optimizer = ordered_group(file, "optimizer")?;
    for slot in &snapshot.optimizer {
        tensors(&ordered_group(&optimizer, &slot.name)?, &slot.tensors)?;
    }
    if !snapshot.recurrent_state.is_empty() {
        tensors(&ordered_group(file, RECURRENT_STATE)?, &snapshot.recurrent_state)?;
    }
    if !snapshot.vocabulary.is_empty() {
        let words = snapshot.vocabulary.iter().map(|word| varlen(word)).collect::<hdf5::Result<Vec<_>>>()?;
        file.new_dataset::<VarLenUnicode>().shape(words.len()).create("vocabulary")?.write_raw(&words)?;
    }
    if !snapshot.preparation.is_empty() {
        text_dataset(file, "preparation", &snapshot.preparation)?;
    }
    if !snapshot.data.is_empty() {
        data(&ordered_group(file, "data")?, &snapshot.data)?;
    }
    progress(&ordered_group(file, "progress")?, &snapshot.progress)
}

fn data(group: &Group, data: &Data) -> hdf5::Result<()> {
    data.iter().try_for_each(|(set, facts)| {
        let group = ordered_group(group, set)?;
        facts.iter().try_for_each(|(fact, value)| text_attribute(&group, fact, value))
    })
}

fn tensors<V: AsRef<[f32]>>(group: &Group, tensors: &[Tensor<V>]) -> hdf5::Result<()> {
    for layer in tensors.chunk_by(|a, b| a.layer() == b.layer()) {
        ordered_group(group, layer[0].layer())?;
        for tensor in layer {
            let empty = group.new_dataset::<f32>().shape(&tensor.shape).char_encoding(CharEncoding::Utf8);
            let dataset = empty.create(tensor.name.as_str())?;
            if !tensor.values.as_ref().is_empty() {
                dataset.write_raw(tensor.values.as_ref())?;
            }
        }
    }
    Ok(())
}

fn progress(group: &Group, progress: &Progress) -> hdf5::Result<()> {
    let count = |name, value: u64| group.new_attr::<u64>().create(name)?.write_scalar(&value);
    count("step", progress.step)?;
    count("epoch", progress.epoch)?;
    count("samples_seen", progress.samples_seen)?;
    count("ranks", progress.ranks)?;
    count("threads", progress.threads)?;
    let arithmetic =
        [("blas", &progress.blas), ("vectors", &progress.vectors), ("products", &progress.products)];
    for (name, text) in arithmetic {
        text.iter().try_for_each(|text| text_attribute(group, name, text))?;
    }
    if let Some(gradients) = progress.gradients {
        text_attribute(group, "gradients", gradients.name())?;
    }
    if let Some(plateau) = &progress.plateau {
        count("plateau_cuts", plateau.cuts)?;
        count("plateau_waited", plateau.waited)?;
        group.new_attr::<f64>().create("plateau_best_loss")?.write_scalar(&plateau.best_loss)?;
    }
    if let Some(stage) = &progress.stage {
        text_attribute(group, "stage", &stage.name)?;
        count("stage_start", stage.start)?;
        count("optimizer_start", stage.optimizer_start)?;
    }
    if let Some(best) = &progress.best {
        count("best_step", best.step)?;
        text_attribute(group, "best_metric", &best.metric)?;
        group.new_attr::<f64>().create("best_value")?.write_scalar(&best.value)?;
        if let Some(loss) = best.loss {
            group.new_attr::<f64>().create("best_loss")?.write_scalar(&loss)?;
        }
    }
    let metrics = ordered_group(group, "metrics")?;
    for (name, value) in &progress.metrics {
        let attribute = metrics.new_attr::<f64>().char_encoding(CharEncoding::Utf8);
        attribute.create(name.as_str())?.write_scalar(value)?;
    }
    Ok(())
}

/// A group that records the creation order of its members, which is the order of the network.
fn ordered_group(parent: &Group, name: &str) -> hdf5::Result<Group> {
    parent
        .create_group_builder()
        .with_gcpl(|create| create.link_creation_order(LinkCreationOrder::Indexed))
        .char_encoding(CharEncoding::Utf8)
        .create(name)
}

fn text_attribute(group: &Group, name: &str, text: &str) -> hdf5::Result<()> {
    group.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&varlen(text)?)
}

fn text_dataset(group: &Group, name: &str, text: &str) -> hdf5::Result<()> {
    group.new_dataset::<VarLenUnicode>().create(name)?.write_scalar(&varlen(text)?)
}

fn varlen(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|error| hdf5::Error::Internal(format!("{error}")))
}
