//! What an app is told that has used up a limit.

use std::time::Duration;

use jiff::Timestamp;
use likeness_api::{ApiError, ErrorCode};
use likeness_storage::usage::{Period, Quotas, Used};

use super::calendar::{end_of_day, end_of_month, until};

/// How long who has too many requests under way is asked to wait: one of them is done by then.
const CONCURRENT_WAIT: Duration = Duration::from_secs(1);

/// Which limit, and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Refusal {
    Rate { rate: f64, wait: Duration },
    Concurrent { most: u32 },
    Daily { quota: u64, period: Period },
    Monthly { quota: u64, period: Period },
}

impl Refusal {
    /// Which of the quotas is used up in this period; of both, the day's.
    pub(super) fn of(quotas: Quotas, used: Used, period: Period) -> Option<Self> {
        let daily = quotas.daily.filter(|quota| used.day >= *quota);
        let monthly = quotas.monthly.filter(|quota| used.month >= *quota);
        daily
            .map(|quota| Self::Daily { quota, period })
            .or_else(|| monthly.map(|quota| Self::Monthly { quota, period }))
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
        let (message, wait) = match self {
            Self::Rate { rate, wait } => {
                let wait = whole_seconds(*wait);
                let message = format!(
                    "This app may send {rate} requests a second in the long run. {}",
                    again(wait)
                );
                (message, wait)
            }
            Self::Concurrent { most } => {
                let message = format!(
                    "This app may have {most} requests under way at the same time. {}",
                    again(CONCURRENT_WAIT)
                );
                (message, CONCURRENT_WAIT)
            }
            Self::Daily { quota, period } => used_up(*quota, "day", end_of_day(*period), now),
            Self::Monthly { quota, period } => used_up(*quota, "month", end_of_month(*period), now),
        };
        ApiError::new(ErrorCode::LimitExceeded, message).with_retry_after(wait)
    }
}

/// As the `Retry-After` header has it.
fn whole_seconds(wait: Duration) -> Duration {
    let part = u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(wait.as_secs().saturating_add(part).max(1))
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
