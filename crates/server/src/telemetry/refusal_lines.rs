//! Refused requests cost next to nothing, so that there may be very many of them: their lines in the log are bounded.

use std::time::Duration;

use likeness_api::ErrorCode;
use tokio::time::Instant;

use super::context::{RequestContext, millis};
use crate::floods::{Floods, LeftOut, PAUSE, WINDOW};
use crate::periodic::ticks;

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

/// Whether what is refused for this reason is bounded, in the log and in the audit.
pub(crate) fn is_bounded(code: ErrorCode) -> bool {
    BOUNDED.contains(&code)
}

/// How many lines each reason has had lately.
#[derive(Debug)]
pub(crate) struct RefusalLines {
    /// Lines of a reason in a second, the one that sums up included; 0: no bound.
    most: u32,
    floods: Floods<ErrorCode>,
}

impl RefusalLines {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            floods: Floods::new(),
        }
    }

    /// Whether this request has a line of its own. It is counted either way.
    pub(crate) fn admit(&self, request: &RequestContext) -> bool {
        match &request.error {
            Some(error) => self.admit_code(error.code()),
            None => true,
        }
    }

    fn admit_code(&self, code: ErrorCode) -> bool {
        self.most == 0 || !is_bounded(code) || self.floods.admit(code, self.most)
    }

    /// One line for each reason of which some had none, for at least so long.
    fn sum_up(&self, age: Duration) {
        for left_out in self.floods.end_windows(age) {
            let LeftOut {
                reason: code,
                count: requests,
                within,
            } = left_out;
            macro_rules! line {
                ($level:ident) => {
                    tracing::$level!(
                        target: "likeness::request",
                        error = code.as_str(),
                        status = code.status(),
                        requests,
                        within_ms = millis(within),
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
        let mut ticks = ticks(Instant::now(), PAUSE);
        loop {
            ticks.tick().await;
            self.sum_up(WINDOW);
        }
    }

    /// Sums up what is left.
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
