//! scikit-learn's diabetes table as one CSV file. The package has two files without names of columns.

use std::fmt::Write as _;
use std::path::Path;

use crate::files::read_whole;
use ternflock_base::io::write_output;

/// The files of the package that [`diabetes`] needs.
pub const OF_DIABETES: &[&str] = &["diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"];

/// The columns: age in years, sex (1 or 2), body mass index, mean blood pressure, six measurements of blood serum, and how
/// far the disease has progressed a year later.
const HEADER: &str = "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression";

/// An upper limit on the bytes of a file.
const MOST_BYTES: u64 = 1 << 20;

/// Writes `diabetes.csv` to `into`, from the files of the package in `from`.
pub fn diabetes(from: &Path, into: &Path) -> Result<(), String> {
    let read = |name: &str| {
        let whole = read_whole(&from.join(name), MOST_BYTES).map_err(|error| error.to_string())?;
        String::from_utf8(whole.bytes).map_err(|_| format!("{name} is not text"))
    };
    let (inputs, targets) = (read(OF_DIABETES[0])?, read(OF_DIABETES[1])?);
    let (rows, values) = (inputs.lines().count(), targets.lines().count());
    if rows != values {
        return Err(format!("the package has {rows} rows of inputs and {values} targets"));
    }
    let mut text = format!("{HEADER}\n");
    for (row, target) in inputs.lines().zip(targets.lines()) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let target: f64 = target.trim().parse().map_err(|_| format!("`{target}` is not a number"))?;
        let _ = writeln!(text, "{},{target}", cells.join(","));
    }
    let path = into.join("diabetes.csv");
    write_output(&path, text.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn two_files_become_a_table() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let put = |name: &str, content: &str| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(content.as_bytes()).unwrap();
            fs::write(from.path().join(name), gzip.finish().unwrap()).unwrap();
        };
        put(OF_DIABETES[0], "59 2 32.1 101.0 157 93.2 38.0 4.0 4.8598 87\n");
        put(OF_DIABETES[1], "1.510000000000000000e+02\n");
        diabetes(from.path(), into.path()).unwrap();
        let text = fs::read_to_string(into.path().join("diabetes.csv")).unwrap();
        assert_eq!(text, format!("{HEADER}\n59,2,32.1,101.0,157,93.2,38.0,4.0,4.8598,87,151\n"));
        put(OF_DIABETES[1], "1\n2\n");
        let reason = diabetes(from.path(), into.path()).unwrap_err();
        assert_eq!(reason, "the package has 1 rows of inputs and 2 targets");
    }
}
