//! Numbers formatted for people.

use ternflock_job::Metric;
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

/// A score in its own units: a percentage, or a plain number. An undefined one is a dash.
pub fn shown(score: Score) -> String {
    match score.defined() {
        None => "-".into(),
        Some(share) if score.metric.is_share() => percent(share),
        Some(perplexity) if score.metric == Metric::Perplexity => format!("{perplexity:.2}"),
        Some(value) => significant(value),
    }
}

/// A number with five significant digits.
pub fn significant(value: f64) -> String {
    let digits = if value == 0.0 || !value.is_finite() { 0 } else { value.abs().log10().floor() as i32 };
    match digits {
        -4..=5 => format!("{value:.*}", (4 - digits).max(0) as usize),
        _ => format!("{value:.4e}"),
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
        assert_eq!(
            [0.0, 1.5, -123.456, 123_456.7, 0.000_123_456, 1e-9, 1e9, f64::INFINITY].map(significant),
            ["0.0000", "1.5000", "-123.46", "123457", "0.00012346", "1.0000e-9", "1.0000e9", "inf"]
        );
        let score = |metric, value| shown(Score::of(metric, value));
        assert_eq!(score(Metric::R2, None), "-");
        assert_eq!(score(Metric::R2, Some(0.5)), "0.50000");
        assert_eq!(score(Metric::MacroF1, Some(0.5)), "50.00 %");
        assert_eq!(score(Metric::Perplexity, Some(7.0)), "7.00");
    }
}
