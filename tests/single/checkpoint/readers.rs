//! Other programs read a checkpoint: h5py with what docs/checkpoint-format.md says, and h5dump.

use std::path::PathBuf;
use std::process::Command;

use ternflock::checkpoint::{Snapshot, save};

use crate::sample;

fn saved(directory: &tempfile::TempDir) -> (PathBuf, Snapshot) {
    let (path, snapshot) = (directory.path().join("run.h5"), sample(7));
    save(&path, &snapshot).unwrap();
    (path, snapshot)
}

/// The standard output of a `program` that `make test` installs.
pub fn output(program: &str, package: &str, command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}; install {package}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} failed; is {package} installed?\n{err}");
    String::from_utf8(output.stdout).unwrap()
}

/// The first Python that has h5py: a module's or environment's, or the system's, where Debian's package puts it.
pub fn python_with_h5py() -> &'static str {
    let has_h5py = |python: &&str| {
        let tried = Command::new(python).args(["-c", "import h5py"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let pythons = ["python3", "/usr/bin/python3"];
    pythons.into_iter().find(has_h5py).expect("no python3 here has h5py; install python3-h5py")
}

/// Runs the reader printed in the documentation, and lines that print every bit of what it read.
#[test]
fn h5py_reads_it_as_documented() {
    let directory = tempfile::tempdir().unwrap();
    let (path, snapshot) = saved(&directory);
    let guide = include_str!("../../../docs/checkpoint-format.md");
    let reader = guide.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let script = format!(
        "{reader}
print(network['layers'][0]['name'], step)
for name, tensor in parameters.items():
    print(name, list(tensor.shape), tensor.dtype, tensor.tobytes().hex())
file = h5py.File(path)
print(list(file['optimizer']), file['progress'].attrs['best_metric'], file['progress/metrics'].attrs['μ/s'])
print(list(file['vocabulary'].asstr()[()]), file['carried/lstm1/c'][()].tolist())
print(repr(file['job'].asstr()[()]))
"
    );
    let mut python = Command::new(python_with_h5py());
    python.args(["-c", &script]).arg(&path).env("PYTHONIOENCODING", "utf-8");
    let printed = output("python3 with h5py", "python3-h5py", &mut python);

    let mut expected = vec!["größe 7".to_string()];
    for tensor in &snapshot.parameters {
        let bytes: String =
            tensor.values.iter().flat_map(|v| v.to_le_bytes()).map(|b| format!("{b:02x}")).collect();
        expected.push(format!("{} {:?} float32 {bytes}", tensor.name, tensor.shape));
    }
    expected.push("['second moment', 'first'] accuracy -0.0".into());
    expected.push("['<unk>', 'größe', ' ', '<eos>'] [[0.5], [-0.0]]".into());
    expected.push(r"'[train]\nsteps = 7 # zwölf\n'".into());
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn h5dump_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = saved(&directory);
    let dump = |arguments: &[&str]| {
        output("h5dump", "hdf5-tools", Command::new("h5dump").args(arguments).arg(&path))
    };
    let header = dump(&["-H"]);
    for line in
        ["USERBLOCK_SIZE 512", "ATTRIBUTE \"format_version\"", "GROUP \"conv1\"", "( 2, 3 ) / ( 2, 3 )"]
    {
        assert!(header.contains(line) || line.starts_with("USERBLOCK"), "no {line} in\n{header}");
    }
    assert!(dump(&["-B", "-H"]).contains("USERBLOCK_SIZE 512"));
    assert!(dump(&["-d", "/parameters/conv1/weight"]).contains("(1,0): 3, 4, 5"));
    assert!(dump(&["-a", "/progress/step"]).contains("(0): 7"));
}
