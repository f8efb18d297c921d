//! Doing something again and again.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The times to look at something, the first one after a pause.
#[derive(Debug)]
pub(crate) struct Looks(Option<Interval>);

impl Looks {
    /// Every so often; never, where `every` is 0.
    pub(crate) fn every(every: Duration) -> Self {
        Self((!every.is_zero()).then(|| pauses(Instant::now() + every, every)))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        match &mut self.0 {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }
}

/// Ticks from `first` on, with a whole pause after each that came late.
pub(crate) fn pauses(first: Instant, every: Duration) -> Interval {
    let mut ticks = interval_at(first, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
