//! TLS: the current certificate, and its reload.

mod files;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;
use crate::periodic::Checks;
use files::{Files, Loaded};

pub use files::TlsError;

/// A certificate that expires within this time is loaded with a warning.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// Accepts TLS connections.
#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    handshake: Duration,
    current: ArcSwap<Loaded>,
    /// The latest error, so that it is logged once.
    failed: Mutex<Option<String>>,
}

impl TlsConfig {
    /// Checks that the files can be served, and that clients accept the certificate today.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn check_files(&self) -> Result<(), TlsError> {
        match Files::of(self) {
            Some(files) => files.load(&files.read()?)?.check_time(&files),
            None => Ok(()),
        }
    }
}

impl Tls {
    /// Reads the files; `None` if no certificate is configured.
    pub(crate) fn open(config: &TlsConfig) -> Result<Option<Arc<Self>>, TlsError> {
        let Some(files) = Files::of(config) else {
            return Ok(None);
        };
        let loaded = files.load(&files.read()?)?;
        if let Err(error) = loaded.check_time(&files) {
            // Clients that do not check it still work, and a restart must not break them.
            tracing::error!(%error, "clients will reject the TLS certificate");
        }
        warn_about(&files, &loaded);
        Ok(Some(Arc::new(Self {
            files,
            handshake: config.handshake,
            current: ArcSwap::from_pointee(loaded),
            failed: Mutex::default(),
        })))
    }

    /// Performs the handshake of a new connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.load().config);
        timeout(self.handshake, TlsAcceptor::from(config).accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the files again and serves them to new connections. If they cannot be used, the current certificate stays; that
    /// is logged once, until the error changes. Blocks.
    fn reload(&self) {
        let mut failed = self.failed.lock();
        match self.try_reload() {
            Ok(()) => *failed = None,
            Err(error) => {
                let message = error.to_string();
                if failed.as_ref() != Some(&message) {
                    tracing::error!(%error, "TLS certificate reload failed; keeping the current certificate");
                    *failed = Some(message);
                }
            }
        }
    }

    fn try_reload(&self) -> Result<(), TlsError> {
        let files = &self.files;
        let contents = files.read()?;
        if self.current.load().digest == contents.digest() {
            return Ok(());
        }
        let loaded = files.load(&contents)?;
        loaded.check_time(files)?;
        warn_about(files, &loaded);
        tracing::info!(file = %files.certificate.display(), "TLS certificate reloaded");
        self.current.store(Arc::new(loaded));
        Ok(())
    }

    /// Reloads changed files every so often, for as long as it is polled; never if `period` is 0.
    pub(crate) async fn watch(self: &Arc<Self>, period: Duration) {
        let mut checks = Checks::every(period);
        loop {
            checks.next().await;
            self.reload_on_blocking_thread().await;
        }
    }

    /// [`reload`](Self::reload) on a thread that may block.
    pub(crate) async fn reload_on_blocking_thread(self: &Arc<Self>) {
        let tls = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await {
            tracing::error!(%error, "checking the TLS files failed");
        }
    }

    /// Returns when the current certificate expires.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.current.load().not_after
    }
}

/// Logs what is wrong with a certificate that is about to be served.
fn warn_about(files: &Files, loaded: &Loaded) {
    let left = loaded
        .not_after
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    if !left.is_zero() && left < SOON {
        tracing::warn!(
            file = %files.certificate.display(),
            days = left.as_secs() / 86_400,
            "TLS certificate expires soon"
        );
    }
    if files.key_is_open() {
        tracing::warn!(
            file = %files.key.display(),
            "every user of this machine can read the TLS key: chmod 600"
        );
    }
}
