//! The progress of a fetch: a bar on a terminal, otherwise a line from time to time.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::numbers::bytes;
use crate::streams::log;
use ternflock_data::Progress;

/// The interval between two lines about the same file.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Shows the progress of a fetch on standard error.
pub struct Shown {
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// The file that is being fetched.
    name: String,
    /// When the last line about it was printed.
    said: Instant,
}

impl Shown {
    /// Shows a bar if standard error is a terminal.
    pub fn new() -> Shown {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
        Shown { bar, name: String::new(), said: Instant::now() }
    }

    /// Shows `progress`.
    pub fn show(&mut self, progress: Progress) {
        match (progress, &self.bar) {
            (Progress::Line(line), Some(bar)) => bar.suspend(|| log(line)),
            (Progress::Line(line), None) => log(line),
            (Progress::Bytes { name, done, total }, Some(bar)) => {
                if self.name != name || bar.length() != total {
                    self.name = name.to_owned();
                    bar.set_style(style(total.is_some()));
                    total.map_or_else(|| bar.unset_length(), |total| bar.set_length(total));
                    bar.set_message(self.name.clone());
                }
                bar.set_position(done);
                bar.tick();
            }
            (Progress::Bytes { name, done, total }, None) => {
                if self.name != name {
                    (self.name, self.said) = (name.to_owned(), Instant::now());
                } else if self.said.elapsed() >= BETWEEN_LINES {
                    self.said = Instant::now();
                    log(line(name, done, total));
                }
            }
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn style(has_end: bool) -> ProgressStyle {
    let template = match has_end {
        true => "  {msg} {bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta} left",
        false => "  {spinner} {msg} {bytes} after {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn line(name: &str, done: u64, total: Option<u64>) -> String {
    let of = total.map_or(String::new(), |total| {
        format!(" of {} ({:.0} %)", bytes(total as f64), 100.0 * done as f64 / (total as f64).max(1.0))
    });
    format!("  {name}: {}{of}", bytes(done as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_how_much() {
        assert_eq!(line("a.gz", 12_300_000, Some(26_400_000)), "  a.gz: 12.3 MB of 26.4 MB (47 %)");
        assert_eq!(line("npm", 0, None), "  npm: 0 B");
    }
}
