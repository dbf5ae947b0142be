//! Arrays in NumPy and HDF5 files.

use super::{data, place, trains};
use data::{floats, integers, noise, npz};

#[test]
fn numpy_files_of_every_shape_train() {
    let place = place();
    place.write("labels.npy", integers(&[40], |at| at as i64 % 3));
    place.write("values.npy", floats(&[40, 2], noise));
    place.write("flags.npy", floats(&[40, 3], |at| f32::from(u8::from(noise(at) > 0.0))));
    for (shape, targets, parts) in [
        (&[40, 5][..], "values", &["axes = \"NF\"", "units = \"targets\"", "# npy: vectors of 5"][..]),
        (&[40, 5], "labels", &["units = \"classes\"", "#   0 "]),
        (&[40, 5], "flags", &["kind = \"multi-label\"", "units = \"targets\""]),
        (&[40, 6, 2], "labels", &["axes = \"NTF\"", "type = \"lstm\"", "type = \"last_step\""]),
        (&[40, 12, 12], "labels", &["axes = \"NHW\"", "type = \"conv2d\""]),
        (&[40, 9, 9, 3], "values", &["axes = \"NHWC\"", "type = \"conv2d\""]),
        (&[40], "values", &["axes = \"N\""]),
    ] {
        place.write("x.npy", floats(shape, noise));
        let arguments = ["x.npy", "--targets", &format!("{targets}.npy"), "--overwrite"];
        let job = trains(&place, &arguments, "x.toml");
        for part in parts {
            assert!(job.contains(part), "{part}: {job}");
        }
    }
}

#[test]
fn integers_are_classes_or_values() {
    let place = place();
    place.write("x.npy", floats(&[40, 3], noise));
    place.write("y.npy", integers(&[40], |at| 1 + at as i64 % 4));
    let job = trains(&place, &["x.npy", "--targets", "y.npy"], "x.toml");
    assert!(job.contains("first_label = 1") && job.contains("units = \"classes\""), "{job}");
    place.write("y.npy", integers(&[40], |at| 100 * at as i64));
    let job = trains(&place, &["x.npy", "--targets", "y.npy", "--overwrite"], "x.toml");
    assert!(job.contains("kind = \"regression\"") && job.contains("units = \"targets\""), "{job}");
}

#[test]
fn an_archive_says_which_array_is_which() {
    let place = place();
    let (inputs, targets) = (floats(&[40, 4], noise), integers(&[40], |at| at as i64 % 2));
    place.write("a.npz", npz(&[("y", targets.clone()), ("x", inputs.clone()), ("z", inputs.clone())]));
    let job = trains(&place, &["a.npz"], "a.toml");
    assert!(job.contains("inputs = \"a.npz:x\"") && job.contains("targets = \"a.npz:y\""), "{job}");
    place.write("b.npz", npz(&[("one", targets.clone()), ("two", inputs.clone())]));
    let job = trains(&place, &["b.npz"], "b.toml");
    assert!(job.contains("inputs = \"b.npz:two\"") && job.contains("targets = \"b.npz:one\""), "{job}");
    place
        .write("c.npz", npz(&[("one", targets.clone()), ("two", inputs.clone()), ("three", inputs.clone())]));
    place
        .run("init c.npz")
        .refused(3, &["it is unclear which arrays", "--inputs NAME", "`two`, [40, 4] of float32"]);
    place
        .run("init c.npz --inputs tow --target one")
        .refused(3, &["has no array `tow`; did you mean `two`?"]);
    trains(&place, &["c.npz", "--inputs", "three", "--target", "one"], "c.toml");
    let test = (floats(&[12, 4], noise), integers(&[12], |at| at as i64 % 2));
    let all = [("x_train", inputs), ("y_train", targets), ("x_test", test.0), ("y_test", test.1)];
    place.write("d.npz", npz(&all));
    let job = trains(&place, &["d.npz"], "d.toml");
    assert!(job.contains("test_inputs = \"d.npz:x_test\"") && job.contains("test_targets ="), "{job}");
}

#[test]
fn datasets_of_an_hdf5_file_are_listed() {
    let place = place();
    let file = hdf5::File::create(place.path("f.h5")).unwrap();
    let group = file.create_group("run 1").unwrap();
    let fields = ndarray::Array::from_shape_fn((40, 7), |(n, f)| noise(7 * n + f));
    group.new_dataset_builder().with_data(&fields).create("field").unwrap();
    let drag = ndarray::Array::from_shape_fn(40, |n| f64::from(noise(n)));
    group.new_dataset_builder().with_data(&drag).create("drag").unwrap();
    let texts = [hdf5::types::VarLenUnicode::default()];
    file.new_dataset_builder().with_data(&texts).create("notes").unwrap();
    drop(group);
    file.close().unwrap();
    let job = trains(&place, &["f.h5"], "f.toml");
    assert!(job.contains("inputs = \"f.h5:/run 1/field\"") && job.contains("/run 1/drag\""), "{job}");
    place
        .run("init f.h5 --target notes --overwrite")
        .refused(3, &["its array `notes` cannot be used", "holds texts"]);
    place.write("bad.h5", "no file");
    place.run("init bad.h5").refused(3, &["bad.h5: cannot be opened"]);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let place = place();
    place.write("x.npy", floats(&[40, 3], noise));
    place.write("y.npy", floats(&[40], noise));
    place.write("few.npy", floats(&[39], noise));
    place.write("same.npy", floats(&[40], |_| 1.0));
    place.write("deep.npy", floats(&[40, 2, 2], noise));
    place.write("huge.npy", floats(&[40, 2, 2, 2, 2], noise));
    place.write("text.npy", data::npy(&[40], "<U1", &[0; 160]));
    place.write("none.npy", floats(&[0, 3], noise));
    place.write("nan.npy", floats(&[40, 3], |at| if at == 64 { f32::NAN } else { noise(at) }));
    place
        .run("init x.npy")
        .refused(2, &["add --targets FILE.npy", "these files have the same number of rows", "y.npy"]);
    for (line, part) in [
        ("x.npy --targets few.npy", "holds 40 samples, but few.npy holds 39 targets"),
        ("x.npy --targets same.npy", "has the same target in all rows"),
        ("x.npy --targets deep.npy", "has targets of shape [40, 2, 2]"),
        ("x.npy --targets text.npy", "(dtype '<U1'), not numbers"),
        ("x.npy --targets missing.npy", "missing.npy: cannot be read"),
        ("huge.npy --targets y.npy", "the inputs have 5 dimensions"),
        ("text.npy --targets y.npy", "not numbers"),
        ("none.npy --targets none.npy", "holds no samples"),
        ("nan.npy --targets y.npy", "row 21"),
    ] {
        place.run(&format!("init {line}")).refused(3, &[part]);
    }
}
