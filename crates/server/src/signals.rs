//! The signals that a supervisor, or a terminal, sends to this process.

use std::time::Duration;

use tokio::time::Instant;

/// One kind of signal, listened to from the moment that this is made.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signal(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signal {
    /// Where the signal cannot be listened to, that is logged, and it never comes.
    pub(crate) fn listen(kind: tokio::signal::unix::SignalKind, name: &str) -> Self {
        Self(
            tokio::signal::unix::signal(kind)
                .inspect_err(|error| tracing::error!(%error, "{name} cannot be listened to"))
                .ok(),
        )
    }

    /// Resolves at the next one, also where it came before this was called.
    pub(crate) async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Has a write beyond the limit of a file's size (`ulimit -f`) fail, for as long as what this gives lives: otherwise its
/// signal ends the process.
#[cfg(unix)]
pub(crate) fn survive_file_size_limit() -> Signal {
    /// SIGXFSZ, on Linux and macOS alike; tokio has no name for it.
    const SIGXFSZ: i32 = 25;
    Signal::listen(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ), "SIGXFSZ")
}

/// How long after the first shutdown signal another one is the same: supervisors and terminals signal a process and then
/// its group, so that one wish arrives twice.
const SAME: Duration = Duration::from_secs(1);

/// Resolves at the second signal that comes more than [`SAME`] after the first.
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

/// Resolves at the second one of what [`shutdown_signal`] listens to, for those who do not want to wait for what is under
/// way. One that follows the first within a second does not count. To be called within a tokio runtime.
pub fn second_shutdown_signal() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        let mut interrupt = Signal::listen(SignalKind::interrupt(), "SIGINT");
        let mut terminate = Signal::listen(SignalKind::terminate(), "SIGTERM");
        async move {
            second(async || {
                tokio::select! {
                    () = interrupt.next() => {}
                    () = terminate.next() => {}
                }
            })
            .await;
        }
    }
    #[cfg(not(unix))]
    second(async || {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Resolves at the first SIGTERM or Ctrl-C of this process after the call, whether or not it has been polled by then:
/// before that they end the process. Where one of them cannot be listened to, that is logged, and the other one works. To
/// be called within a tokio runtime.
pub fn shutdown_signal() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        let mut interrupt = Signal::listen(SignalKind::interrupt(), "SIGINT");
        let mut terminate = Signal::listen(SignalKind::terminate(), "SIGTERM");
        async move {
            tokio::select! {
                () = interrupt.next() => {}
                () = terminate.next() => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be listened to");
            std::future::pending::<()>().await;
        }
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
