//! TLS: the certificate that is served, and its successors.

mod files;
mod gauges;

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;
use crate::locked::locked;
use crate::looks::Looks;
use files::{Files, Loaded};

pub use files::TlsError;

/// A certificate that ends within this time is worth a warning when it is loaded.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// What speaks TLS with clients. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    handshake: Duration,
    current: RwLock<Current>,
    /// What the latest failed look found, so that it is told once.
    failed: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    digest: String,
    not_after: SystemTime,
}

impl TlsConfig {
    /// Whether the files that it names can be served, and clients will accept them today. Reads them.
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
    /// Reads the files; `None` where there is no certificate.
    pub(crate) fn open(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::of(config) else {
            return Ok(None);
        };
        let loaded = files.load(&files.read()?)?;
        if let Err(error) = loaded.check_time(&files) {
            // Those who do not look at it can still call, and a restart must not take that from them.
            tracing::error!(%error, "clients will refuse the TLS certificate");
        }
        told(&files, &loaded);
        Ok(Some(Self {
            inner: Arc::new(Inner {
                files,
                handshake: config.handshake,
                current: RwLock::new(loaded.into()),
                failed: Mutex::new(None),
            }),
        }))
    }

    /// Speaks TLS with who has just connected.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current().config);
        timeout(self.inner.handshake, TlsAcceptor::from(config).accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the files again, and serves what they hold to those who connect from now on. Where they cannot be used, what
    /// was served before goes on; that is logged once, until something else is wrong with them. Blocks.
    pub(crate) fn reload(&self) {
        let mut failed = locked(&self.inner.failed);
        match self.try_reload() {
            Ok(()) => *failed = None,
            Err(error) => {
                let said = error.to_string();
                if failed.as_ref() != Some(&said) {
                    tracing::error!(%error, "the new TLS certificate cannot be used; the one before goes on");
                    *failed = Some(said);
                }
            }
        }
    }

    fn try_reload(&self) -> Result<(), TlsError> {
        let files = &self.inner.files;
        let contents = files.read()?;
        if self.current().digest == contents.digest() {
            return Ok(());
        }
        let loaded = files.load(&contents)?;
        loaded.check_time(files)?;
        told(files, &loaded);
        tracing::info!(file = %files.certificate().display(), "a new TLS certificate is served from now on");
        *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = loaded.into();
        Ok(())
    }

    /// Looks at the files every so often, for as long as it is polled; never, where `every` is 0.
    pub(crate) async fn watch(&self, every: Duration) {
        let mut looks = Looks::every(every);
        loop {
            looks.next().await;
            self.reload_aside().await;
        }
    }

    /// [`reload`](Self::reload) on a thread that may block.
    pub(crate) async fn reload_aside(&self) {
        let tls = self.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await {
            tracing::error!(%error, "the TLS files could not be looked at");
        }
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.inner.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Loaded> for Current {
    fn from(loaded: Loaded) -> Self {
        Self {
            config: Arc::new(loaded.config),
            digest: loaded.digest,
            not_after: loaded.not_after,
        }
    }
}

/// What an operator should know of a certificate that is about to be served.
fn told(files: &Files, loaded: &Loaded) {
    let left = loaded
        .not_after
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    if !left.is_zero() && left < SOON {
        tracing::warn!(
            file = %files.certificate().display(),
            days = left.as_secs() / 86_400,
            "the TLS certificate expires soon"
        );
    }
    if files.key_is_open() {
        tracing::warn!(
            file = %files.key().display(),
            "everybody on this machine can read the TLS key: chmod 600"
        );
    }
}
