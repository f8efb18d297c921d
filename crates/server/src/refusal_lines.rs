//! Refused requests cost next to nothing, so that there may be very many of them: their lines in the log are bounded.

use std::sync::Mutex;
use std::time::Duration;

use likeness_api::ErrorCode;
use tokio::time::Instant;

use crate::locked::locked;
use crate::looks::pauses;
use crate::record::{Record, millis};

/// Time of which the lines are counted together.
const PAUSE: Duration = Duration::from_secs(1);

/// What is refused before anything is done for it, by anybody and as often as they like. All else is of an app that was let
/// in, and keeps its line.
const BOUNDED: [ErrorCode; 7] = [
    ErrorCode::InvalidCredentials,
    ErrorCode::LimitExceeded,
    ErrorCode::AppDisabled,
    ErrorCode::NotFound,
    ErrorCode::MethodNotAllowed,
    ErrorCode::Overloaded,
    ErrorCode::NotReady,
];

/// How many lines each reason has had lately.
#[derive(Debug)]
pub(crate) struct RefusalLines {
    /// Lines of a reason in a second; 0: no bound.
    most: u32,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    since: Instant,
    /// Refusals since then, in the order of [`BOUNDED`].
    seen: [u64; BOUNDED.len()],
}

impl RefusalLines {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            counts: Mutex::new(Counts {
                since: Instant::now(),
                seen: [0; BOUNDED.len()],
            }),
        }
    }

    /// Whether this request has a line of its own. It is counted either way.
    pub(crate) fn admit(&self, record: &Record) -> bool {
        match &record.facts.error {
            Some(error) => self.admit_code(error.code()),
            None => true,
        }
    }

    fn admit_code(&self, code: ErrorCode) -> bool {
        if self.most == 0 {
            return true;
        }
        let mut counts = locked(&self.counts);
        let place = BOUNDED.into_iter().zip(&mut counts.seen);
        let Some((_, seen)) = place.into_iter().find(|(bounded, _)| *bounded == code) else {
            return true;
        };
        *seen += 1;
        *seen <= u64::from(self.most)
    }

    /// How many had no line, by reason, and of which time; and begins anew.
    fn take(&self) -> (Duration, Vec<(ErrorCode, u64)>) {
        let mut counts = locked(&self.counts);
        let now = Instant::now();
        let time = now - std::mem::replace(&mut counts.since, now);
        let seen = std::mem::take(&mut counts.seen);
        let left_out = BOUNDED.into_iter().zip(seen).filter_map(|(code, seen)| {
            let left_out = seen.saturating_sub(u64::from(self.most));
            (self.most > 0 && left_out > 0).then_some((code, left_out))
        });
        (time, left_out.collect())
    }

    /// One line for each reason of which some had none.
    pub(crate) fn sum_up(&self) {
        let (time, left_out) = self.take();
        for (code, requests) in left_out {
            macro_rules! line {
                ($level:ident) => {
                    tracing::$level!(
                        target: "likeness::request",
                        error = code.as_str(),
                        status = code.status(),
                        requests,
                        within_ms = millis(time),
                        "more requests were refused than have a line"
                    )
                };
            }
            // As loud as their own lines would have been.
            if code.status() > 500 {
                line!(warn);
            } else {
                line!(info);
            }
        }
    }

    /// Sums up each second, for as long as it is polled.
    pub(crate) async fn keep_up(&self) {
        let mut ticks = pauses(Instant::now(), PAUSE);
        loop {
            ticks.tick().await;
            self.sum_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(lines: &RefusalLines, code: ErrorCode, times: usize) -> usize {
        (0..times).filter(|_| lines.admit_code(code)).count()
    }

    #[test]
    fn each_reason_has_its_lines_and_the_rest_is_summed_up() {
        let lines = RefusalLines::new(3);
        for _ in 0..2 {
            assert_eq!(admitted(&lines, ErrorCode::InvalidCredentials, 10), 3);
            assert_eq!(admitted(&lines, ErrorCode::Overloaded, 3), 3);
            assert_eq!(admitted(&lines, ErrorCode::LimitExceeded, 4), 3);
            let expected = [(ErrorCode::InvalidCredentials, 7), (ErrorCode::LimitExceeded, 1)];
            assert_eq!(lines.take().1, expected);
        }
        assert_eq!(lines.take().1, []);
    }

    #[test]
    fn what_was_let_in_always_has_its_line() {
        let lines = RefusalLines::new(1);
        for code in [
            ErrorCode::Internal,
            ErrorCode::CorruptImage,
            ErrorCode::DeadlineExceeded,
        ] {
            assert_eq!(admitted(&lines, code, 9), 9);
        }
    }

    #[test]
    fn without_a_bound_all_have() {
        let lines = RefusalLines::new(0);
        assert_eq!(admitted(&lines, ErrorCode::NotFound, 99), 99);
        assert_eq!(lines.take().1, []);
    }
}
