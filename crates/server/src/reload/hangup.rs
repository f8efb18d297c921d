//! SIGHUP, by which daemons are told to read their files again.

use super::Reloader;

/// The SIGHUPs that this process gets; none where the system has no such signal.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    /// Takes the signal over from now on: it no longer ends the process, so this is best called before anything that
    /// takes long. Where the signal cannot be listened to, that is logged. To be called within a tokio runtime.
    #[must_use = "a signal that is taken over and not waited for does nothing at all"]
    pub fn listen() -> Self {
        #[cfg(unix)]
        {
            let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
                .inspect_err(|error| tracing::error!(%error, "SIGHUP cannot be listened to"))
                .ok();
            Self { signal }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Has the models read again at each SIGHUP, also one that came before this was called, until this future is dropped.
    /// What comes of it is logged.
    pub async fn reload(mut self, reloader: Reloader) {
        loop {
            self.next().await;
            // Nobody waits for an answer that it is busy, so it is done when it is not. The outcome is logged there.
            if reloader.reload_in_turn().await.is_ok() {
                tracing::debug!("SIGHUP has been obeyed");
            }
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
