//! Permits for what is bounded in number: requests, connections, busy workers.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A number of permits, taken first come first served. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Permits {
    semaphore: Arc<Semaphore>,
    max: usize,
}

/// A permit, which is returned when this is dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

impl Permits {
    pub(crate) fn new(max: usize) -> Self {
        let semaphore = Arc::new(Semaphore::new(max));
        Self { semaphore, max }
    }

    /// Returns how many there are.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Returns how many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.max.saturating_sub(self.semaphore.available_permits())
    }

    /// Takes one, if there is one.
    pub(crate) fn try_take(&self) -> Option<Permit> {
        Arc::clone(&self.semaphore).try_acquire_owned().ok()
    }

    /// Waits for a permit and takes it. The semaphore is never closed.
    pub(crate) async fn take(&self) -> Result<Permit, AcquireError> {
        Arc::clone(&self.semaphore).acquire_owned().await
    }

    /// Waits until no permit is taken.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        let _ = self.semaphore.acquire_many(all).await;
    }
}
