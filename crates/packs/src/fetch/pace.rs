//! Whether a server sends fast enough to be waited for. A byte now and then breaks no silence, and would hold a pull, and
//! the lock of the store with it, for years.

use std::time::{Duration, Instant};

use super::error::Trouble;

/// Fewest bytes a second, on the mean of a window. A model of 8 MB takes over two hours then.
const LEAST: f64 = 1024.0;

/// Looks at what arrives in one window after another.
pub(super) struct Pace {
    window: Duration,
    begin: Instant,
    /// Bytes at the beginning of the window.
    length: u64,
}

impl Pace {
    /// From now on, in windows of the longest silence that is borne.
    pub(super) fn new(window: Duration, now: Instant, length: u64) -> Self {
        Self {
            window,
            begin: now,
            length,
        }
    }

    /// Told how many bytes there are.
    pub(super) fn check(&mut self, now: Instant, length: u64) -> Result<(), Trouble> {
        let passed = now.saturating_duration_since(self.begin);
        if passed < self.window {
            return Ok(());
        }
        let came = length.saturating_sub(self.length);
        if (came as f64) < LEAST * passed.as_secs_f64() {
            return Err(Trouble::Network(format!(
                "it sends too slowly: {came} bytes in {:.0} s",
                passed.as_secs_f64()
            )));
        }
        (self.begin, self.length) = (now, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_slow_by_what_it_sent_in_a_window() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(Duration::from_secs(30), start, 500);
        assert!(pace.check(at(29), 500).is_ok(), "the window is not over");
        assert!(pace.check(at(30), 500 + 30 * 1024).is_ok());
        // Ahead in one window is not ahead in the next.
        assert!(pace.check(at(60), 10_000_000).is_ok());
        let error = pace.check(at(90), 10_000_003).unwrap_err();
        assert_eq!(error.to_string(), "it sends too slowly: 3 bytes in 30 s");
        assert!(error.may_pass());
    }
}
