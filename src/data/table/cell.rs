//! Cells of a table.

/// The content of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Missing,
    /// A number.
    Number(f32),
    /// A number that single precision cannot hold, or infinity.
    TooLarge,
    /// Anything else, without white space around it.
    Text(&'a [u8]),
}

/// Whole numbers up to it are exact in single precision.
pub const LARGEST_EXACT: f32 = 16_777_216.0;

/// The cells that mean "no value", in lower case.
const MISSING: [&[u8]; 5] = [b"", b"na", b"n/a", b"nan", b"null"];

/// The content of the cell `bytes`.
pub fn cell(bytes: &[u8]) -> Cell<'_> {
    let bytes = bytes.trim_ascii();
    if MISSING.iter().any(|missing| bytes.eq_ignore_ascii_case(missing)) {
        return Cell::Missing;
    }
    match std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok()) {
        // "-nan" and such.
        Some(number) if number.is_nan() => Cell::Missing,
        Some(number) if (number as f32).is_finite() => Cell::Number(number as f32),
        Some(_) => Cell::TooLarge,
        None => Cell::Text(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_missing_numbers_or_text() {
        for missing in ["", "  ", "NA", "n/a", "NaN", "nan", "NULL"] {
            assert_eq!(cell(missing.as_bytes()), Cell::Missing, "{missing}");
        }
        for (text, number) in [(" 1 ", 1.0), ("-2.5e3", -2500.0), ("+.5", 0.5), ("1e-50", 0.0), ("007", 7.0)]
        {
            assert_eq!(cell(text.as_bytes()), Cell::Number(number), "{text}");
        }
        for text in ["inf", "-Infinity", "1e39", "-1e400"] {
            assert_eq!(cell(text.as_bytes()), Cell::TooLarge, "{text}");
        }
        for text in ["a", "1,5", "1 2", "0x10", "2024-01-01", "\u{fc}"] {
            assert_eq!(cell(text.as_bytes()), Cell::Text(text.as_bytes()), "{text}");
        }
        assert_eq!(cell(b" \xff "), Cell::Text(b"\xff"));
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number: f32) {
            prop_assume!(number.is_finite());
            let text = number.to_string();
            prop_assert_eq!(cell(text.as_bytes()), Cell::Number(number));
        }
    }
}
