//! Packs a folder of images into one HDF5 file of arrays, which is read without decoding.
//!
//! HDF5 lays the file out in memory, with room for the images but without them; our code writes that layout and the images to
//! the disk (docs/adr/0004-hdf5-in-memory.md). So no more than a few images are in memory, and a full disk is an ordinary
//! error.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use hdf5::file::FileCloseDegree;
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::types::VarLenUnicode;

use super::{FolderSets, ImageFolder};
use crate::Samples;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{memory_file, replace};
use ternflock_nn::Shape;

/// Bytes of images in memory at a time.
const BLOCK_BYTES: usize = 16 << 20;

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 16;

/// A set in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// "train", "validation" or "test".
    pub set: &'static str,
    /// The path of its images, `[N, C, H, W]` of bytes, in the file.
    pub images: String,
    /// The path of their labels, `[N]`.
    pub labels: String,
    /// The number of images.
    pub samples: usize,
}

/// Where the file has the images of a set.
struct Place<'a> {
    images: &'a ImageFolder,
    bytes: Range<u64>,
}

/// Writes all images of `sets` to the HDF5 file at `to`, which is complete or absent. `progress` is called with the number
/// of images that are written and the number of all.
///
/// # Errors
/// If an image cannot be read, or if the file cannot be written.
pub fn pack(sets: &FolderSets, to: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<Packed>> {
    let named = [
        ("train", Some(&sets.train)),
        ("validation", sets.validation.as_ref()),
        ("test", sets.test.as_ref()),
    ];
    let has_parts = named[1..].iter().any(|(_, set)| set.is_some());
    let all: Vec<(Packed, &ImageFolder)> = named
        .into_iter()
        .filter_map(|(set, images)| {
            let images = &**images?;
            let group = if has_parts { format!("/{set}") } else { String::new() };
            let (path, labels) = (format!("{group}/images"), format!("{group}/labels"));
            Some((Packed { set, images: path, labels, samples: images.len() }, images))
        })
        .collect();
    let layout =
        memory_file().map_err(|error| Error::data(to, format!("no memory for the file: {error}")))?;
    let places = lay_out(&layout, &all).map_err(|error| Error::data(to, format!("HDF5: {error}")))?;
    let mut failed = None;
    let written = replace(to, |file| {
        copy_around(&layout, &places, file)?;
        write_images(&places, file, progress).map_err(|error| match error {
            Failure::Write(error) => error,
            Failure::Read(error) => {
                failed = Some(error);
                io::Error::other("an image cannot be read")
            }
        })
    });
    match (failed, written) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(Error::data(to, format!("cannot be written: {error}"))),
        (None, Ok(())) => Ok(all.into_iter().map(|(packed, _)| packed).collect()),
    }
}

/// Lets HDF5 write everything but the images to `file`, and returns the places of the images.
fn lay_out<'a>(file: &File, sets: &[(Packed, &'a ImageFolder)]) -> hdf5::Result<Vec<Place<'a>>> {
    // As for checkpoints, the `stdio` driver opens the path as it is.
    let layout = hdf5::File::with_options()
        .with_fapl(|access| access.fclose_degree(FileCloseDegree::Strong).libver_earliest().stdio())
        .create(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let places = contents(&layout, sets);
    let closed = layout.close();
    places.and_then(|places| closed.map(|()| places))
}

fn contents<'a>(file: &hdf5::File, sets: &[(Packed, &'a ImageFolder)]) -> hdf5::Result<Vec<Place<'a>>> {
    let names = sets.first().and_then(|(_, images)| images.class_names()).unwrap_or_default();
    let varlen = |name: &String| name.parse().map_err(|error| hdf5::Error::Internal(format!("{error}")));
    let names = names.iter().map(varlen).collect::<hdf5::Result<Vec<VarLenUnicode>>>()?;
    file.new_dataset::<VarLenUnicode>().shape(names.len()).create("class_names")?.write_raw(&names)?;
    let mut places = Vec::new();
    for (packed, images) in sets {
        let (Shape::Image { channels, height, width }, labels) = (images.input(), images.labels()) else {
            continue;
        };
        if packed.images.matches('/').count() > 1 {
            file.create_group(packed.set)?;
        }
        let labels: Vec<i32> = labels.unwrap_or_default().iter().map(|&label| label as i32).collect();
        file.new_dataset::<i32>().shape(labels.len()).create(packed.labels.as_str())?.write_raw(&labels)?;
        let room = file.new_dataset::<u8>().alloc_time(Some(AllocTime::Early)).fill_time(FillTime::Never);
        let room = room.shape([images.len(), channels, height, width]).create(packed.images.as_str())?;
        let first = room.offset().ok_or_else(|| hdf5::Error::Internal("the images have no place".into()))?;
        places.push(Place { images, bytes: first..first + room.storage_size() });
    }
    places.sort_by_key(|place| place.bytes.start);
    Ok(places)
}

/// Copies `layout` to `file`, except for the places of the images.
fn copy_around(layout: &File, places: &[Place], file: &File) -> io::Result<()> {
    let end = layout.metadata()?.len();
    file.set_len(end)?;
    let gaps = places.iter().map(|place| place.bytes.start).chain([end]);
    let starts = [0].into_iter().chain(places.iter().map(|place| place.bytes.end));
    let mut piece = vec![0; PIECE];
    for (mut at, gap_end) in starts.zip(gaps) {
        while at < gap_end {
            let length = (gap_end - at).min(PIECE as u64) as usize;
            layout.read_exact_at(&mut piece[..length], at)?;
            file.write_all_at(&piece[..length], at)?;
            at += length as u64;
        }
    }
    Ok(())
}

enum Failure {
    Read(Error),
    Write(io::Error),
}

fn write_images(
    places: &[Place],
    file: &File,
    progress: &mut dyn FnMut(usize, usize),
) -> std::result::Result<(), Failure> {
    let all: usize = places.iter().map(|place| place.images.len()).sum();
    let mut done = 0;
    for Place { images, bytes } in places {
        let size = images.input().elements().max(1);
        let at_a_time = (BLOCK_BYTES / size).max(1);
        let mut block = vec![0; at_a_time.min(images.len()) * size];
        for first in (0..images.len()).step_by(at_a_time) {
            let numbers: Vec<usize> = (first..images.len().min(first + at_a_time)).collect();
            let block = &mut block[..numbers.len() * size];
            images.fill(&numbers, block, |byte| byte).map_err(Failure::Read)?;
            file.write_all_at(block, bytes.start + (first * size) as u64).map_err(Failure::Write)?;
            done += numbers.len();
            progress(done, all);
        }
    }
    Ok(())
}
