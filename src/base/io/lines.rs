//! Reads the lines of an arbitrary file in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

/// The lines of `input` that end with a newline and have at most `longest` bytes, without the newline. Skips longer lines
/// and a last line without a newline.
pub fn whole_lines(input: impl Read, longest: usize) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let mut input = BufReader::new(input);
    std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            match (&mut input).take(longest as u64 + 1).read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(error)),
                Ok(_) if line.pop_if(|last| *last == b'\n').is_some() => return Some(Ok(line)),
                Ok(read) if read <= longest => return None,
                Ok(_) => match input.skip_until(b'\n') {
                    Ok(_) => {}
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_no_longer_than_allowed() {
        let lines = |text: &[u8]| whole_lines(text, 3).collect::<io::Result<Vec<_>>>().unwrap();
        assert_eq!(lines(b""), [b""; 0]);
        assert_eq!(lines(b"\n\n"), [b"", b""]);
        assert_eq!(lines(b"abc\n\xff\xfe\nabcd\nabcdefgh\nd\ncut"), [&b"abc"[..], b"\xff\xfe", b"d"]);
        assert_eq!(lines(b"abcdefgh"), [b""; 0]);
    }

    /// A line of 1 GB takes no more memory than the longest line allowed.
    #[test]
    fn a_long_line_takes_no_memory() {
        let endless = io::repeat(b'x').take(1 << 30).chain(&b"\nend\n"[..]);
        let lines: Vec<_> = whole_lines(endless, 1000).map(Result::unwrap).collect();
        assert_eq!(lines, [b"end"]);
    }
}
