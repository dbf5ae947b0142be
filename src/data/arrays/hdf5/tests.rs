//! Files that the library wrote are read back, and objects that are not arrays of numbers in one file are named.

use ::hdf5::H5Type;
use tempfile::TempDir;

use super::*;

fn new_file() -> (TempDir, File) {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("a b, c.h5")).unwrap();
    (directory, file)
}

fn open(directory: &TempDir, inside: &str) -> Result<Hdf5> {
    Hdf5::open(&format!("a b, c.h5:/{inside}"), Some(directory.path()))
}

fn refused(directory: &TempDir, inside: &str) -> String {
    open(directory, inside).err().unwrap().to_string()
}

/// `[5, 3]`: 0, 1, 2, ... as `T`, in chunks that are compressed.
fn compressed<T: H5Type>(file: &File, name: &str, number: impl Fn(usize) -> T) {
    let values: Vec<T> = (0..15).map(number).collect();
    let group = file.create_group(&format!("group of {name}")).unwrap();
    let empty = group.new_dataset::<T>().shape([5, 3]).chunk([2, 3]).shuffle().deflate(6);
    empty.create(name).unwrap().write_raw(&values).unwrap();
}

#[test]
fn numbers_of_every_type_are_read_from_compressed_chunks() {
    let (directory, file) = new_file();
    compressed(&file, "i8", |x| x as i8 - 7);
    compressed(&file, "i16", |x| x as i16 - 7);
    compressed(&file, "i32", |x| x as i32 - 7);
    compressed(&file, "i64", |x| x as i64 - 7);
    compressed(&file, "u8", |x| x as u8 + 1);
    compressed(&file, "u64", |x| x as u64 + 1);
    compressed(&file, "f32", |x| x as f32 / 4.0);
    compressed(&file, "f64", |x| x as f64 / 4.0);
    compressed(&file, "bool", |x| x % 2 == 1);
    drop(file);
    let expected = |name: &str, x: usize| match name.as_bytes()[0] {
        b'i' => x as f32 - 7.0,
        b'u' => x as f32 + 1.0,
        b'f' => x as f32 / 4.0,
        _ => (x % 2) as f32,
    };
    for name in ["i8", "i16", "i32", "i64", "u8", "u64", "f32", "f64", "bool"] {
        let array = open(&directory, &format!("group of {name}/{name}")).unwrap();
        assert_eq!(array.shape(), [5, 3]);
        assert_eq!(array.element().is_integer(), !name.starts_with('f'), "{name}");
        let mut rows = [f32::NAN; 9];
        array.floats(2, &mut rows).unwrap();
        assert_eq!(rows.to_vec(), (6..15).map(|x| expected(name, x)).collect::<Vec<_>>(), "{name}");
        if array.element().is_integer() {
            let mut row = [99; 3];
            array.integers(4, &mut row).unwrap();
            assert_eq!(
                row.map(|x| x as f32).to_vec(),
                (12..15).map(|x| expected(name, x)).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn objects_that_are_no_arrays_in_this_file_are_named() {
    #[derive(Clone, H5Type)]
    #[repr(C)]
    struct Pair {
        a: f32,
        b: i32,
    }
    let (directory, file) = new_file();
    file.new_dataset::<f32>().shape(4).create("inputs").unwrap();
    file.new_dataset::<f32>().create("single").unwrap();
    file.new_dataset::<Pair>().shape(4).create("pairs").unwrap();
    file.new_dataset::<::hdf5::types::VarLenUnicode>().shape(2).create("texts").unwrap();
    file.create_group("group").unwrap().new_dataset::<f32>().shape(4).create("x").unwrap();
    file.link_soft("/inputs", "alias").unwrap();
    file.link_external("elsewhere.h5", "/x", "outside").unwrap();
    file.link_soft("/outside", "detour").unwrap();
    let other = File::create(directory.path().join("elsewhere.h5")).unwrap();
    other.new_dataset::<f32>().shape(4).create("x").unwrap();
    drop((file, other));
    assert_eq!(open(&directory, "alias").unwrap().shape(), [4]);
    for (inside, part) in [
        ("input", "a b, c.h5:/input: `/` has no `input`; did you mean `inputs`?"),
        ("group/y", "`/group` has no `y`; there are `x`"),
        ("inputs/x", "`inputs` is not a group"),
        ("group", "is a group, not a dataset; it holds x"),
        ("", "names no dataset"),
        ("single", "holds a single number"),
        ("pairs", "holds records with several fields (compound), not numbers"),
        ("texts", "holds texts, not numbers"),
        ("outside", "`outside` is a link to another file"),
        ("detour", "is a link to"),
    ] {
        let message = refused(&directory, inside);
        assert!(message.contains(part), "{inside}: {message}");
    }
    std::fs::write(directory.path().join("text"), "no HDF5 file").unwrap();
    let message = |name: &str| Hdf5::open(name, Some(directory.path())).err().unwrap().to_string();
    assert!(message("text:/x").contains("text: cannot be opened"), "{}", message("text:/x"));
    assert!(message("none.h5:/x").contains("none.h5: cannot be read"), "{}", message("none.h5:/x"));
    assert!(message("text").contains("`text` must name a file and a dataset in it"));
}
