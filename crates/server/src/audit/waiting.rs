//! Requests that wait until their line is written, and what the writer learns of them if they do not any longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::telemetry::CLIENT_GONE;

/// The answer goes out as its line says.
const AS_IT_IS: u16 = 0;
/// Instead of a result that could not be recorded in time.
const REFUSED: u16 = 503;

/// Whom a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) request_id: String,
    pub(super) app: Option<String>,
}

/// An answer that did not go out although its line says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Withheld {
    pub(super) subject: Subject,
    /// What the client got instead.
    pub(super) status: u16,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Waiting {
    told: oneshot::Sender<bool>,
    /// The status that the client gets when the request has stopped waiting.
    instead: Arc<AtomicU16>,
    subject: Subject,
    /// Whether the answer may go out only after the line is written.
    pub(super) is_held: bool,
}

/// The request's end. Dropped before it has waited: the client went away.
#[derive(Debug)]
pub(crate) struct Wait {
    told: oneshot::Receiver<bool>,
    instead: Arc<AtomicU16>,
    is_held: bool,
}

/// Both ends.
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
    /// Tells the request that its line is written. Either it hears of that, and answers as the line says; or the client
    /// has got something else, which is to be recorded.
    pub(super) fn written(self) -> Option<Withheld> {
        self.told.send(true).err()?;
        let status = self.instead.load(Ordering::Acquire);
        (status != AS_IT_IS).then_some(Withheld {
            subject: self.subject,
            status,
        })
    }

    /// Tells the request that its line is not written, and that it need not wait longer.
    pub(super) fn not_written(self) {
        // Who does not wait any longer does not mind.
        let _ = self.told.send(false);
    }
}

impl Wait {
    /// Waits for so long at most. Whether the answer may go out.
    pub(super) async fn within(mut self, patience: Duration) -> bool {
        let is_written = match timeout(patience, &mut self.told).await {
            Ok(told) => told.unwrap_or(false),
            Err(_) => {
                let instead = if self.is_held { REFUSED } else { AS_IT_IS };
                self.instead.store(instead, Ordering::Release);
                // From here on the writer cannot tell; what it has told by now counts.
                self.told.close();
                self.told.try_recv().unwrap_or(false)
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

    fn instead(status: u16) -> Option<Withheld> {
        Some(Withheld {
            subject: subject(),
            status,
        })
    }

    #[tokio::test]
    async fn who_hears_of_the_line_answers_as_it_says() {
        for is_held in [false, true] {
            let (waiting, wait) = wait(subject(), is_held);
            assert_eq!(waiting.written(), None);
            assert!(wait.within(Duration::ZERO).await);
        }
    }

    #[tokio::test]
    async fn a_result_is_held_back_that_is_not_written_and_nothing_else_is() {
        for is_held in [false, true] {
            let (waiting, wait) = wait(subject(), is_held);
            waiting.not_written();
            assert_eq!(wait.within(Duration::ZERO).await, !is_held);
        }
    }

    #[tokio::test]
    async fn who_waits_no_longer_is_told_apart() {
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

    /// Whoever is first decides, and both know it: what goes out is what is on record.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn line_and_answer_agree_however_they_meet() {
        for _ in 0..2_000 {
            let (waiting, wait) = wait(subject(), true);
            let writer = tokio::task::spawn_blocking(move || waiting.written());
            let goes = wait.within(Duration::from_micros(20)).await;
            assert_eq!(goes, writer.await.unwrap().is_none());
        }
    }
}
