//! PNG and JPEG files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::decode::{Picture, decode};
use super::{Inputs, Stored, Unit};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_bytes;
use ternflock_nn::Shape;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 30;

/// The extensions of the images in a folder.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The weights of red, green and blue in 2^-16 (ITU-R 601-2), as in Pillow.
const LUMA: [u32; 3] = [19_595, 38_470, 7_471];

/// An image file, which is decoded when it is read.
pub struct PictureFile {
    path: PathBuf,
    /// C: 1 for grey, 3 for colour.
    channels: usize,
}

impl PictureFile {
    /// The file at `path`, as an image of `channels` channels.
    pub fn new(path: PathBuf, channels: usize) -> PictureFile {
        PictureFile { path, channels }
    }
}

impl Inputs for PictureFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn samples(&self) -> usize {
        1
    }

    fn is_single(&self) -> bool {
        true
    }

    fn read(&self, _number: usize, sample: &mut Stored) -> std::result::Result<(), String> {
        let bytes = read_bytes(&self.path, MOST_BYTES).map_err(|error| format!("cannot be read: {error}"))?;
        store(&decode(&bytes)?, self.channels, sample);
        Ok(())
    }
}

/// Writes `picture` to `sample`, with `channels` channels if it can be converted: grey to colour or back, as Pillow's
/// `convert` does.
fn store(picture: &Picture, channels: usize, sample: &mut Stored) {
    let Picture { height, width, channels: own, ref pixels } = *picture;
    let channels = if matches!((own, channels), (1, 3) | (3, 1)) { channels } else { own };
    sample.shape = Shape::Image { channels, height, width };
    sample.unit = Unit::Byte;
    sample.values.clear();
    match (own, channels) {
        (3, 1) => sample.values.extend(pixels.as_chunks::<3>().0.iter().map(luma)),
        // From `[H, W, C]` to `[C, H, W]`; a grey picture has all its channels in one.
        _ => {
            for channel in 0..channels {
                let values = pixels.iter().skip(channel % own).step_by(own);
                sample.values.extend(values.map(|&pixel| f32::from(pixel)));
            }
        }
    }
}

fn luma(pixel: &[u8; 3]) -> f32 {
    let sum: u32 = pixel.iter().zip(LUMA).map(|(&value, weight)| u32::from(value) * weight).sum();
    // A byte, rounded.
    ((sum + 0x8000) >> 16) as f32
}

/// The PNG and JPEG files in `folder` and in its sub-folders, sorted by their paths. Hidden ones are left out.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(directory) = open.pop() {
        let unreadable = |error: std::io::Error| Error::data(&directory, format!("cannot be read: {error}"));
        for entry in fs::read_dir(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.file_name().as_bytes().starts_with(b".") {
                continue;
            }
            // A link to a directory is not followed, so that there is an end.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                open.push(entry.path());
            } else if is_image(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    if found.is_empty() {
        return Err(Error::data(folder, "holds no .png, .jpg or .jpeg files"));
    }
    found.sort();
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|own| EXTENSIONS.iter().any(|known| own.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(picture: &Picture, channels: usize) -> Stored {
        let mut sample = Stored::default();
        store(picture, channels, &mut sample);
        sample
    }

    #[test]
    fn channels_are_planes_in_the_colours_of_the_network() {
        let pixels = vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 7, 7];
        let colour = Picture { height: 2, width: 2, channels: 3, pixels };
        let sample = stored(&colour, 3);
        assert_eq!(sample.shape, Shape::Image { channels: 3, height: 2, width: 2 });
        let planes = [255.0, 0.0, 0.0, 7.0, 0.0, 255.0, 0.0, 7.0, 0.0, 0.0, 255.0, 7.0];
        assert_eq!((sample.unit, &sample.values[..]), (Unit::Byte, &planes[..]));
        // The values of Pillow for pure red, green and blue.
        assert_eq!(stored(&colour, 1).values, [76.0, 150.0, 29.0, 7.0]);
        let grey = Picture { height: 1, width: 2, channels: 1, pixels: vec![3, 9] };
        assert_eq!(stored(&grey, 3).values, [3.0, 9.0, 3.0, 9.0, 3.0, 9.0]);
        assert_eq!(stored(&grey, 1).values, [3.0, 9.0]);
        // Another number of channels stays, and is then refused with its shape.
        assert_eq!(stored(&colour, 4).shape, sample.shape);
    }

    #[test]
    fn the_images_of_a_folder_are_sorted() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert!(in_folder(directory.path()).unwrap_err().to_string().contains("holds no .png"));
        for name in ["b.PNG", "a/2.jpeg", "a/1.jpg", ".hidden.png", "notes.txt"] {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), "").unwrap();
        }
        std::os::unix::fs::symlink(directory.path(), path("a/loop")).unwrap();
        assert_eq!(in_folder(directory.path()).unwrap(), ["a/1.jpg", "a/2.jpeg", "b.PNG"].map(path));
    }

    #[test]
    fn files_are_decoded_and_what_cannot_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a, b.png");
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().unwrap().write_image_data(&[1, 2, 3, 0, 4, 5, 6, 255]).unwrap();
        fs::write(&path, &bytes).unwrap();
        let file = PictureFile::new(path.clone(), 3);
        let mut sample = Stored::default();
        file.read(0, &mut sample).unwrap();
        assert_eq!(sample.values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        for (content, reason) in [
            (&bytes[..bytes.len() - 20], "end"),
            (b"no picture", "is neither a PNG nor a JPEG image"),
            (b"", "is empty"),
        ] {
            fs::write(&path, content).unwrap();
            let message = file.read(0, &mut sample).unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
        fs::remove_file(&path).unwrap();
        assert!(file.read(0, &mut sample).unwrap_err().contains("cannot be read"));
    }
}
