//! What wrote a checkpoint, and when.

use std::time::{SystemTime, UNIX_EPOCH};

/// What wrote a checkpoint, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The version of the program.
    pub program_version: String,
    /// RFC 3339, UTC, to the second.
    pub created: String,
}

impl Origin {
    /// This program, now.
    pub fn now() -> Self {
        // A clock before 1970 is wrong anyway, and no reason to lose a checkpoint.
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Origin { program_version: env!("CARGO_PKG_VERSION").into(), created: rfc3339(seconds) }
    }
}

/// `seconds` since 1970 in UTC, by the proleptic Gregorian calendar counted in 400-year eras that begin in March, so
/// that the leap day comes last (H. Hinnant, "chrono-compatible low-level date algorithms").
fn rfc3339(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // From `date -u -d @SECONDS`: the epoch, leap days of 2000 and 2024, the days around 2100's missing one.
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }
}
