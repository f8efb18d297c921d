//! The current apps: those of the configuration and those of the database, which change while the service runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use likeness_storage::apps::{AppKey, NewApp, StoredApp};
use likeness_storage::{Database, StorageError};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::sleep;

use super::Apps;

/// Id of the app that a service without any app creates.
pub const FIRST_APP: &str = "default";

/// The current apps. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct AppDirectory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    /// Replaced as a whole, so that requests never wait.
    current: ArcSwap<Apps>,
    sources: Mutex<Sources>,
}

/// The sources of [`Inner::current`].
#[derive(Debug)]
struct Sources {
    configured: Apps,
    /// The database's apps, and their revision.
    stored: Vec<StoredApp>,
    revision: Option<i64>,
}

impl AppDirectory {
    /// Returns the apps of the configuration and of the database.
    pub(crate) async fn open(configured: Apps, database: Database) -> Result<Self, StorageError> {
        let directory = Self {
            inner: Arc::new(Inner {
                database,
                current: ArcSwap::from_pointee(configured.clone()),
                sources: Mutex::new(Sources {
                    configured,
                    stored: Vec::new(),
                    revision: None,
                }),
            }),
        };
        directory.read().await?;
        Ok(directory)
    }

    /// Returns the current apps.
    pub(crate) fn current(&self) -> Arc<Apps> {
        self.inner.current.load_full()
    }

    /// Creates [`FIRST_APP`] if there is no app, neither configured nor stored, and the database never had one.
    pub(crate) async fn make_first(&self) -> Result<Option<NewApp>, StorageError> {
        if !self.current().is_empty() {
            return Ok(None);
        }
        let made = self
            .inner
            .database
            .create_first_app(FIRST_APP, AppKey::generate()?)
            .await?;
        // Also if another replica has created it.
        self.read().await?;
        Ok(made)
    }

    /// Replaces the apps of the configuration.
    pub(crate) fn configure(&self, configured: Apps) -> Result<(), StorageError> {
        let mut sources = self.sources();
        let configured = configured.with_demo_of(&sources.configured);
        let apps = configured.clone().with_stored(&sources.stored)?;
        sources.configured = configured;
        self.replace(apps);
        Ok(())
    }

    /// Reads changed apps of the database every `pause`. While the database is unavailable, the known apps stay valid.
    pub(crate) async fn watch(&self, pause: Duration) {
        let mut reached = true;
        loop {
            sleep(pause).await;
            match self.refresh().await {
                Ok(()) if !reached => {
                    tracing::info!("database available again: reading changes of apps");
                    reached = true;
                }
                Ok(()) => {}
                Err(error) if reached => {
                    tracing::error!(%error, "database unavailable: apps and keys stay as last known");
                    reached = false;
                }
                Err(_) => {}
            }
        }
    }

    async fn refresh(&self) -> Result<(), StorageError> {
        let revision = self.inner.database.apps_revision().await?;
        if self.sources().revision == Some(revision) {
            return Ok(());
        }
        self.read().await?;
        tracing::info!(
            revision,
            apps = self.current().len(),
            "apps of the database reloaded"
        );
        Ok(())
    }

    async fn read(&self) -> Result<(), StorageError> {
        let (revision, stored) = self.inner.database.apps().await?;
        let mut sources = self.sources();
        let apps = sources.configured.clone().with_stored(&stored)?;
        sources.stored = stored;
        sources.revision = Some(revision);
        self.replace(apps);
        Ok(())
    }

    fn replace(&self, apps: Apps) {
        self.inner.current.store(Arc::new(apps));
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.inner.sources.lock()
    }
}
