//! The time of creation, written as Go's `RFC3339Nano` writes it, which engines parse.

use std::time::{SystemTime, UNIX_EPOCH};

/// The present time in UTC.
pub fn now() -> String {
    timestamp(SystemTime::now())
}

/// The time since boot in clock ticks of 10 ms, as procfs counts the start times of processes (proc_pid_stat(5), field 22).
pub fn ticks() -> u64 {
    let time = crate::sys::process::since_boot();
    time.as_secs() * 100 + u64::from(time.subsec_millis()) / 10
}

/// `2026-11-24T02:54:04.992154871Z`: nanoseconds without the zeros at their end, as Go leaves them out. Times before
/// 1970 are written as 1970.
pub fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let mut text =
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if since.subsec_nanos() != 0 {
        let fraction = format!(".{:09}", since.subsec_nanos());
        text += fraction.trim_end_matches('0');
    }
    text + "Z"
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Counted in eras of 400 years which begin on a 1 March, so that the leap day is the last of its year and a month's
/// first day is linear in the month: of five months from March on, 153 days long, three have 31.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468; // from 0000-03-01 to 1970-01-01
    let (era, day_of_era) = (days / ERA, days % ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64, nanoseconds: u32) -> String {
        timestamp(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
    }

    #[test]
    fn known_instants() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_795_488_844, 992_154_871), "2026-11-24T02:54:04.992154871Z");
        assert_eq!(at(951_782_399, 999_999_999), "2000-02-28T23:59:59.999999999Z");
        assert_eq!(at(951_782_400, 120_000_000), "2000-02-29T00:00:00.12Z");
        assert_eq!(at(4_107_542_400, 1), "2100-03-01T00:00:00.000000001Z");
        assert_eq!(timestamp(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn every_day_of_five_centuries_follows_the_one_before() {
        let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let mut expected = (1970, 1, 1);
        for day in 0..182_622 {
            assert_eq!(date(day), expected);
            let (y, m, d) = expected;
            let last = match m {
                2 => 28 + u64::from(leap(y)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (m, d) {
                (12, 31) => (y + 1, 1, 1),
                (m, d) if d == last => (y, m + 1, 1),
                (m, d) => (y, m, d + 1),
            };
        }
        assert_eq!(expected, (2470, 1, 1));
    }
}
