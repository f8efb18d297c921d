//! Admission: how many verifications the service holds at the same time.

use std::sync::Arc;
use std::time::Duration;

use likeness_api::{ApiError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The `Retry-After` of a refused request: some verifications have ended by then.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds what is in memory and on the CPU. It has no queue: a request beyond the bound is refused at once. The permit is
/// held until the last work for its request has ended, even if the client has its response already.
#[derive(Debug)]
pub(crate) struct Admission {
    permits: Arc<Semaphore>,
    size: usize,
}

impl Admission {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size,
        }
    }

    /// Returns how many requests may be admitted.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns how many requests are admitted.
    pub(crate) fn admitted(&self) -> usize {
        self.size.saturating_sub(self.permits.available_permits())
    }

    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_| ApiError::from(ErrorCode::Overloaded).with_retry_after(RETRY_AFTER))
    }

    /// Waits until no work is left.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.size).unwrap_or(u32::MAX);
        // It fails only for a closed semaphore, and this one is never closed.
        let _ = self.permits.acquire_many(all).await;
    }
}
