//! What recurs as often as a client likes has a bounded number of records, whatever the flood.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Shortest time of which what has no record of its own is summed up.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
/// Time between two looks whether that is over.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Counts what recurs, by a reason. In each window of time a reason has at most so many records, the one that sums up what
/// had none included. The first window of a reason begins when it occurs.
#[derive(Debug)]
pub(crate) struct Floods<R> {
    windows: Mutex<HashMap<R, Window>>,
}

/// One reason in one window.
#[derive(Debug)]
struct Window {
    since: Instant,
    records: u32,
    left_out: u64,
}

/// What had no record of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut<R> {
    pub(crate) reason: R,
    pub(crate) count: u64,
    /// The time that this is of.
    pub(crate) within: Duration,
}

impl<R: Eq + Hash + Clone> Floods<R> {
    pub(crate) fn new() -> Self {
        Self {
            windows: Mutex::default(),
        }
    }

    /// Whether this one has a record of its own, where its reason may have `most` in a window. It is counted where not.
    pub(crate) fn admit(&self, reason: R, most: u32) -> bool {
        let mut windows = self.windows.lock();
        let window = windows.entry(reason).or_insert_with(|| Window {
            since: Instant::now(),
            records: 0,
            left_out: 0,
        });
        let is_admitted = window.records < most;
        if is_admitted {
            window.records += 1;
        } else {
            window.left_out += 1;
        }
        is_admitted
    }

    /// Ends the windows that are as old as this. Of each reason of which some had no record: who asks makes one for all of
    /// them, which counts as one of the next window.
    pub(crate) fn end_windows(&self, age: Duration) -> Vec<LeftOut<R>> {
        let now = Instant::now();
        let mut ended = Vec::new();
        self.windows.lock().retain(|reason, window| {
            let within = now - window.since;
            if within < age {
                return true;
            }
            if window.left_out == 0 {
                return false;
            }
            ended.push(LeftOut {
                reason: reason.clone(),
                count: window.left_out,
                within,
            });
            *window = Window {
                since: now,
                records: 1,
                left_out: 0,
            };
            true
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(floods: &Floods<char>, reason: char, most: u32, times: usize) -> usize {
        (0..times).filter(|_| floods.admit(reason, most)).count()
    }

    fn left_out(floods: &Floods<char>) -> Vec<(char, u64)> {
        let ended = floods.end_windows(Duration::ZERO).into_iter();
        ended.map(|left_out| (left_out.reason, left_out.count)).collect()
    }

    /// With one record in a window the first has it, and then the sums have, for as long as the flood lasts.
    #[test]
    fn a_window_has_no_more_records_than_it_may_sums_included() {
        for most in [1, 3] {
            let floods = Floods::new();
            assert_eq!(admitted(&floods, 'a', most, 10), most as usize);
            for _ in 0..3 {
                let before = 10 - most as usize;
                assert_eq!(left_out(&floods).len(), 1, "the sum of {before}");
                assert_eq!(admitted(&floods, 'a', most, 10), most as usize - 1);
            }
        }
    }

    #[test]
    fn all_that_has_no_record_is_counted_by_its_reason() {
        let floods = Floods::new();
        let mut own = 0;
        let mut sums = 0;
        for times in [7, 0, 3, 11] {
            own += admitted(&floods, 'a', 1, times);
            assert_eq!(admitted(&floods, 'b', 99, times), times);
            sums += left_out(&floods).iter().map(|(_, count)| count).sum::<u64>();
        }
        assert_eq!(own as u64 + sums, 21);
        assert_eq!(left_out(&floods), []);
    }

    #[test]
    fn after_a_quiet_window_the_next_one_has_its_record_again() {
        let floods = Floods::new();
        assert_eq!(admitted(&floods, 'a', 1, 2), 1);
        assert_eq!(left_out(&floods), [('a', 1)]);
        assert_eq!(left_out(&floods), []);
        assert_eq!(admitted(&floods, 'a', 1, 1), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_lasts_a_second_from_its_first_one_on() {
        let floods = Floods::new();
        let ended = || floods.end_windows(WINDOW);
        assert_eq!(admitted(&floods, 'a', 1, 3), 1);
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(admitted(&floods, 'b', 1, 5), 1);
        assert_eq!(ended(), []);
        tokio::time::advance(WINDOW / 2).await;
        let (reason, count, within) = ('a', 2, WINDOW);
        assert_eq!(
            ended(),
            [LeftOut {
                reason,
                count,
                within
            }]
        );
        assert_eq!(ended(), []);
    }
}
