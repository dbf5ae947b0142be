//! The formats hold what the table holds.

use std::ffi::OsStr;
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::Kind;

const FIELDS: [Field; 2] = [
    Field { name: "class", width: 2, kind: Kind::Class },
    Field { name: "probability", width: 2, kind: Kind::Real },
];

fn table() -> Table<'static> {
    let item = |path: &'static [u8], number| Item { path: Path::new(OsStr::from_bytes(path)), number };
    let items = vec![item(b"a b.png", None), item(b"c,\"\xff\n.npy", Some(7))];
    Table { items, unit: "sample", fields: &FIELDS, class_names: &[], values: VALUES.to_vec() }
}

const VALUES: [f32; 8] = [3.0, 0.0, 0.75, 0.25, 12.0, 3.0, 0.5, 0.1];

#[test]
fn a_csv_table_keeps_paths_and_numbers() {
    let expected = b"input,sample,class_1,probability_1,class_2,probability_2\n\
        a b.png,,3,0.75,0,0.25\n\
        \"c,\"\"\xff\n.npy\",7,12,0.5,3,0.1\n";
    assert_eq!(Csv.encode(&table()).unwrap(), expected);
    let names: Vec<String> = (0..13).map(|class| format!("no. {class}, \"{class}\"")).collect();
    let named = Csv.encode(&Table { class_names: &names, ..table() }).unwrap();
    assert!(String::from_utf8_lossy(&named).contains("\na b.png,,\"no. 3, \"\"3\"\"\",0.75,\"no. 0,"));
    let one = Field { width: 1, ..FIELDS[0] };
    assert_eq!(Csv::header("line", &[one]), "input,line,class\n");
}

#[test]
fn a_numpy_archive_has_an_array_per_field() {
    let mut archive = zip::ZipArchive::new(Cursor::new(Npz.encode(&table()).unwrap())).unwrap();
    let mut array = |name: &str| {
        let (mut entry, mut bytes) = (archive.by_name(&format!("{name}.npy")).unwrap(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = String::from_utf8(bytes[10..10 + length].to_vec()).unwrap();
        (header.trim_end().to_owned(), bytes[10 + length..].to_vec())
    };
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}")
    };
    let integers =
        |numbers: &[i64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(array("input"), (header("|S9", "2,"), b"a b.png\0\0c,\"\xff\n.npy".to_vec()));
    assert_eq!(array("sample"), (header("<i8", "2,"), integers(&[-1, 7])));
    assert_eq!(array("class"), (header("<i8", "2,2,"), integers(&[3, 0, 12, 3])));
    let floats = [0.75_f32, 0.25, 0.5, 0.1].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(array("probability"), (header("<f4", "2,2,"), floats));
}

#[test]
fn an_hdf5_file_has_a_dataset_per_field() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.h5");
    std::fs::write(&path, Hdf5.encode(&table()).unwrap()).unwrap();
    let file = ::hdf5::File::open(path).unwrap();
    let dataset = |name: &str| file.dataset(name).unwrap();
    assert_eq!([dataset("class").shape(), dataset("probability").shape()], [[2, 2], [2, 2]]);
    assert_eq!(dataset("class").read_raw::<i64>().unwrap(), [3, 0, 12, 3]);
    assert_eq!(dataset("probability").read_raw::<f32>().unwrap(), [0.75, 0.25, 0.5, 0.1]);
    assert_eq!(dataset("sample").read_raw::<i64>().unwrap(), [-1, 7]);
    let names = dataset("input").read_raw::<::hdf5::types::VarLenUnicode>().unwrap();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a b.png", "c,\"\u{fffd}\n.npy"]);
}

/// A table without rows is a file without rows.
#[test]
fn nothing_is_written_as_nothing() {
    let empty = || Table { items: Vec::new(), values: Vec::new(), ..table() };
    assert_eq!(Csv.encode(&empty()).unwrap().iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert!(Npz.encode(&empty()).is_ok() && Hdf5.encode(&empty()).is_ok());
}

#[test]
fn the_extension_names_the_format() {
    let of = |name: &str| of_path(Path::new(name)).map(|format| format.extension());
    assert_eq!([of("a.csv"), of("a.b.NPZ"), of("csv"), of("a.txt")], [Some("csv"), Some("npz"), None, None]);
}
