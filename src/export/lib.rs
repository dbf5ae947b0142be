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
