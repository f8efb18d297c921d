//! SIGHUP, by which daemons are told to read their files again.

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

    /// Resolves at the next one, also where it came before this was called.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        self.signal.next().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}
