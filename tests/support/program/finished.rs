//! How the program ended.

use serde_json::Value;

/// How the program ended.
pub struct Finished {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// All of standard output.
    pub out: String,
    /// All of standard error.
    pub err: String,
}

impl Finished {
    /// Asserts that the program ended with `code`, and returns this; a panic is never acceptable.
    #[track_caller]
    pub fn ended(self, code: i32) -> Finished {
        let all = format!("exit code {:?}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.out, self.err);
        assert_eq!(self.code, Some(code), "{all}");
        assert!(!self.err.contains("panicked"), "{all}");
        self
    }

    /// A refusal: exit code `code`, each of `parts` on standard error, and nothing on standard output.
    #[track_caller]
    pub fn refused(self, code: i32, parts: &[&str]) -> Finished {
        let this = self.ended(code);
        assert_eq!(this.out, "");
        for part in parts {
            assert!(this.err.contains(part), "no `{part}` in\n{}", this.err);
        }
        this
    }

    /// Success, with exactly one JSON object on standard output.
    #[track_caller]
    pub fn json(self) -> Value {
        let this = self.ended(0);
        let value: Value = serde_json::from_str(&this.out).unwrap_or_else(|e| panic!("{e}: {}", this.out));
        assert!(
            value.is_object() && this.out.ends_with('\n') && this.out.lines().count() == 1,
            "{}",
            this.out
        );
        value
    }
}
