//! When days and months end, in UTC.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use likeness_storage::usage::{Period, SECONDS_OF_A_DAY};

/// When this day ends.
pub(super) fn end_of_day(period: Period) -> Timestamp {
    let days = period.day.saturating_add(1);
    Timestamp::from_second(days.saturating_mul(SECONDS_OF_A_DAY)).unwrap_or(Timestamp::MAX)
}

/// When this month ends.
pub(super) fn end_of_month(period: Period) -> Timestamp {
    let part = |number: i32| i16::try_from(number).unwrap_or_default();
    let month = i8::try_from(period.month % 100).unwrap_or_default();
    Date::new(part(period.month / 100), month, 1)
        .and_then(|first| first.checked_add(1.month()))
        .and_then(|next| TimeZone::UTC.to_timestamp(next.to_datetime(Time::midnight())))
        .unwrap_or(Timestamp::MAX)
}

/// How long it is until then, at least a second.
pub(super) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now))
        .unwrap_or_default()
        .max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        for (now, month, ends) in [
            ("2026-11-25T20:00:00Z", 202_611, "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59.999Z", 202_612, "2027-01-01T00:00:00Z"),
            ("2028-02-28T12:00:00Z", 202_802, "2028-03-01T00:00:00Z"),
            ("2028-02-29T23:59:59Z", 202_802, "2028-03-01T00:00:00Z"),
        ] {
            assert_eq!(
                (Period::at(at(now)).month, end_of_month(Period::at(at(now)))),
                (month, at(ends)),
                "{now}"
            );
        }
    }

    #[test]
    fn days_end_at_midnight() {
        let now = at("2028-02-28T23:59:59.5Z");
        let end = end_of_day(Period::at(now));
        assert_eq!(end, at("2028-02-29T00:00:00Z"));
        assert_eq!(Period::at(end).day, Period::at(now).day + 1);
        assert_eq!(until(now, end), Duration::from_secs(1));
        assert_eq!(
            until(at("2028-02-28T00:00:00Z"), end),
            Duration::from_secs(86_400)
        );
        // Who was refused a moment before is told to come back now.
        assert_eq!(until(at("2028-02-29T00:00:01Z"), end), Duration::from_secs(1));
    }
}
