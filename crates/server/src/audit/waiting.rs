//! Requests that wait until their record is written, and what the writer learns of those that no longer wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The status in the record of a request whose client did not wait for the response; customary since nginx.
pub(crate) const CLIENT_GONE: u16 = 499;
/// The response is sent as its record says.
const AS_RECORDED: u16 = 0;
/// The status instead of a result that could not be recorded in time.
const REFUSED: u16 = 503;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Subject {
    pub(super) request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<String>,
}

/// The writer's end. Dropped: the record is not written, and the request need not wait longer.
#[derive(Debug)]
pub(super) struct Waiting {
    told: oneshot::Sender<()>,
    /// The client's status if the request has stopped waiting.
    instead: Arc<AtomicU16>,
    subject: Subject,
    /// Whether the response must not be sent before the record is written.
    pub(super) is_held: bool,
}

/// The request's end. Dropped before it has waited: the client has gone.
#[derive(Debug)]
pub(crate) struct Wait {
    told: oneshot::Receiver<()>,
    instead: Arc<AtomicU16>,
    is_held: bool,
}

pub(super) fn wait(subject: Subject, is_held: bool) -> (Waiting, Wait) {
    let (sender, told) = oneshot::channel();
    let instead = Arc::new(AtomicU16::new(CLIENT_GONE));
    let waiting = Waiting {
        told: sender,
        instead: Arc::clone(&instead),
        subject,
        is_held,
    };
    let wait = Wait {
        told,
        instead,
        is_held,
    };
    (waiting, wait)
}

impl Waiting {
    /// Tells the request that its record is written. Returns the status that the client has received instead, if it has.
    pub(super) fn written(self) -> Option<(Subject, u16)> {
        self.told.send(()).err()?;
        let status = self.instead.load(Ordering::Acquire);
        (status != AS_RECORDED).then_some((self.subject, status))
    }
}

impl Wait {
    /// Waits until the timeout. Returns whether the response may be sent.
    pub(super) async fn within(mut self, limit: Duration) -> bool {
        let is_written = match timeout(limit, &mut self.told).await {
            Ok(told) => told.is_ok(),
            Err(_) => {
                let instead = if self.is_held { REFUSED } else { AS_RECORDED };
                self.instead.store(instead, Ordering::Release);
                // From here on the writer cannot tell; what it has told by now counts.
                self.told.close();
                self.told.try_recv().is_ok()
            }
        };
        is_written || !self.is_held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            request_id: "one".to_owned(),
            app: Some("app".to_owned()),
        }
    }

    fn instead(status: u16) -> Option<(Subject, u16)> {
        Some((subject(), status))
    }

    #[tokio::test]
    async fn a_request_whose_record_is_written_is_answered_as_recorded() {
        for is_held in [false, true] {
            let (waiting, wait) = wait(subject(), is_held);
            assert_eq!(waiting.written(), None);
            assert!(wait.within(Duration::ZERO).await);
        }
    }

    #[tokio::test]
    async fn only_a_result_without_a_record_is_held_back() {
        for is_held in [false, true] {
            let (waiting, wait) = wait(subject(), is_held);
            drop(waiting);
            assert_eq!(wait.within(Duration::ZERO).await, !is_held);
        }
    }

    #[tokio::test]
    async fn a_response_that_differs_from_its_record_is_reported() {
        let (waiting, held) = wait(subject(), true);
        assert!(!held.within(Duration::ZERO).await);
        assert_eq!(waiting.written(), instead(503));
        let (waiting, free) = wait(subject(), false);
        assert!(free.within(Duration::ZERO).await);
        assert_eq!(waiting.written(), None);
        let (waiting, gone) = wait(subject(), true);
        drop(gone);
        assert_eq!(waiting.written(), instead(499));
    }

    /// The first end decides, and both know it: the response is as recorded.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn record_and_response_agree_in_any_order() {
        for _ in 0..2_000 {
            let (waiting, wait) = wait(subject(), true);
            let writer = tokio::task::spawn_blocking(move || waiting.written());
            let goes = wait.within(Duration::from_micros(20)).await;
            assert_eq!(goes, writer.await.unwrap().is_none());
        }
    }
}
