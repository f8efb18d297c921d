//! What an app is told that has used up a limit.

use std::time::Duration;

use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode};
use likeness_storage::usage::{Quotas, Used};

use super::calendar::{end_of_day, end_of_month, until};

/// Which limit, and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Refusal {
    Rate { rate: f64, wait: Duration },
    Concurrent { most: u32 },
    Daily { quota: u64 },
    Monthly { quota: u64 },
}

impl Refusal {
    /// Which of the quotas is used up; of both, the day's.
    pub(super) fn of(quotas: Quotas, used: Used) -> Option<Self> {
        let daily = quotas.daily.filter(|quota| used.day >= *quota);
        let monthly = quotas.monthly.filter(|quota| used.month >= *quota);
        daily
            .map(|quota| Self::Daily { quota })
            .or_else(|| monthly.map(|quota| Self::Monthly { quota }))
    }

    /// As metrics name it.
    pub(super) const fn limit(&self) -> &'static str {
        match self {
            Self::Rate { .. } => "rate",
            Self::Concurrent { .. } => "concurrent",
            Self::Daily { .. } => "daily",
            Self::Monthly { .. } => "monthly",
        }
    }

    pub(super) fn error(&self, now: Timestamp) -> ApiError {
        let time = |then: Timestamp| then.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let (message, wait) = match self {
            Self::Rate { rate, wait } => (
                format!("This app may send {rate} requests a second in the long run."),
                *wait,
            ),
            Self::Concurrent { most } => (
                format!("This app may have {most} requests under way at the same time."),
                Duration::from_secs(1),
            ),
            Self::Daily { quota } => (
                format!(
                    "This app has used up its {quota} requests of this day, which ends at {} UTC.",
                    time(end_of_day(now))
                ),
                until(now, end_of_day(now)),
            ),
            Self::Monthly { quota } => (
                format!(
                    "This app has used up its {quota} requests of this month, which ends at {} UTC.",
                    time(end_of_month(now))
                ),
                until(now, end_of_month(now)),
            ),
        };
        ApiError::new(ErrorCode::LimitExceeded, message).with_retry_after(wait)
    }
}
