//! The images of a folder as samples. An image is decoded when it is needed, by the compute threads of the rank, and kept in
//! memory as long as there is room.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::Xxh3Default;

use super::cache::Cache;
use super::check::{Checked, Header, headers, named, on_all_threads, read_picture, refused};
use super::colour::{channels, convert};
use super::fit::Fit;
use super::listing::{Ignored, Listing};
use crate::{Facts, Samples};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_job::{Colour, Folder, OnError, Resize};
use ternflock_nn::{Shape, TargetKind, Targets};
use ternflock_tensor::{for_each_row, rows_mut};

/// Images of one shape, each in a file, with the name of its directory as its class.
pub struct ImageFolder {
    classes: Vec<String>,
    files: Vec<PathBuf>,
    labels: Vec<usize>,
    colour: Colour,
    fit: Fit,
    cache: Cache,
    hash: u64,
    ignored: Ignored,
    /// The images that were left out, with the reasons.
    skipped: Vec<(PathBuf, String)>,
}

impl ImageFolder {
    /// The images of `listing`, below `directory`. The size is that of `how`, of the images `like` which they must be, or of
    /// the first image. All sets share the `room` for decoded images, in bytes.
    ///
    /// # Errors
    /// If images cannot be decoded or have other sizes, and `how` does not allow it.
    pub fn open(
        directory: &Path,
        listing: Listing,
        how: &Folder,
        like: Option<&ImageFolder>,
        room: &Arc<AtomicUsize>,
    ) -> Result<ImageFolder> {
        let Listing { classes, mut files, mut labels, ignored } = listing;
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        let read = headers(&files);
        sort_out(&mut files, &mut labels, read, &mut found, &mut skipped);
        if how.on_error == OnError::Refuse && !skipped.is_empty() {
            return Err(refused(&skipped));
        }
        let Some(first) = found.first() else { return Err(refused(&skipped)) };
        let size = how.size.or(like.map(|like| like.fit.size)).unwrap_or(first.size);
        if how.resize == Resize::None {
            let model = match (how.size, like) {
                (Some(_), _) => "data.size".into(),
                (None, like) => like.map_or(&files[0], |like| &like.files[0]).display().to_string(),
            };
            check_sizes(&files, &found, size, &model)?;
        }
        let hash = hash(directory, &classes, &files, &labels, &found);
        let cache = Cache::new(files.len(), Arc::clone(room));
        let fit = Fit { size, resize: how.resize };
        let mut all =
            ImageFolder { classes, files, labels, colour: how.colour, fit, cache, hash, ignored, skipped };
        if how.on_error == OnError::Skip {
            all.skip_damaged(directory)?;
        }
        Ok(all)
    }

    /// Decodes all images, and leaves out those that cannot be decoded.
    fn skip_damaged(&mut self, directory: &Path) -> Result<()> {
        let decoded = on_all_threads(self.files.len(), |number| self.image(number).map(drop));
        if decoded.iter().all(Checked::is_ok) {
            return Ok(());
        }
        let is_good: Vec<bool> = decoded.iter().map(Checked::is_ok).collect();
        self.cache.retain(&is_good);
        sort_out(&mut self.files, &mut self.labels, decoded, &mut Vec::new(), &mut self.skipped);
        // The classes of the damaged images remain: a network's outputs do not depend on them.
        match self.files.is_empty() {
            true => Err(Error::data(directory, "holds no image that can be decoded")),
            false => Ok(()),
        }
    }

    /// The image `number`, `[C, H, W]`. An `Err` has the reason why it cannot be read.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    pub fn image(&self, number: usize) -> Checked<Cow<'_, [u8]>> {
        if let Some(image) = self.cache.get(number) {
            return Ok(Cow::Borrowed(image));
        }
        let image = read_image(&self.files[number], self.colour, self.fit)?;
        self.cache.keep(number, &image);
        Ok(Cow::Owned(image))
    }

    /// Writes the images `numbers` to `out`, `[N, C, H, W]`, each byte as `convert` makes it.
    ///
    /// # Errors
    /// If one cannot be read; the message names the first of them.
    pub fn fill<T: Send>(
        &self,
        numbers: &[usize],
        out: &mut [T],
        convert: impl Fn(u8) -> T + Sync,
    ) -> Result<()> {
        let failed = Mutex::new(None::<(usize, String)>);
        for_each_row(rows_mut(out, self.input().elements()), |at, row| match self.image(numbers[at]) {
            Ok(image) => row.iter_mut().zip(image.iter()).for_each(|(to, &byte)| *to = convert(byte)),
            Err(reason) => {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
                    *failed = Some((at, reason));
                }
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((at, reason)) => Err(refused(&[(self.files[numbers[at]].clone(), reason)])),
            None => Ok(()),
        }
    }

    /// The file of the image `number`.
    pub fn file(&self, number: usize) -> &Path {
        &self.files[number]
    }
}

impl Samples for ImageFolder {
    fn input(&self) -> Shape {
        let [height, width] = self.fit.size;
        Shape::Image { channels: channels(self.colour), height, width }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Class(self.classes.len())
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        targets.labels.clear();
        targets.labels.extend(numbers.iter().map(|&number| self.labels[number]));
        self.fill(numbers, inputs, |byte| f32::from(byte) / 255.0)
    }

    fn labels(&self) -> Option<Vec<usize>> {
        Some(self.labels.clone())
    }

    fn class_names(&self) -> Option<&[String]> {
        Some(&self.classes)
    }

    fn remarks(&self) -> Vec<String> {
        let ignored =
            self.ignored.described().map(|ignored| format!("not read from the folder of images: {ignored}"));
        let skipped = (!self.skipped.is_empty()).then(|| {
            let count = plural(self.skipped.len(), "image");
            format!("{count} that cannot be decoded left out: {}", named(&self.skipped))
        });
        ignored.into_iter().chain(skipped).collect()
    }

    fn hash(&self) -> u64 {
        self.hash
    }

    fn facts(&self) -> Facts {
        vec![
            ("samples", self.len().to_string()),
            ("shape", self.input().to_string()),
            ("classes", self.classes.len().to_string()),
            ("contents", format!("{:016x}", self.hash)),
        ]
    }
}

/// The image in the file at `path` in `colour` and in the size that `fit` makes, `[C, H, W]`. An `Err` has the reason why it
/// cannot be read.
///
/// # Errors
/// If the file cannot be read or decoded, or if it has another size and may not be resized.
pub fn read_image(path: &Path, colour: Colour, fit: Fit) -> Checked<Vec<u8>> {
    let picture = fit.apply(convert(read_picture(path)?, colour))?;
    let channels = picture.channels;
    let mut image = Vec::with_capacity(picture.pixels.len());
    (0..channels).for_each(|channel| image.extend(picture.pixels.iter().skip(channel).step_by(channels)));
    Ok(image)
}

/// Keeps those of `files` whose `results` are good, and moves the others to `bad`.
fn sort_out<T>(
    files: &mut Vec<PathBuf>,
    labels: &mut Vec<usize>,
    results: Vec<Checked<T>>,
    good: &mut Vec<T>,
    bad: &mut Vec<(PathBuf, String)>,
) {
    let all = std::mem::take(files).into_iter().zip(std::mem::take(labels)).zip(results);
    for ((file, label), result) in all {
        match result {
            Ok(result) => {
                good.push(result);
                files.push(file);
                labels.push(label);
            }
            Err(reason) => bad.push((file, reason)),
        }
    }
}

/// Refuses images whose size is not `size`, which is that of `model`.
fn check_sizes(files: &[PathBuf], headers: &[Header], size: [usize; 2], model: &str) -> Result<()> {
    let Some(other) = headers.iter().position(|header| header.size != size) else { return Ok(()) };
    let [[height, width], [rows, columns]] = [headers[other].size, size];
    let message = format!(
        "has {height}x{width} pixels, but {model} has {rows}x{columns}: set data.size = [{rows}, {columns}] and \
         data.resize = \"crop\" or \"stretch\""
    );
    Err(Error::data(&files[other], message))
}

/// A hash of the names, the classes and the lengths of all files. Their contents would have to be read for it.
fn hash(
    directory: &Path,
    classes: &[String],
    files: &[PathBuf],
    labels: &[usize],
    headers: &[Header],
) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let mut hash = Xxh3Default::new();
    for class in classes {
        hash.update(class.as_bytes());
        hash.update(&[0]);
    }
    for ((file, &label), header) in files.iter().zip(labels).zip(headers) {
        hash.update(file.strip_prefix(directory).unwrap_or(file).as_os_str().as_bytes());
        let [height, width] = header.size.map(|side| side as u64);
        hash.update(bytemuck::cast_slice(&[0, label as u64, header.bytes, height, width]));
    }
    hash.digest()
}
