//! What failed, so that it is not tried again at every look.

use std::time::Duration;

use tokio::time::Instant;

/// Until what failed is tried again: a file may arrive later than the manifest that names it.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The pause doubles at each failure up to this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Remembers the latest failure.
#[derive(Debug, Default)]
pub(super) struct Failures {
    latest: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    fingerprint: String,
    pause: Duration,
    again: Instant,
}

impl Failures {
    /// What has this fingerprint failed.
    pub(super) fn add(&mut self, fingerprint: &str, now: Instant) {
        let pause = match &self.latest {
            Some(latest) if latest.fingerprint == fingerprint => {
                latest.pause.saturating_mul(2).min(LONGEST_PAUSE)
            }
            _ => FIRST_PAUSE,
        };
        self.latest = Some(Failure {
            fingerprint: fingerprint.to_owned(),
            pause,
            again: now + pause,
        });
    }

    /// Something worked.
    pub(super) fn clear(&mut self) {
        self.latest = None;
    }

    /// Whether what has this fingerprint should be tried now without being asked: it is another one than what failed, or
    /// long enough has passed.
    pub(super) fn is_due(&self, fingerprint: &str, now: Instant) -> bool {
        self.latest
            .as_ref()
            .is_none_or(|latest| latest.fingerprint != fingerprint || now >= latest.again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_after_longer_and_longer_pauses() {
        let mut failures = Failures::default();
        let mut now = Instant::now();
        assert!(failures.is_due("a", now));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            failures.add("a", now);
            let pause = (1..)
                .map(Duration::from_secs)
                .find(|pause| failures.is_due("a", now + *pause))
                .unwrap();
            assert!(!failures.is_due("a", now));
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn what_is_new_is_tried_at_once_and_begins_with_the_short_pause() {
        let mut failures = Failures::default();
        let now = Instant::now();
        for _ in 0..5 {
            failures.add("a", now);
        }
        assert!(failures.is_due("b", now));
        failures.add("b", now);
        assert!(!failures.is_due("b", now) && failures.is_due("b", now + FIRST_PAUSE));
        failures.clear();
        assert!(failures.is_due("a", now) && failures.is_due("b", now));
    }
}
