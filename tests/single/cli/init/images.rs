//! Folders of images.

use png::ColorType;

use super::{data, place, trains};

#[test]
fn a_folder_of_one_size_keeps_it() {
    let place = place();
    for image in 0..24 {
        let file =
            data::png(
                16,
                ColorType::Grayscale,
                |at| if (at % 16 < 8) == (image % 2 == 0) { 200 } else { image },
            );
        place.write(&format!("two kinds/{}/{image}.png", ["left", "right"][image as usize % 2]), file);
    }
    let job = trains(&place, &["two kinds/"], "two-kinds.toml");
    for part in [
        "dir = \"two kinds/\"",
        "size = [16, 16]",
        "colour = \"grey\"",
        "type = \"batch_norm\"",
        "# folder: images of 1x16x16; 2 classes",
        "#   left ",
        "units = \"classes\"",
    ] {
        assert!(job.contains(part), "{part}: {job}");
    }
}

/// Colours, other sizes, a damaged image and a test set of its own.
#[test]
fn a_mixed_folder_is_resized() {
    let place = place();
    for image in 0..20u8 {
        let side = 30 + u32::from(image);
        let file =
            data::png(side, ColorType::Rgb, |at| if at % 3 == usize::from(image % 2) { 250 } else { image });
        let set = if image < 16 { "train" } else { "test" };
        place.write(&format!("photos/{set}/{}/{image}.png", ["red", "green"][usize::from(image % 2)]), file);
    }
    place.write("photos/train/red/broken.jpg", "no image");
    let job = trains(&place, &["photos", "-o", "p.toml"], "p.toml");
    for part in ["size = [32, 32]", "resize = \"crop\"", "colour = \"rgb\"", "on_error = \"skip\""] {
        assert!(job.contains(part), "{part}: {job}");
    }
}

#[test]
fn folders_without_classes_are_refused() {
    let place = place();
    let image = data::png(8, ColorType::Grayscale, |at| at as u8);
    std::fs::create_dir(place.path("empty")).unwrap();
    place.run("init empty").refused(3, &["empty: holds 0 sub-folders, but at least 2 are needed"]);
    place.write("one/a/1.png", &image);
    place.run("init one").refused(3, &["one: holds 1 sub-folder, but at least 2 are needed"]);
    std::fs::create_dir(place.path("one/b")).unwrap();
    place.run("init one").refused(3, &["one/b: holds no image (.png, .jpg or .jpeg)"]);
    place.write("bad/a/1.png", "x");
    place.write("bad/b/1.png", "y");
    place.run("init bad").refused(3, &["cannot be decoded, nor can any other image"]);
}
