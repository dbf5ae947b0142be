//! The types of numbers in files, and their conversion from bytes.

/// A type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// False and true, as bytes 0 and 1.
    Bool,
    /// Integers with a sign, of 1, 2, 4 or 8 bytes.
    Signed(usize),
    /// Integers without a sign, of 1, 2, 4 or 8 bytes.
    Unsigned(usize),
    /// IEEE floating-point numbers, of 2, 4 or 8 bytes.
    Float(usize),
}

impl Element {
    /// The number of bytes.
    pub fn size(self) -> usize {
        match self {
            Element::Bool => 1,
            Element::Signed(size) | Element::Unsigned(size) | Element::Float(size) => size,
        }
    }

    /// Whether its numbers are integers. False and true are.
    pub fn is_integer(self) -> bool {
        !matches!(self, Element::Float(_))
    }

    /// NumPy's name of the type.
    pub fn name(self) -> String {
        match self {
            Element::Bool => "bool".into(),
            Element::Signed(size) => format!("int{}", 8 * size),
            Element::Unsigned(size) => format!("uint{}", 8 * size),
            Element::Float(size) => format!("float{}", 8 * size),
        }
    }
}

/// A type of numbers with its byte order in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The type.
    pub element: Element,
    /// Whether the most significant byte comes first.
    pub is_big_endian: bool,
}

/// Converts each number of `$bytes` of the type `$type` to `$out`, by `$convert`.
macro_rules! each {
    ($bytes:expr, $big:expr, $out:expr, $type:ty, $convert:expr) => {{
        let numbers = $bytes.as_chunks::<{ size_of::<$type>() }>().0.iter().zip($out.iter_mut());
        match $big {
            false => numbers.for_each(|(bytes, out)| *out = $convert(<$type>::from_le_bytes(*bytes))),
            true => numbers.for_each(|(bytes, out)| *out = $convert(<$type>::from_be_bytes(*bytes))),
        }
    }};
}

impl Stored {
    /// Whether these are the bytes of `f32` in memory.
    pub fn is_native_float(self) -> bool {
        self.element == Element::Float(4) && self.is_big_endian == cfg!(target_endian = "big")
    }

    /// Converts `bytes`, which hold as many numbers as `out`, to the nearest `f32`.
    pub fn floats(self, bytes: &[u8], out: &mut [f32]) {
        let big = self.is_big_endian;
        match self.element {
            Element::Bool => each!(bytes, big, out, u8, |x| f32::from(u8::from(x != 0))),
            Element::Signed(1) => each!(bytes, big, out, i8, |x| x as f32),
            Element::Signed(2) => each!(bytes, big, out, i16, |x| x as f32),
            Element::Signed(4) => each!(bytes, big, out, i32, |x| x as f32),
            Element::Signed(_) => each!(bytes, big, out, i64, |x| x as f32),
            Element::Unsigned(1) => each!(bytes, big, out, u8, |x| x as f32),
            Element::Unsigned(2) => each!(bytes, big, out, u16, |x| x as f32),
            Element::Unsigned(4) => each!(bytes, big, out, u32, |x| x as f32),
            Element::Unsigned(_) => each!(bytes, big, out, u64, |x| x as f32),
            Element::Float(2) => each!(bytes, big, out, u16, half),
            Element::Float(4) => each!(bytes, big, out, f32, |x| x),
            Element::Float(_) => each!(bytes, big, out, f64, |x| x as f32),
        }
    }

    /// Converts `bytes`, which hold as many integers as `out`. Returns false if one of them has more than 63 bits, or if
    /// they are not integers.
    #[must_use]
    pub fn integers(self, bytes: &[u8], out: &mut [i64]) -> bool {
        let big = self.is_big_endian;
        match self.element {
            Element::Bool => each!(bytes, big, out, u8, |x| i64::from(x != 0)),
            Element::Signed(1) => each!(bytes, big, out, i8, i64::from),
            Element::Signed(2) => each!(bytes, big, out, i16, i64::from),
            Element::Signed(4) => each!(bytes, big, out, i32, i64::from),
            Element::Signed(_) => each!(bytes, big, out, i64, |x| x),
            Element::Unsigned(1) => each!(bytes, big, out, u8, i64::from),
            Element::Unsigned(2) => each!(bytes, big, out, u16, i64::from),
            Element::Unsigned(4) => each!(bytes, big, out, u32, i64::from),
            Element::Unsigned(_) => {
                each!(bytes, big, out, u64, |x| i64::try_from(x).unwrap_or(-1));
                return !out.contains(&-1);
            }
            Element::Float(_) => return false,
        }
        true
    }
}

/// The number with the 16 bits `bits` of IEEE's binary16.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        // Subnormal: fraction * 2^-24.
        0 => (fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(element: Element, is_big_endian: bool) -> Stored {
        Stored { element, is_big_endian }
    }

    #[test]
    fn halves_are_what_ieee_says() {
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), number, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan() && half(0x8000).is_sign_negative());
    }

    #[test]
    fn integers_beyond_63_bits_are_refused() {
        let unsigned = stored(Element::Unsigned(8), false);
        assert!(unsigned.integers(&(i64::MAX as u64).to_le_bytes(), &mut [0]));
        assert!(!unsigned.integers(&(1u64 << 63).to_le_bytes(), &mut [0]));
        assert!(!stored(Element::Float(4), false).integers(&[0; 4], &mut [0]));
    }

    macro_rules! same {
        ($numbers:expr, $type:ty, $element:expr) => {
            for is_big_endian in [false, true] {
                let numbers: Vec<$type> = $numbers.iter().map(|&x| x as $type).collect();
                let bytes: Vec<u8> = numbers
                    .iter()
                    .flat_map(|x| if is_big_endian { x.to_be_bytes() } else { x.to_le_bytes() })
                    .collect();
                let mut out = vec![f32::NAN; numbers.len()];
                stored($element, is_big_endian).floats(&bytes, &mut out);
                prop_assert_eq!(&out, &numbers.iter().map(|&x| x as f32).collect::<Vec<_>>());
                if $element.is_integer() {
                    let mut out = vec![-7; numbers.len()];
                    let fits = stored($element, is_big_endian).integers(&bytes, &mut out);
                    let expected: Vec<_> = numbers.iter().map(|&x| x as i128).collect();
                    prop_assert_eq!(fits, expected.iter().all(|&x| x <= i64::MAX as i128));
                    if fits {
                        prop_assert_eq!(out.iter().map(|&x| x as i128).collect::<Vec<_>>(), expected);
                    }
                }
            }
        };
    }

    proptest! {
        #[test]
        fn bytes_are_the_numbers_that_they_stand_for(
            numbers in proptest::collection::vec(any::<i64>(), 0..40)
        ) {
            same!(numbers, i8, Element::Signed(1));
            same!(numbers, i16, Element::Signed(2));
            same!(numbers, i32, Element::Signed(4));
            same!(numbers, i64, Element::Signed(8));
            same!(numbers, u8, Element::Unsigned(1));
            same!(numbers, u16, Element::Unsigned(2));
            same!(numbers, u32, Element::Unsigned(4));
            same!(numbers, u64, Element::Unsigned(8));
            same!(numbers, f32, Element::Float(4));
            same!(numbers, f64, Element::Float(8));
        }
    }
}
