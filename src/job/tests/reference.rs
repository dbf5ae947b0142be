//! The tables of `docs/job-file.md` are generated from the definitions. `UPDATE_REFERENCE=1 cargo test -p
//! ternflock-job reference` rewrites them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::reference::Row;
use crate::sections::{IN_STAGE, SECTIONS, STAGE, TOP};
use crate::syntax::Section;

/// A table is between these markers: `<!-- keys of SECTION -->`, or with a colon and its keys, in its order.
const BEGIN: &str = "<!-- keys of ";
const END: &str = "<!-- end of keys -->";

#[test]
fn the_tables_are_those_of_the_definitions() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/job-file.md");
    let text = fs::read_to_string(&file).unwrap();
    let expected = with_tables(&text);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, &expected).unwrap();
        return;
    }
    for (line, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(
            line, expected,
            "UPDATE_REFERENCE=1 cargo test -p ternflock-job reference rewrites the tables"
        );
    }
    assert_eq!(text.len(), expected.len());
}

/// `text` with each of its tables as it should be.
fn with_tables(text: &str) -> String {
    let mut parts = text.split(BEGIN);
    let mut result = parts.next().unwrap().to_owned();
    for part in parts {
        let (head, rest) = part.split_once(" -->\n").expect("a marker ends its line");
        let (_, rest) = rest.split_once(END).expect("a table has an end");
        write!(result, "{BEGIN}{head} -->\n\n{}\n{END}{rest}", table(head)).unwrap();
    }
    result
}

/// The table of `head`: a section, or a section and some of its keys.
fn table(head: &str) -> String {
    let (name, keys) = head.split_once(": ").unwrap_or((head, ""));
    let section = section(name);
    let keys = if keys.is_empty() { section.names() } else { keys.split(' ').collect() };
    let rows: Vec<Row> = keys.iter().map(|key| row(section, key)).collect();
    let has_origins = rows.iter().any(|row| !row.origin.is_empty());
    let mut table = "| Key | Type | Default | Meaning |".to_owned();
    table += if has_origins {
        " Source of the default |\n|---|---|---|---|---|\n"
    } else {
        "\n|---|---|---|---|\n"
    };
    for (key, Row { accepts, default, meaning, origin }) in keys.iter().zip(rows) {
        let mut cells = vec![format!("`{key}`"), accepts, default, meaning];
        cells.extend(has_origins.then(|| origin.to_owned()));
        for cell in cells {
            assert!(!cell.contains(['|', '\n']), "{cell}");
            table += "|";
            table += &if cell.is_empty() { " ".to_owned() } else { format!(" {cell} ") };
        }
        table += "|\n";
    }
    table
}

fn section(name: &str) -> &'static Section {
    match name {
        "top" => &TOP,
        "stage" => &STAGE,
        name => SECTIONS.into_iter().chain(IN_STAGE).find(|section| section.name == name).expect(name),
    }
}

/// The row of `key` of `section`. For a stage, also of one of its tables, and of a key in one of those.
fn row(section: &Section, key: &str) -> Row {
    if let Some((table, inner)) = key.split_once('.') {
        return row(self::section(table), inner);
    }
    Row::of(section, key).unwrap_or_else(|| {
        let table = IN_STAGE.into_iter().find(|table| table.name == key);
        let [accepts, default, meaning] =
            ["table", "none", table.unwrap_or_else(|| panic!("no key `{key}`")).about].map(str::to_owned);
        Row { accepts, default, meaning, origin: "" }
    })
}
