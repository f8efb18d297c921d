//! Log lines that say the same again.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets one event of a kind through in a while, and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    events: u64,
}

impl Throttle {
    /// One event in this time.
    pub(crate) fn new(pause: Duration) -> Self {
        Self {
            pause,
            state: Mutex::default(),
        }
    }

    /// Counts an event. Where it is let through: how many there were since the last one that was, this one included.
    pub(crate) fn admit(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.events += 1;
        let now = Instant::now();
        if state.last.is_some_and(|last| now - last < self.pause) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_is_let_through_in_a_while_and_the_others_are_counted() {
        let throttle = Throttle::new(Duration::from_secs(60));
        let flood = |events: usize| -> Vec<u64> { (0..events).filter_map(|_| throttle.admit()).collect() };
        assert_eq!(flood(1_000), [1]);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(flood(10), [0; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(flood(10), [1_010]);
    }
}
