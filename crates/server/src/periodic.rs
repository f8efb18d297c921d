//! Recurring work.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The times of a recurring check, the first one after a whole period.
#[derive(Debug)]
pub(crate) struct Checks(Option<Interval>);

impl Checks {
    /// Returns a check every `period`; none if that is 0.
    pub(crate) fn every(period: Duration) -> Self {
        Self((!period.is_zero()).then(|| ticks(Instant::now() + period, period)))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        match &mut self.0 {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }
}

/// Returns ticks from `first` on, with a whole period after each late one.
pub(crate) fn ticks(first: Instant, period: Duration) -> Interval {
    let mut ticks = interval_at(first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
