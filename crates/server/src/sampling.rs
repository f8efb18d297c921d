//! Sampling of recurring events: clients cannot fill the log or the audit, however many requests they send.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use likeness_api::ErrorCode;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Shortest time after which suppressed events are summed up.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
/// Time between two checks whether it is over.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// Errors of requests that are refused before any work for them, which a client can cause as often as it likes. All other
/// requests are of an app that was accepted, and are recorded one by one.
const SAMPLED: [ErrorCode; 7] = [
    ErrorCode::InvalidCredentials,
    ErrorCode::LimitExceeded,
    ErrorCode::AppDisabled,
    ErrorCode::NotFound,
    ErrorCode::MethodNotAllowed,
    ErrorCode::Overloaded,
    ErrorCode::NotReady,
];

/// Returns whether requests with this error are sampled, in the log and in the audit.
pub(crate) fn is_sampled(code: ErrorCode) -> bool {
    SAMPLED.contains(&code)
}

/// Admits a bounded number of events with the same key in each window, the summary of the suppressed ones included. The first
/// window of a key begins with its first event.
#[derive(Debug)]
pub(crate) struct Sampler<K> {
    windows: Mutex<HashMap<K, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    admitted: u32,
    suppressed: u64,
}

/// Events of one window that were not admitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suppressed<K> {
    pub(crate) key: K,
    pub(crate) count: u64,
    /// The length of the window.
    pub(crate) within: Duration,
}

impl<K: Eq + Hash + Clone> Sampler<K> {
    pub(crate) fn new() -> Self {
        Self {
            windows: Mutex::default(),
        }
    }

    /// Returns whether an event is admitted, of at most `most` in a window. Otherwise it is counted.
    pub(crate) fn admit(&self, key: K, most: u32) -> bool {
        let mut windows = self.windows.lock();
        let window = windows.entry(key).or_insert_with(|| Window {
            since: Instant::now(),
            admitted: 0,
            suppressed: 0,
        });
        let is_admitted = window.admitted < most;
        if is_admitted {
            window.admitted += 1;
        } else {
            window.suppressed += 1;
        }
        is_admitted
    }

    /// Ends the windows of at least this age, and returns those with suppressed events. The caller makes a summary of each,
    /// which counts as an event of the next window.
    pub(crate) fn end_windows(&self, age: Duration) -> Vec<Suppressed<K>> {
        let now = Instant::now();
        let mut ended = Vec::new();
        self.windows.lock().retain(|key, window| {
            let within = now - window.since;
            if within < age {
                return true;
            }
            if window.suppressed == 0 {
                return false;
            }
            ended.push(Suppressed {
                key: key.clone(),
                count: window.suppressed,
                within,
            });
            *window = Window {
                since: now,
                admitted: 1,
                suppressed: 0,
            };
            true
        });
        ended
    }
}

/// Admits one event in an interval, and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval: Duration,
    sampler: Sampler<()>,
}

impl Throttle {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            sampler: Sampler::new(),
        }
    }

    /// Counts an event. If it is admitted, returns the number of events since the last admitted one, this one included.
    pub(crate) fn admit(&self) -> Option<u64> {
        match self.sampler.end_windows(self.interval).first() {
            Some(suppressed) => Some(suppressed.count + 1),
            None => self.sampler.admit((), 1).then_some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(sampler: &Sampler<char>, key: char, most: u32, times: usize) -> usize {
        (0..times).filter(|_| sampler.admit(key, most)).count()
    }

    fn suppressed(sampler: &Sampler<char>) -> Vec<(char, u64)> {
        let ended = sampler.end_windows(Duration::ZERO).into_iter();
        ended
            .map(|suppressed| (suppressed.key, suppressed.count))
            .collect()
    }

    /// With one record in a window the first has it, and then the sums have, for as long as the flood lasts.
    #[test]
    fn a_window_admits_no_more_than_it_may_summaries_included() {
        for most in [1, 3] {
            let sampler = Sampler::new();
            assert_eq!(admitted(&sampler, 'a', most, 10), most as usize);
            for _ in 0..3 {
                let before = 10 - most as usize;
                assert_eq!(suppressed(&sampler).len(), 1, "the sum of {before}");
                assert_eq!(admitted(&sampler, 'a', most, 10), most as usize - 1);
            }
        }
    }

    #[test]
    fn suppressed_events_are_counted_by_their_key() {
        let sampler = Sampler::new();
        let mut own = 0;
        let mut sums = 0;
        for times in [7, 0, 3, 11] {
            own += admitted(&sampler, 'a', 1, times);
            assert_eq!(admitted(&sampler, 'b', 99, times), times);
            sums += suppressed(&sampler).iter().map(|(_, count)| count).sum::<u64>();
        }
        assert_eq!(own as u64 + sums, 21);
        assert_eq!(suppressed(&sampler), []);
    }

    #[test]
    fn after_a_quiet_window_the_next_event_is_admitted() {
        let sampler = Sampler::new();
        assert_eq!(admitted(&sampler, 'a', 1, 2), 1);
        assert_eq!(suppressed(&sampler), [('a', 1)]);
        assert_eq!(suppressed(&sampler), []);
        assert_eq!(admitted(&sampler, 'a', 1, 1), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_lasts_a_second_from_its_first_one_on() {
        let sampler = Sampler::new();
        let ended = || sampler.end_windows(WINDOW);
        assert_eq!(admitted(&sampler, 'a', 1, 3), 1);
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(admitted(&sampler, 'b', 1, 5), 1);
        assert_eq!(ended(), []);
        tokio::time::advance(WINDOW / 2).await;
        let (key, count, within) = ('a', 2, WINDOW);
        assert_eq!(ended(), [Suppressed { key, count, within }]);
        assert_eq!(ended(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_admits_one_event_in_an_interval_and_counts_the_others() {
        let throttle = Throttle::new(Duration::from_secs(60));
        let flood = |events: usize| -> Vec<u64> { (0..events).filter_map(|_| throttle.admit()).collect() };
        assert_eq!(flood(1_000), [1]);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(flood(10), [0; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(flood(10), [1_010]);
    }
}
