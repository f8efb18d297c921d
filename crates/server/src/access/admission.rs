//! How many verifications are let in at the same time.

use std::sync::Arc;
use std::time::Duration;

use crate::access::limits::Slot;
use likeness_api::{ApiError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a refused client is asked to wait: some verifications are done by then.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Held from the check of the credentials until the last work for a request has ended, even where its client has long
/// been answered: so what is admitted bounds what is in memory and on the CPU.
#[derive(Debug)]
pub(crate) struct Permit {
    _admitted: OwnedSemaphorePermit,
    _slot: Option<Slot>,
}

impl Permit {
    /// With the place among its app's requests, which is given back with it.
    pub(crate) fn with_slot(self, slot: Slot) -> Self {
        Self {
            _slot: Some(slot),
            ..self
        }
    }
}

/// The gate. There is no queue before it: whoever finds it full is refused at once.
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

    /// How many are let in.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// How many are in at this moment.
    pub(crate) fn admitted(&self) -> usize {
        self.size.saturating_sub(self.permits.available_permits())
    }

    pub(crate) fn admit(&self) -> Result<Permit, ApiError> {
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .map(|admitted| Permit {
                _admitted: admitted,
                _slot: None,
            })
            .map_err(|_| ApiError::from(ErrorCode::Overloaded).with_retry_after(RETRY_AFTER))
    }

    /// Resolves when no work is left.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.size).unwrap_or(u32::MAX);
        // It fails only for a closed semaphore, and nobody closes it.
        let _ = self.permits.acquire_many(all).await;
    }
}
