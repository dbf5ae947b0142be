//! Numbers formatted for people.

use ternflock_report::Score;

/// 1234567 as "1,234,567".
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit (power of 1000) with one to three digits before the point.
pub fn bytes(n: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// Seconds as "8.1 s" or "2 min 05 s".
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        _ if seconds < 60.0 => format!("{seconds:.1} s"),
        whole if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Seconds as a clock shows them: "0:34", "12:05" or "1:02:05".
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A score in its own units: a percentage, or a plain number.
pub fn shown(score: Score) -> String {
    match score {
        Score::Accuracy(share) => percent(share),
        Score::Perplexity(perplexity) => format!("{perplexity:.2}"),
    }
}

/// A share as a percentage with two digits after the point.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 431_080].map(thousands), ["0", "999", "1,000", "431,080"]);
        assert_eq!([0.0, 999.0, 1000.0, 999_960.0].map(bytes), ["0 B", "999 B", "1.0 kB", "1.0 MB"]);
        assert_eq!(
            [0.04, 59.94, 125.0, 7260.0].map(duration),
            ["0.0 s", "59.9 s", "2 min 05 s", "2 h 01 min"]
        );
        assert_eq!(
            [0.4, 59.6, 725.0, 3725.0, 360_000.0].map(clock),
            ["0:00", "1:00", "12:05", "1:02:05", "100:00:00"]
        );
        assert_eq!(percent(0.98765), "98.77 %");
    }
}
