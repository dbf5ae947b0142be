//! Times in the format of logs and files: RFC 3339, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `time` to the second, as in `2024-02-29T23:59:59Z`.
pub fn rfc3339(time: SystemTime) -> String {
    format!("{}Z", calendar(since_epoch(time).as_secs()))
}

/// `time` to the microsecond, as in `2024-02-29T23:59:59.000001Z`; such strings sort by time.
pub fn rfc3339_micros(time: SystemTime) -> String {
    let since = since_epoch(time);
    format!("{}.{:06}Z", calendar(since.as_secs()), since.subsec_micros())
}

/// Whether `text` is a time in the format of [`rfc3339_micros`].
pub fn is_rfc3339_micros(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00.000000Z";
    let fits = |(byte, of): (u8, u8)| if of == b'0' { byte.is_ascii_digit() } else { byte == of };
    let number = |at: usize| text[at..at + 2].parse().unwrap_or(99);
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(fits)
        && (1..=12).contains(&number(5))
        && (1..=31).contains(&number(8))
        && number(11) < 24
        && [14, 17].into_iter().all(|at| number(at) < 60)
}

/// A clock before 1970 is wrong anyway, but that is no reason to lose a checkpoint.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Converts `seconds` since 1970 to a date of the proleptic Gregorian calendar. Years are counted in 400-year eras that
/// begin in March, so that the leap day comes last (H. Hinnant, "chrono-compatible low-level date algorithms").
fn calendar(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // From `date -u -d @SECONDS`: the epoch, the leap days of 2000 and 2024, and the days around the missing one of
        // 2100.
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), date);
        }
    }

    #[test]
    fn texts_sort_by_time() {
        let at = |micros| rfc3339_micros(UNIX_EPOCH + Duration::from_micros(micros));
        assert_eq!(at(951_782_400_000_042), "2000-02-29T00:00:00.000042Z");
        let texts = [0, 1, 999_999, 1_000_000, 86_400_000_000].map(at);
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn only_a_time_is_a_time() {
        assert!(is_rfc3339_micros(&rfc3339_micros(SystemTime::now())));
        for text in [
            "",
            "banana",
            "2024-02-29T23:59:59Z",
            "2024-02-29T23:59:59.000001",
            "2024-13-29T23:59:59.000001Z",
            "2024-02-32T23:59:59.000001Z",
            "2024-00-29T23:59:59.000001Z",
            "2024-02-29T24:59:59.000001Z",
            "2024-02-29T23:60:59.000001Z",
            "2024-02-29t23:59:59.000001Z",
            "2024-02-29T23:59:5\u{e9}.00001Z",
        ] {
            assert!(!is_rfc3339_micros(text), "{text}");
        }
    }
}
