//! SIGHUP, by which daemons are told to read their files again.

use super::Reloader;
#[cfg(unix)]
use crate::signals::Signal;

/// The SIGHUPs that this process gets; none where the system has no such signal.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signal: Signal,
}

impl Hangups {
    /// Takes the signal over from now on: it no longer ends the process, so this is best called before anything that
    /// takes long. Where the signal cannot be listened to, that is logged. To be called within a tokio runtime.
    #[must_use = "a signal that is taken over and not waited for does nothing at all"]
    pub fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signal: Signal::listen(tokio::signal::unix::SignalKind::hangup(), "SIGHUP"),
        }
    }

    /// Has the models read again at each SIGHUP, also one that came before this was called, until this future is dropped.
    /// What comes of it is logged.
    pub async fn reload(mut self, reloader: Reloader) {
        loop {
            self.next().await;
            // Nobody waits for an answer that it is busy, so it is done when it is not. The outcome is logged there.
            drop(reloader.reload_in_turn().await);
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        self.signal.next().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}
