//! What recurs as often as a client likes has a bounded number of records, whatever the flood.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::locked::locked;

/// Time of which what has no record of its own is summed up.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Counts what recurs, by a reason. In each window of time a reason has at most so many records, the one that sums up what
/// had none included.
#[derive(Debug)]
pub(crate) struct Floods<R> {
    windows: Mutex<Windows<R>>,
}

#[derive(Debug)]
struct Windows<R> {
    since: Instant,
    reasons: HashMap<R, Window>,
}

/// One reason in one window.
#[derive(Debug, Default)]
struct Window {
    records: u32,
    left_out: u64,
}

impl<R: Eq + Hash + Clone> Floods<R> {
    pub(crate) fn new() -> Self {
        Self {
            windows: Mutex::new(Windows {
                since: Instant::now(),
                reasons: HashMap::new(),
            }),
        }
    }

    /// Whether this one has a record of its own, where its reason may have `most` in a window. It is counted where not.
    pub(crate) fn admit(&self, reason: R, most: u32) -> bool {
        let mut windows = locked(&self.windows);
        let window = windows.reasons.entry(reason).or_default();
        let is_admitted = window.records < most;
        if is_admitted {
            window.records += 1;
        } else {
            window.left_out += 1;
        }
        is_admitted
    }

    /// Begins the next window. How long the one before was, and how many of each reason had no record: who asks makes one
    /// for each, which counts as one of the next window.
    pub(crate) fn next_window(&self) -> (Duration, Vec<(R, u64)>) {
        let mut windows = locked(&self.windows);
        let now = Instant::now();
        let time = now - std::mem::replace(&mut windows.since, now);
        windows.reasons.retain(|_, window| window.left_out > 0);
        let left_out = windows.reasons.iter_mut().map(|(reason, window)| {
            let before = std::mem::replace(
                window,
                Window {
                    records: 1,
                    left_out: 0,
                },
            );
            (reason.clone(), before.left_out)
        });
        (time, left_out.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(floods: &Floods<char>, reason: char, most: u32, times: usize) -> usize {
        (0..times).filter(|_| floods.admit(reason, most)).count()
    }

    fn left_out(floods: &Floods<char>) -> Vec<(char, u64)> {
        let (_, mut left_out) = floods.next_window();
        left_out.sort_unstable();
        left_out
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
}
