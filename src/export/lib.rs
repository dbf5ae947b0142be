//! Networks in the file formats of other programs. Each format is one file in this crate and one entry in
//! [`EXPORTERS`].
//!
//! ```
//! # fn main() -> Result<(), String> {
//! let exporter = ternflock_export::find("npz").ok_or("there is no such format")?;
//! assert_eq!(exporter.extensions(), ["npz"]);
//! # Ok(())
//! # }
//! ```

mod names;
mod npz;
mod safetensors;

use ternflock_checkpoint::Snapshot;

/// A file format that a network can be exported to.
///
/// ```
/// use ternflock_checkpoint::{Origin, Progress, Snapshot, Tensor};
/// use ternflock_export::Exporter;
///
/// /// One line per tensor: its name, its shape and the sum of its elements.
/// struct Sums;
///
/// impl Exporter for Sums {
///     fn name(&self) -> &'static str {
///         "sums"
///     }
///
///     fn extensions(&self) -> &'static [&'static str] {
///         &["tsv"]
///     }
///
///     fn summary(&self) -> &'static str {
///         "spreadsheets"
///     }
///
///     fn encode(&self, snapshot: &Snapshot) -> Result<Vec<u8>, String> {
///         let line = |tensor: &Tensor| {
///             format!("{}\t{:?}\t{}\n", tensor.name, tensor.shape, tensor.values.iter().sum::<f32>())
///         };
///         Ok(snapshot.parameters.iter().map(line).collect::<String>().into_bytes())
///     }
/// }
///
/// let weight = Tensor { name: "ip1/weight".into(), shape: vec![2, 1], values: vec![0.5, 1.0] };
/// let snapshot = Snapshot {
///     parameters: vec![weight],
///     // ...
/// #   origin: Origin { program_version: String::new(), created: String::new() },
/// #   network: String::new(),
/// #   job: String::new(),
/// #   optimizer: Vec::new(),
/// #   recurrent_state: Vec::new(),
/// #   vocabulary: Vec::new(),
/// #   preparation: String::new(),
/// #   data: Default::default(),
/// #   progress: Progress::default(),
/// };
/// assert_eq!(Sums.encode(&snapshot)?, b"ip1/weight\t[2, 1]\t1.5\n");
/// # Ok::<(), String>(())
/// ```
pub trait Exporter: Sync {
    /// The format's name on the command line.
    fn name(&self) -> &'static str;

    /// The file extensions of this format in lower case, the usual one first.
    fn extensions(&self) -> &'static [&'static str];

    /// The programs that read the format, for the help text.
    fn summary(&self) -> &'static str;

    /// The content of the file.
    ///
    /// # Errors
    /// If the format cannot represent something in `snapshot`; the text names it.
    fn encode(&self, snapshot: &Snapshot) -> Result<Vec<u8>, String>;
}

/// All formats.
pub const EXPORTERS: &[&dyn Exporter] = &[&safetensors::Safetensors, &npz::Npz];

/// The format called `name`.
pub fn find(name: &str) -> Option<&'static dyn Exporter> {
    EXPORTERS.iter().copied().find(|exporter| exporter.name() == name)
}

/// The format for a file extension, ignoring case.
pub fn find_by_extension(extension: &str) -> Option<&'static dyn Exporter> {
    let extension = extension.to_ascii_lowercase();
    EXPORTERS.iter().copied().find(|exporter| exporter.extensions().contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_extensions_mean_one_format_each() {
        for (index, one) in EXPORTERS.iter().enumerate() {
            assert!(!one.extensions().is_empty() && !one.summary().is_empty());
            for other in &EXPORTERS[..index] {
                assert_ne!(one.name(), other.name());
                assert!(one.extensions().iter().all(|extension| !other.extensions().contains(extension)));
            }
        }
        assert_eq!(find_by_extension("NPZ").map(Exporter::name), Some("npz"));
        assert!(find("h5").is_none() && find_by_extension("h5").is_none());
    }
}
