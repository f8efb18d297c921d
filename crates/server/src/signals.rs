//! The signals of supervisors and terminals.

#[cfg(unix)]
use std::task::Poll;
use std::time::Duration;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Signals of some kinds, handled from its creation on.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signals(Vec<Signal>);

#[cfg(unix)]
impl Signals {
    /// A signal that cannot be handled is logged, and never comes.
    fn listen<const N: usize>(kinds: [(SignalKind, &str); N]) -> Self {
        let signals = kinds.into_iter().filter_map(|(kind, name)| {
            let failed = |error: &_| tracing::error!(%error, signal = name, "handling a signal failed");
            signal(kind).inspect_err(failed).ok()
        });
        Self(signals.collect())
    }

    /// Resolves at the next signal, even if it came before this call.
    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let came = |signal: &mut Signal| matches!(signal.poll_recv(context), Poll::Ready(Some(())));
            if self.0.iter_mut().any(came) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) fail, for as long as the result lives; otherwise its signal
/// ends the process.
#[cfg(unix)]
pub(crate) fn survive_file_size_limit() -> Signals {
    /// SIGXFSZ, on Linux and macOS alike; tokio has no name for it.
    const SIGXFSZ: i32 = 25;
    Signals::listen([(SignalKind::from_raw(SIGXFSZ), "SIGXFSZ")])
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
    second(shutdown())
}

/// Resolves at the first SIGTERM or Ctrl-C after this call, even if it comes before the first poll. Before this call they
/// end the process. A signal that cannot be handled is logged; the other one works. Must be called within a tokio runtime.
pub fn shutdown_signal() -> impl Future<Output = ()> {
    let mut shutdown = shutdown();
    async move { shutdown().await }
}

/// Handles the signals that ask for a shutdown. Each call resolves at the next one.
fn shutdown() -> impl AsyncFnMut() {
    #[cfg(unix)]
    let mut signals = Signals::listen([
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::terminate(), "SIGTERM"),
    ]);
    async move || {
        #[cfg(unix)]
        signals.next().await;
        #[cfg(not(unix))]
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "handling Ctrl-C failed");
            std::future::pending::<()>().await;
        }
    }
}

/// SIGHUP, which tells daemons to read their files again; none if the system has no such signal.
#[derive(Debug)]
pub struct Hangups(#[cfg(unix)] Signals);

impl Hangups {
    /// Handles the signal from now on: it no longer ends the process, so call this before anything slow. A failure is logged.
    /// Must be called within a tokio runtime.
    #[must_use = "a signal that is handled and not awaited has no effect"]
    pub fn listen() -> Self {
        Self(
            #[cfg(unix)]
            Signals::listen([(SignalKind::hangup(), "SIGHUP")]),
        )
    }

    /// Resolves at the next signal, even if it came before this call.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        self.0.next().await;
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
