//! The check for changed models, with a backoff after failures.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Reloader;
use crate::periodic::Checks;

/// First pause before a retry: a file may arrive later than the manifest that names it.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The pause doubles at each failure up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Remembers the latest failure.
#[derive(Debug, Default)]
pub(super) struct Failures(Option<Failure>);

#[derive(Debug)]
struct Failure {
    fingerprint: String,
    pause: Duration,
    again: Instant,
}

impl Failures {
    /// Records a failure of this fingerprint.
    pub(super) fn add(&mut self, fingerprint: &str, now: Instant) {
        let same = self.0.take().filter(|latest| latest.fingerprint == fingerprint);
        let pause = same.map_or(FIRST_PAUSE, |latest| {
            latest.pause.saturating_mul(2).min(LONGEST_PAUSE)
        });
        self.0 = Some(Failure {
            fingerprint: fingerprint.to_owned(),
            pause,
            again: now + pause,
        });
    }

    /// Forgets the failure.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// Returns whether this fingerprint should be tried now: it is not the one that failed, or the pause is over.
    pub(super) fn is_due(&self, fingerprint: &str, now: Instant) -> bool {
        let failed = |latest: &Failure| latest.fingerprint == fingerprint && now < latest.again;
        !self.0.as_ref().is_some_and(failed)
    }
}

impl Reloader {
    /// Checks every so often, for as long as it is polled; never if `period` is 0. Files are read rather than the system's
    /// notifications, which network file systems and many mounts of containers do not send.
    pub(crate) async fn watch(self: &Arc<Self>, period: Duration) {
        let mut checks = Checks::every(period);
        loop {
            checks.next().await;
            // Without the turn, so that a reload by an operator at this moment is not refused.
            let reloader = Arc::clone(self);
            match tokio::task::spawn_blocking(move || reloader.is_due()).await {
                // It logs its outcome; if another reload is running, the next check sees its result.
                Ok(true) => drop(self.reload().await),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "checking the models for changes failed"),
            }
        }
    }

    /// Returns whether the source differs from the current engine and from what failed lately.
    fn is_due(&self) -> bool {
        let fingerprint = self.source.fingerprint();
        let mut memory = self.memory.lock();
        let fingerprint = match fingerprint {
            Ok(fingerprint) => fingerprint,
            Err(error) => {
                // Logged once, not at every check.
                let error = error.to_string();
                if memory.unreadable.as_ref() != Some(&error) {
                    tracing::warn!(%error, "cannot check the models for changes; keeping the current models");
                    memory.unreadable = Some(error);
                }
                return false;
            }
        };
        memory.unreadable = None;
        if memory.serving == fingerprint {
            memory.failures.clear();
            return false;
        }
        memory.failures.is_due(&fingerprint, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use likeness_engine::Engine;
    use parking_lot::Mutex;

    use super::*;
    use crate::reload::{EngineSource, SourceError};
    use crate::telemetry::metrics::Metrics;
    use crate::work::test_engine::engine;

    const EVERY: Duration = Duration::from_secs(10);

    /// The state of the disk, set by a test, and how often it was checked and built from.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<State>>);

    #[derive(Clone, Default)]
    struct State {
        fingerprint: Option<&'static str>,
        broken: bool,
        checks: usize,
        builds: usize,
    }

    impl EngineSource for Disk {
        fn fingerprint(&self) -> Result<String, SourceError> {
            let mut state = self.0.lock();
            state.checks += 1;
            Ok(state.fingerprint.ok_or("there is nothing")?.to_owned())
        }

        fn build(&self) -> Result<Engine, SourceError> {
            let mut state = self.0.lock();
            state.builds += 1;
            if state.broken {
                return Err("half of it is missing".into());
            }
            Ok(engine())
        }
    }

    impl Disk {
        fn set(&self, change: impl FnOnce(&mut State)) {
            change(&mut self.0.lock());
        }

        /// Returns the checks and builds since the last call.
        fn counts(&self) -> (usize, usize) {
            let mut state = self.0.lock();
            (
                std::mem::take(&mut state.checks),
                std::mem::take(&mut state.builds),
            )
        }
    }

    /// A reloader that serves what is called `a`, and checks every ten seconds of the test's own clock.
    fn watched() -> (Disk, Arc<Reloader>) {
        let disk = Disk::default();
        disk.set(|state| state.fingerprint = Some("a"));
        let reloader = Reloader::new(
            disk.clone(),
            Arc::new(arc_swap::ArcSwap::from_pointee(engine())),
            "a".to_owned(),
            Arc::new(Metrics::new()),
        );
        let watching = reloader.clone();
        tokio::spawn(async move { watching.watch(EVERY).await });
        (disk, reloader)
    }

    fn serving(reloader: &Reloader) -> String {
        reloader.memory.lock().serving.clone()
    }

    /// Lets so many checks happen. The clock stands still but for this, and while files are read and engines built.
    async fn checks(count: u32) {
        tokio::time::sleep(EVERY * count).await;
    }

    /// Puts the test's own steps between the checks.
    async fn half_a_pause() {
        tokio::time::sleep(EVERY / 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_built_once() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        checks(3).await;
        assert_eq!(disk.counts(), (3, 0));
        disk.set(|state| state.fingerprint = Some("b"));
        assert_eq!(serving(&reloader), "a");
        checks(1).await;
        assert_eq!(serving(&reloader), "b");
        checks(3).await;
        assert_eq!(disk.counts().1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_retried_with_backoff() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| (state.fingerprint, state.broken) = (Some("b"), true));
        let mut checks_between = Vec::new();
        let mut count = 0;
        while checks_between.len() < 6 {
            checks(1).await;
            count += 1;
            if disk.counts().1 > 0 {
                checks_between.push(count);
                count = 0;
            }
        }
        assert_eq!(checks_between, [1, 1, 2, 4, 8, 16]);
        assert_eq!(serving(&reloader), "a");
        // The missing half arrives: the manifest says nothing of that.
        disk.set(|state| state.broken = false);
        checks(29).await;
        assert_eq!(serving(&reloader), "a");
        checks(1).await;
        assert_eq!(serving(&reloader), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn another_change_is_tried_at_once() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| (state.fingerprint, state.broken) = (Some("b"), true));
        checks(10).await;
        assert_eq!(serving(&reloader), "a");
        disk.set(|state| (state.fingerprint, state.broken) = (Some("c"), false));
        checks(1).await;
        assert_eq!(serving(&reloader), "c");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_by_an_operator_does_not_wait_for_the_backoff() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| (state.fingerprint, state.broken) = (Some("b"), true));
        checks(10).await;
        disk.set(|state| state.broken = false);
        disk.counts();
        assert!(reloader.reload().await.unwrap().previous.is_some());
        assert_eq!((serving(&reloader).as_str(), disk.counts().1), ("b", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreadable_fingerprint_is_not_built() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| state.fingerprint = None);
        checks(3).await;
        assert_eq!(disk.counts(), (3, 0));
        disk.set(|state| state.fingerprint = Some("a"));
        checks(1).await;
        assert_eq!(disk.counts(), (1, 0), "it is what serves");
        disk.set(|state| state.fingerprint = Some("b"));
        checks(1).await;
        assert_eq!(serving(&reloader), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_period_of_0_disables_the_check() {
        let disk = Disk::default();
        let reloader = Reloader::new(
            disk.clone(),
            Arc::new(arc_swap::ArcSwap::from_pointee(engine())),
            "a".to_owned(),
            Arc::new(Metrics::new()),
        );
        let watching = reloader.watch(Duration::ZERO);
        assert!(tokio::time::timeout(EVERY * 1_000, watching).await.is_err());
        assert_eq!(disk.counts(), (0, 0));
    }

    #[test]
    fn retries_back_off_exponentially() {
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
    fn a_new_fingerprint_is_tried_at_once_and_begins_with_the_first_pause() {
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
