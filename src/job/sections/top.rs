//! The keys at the top of a job file, outside any section.

use serde_json::json;
use toml::Table;

use crate::syntax::{Absent, Key, Reader, Rule, Section};

const NAME: Key<String, Absent> =
    Key::new("name", Absent("the file's name without `.toml`"), "Names the run directory.").such(
        Rule::Such {
            must_be: MUST_BE,
            holds: |name| is_fit(name),
            schema: || json!({ "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$" }),
        },
    );

const MUST_BE: &str = "1 to 100 letters, digits, `.`, `_` or `-`, the first a letter or digit";

const STAGES: Key<Vec<Table>, Absent> =
    Key::new("stage", Absent("one stage"), "The stages of the run, one `[[stage]]` each.");

/// The top of a job file.
pub(crate) const TOP: Section = Section::new("", "The top of a job file.", &[&[&STAGES, &NAME]]);

/// The run directory is named after the job, so the name must be suitable for a directory.
pub(crate) fn read_name(reader: &mut Reader, stem: Option<&str>) -> String {
    let mut top = reader.section(&TOP);
    if top.has(NAME.name) {
        return top.read(&NAME).unwrap_or_default();
    }
    let name = stem.unwrap_or_default().to_owned();
    if !is_fit(&name) {
        top.refuse(
            NAME.name,
            format!("a job's name must be {MUST_BE}, found \"{name}\"; rename the file or set `name`"),
        );
    }
    name
}

fn is_fit(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(inside)
}
