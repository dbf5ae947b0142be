//! The network between nodes, as given on the command line.

use std::str::FromStr;

use ternflock_collectives::simulated::Wire;

use ternflock_base::error::Error;

/// The overhead of Ethernet per byte of a message: 1538 bytes on the wire carry 1448 of a TCP stream (IEEE
/// 802.3 frames of 1500 bytes, RFC 9293 headers with time stamps).
const HEADERS: f64 = 1538.0 / 1448.0;

/// Seconds of a rank's own time per message to another node, unless the link sets it. This is the order of
/// magnitude of system calls and message matching.
const MESSAGE: f64 = 5e-6;

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// The costs measured between the existing ranks.
    Measured,
    /// A network with these costs, under the name by which it was given.
    Named(String, Wire),
}

impl FromStr for Link {
    type Err = Error;

    fn from_str(text: &str) -> Result<Link, Error> {
        if text == "measured" {
            return Ok(Link::Measured);
        }
        let refuse = |why: String| {
            Error::Usage(format!(
                "--link {text}: {why}; use RATE,LATENCY as in 1gbit,100us, RATE,LATENCY,MESSAGE if a message \
                 takes other than 5us of a rank's time, or \"measured\""
            ))
        };
        let parts: Vec<&str> = text.split(',').collect();
        let (rate, latency, message) = match parts[..] {
            [rate, latency] => (rate, latency, None),
            [rate, latency, message] => (rate, latency, Some(message)),
            _ => return Err(refuse("it does not have two or three parts".into())),
        };
        let bits = quantity(rate, &RATES).filter(|bits| *bits > 0.0);
        let bits = bits.ok_or_else(|| {
            refuse(format!("`{rate}` is not a rate: use a number and kbit, mbit, gbit or tbit"))
        })?;
        let time = |text: &str| {
            quantity(text, &TIMES)
                .ok_or_else(|| refuse(format!("`{text}` is not a time: use a number and ns, us, ms or s")))
        };
        let message = message.map_or(Ok(MESSAGE), time)?;
        let wire = Wire { latency: time(latency)?, byte: 8.0 * HEADERS / bits, message };
        Ok(Link::Named(text.to_owned(), wire))
    }
}

/// Longer suffixes come before their own suffixes.
const RATES: [(&str, f64); 5] = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("tbit", 1e12), ("bit", 1.0)];
const TIMES: [(&str, f64); 4] = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];

/// Parses a non-negative number and its unit.
fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?.trim(), unit)))?;
    number
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number >= 0.0)
        .map(|number| number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Wire {
        match text.parse() {
            Ok(Link::Named(name, wire)) if name == text => wire,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rates_and_times_have_units() {
        let gigabit = wire("1gbit,100us");
        assert!((gigabit.latency - 1e-4).abs() < 1e-12 && gigabit.message == 5e-6, "{gigabit:?}");
        assert!((gigabit.byte - 8.497e-9).abs() < 1e-12, "{}", gigabit.byte);
        let same = wire("1000 Mbit,0.25ms,500ns");
        assert_eq!((same.latency, same.byte), (2.5e-4, gigabit.byte));
        assert!((same.message - 5e-7).abs() < 1e-15);
        assert_eq!("measured".parse::<Link>().unwrap(), Link::Measured);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("1gbit", "does not have two or three parts"),
            ("1gbit,1us,1us,1us", "does not have two or three parts"),
            ("0gbit,1us", "`0gbit` is not a rate"),
            ("fast,1us", "`fast` is not a rate"),
            ("1gbit,-1us", "`-1us` is not a time"),
            ("1gbit,1", "`1` is not a time"),
            ("1gbit,nans", "`nans` is not a time"),
            ("1gbit,1us,2mbit", "`2mbit` is not a time"),
            ("infgbit,1us", "`infgbit` is not a rate"),
        ] {
            let error = text.parse::<Link>().unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("1gbit,100us"), "{text}: {error}");
        }
    }
}
