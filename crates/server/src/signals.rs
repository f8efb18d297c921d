//! The signals of supervisors and terminals.

use std::time::Duration;

use tokio::time::Instant;

/// One kind of signal, handled from its creation on.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signal(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signal {
    /// If the signal cannot be handled, that is logged, and it never comes.
    pub(crate) fn listen(kind: tokio::signal::unix::SignalKind, name: &str) -> Self {
        Self(
            tokio::signal::unix::signal(kind)
                .inspect_err(|error| tracing::error!(%error, signal = name, "handling a signal failed"))
                .ok(),
        )
    }

    /// Resolves at the next signal, even if it came before this call.
    pub(crate) async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) fail, for as long as the result lives; otherwise its signal
/// ends the process.
#[cfg(unix)]
pub(crate) fn survive_file_size_limit() -> Signal {
    /// SIGXFSZ, on Linux and macOS alike; tokio has no name for it.
    const SIGXFSZ: i32 = 25;
    Signal::listen(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ), "SIGXFSZ")
}

/// How long after the first shutdown signal another one counts as the same: supervisors and terminals signal a process and
/// then its group.
const SAME: Duration = Duration::from_secs(1);

/// Resolves at the first signal that comes more than [`SAME`] after the first of all.
async fn second(mut signal: impl AsyncFnMut()) {
    signal().await;
    let first = Instant::now();
    loop {
        signal().await;
        if first.elapsed() > SAME {
            return;
        }
    }
}

/// Resolves at the second signal of [`shutdown_signal`], which aborts in-flight requests. A signal within a second of the
/// first does not count. Must be called within a tokio runtime.
pub fn second_shutdown_signal() -> impl Future<Output = ()> {
    let mut shutdown = Shutdown::listen();
    async move { second(async || shutdown.next().await).await }
}

/// Resolves at the first SIGTERM or Ctrl-C after this call, even if it comes before the first poll. Before this call they
/// end the process. A signal that cannot be handled is logged; the other one works. Must be called within a tokio runtime.
pub fn shutdown_signal() -> impl Future<Output = ()> {
    let mut shutdown = Shutdown::listen();
    async move { shutdown.next().await }
}

/// The signals that ask for a shutdown.
struct Shutdown {
    #[cfg(unix)]
    signals: [Signal; 2],
}

impl Shutdown {
    fn listen() -> Self {
        #[cfg(unix)]
        use tokio::signal::unix::SignalKind;
        Self {
            #[cfg(unix)]
            signals: [
                Signal::listen(SignalKind::interrupt(), "SIGINT"),
                Signal::listen(SignalKind::terminate(), "SIGTERM"),
            ],
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                () = interrupt.next() => {}
                () = terminate.next() => {}
            }
        }
        #[cfg(not(unix))]
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "handling Ctrl-C failed");
            std::future::pending::<()>().await;
        }
    }
}

/// SIGHUP, which tells daemons to read their files again; none if the system has no such signal.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signal: Signal,
}

impl Hangups {
    /// Handles the signal from now on: it no longer ends the process, so call this before anything slow. A failure is logged.
    /// Must be called within a tokio runtime.
    #[must_use = "a signal that is handled and not awaited has no effect"]
    pub fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signal: Signal::listen(tokio::signal::unix::SignalKind::hangup(), "SIGHUP"),
        }
    }

    /// Resolves at the next signal, even if it came before this call.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        self.signal.next().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    /// When `second` resolves, where signals come at these milliseconds.
    async fn resolved_at(signals: &[u64]) -> u128 {
        let begin = Instant::now();
        let mut times = signals.iter();
        second(async || match times.next() {
            Some(&millis) => sleep_until(begin + Duration::from_millis(millis)).await,
            None => sleep_until(begin + Duration::from_secs(3_600)).await,
        })
        .await;
        begin.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn signals_within_a_second_are_one() {
        advance(Duration::from_secs(1)).await;
        assert_eq!(resolved_at(&[0, 0, 900, 1_500]).await, 1_500);
        assert_eq!(resolved_at(&[7_000, 7_001, 7_999, 8_001]).await, 8_001);
        assert_eq!(resolved_at(&[0, 2_000]).await, 2_000);
        assert_eq!(resolved_at(&[0, 1]).await, 3_600_000, "only by another one");
    }
}
