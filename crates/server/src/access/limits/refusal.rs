//! The error of a request that exceeds a limit of its app.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use likeness_api::{ApiError, ErrorCode};
use likeness_storage::usage::{Period, Quotas, SECONDS_OF_A_DAY, Used};

/// `Retry-After` of an app with too many in-flight requests: one of them ends by then.
const CONCURRENT_WAIT: Duration = Duration::from_secs(1);

/// A limit that a request exceeds, and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Refusal {
    Rate {
        rate: f64,
        wait: Duration,
    },
    Concurrent {
        most: u32,
    },
    Daily {
        quota: u64,
        period: Period,
    },
    Monthly {
        quota: u64,
        period: Period,
    },
    /// The database, which knows what is left of the quotas, does not respond.
    Unavailable,
}

impl Refusal {
    /// Returns which of the quotas is exhausted in this period; of both, the daily one.
    pub(super) fn of(quotas: Quotas, used: Used, period: Period) -> Option<Self> {
        let daily = quotas.daily.filter(|quota| used.day >= *quota);
        let monthly = quotas.monthly.filter(|quota| used.month >= *quota);
        daily
            .map(|quota| Self::Daily { quota, period })
            .or_else(|| monthly.map(|quota| Self::Monthly { quota, period }))
    }

    /// Returns the limit's name in metrics and audit records.
    pub(super) const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Rate { .. } => Some("rate"),
            Self::Concurrent { .. } => Some("concurrent"),
            Self::Daily { .. } => Some("daily"),
            Self::Monthly { .. } => Some("monthly"),
            Self::Unavailable => None,
        }
    }

    pub(super) fn error(self, now: Timestamp) -> ApiError {
        let (message, wait) = match self {
            Self::Rate { rate, wait } => {
                // Whole seconds, at least one, for the `Retry-After` header.
                let up = wait.saturating_add(Duration::from_nanos(999_999_999));
                let wait = Duration::from_secs(up.as_secs().max(1));
                let again = again(wait);
                let message = format!("This app may send {rate} requests a second in the long run. {again}");
                (message, wait)
            }
            Self::Concurrent { most } => {
                let again = again(CONCURRENT_WAIT);
                let message =
                    format!("This app may have {most} requests under way at the same time. {again}");
                (message, CONCURRENT_WAIT)
            }
            Self::Daily { quota, period } => used_up(quota, "day", end_of_day(period), now),
            Self::Monthly { quota, period } => used_up(quota, "month", end_of_month(period), now),
            Self::Unavailable => {
                return ApiError::from(ErrorCode::NotReady)
                    .with_cause("cannot look up the app's quota: database unavailable");
            }
        };
        ApiError::new(ErrorCode::LimitExceeded, message).with_retry_after(wait)
    }
}

fn again(wait: Duration) -> String {
    let seconds = wait.as_secs();
    let plural = if seconds == 1 { "" } else { "s" };
    format!("Try again in {seconds} second{plural}.")
}

fn used_up(quota: u64, of: &str, end: Timestamp, now: Timestamp) -> (String, Duration) {
    let time = end.strftime("%Y-%m-%d %H:%M:%S");
    let message =
        format!("This app has used up its {quota} requests of this {of}, which ends at {time} UTC.");
    (message, until(now, end))
}

fn end_of_day(period: Period) -> Timestamp {
    let days = period.day.saturating_add(1);
    Timestamp::from_second(days.saturating_mul(SECONDS_OF_A_DAY)).unwrap_or(Timestamp::MAX)
}

fn end_of_month(period: Period) -> Timestamp {
    let part = |number: i32| i16::try_from(number).unwrap_or_default();
    let month = i8::try_from(period.month % 100).unwrap_or_default();
    Date::new(part(period.month / 100), month, 1)
        .and_then(|first| first.checked_add(1.month()))
        .and_then(|next| TimeZone::UTC.to_timestamp(next.to_datetime(Time::midnight())))
        .unwrap_or(Timestamp::MAX)
}

/// Returns the time until then, at least a second.
fn until(now: Timestamp, then: Timestamp) -> Duration {
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
        // A request refused just before the end may be sent again.
        assert_eq!(until(at("2028-02-29T00:00:01Z"), end), Duration::from_secs(1));
    }
}
