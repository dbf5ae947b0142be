//! The header of a NumPy file: a magic number, a version, the length of what follows, and a Python dictionary such as
//! `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::arrays::element::{Element, Stored};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Larger headers are those of structured types.
const LONGEST: u64 = 1 << 20;

/// The facts in a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub stored: Stored,
    pub shape: Vec<usize>,
}

/// Reads the header of the array in the `length` bytes of `file` from `start` on, and its size. An `Err` has the reason
/// why these bytes cannot be used.
pub(super) fn read(file: &File, start: u64, length: u64) -> Result<(Header, u64), String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let mut begin = [0; 12];
    let count = length.min(12) as usize;
    file.read_exact_at(&mut begin[..count], start).map_err(unreadable)?;
    if !begin.starts_with(MAGIC) {
        let advice = match begin {
            [b'P', b'K', ..] => ": it is a zip archive, as `np.savez` writes; use dataset = \"npz\"",
            [0x89, b'H', b'D', b'F', ..] => ": it is an HDF5 file; use dataset = \"hdf5\"",
            _ => "",
        };
        return Err(format!("is not a NumPy file, which `np.save` writes{advice}"));
    }
    let (prefix, text) = match begin[6] {
        1 => (10, u64::from(u16::from_le_bytes([begin[8], begin[9]]))),
        2 | 3 => (12, u64::from(u32::from_le_bytes([begin[8], begin[9], begin[10], begin[11]]))),
        version => return Err(format!("has version {version} of NumPy's format, which is unknown here")),
    };
    if text > LONGEST || prefix + text > length {
        return Err("truncated: it ends inside its header".into());
    }
    let mut bytes = vec![0; text as usize];
    file.read_exact_at(&mut bytes, start + prefix).map_err(unreadable)?;
    Ok((parse(&String::from_utf8_lossy(&bytes))?, prefix + text))
}

/// Reads the dictionary `text`.
fn parse(text: &str) -> Result<Header, String> {
    let damaged =
        || format!("its header is damaged: `{}`", text.trim().chars().take(200).collect::<String>());
    let (mut descr, mut is_fortran, mut shape) = (None, None, None);
    let inside = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or_else(damaged)?;
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let (key, value) = rest.split_once(':').ok_or_else(damaged)?;
        let value = value.trim_start();
        // A value ends before the comma that is outside of its brackets.
        let end = match value.as_bytes().first() {
            Some(b'(') => value.find(')').map(|at| at + 1),
            Some(b'[') => value.rfind(']').map(|at| at + 1),
            _ => Some(value.find(',').unwrap_or(value.len())),
        };
        let (value, after) = value.split_at(end.ok_or_else(damaged)?);
        match unquoted(key).ok_or_else(damaged)? {
            "descr" => descr = Some(stored(value.trim())?),
            "fortran_order" => is_fortran = Some(value.trim() == "True"),
            "shape" => shape = Some(lengths(value.trim()).ok_or_else(damaged)?),
            _ => return Err(damaged()),
        }
        rest = after.trim_start().strip_prefix(',').unwrap_or(after).trim();
    }
    let (stored, is_fortran, shape) =
        descr.zip(is_fortran).zip(shape).map(|((a, b), c)| (a, b, c)).ok_or_else(damaged)?;
    if shape.is_empty() {
        return Err("holds a single number; the first dimension must be the number of samples".into());
    }
    if is_fortran && shape.len() > 1 {
        return Err(
            "is in Fortran order, so its rows are not contiguous; save it with np.save(file, np.ascontiguousarray(array))"
                .into(),
        );
    }
    Ok(Header { stored, shape })
}

fn unquoted(text: &str) -> Option<&str> {
    let text = text.trim();
    let of = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    of('\'').or_else(|| of('"'))
}

/// The lengths of a tuple such as `(3, 4)` or `(3,)`.
fn lengths(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    // Python 2 wrote long integers with an `L`.
    let number = |part: &str| part.trim().trim_end_matches('L').parse().ok();
    inside.split(',').filter(|part| !part.trim().is_empty()).map(number).collect()
}

/// The type that a `descr` such as `'<f4'` names.
fn stored(descr: &str) -> Result<Stored, String> {
    let refused = |what: &str| {
        format!("holds {what} (dtype {descr}), not numbers; save an array of integers or floats")
    };
    let name = unquoted(descr).ok_or_else(|| refused("records with several fields"))?;
    let (order, kind) = match name.strip_prefix(['<', '>', '|', '=']) {
        Some(kind) => (name.as_bytes()[0], kind),
        None => (b'=', name),
    };
    let is_big_endian = match order {
        b'>' => true,
        b'<' => false,
        _ => cfg!(target_endian = "big"),
    };
    let element = match kind {
        "b1" | "?" => Element::Bool,
        "i1" | "b" => Element::Signed(1),
        "i2" => Element::Signed(2),
        "i4" => Element::Signed(4),
        "i8" => Element::Signed(8),
        "u1" | "B" => Element::Unsigned(1),
        "u2" => Element::Unsigned(2),
        "u4" => Element::Unsigned(4),
        "u8" => Element::Unsigned(8),
        "f2" => Element::Float(2),
        "f4" => Element::Float(4),
        "f8" => Element::Float(8),
        _ => {
            return Err(match kind.as_bytes().first() {
                Some(b'O') => refused("Python objects"),
                Some(b'U' | b'S' | b'a') => refused("texts"),
                Some(b'c') => refused("complex numbers"),
                Some(b'M' | b'm') => refused("dates or durations"),
                _ => refused("elements of another type"),
            });
        }
    };
    Ok(Stored { element, is_big_endian })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}   \n")
    }

    #[test]
    fn headers_of_numpy_are_read() {
        let float = Stored { element: Element::Float(4), is_big_endian: false };
        for (shape, lengths) in [("(3, 4)", vec![3, 4]), ("(5,)", vec![5]), ("(2L, 1L)", vec![2, 1])] {
            assert_eq!(parse(&header("'<f4'", shape)), Ok(Header { stored: float, shape: lengths }));
        }
        let big = parse(&header("\">i8\"", "(1,)")).unwrap().stored;
        assert_eq!(big, Stored { element: Element::Signed(8), is_big_endian: true });
        assert_eq!(parse(&header("'|b1'", "(1,)")).unwrap().stored.element, Element::Bool);
        // A vector is in both orders at once.
        let fortran = header("'<f4'", "(5,)").replace("False", "True");
        assert_eq!(parse(&fortran).unwrap().shape, [5]);
    }

    #[test]
    fn other_contents_are_named() {
        let refused = |text: &str| parse(text).unwrap_err();
        let message = refused(&header("'<f4'", "(3, 4)").replace("False", "True"));
        assert!(message.contains("Fortran order") && message.contains("ascontiguousarray"), "{message}");
        for (descr, what) in [
            ("'|O'", "Python objects"),
            ("'<U5'", "texts"),
            ("'<c8'", "complex numbers"),
            ("'<M8[ns]'", "dates"),
            ("[('a', '<f4'), ('b', '<i2', (3,))]", "several fields"),
        ] {
            let message = refused(&header(descr, "(3,)"));
            assert!(message.contains(what), "{message}");
        }
        assert!(refused(&header("'<f4'", "()")).contains("a single number"));
        for text in ["", "{", "{'descr': '<f4'}", "{'shape': (3, }", "{'shape': (-3,)}", "{1: 2}", "{'a': 1}"]
        {
            assert!(refused(text).contains("is damaged"), "{text}");
        }
    }
}
