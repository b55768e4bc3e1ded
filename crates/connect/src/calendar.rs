//! Dates of the proleptic Gregorian calendar, in UTC.

/// A moment as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u64,
    /// 1 to 31.
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
    pub(crate) nanosecond: u64,
}

const SECOND_NS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 24 * 3600;
/// Years after which the calendar repeats, and their days.
const ERA_YEARS: u64 = 400;
const ERA_DAYS: u64 = 146_097;
/// Days from the first of March of year 0 to the first of January 1970.
const EPOCH_DAYS: u64 = 719_468;

impl Civil {
    /// Of Unix nanoseconds.
    pub(crate) fn of(ns: u64) -> Self {
        let seconds = ns / SECOND_NS;
        // Years begin in March, so that the leap day is their last (Howard Hinnant, "chrono-Compatible Low-Level Date
        // Algorithms").
        let days = seconds / DAY_SECONDS + EPOCH_DAYS;
        let (era, in_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * in_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let second = seconds % DAY_SECONDS;
        Self {
            year: (era * ERA_YEARS + year + u64::from(month <= 2)) as i64,
            month,
            day: in_year - (153 * from_march + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            nanosecond: ns % SECOND_NS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Civil;

    #[test]
    fn moments_have_their_dates() {
        let told = |ns| {
            let Civil { year, month, day, hour, minute, second, nanosecond } = Civil::of(ns);
            format!("{year}-{month}-{day} {hour}:{minute}:{second}.{nanosecond}")
        };
        for (seconds, expected) in [
            (0, "1970-1-1 0:0:0.7"),
            (951_782_399, "2000-2-28 23:59:59.7"),
            (951_782_400, "2000-2-29 0:0:0.7"),
            (1_709_251_199, "2024-2-29 23:59:59.7"),
            (1_709_251_200, "2024-3-1 0:0:0.7"),
            (1_735_689_599, "2024-12-31 23:59:59.7"),
            (4_107_542_400, "2100-3-1 0:0:0.7"),
        ] {
            assert_eq!(told(seconds * 1_000_000_000 + 7), expected, "date -u -d @{seconds}");
        }
    }
}
