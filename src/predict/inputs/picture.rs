//! PNG and JPEG files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Inputs, Reading, Stored, Unit};
use ternflock_base::error::{Error, Result};
use ternflock_data::{Fit, Picture, convert_colour, read_picture};
use ternflock_job::Colour;
use ternflock_nn::Shape;

/// The extensions of the images in a folder.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// An image file, which is decoded when it is read.
pub struct PictureFile {
    path: PathBuf,
    colour: Colour,
    fit: Option<Fit>,
}

impl PictureFile {
    /// The file at `path`, read as `how` says: grey for one channel, otherwise in colour.
    pub fn new(path: PathBuf, how: &Reading) -> PictureFile {
        let colour = if how.shape.units() == 1 { Colour::Grey } else { Colour::Rgb };
        PictureFile { path, colour, fit: how.fit }
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
        let picture = convert_colour(read_picture(&self.path)?, self.colour);
        let picture = match self.fit {
            Some(fit) => fit.apply(picture)?,
            None => picture,
        };
        store(&picture, sample);
        Ok(())
    }
}

/// Writes `picture` to `sample`: from `[H, W, C]` to `[C, H, W]`.
fn store(picture: &Picture, sample: &mut Stored) {
    let Picture { height, width, channels, ref pixels } = *picture;
    sample.shape = Shape::Image { channels, height, width };
    sample.unit = Unit::Byte;
    sample.values.clear();
    for channel in 0..channels {
        let values = pixels.iter().skip(channel).step_by(channels);
        sample.values.extend(values.map(|&pixel| f32::from(pixel)));
    }
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

    #[test]
    fn channels_become_planes() {
        let pixels = vec![255, 0, 1, 2, 254, 3, 4, 5, 253, 7, 8, 9];
        let mut sample = Stored::default();
        store(&Picture { height: 2, width: 2, channels: 3, pixels }, &mut sample);
        assert_eq!(sample.shape, Shape::Image { channels: 3, height: 2, width: 2 });
        let planes = [255.0, 2.0, 4.0, 7.0, 0.0, 254.0, 5.0, 8.0, 1.0, 3.0, 253.0, 9.0];
        assert_eq!((sample.unit, &sample.values[..]), (Unit::Byte, &planes[..]));
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
        let shape = Shape::Image { channels: 3, height: 1, width: 2 };
        let how = Reading { shape, fit: None, axes: None, table: None };
        let file = PictureFile::new(path.clone(), &how);
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
        assert!(file.read(0, &mut sample).unwrap_err().contains("No such file"));
    }
}
