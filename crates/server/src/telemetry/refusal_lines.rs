//! Refused requests cost next to nothing, so that there may be very many of them: their lines in the log are bounded.

use std::time::Duration;

use likeness_api::{ApiError, ErrorCode};
use tokio::time::Instant;

use super::context::{RequestContext, millis};
use crate::periodic::ticks;
use crate::sampling::{INTERVAL, Sampler, WINDOW, is_sampled};

#[derive(Debug)]
pub(crate) struct RefusalLines {
    /// Lines of a reason in a second, the one that sums up included; 0: no bound.
    most: u32,
    sampler: Sampler<ErrorCode>,
}

impl RefusalLines {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            sampler: Sampler::new(),
        }
    }

    /// Whether this request has a line of its own. It is counted either way.
    pub(crate) fn admit(&self, request: &RequestContext) -> bool {
        let code = request.error.as_ref().map(ApiError::code);
        code.is_none_or(|code| self.admit_code(code))
    }

    fn admit_code(&self, code: ErrorCode) -> bool {
        self.most == 0 || !is_sampled(code) || self.sampler.admit(code, self.most)
    }

    /// One line for each reason of which some had none, for at least so long.
    fn sum_up(&self, age: Duration) {
        for suppressed in self.sampler.end_windows(age) {
            let (code, requests) = (suppressed.key, suppressed.count);
            macro_rules! line {
                ($level:ident) => {
                    tracing::$level!(
                        target: "likeness::request",
                        error = code.as_str(),
                        status = code.status(),
                        requests,
                        within_ms = millis(suppressed.within),
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
        let mut ticks = ticks(Instant::now(), INTERVAL);
        loop {
            ticks.tick().await;
            self.sum_up(WINDOW);
        }
    }

    pub(crate) fn end(&self) {
        self.sum_up(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(lines: &RefusalLines, code: ErrorCode, times: usize) -> usize {
        (0..times).filter(|_| lines.admit_code(code)).count()
    }

    #[test]
    fn each_reason_has_its_lines() {
        let lines = RefusalLines::new(3);
        assert_eq!(admitted(&lines, ErrorCode::InvalidCredentials, 10), 3);
        assert_eq!(admitted(&lines, ErrorCode::Overloaded, 3), 3);
        assert_eq!(admitted(&lines, ErrorCode::LimitExceeded, 4), 3);
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
    }
}
