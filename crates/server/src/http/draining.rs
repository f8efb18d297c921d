//! The end of the connections in a graceful shutdown.

use tokio::sync::watch;

/// How far a graceful shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is none.
    Serving,
    /// Connections stay open, and each is closed after its next response, which announces the close, so that a proxy takes
    /// another connection for the next request.
    Announcing,
    /// Connections are closed as soon as no request is in flight on them.
    Closing,
}

/// Tells the connections how far the shutdown is, and counts them.
#[derive(Debug)]
pub(crate) struct Draining(watch::Sender<Stage>);

/// The end of [`Draining`] that a connection has for as long as it is open.
pub(crate) type Watcher = watch::Receiver<Stage>;

impl Draining {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }

    /// Returns a watcher for a new connection.
    pub(crate) fn watcher(&self) -> Watcher {
        let mut watcher = self.0.subscribe();
        // A new connection must see the current stage as a change.
        watcher.mark_changed();
        watcher
    }

    /// Returns the number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.0.receiver_count()
    }

    /// Begins [`Stage::Announcing`].
    pub(crate) fn announce(&self) {
        self.0.send_replace(Stage::Announcing);
    }

    /// Begins [`Stage::Closing`], and waits until no connection is open.
    pub(crate) async fn close(&self) {
        self.0.send_replace(Stage::Closing);
        self.0.closed().await;
    }
}
