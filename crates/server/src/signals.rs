//! The signals that a supervisor, or a terminal, sends to this process.

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

/// Resolves at the second one of what [`shutdown_signal`] listens to, for those who do not want to wait for what is under
/// way. To be called within a tokio runtime.
pub fn second_shutdown_signal() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        let mut interrupt = Signal::listen(SignalKind::interrupt(), "SIGINT");
        let mut terminate = Signal::listen(SignalKind::terminate(), "SIGTERM");
        async move {
            for _ in 0..2 {
                tokio::select! {
                    () = interrupt.next() => {}
                    () = terminate.next() => {}
                }
            }
        }
    }
    #[cfg(not(unix))]
    async {
        for _ in 0..2 {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
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
