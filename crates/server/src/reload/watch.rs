//! Noticing that there are other models.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Inner, Reloader};
use crate::looks::Looks;

impl Reloader {
    /// Looks every so often, for as long as it is polled; never, where `every` is 0. Files are asked, not the system's
    /// notifications: those do not come from network file systems, nor through many a container's mounts.
    pub(crate) async fn watch(&self, every: Duration) {
        let mut looks = Looks::every(every);
        loop {
            looks.next().await;
            self.look().await;
        }
    }

    /// One look, and a reload where there is reason for one.
    async fn look(&self) {
        // Without the turn: an operator who asks at this moment is not told that there is another reload.
        let inner = Arc::clone(&self.inner);
        let is_due = tokio::task::spawn_blocking(move || inner.is_due());
        match is_due.await {
            // It logs what comes of it; where another one is under way, the next look sees what that did.
            Ok(true) => drop(self.reload().await),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the models could not be looked at"),
        }
    }
}

impl Inner {
    /// Whether the source has something else than what serves and what lately failed.
    fn is_due(&self) -> bool {
        let fingerprint = self.source.fingerprint();
        let mut memory = self.memory();
        match fingerprint {
            Ok(fingerprint) => {
                memory.unreadable = None;
                if memory.serving == fingerprint {
                    memory.failures.clear();
                    return false;
                }
                memory.failures.is_due(&fingerprint, Instant::now())
            }
            Err(error) => {
                // Said once, not at every look.
                let error = error.to_string();
                if memory.unreadable.as_ref() != Some(&error) {
                    tracing::warn!(%error, "the models cannot be looked at; the ones before go on answering");
                    memory.unreadable = Some(error);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use likeness_engine::Engine;

    use super::*;
    use crate::plain::plain_engine;
    use crate::reload::{EngineSource, SourceError};
    use crate::work::engine_slot::EngineSlot;

    const EVERY: Duration = Duration::from_secs(10);

    /// What a test says of the disk, and how often it was looked at and built from.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<State>>);

    #[derive(Clone, Default)]
    struct State {
        fingerprint: Option<&'static str>,
        broken: bool,
        looks: usize,
        builds: usize,
    }

    impl EngineSource for Disk {
        fn fingerprint(&self) -> Result<String, SourceError> {
            let mut state = self.0.lock().unwrap();
            state.looks += 1;
            Ok(state.fingerprint.ok_or("there is nothing")?.to_owned())
        }

        fn build(&self) -> Result<Engine, SourceError> {
            let mut state = self.0.lock().unwrap();
            state.builds += 1;
            if state.broken {
                return Err("half of it is missing".into());
            }
            Ok(plain_engine())
        }
    }

    impl Disk {
        fn set(&self, change: impl FnOnce(&mut State)) {
            change(&mut self.0.lock().unwrap());
        }

        /// Looks and builds since the last call.
        fn counts(&self) -> (usize, usize) {
            let mut state = self.0.lock().unwrap();
            (
                std::mem::take(&mut state.looks),
                std::mem::take(&mut state.builds),
            )
        }
    }

    /// A reloader that serves what is called `a`, and looks every ten seconds of the test's own clock.
    fn watched() -> (Disk, Reloader) {
        let disk = Disk::default();
        disk.set(|state| state.fingerprint = Some("a"));
        let reloader = Reloader::new(
            Box::new(disk.clone()),
            EngineSlot::new(plain_engine()),
            "a".to_owned(),
        );
        let watching = reloader.clone();
        tokio::spawn(async move { watching.watch(EVERY).await });
        (disk, reloader)
    }

    fn serving(reloader: &Reloader) -> String {
        reloader.inner.memory().serving.clone()
    }

    /// Lets so many looks happen. The clock stands still but for this, and while files are read and engines built.
    async fn looks(count: u32) {
        tokio::time::sleep(EVERY * count).await;
    }

    /// Puts the test's own steps between the looks.
    async fn half_a_pause() {
        tokio::time::sleep(EVERY / 2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_changed_is_built_once() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        looks(3).await;
        assert_eq!(disk.counts(), (3, 0));
        disk.set(|state| state.fingerprint = Some("b"));
        assert_eq!(serving(&reloader), "a");
        looks(1).await;
        assert_eq!(serving(&reloader), "b");
        looks(3).await;
        assert_eq!(disk.counts().1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_ever_more_rarely() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| (state.fingerprint, state.broken) = (Some("b"), true));
        let mut looks_between = Vec::new();
        let mut count = 0;
        while looks_between.len() < 6 {
            looks(1).await;
            count += 1;
            if disk.counts().1 > 0 {
                looks_between.push(count);
                count = 0;
            }
        }
        assert_eq!(looks_between, [1, 1, 2, 4, 8, 16]);
        assert_eq!(serving(&reloader), "a");
        // The missing half arrives: the manifest says nothing of that.
        disk.set(|state| state.broken = false);
        looks(29).await;
        assert_eq!(serving(&reloader), "a");
        looks(1).await;
        assert_eq!(serving(&reloader), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_changed_again_is_tried_at_once() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| (state.fingerprint, state.broken) = (Some("b"), true));
        looks(10).await;
        assert_eq!(serving(&reloader), "a");
        disk.set(|state| (state.fingerprint, state.broken) = (Some("c"), false));
        looks(1).await;
        assert_eq!(serving(&reloader), "c");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_does_not_wait_for_the_pause() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| (state.fingerprint, state.broken) = (Some("b"), true));
        looks(10).await;
        disk.set(|state| state.broken = false);
        disk.counts();
        assert!(reloader.reload().await.unwrap().previous.is_some());
        assert_eq!((serving(&reloader).as_str(), disk.counts().1), ("b", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_is_not_built() {
        let (disk, reloader) = watched();
        half_a_pause().await;
        disk.set(|state| state.fingerprint = None);
        looks(3).await;
        assert_eq!(disk.counts(), (3, 0));
        disk.set(|state| state.fingerprint = Some("a"));
        looks(1).await;
        assert_eq!(disk.counts(), (1, 0), "it is what serves");
        disk.set(|state| state.fingerprint = Some("b"));
        looks(1).await;
        assert_eq!(serving(&reloader), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_looks_where_that_is_switched_off() {
        let disk = Disk::default();
        let reloader = Reloader::new(
            Box::new(disk.clone()),
            EngineSlot::new(plain_engine()),
            "a".to_owned(),
        );
        let watching = reloader.watch(Duration::ZERO);
        assert!(tokio::time::timeout(EVERY * 1_000, watching).await.is_err());
        assert_eq!(disk.counts(), (0, 0));
    }
}
