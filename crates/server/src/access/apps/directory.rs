//! The apps that may call now: those of the configuration and those of the storage, which change while the service runs.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use likeness_storage::apps::{AppKey, NewApp, StoredApp};
use likeness_storage::{Database, StorageError};
use tokio::time::sleep;

use super::Apps;

use crate::locked::locked;

/// Id of the app that a service makes which finds none.
pub const FIRST_APP: &str = "default";

/// The apps that may call now. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct AppDirectory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    /// What requests are checked against. Replaced as a whole: a request waits for nothing.
    current: RwLock<Arc<Apps>>,
    sources: Mutex<Sources>,
}

/// What [`Inner::current`] is made of.
#[derive(Debug)]
struct Sources {
    configured: Apps,
    /// The storage's apps, and the revision that they were read with.
    stored: Vec<StoredApp>,
    revision: Option<i64>,
}

impl AppDirectory {
    /// The configuration's apps, and those of the storage.
    pub(crate) async fn open(configured: Apps, database: Database) -> Result<Self, StorageError> {
        let directory = Self {
            inner: Arc::new(Inner {
                database,
                current: RwLock::new(Arc::new(configured.clone())),
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

    /// The apps that may call now.
    pub(crate) fn current(&self) -> Arc<Apps> {
        Arc::clone(&self.inner.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes [`FIRST_APP`] where there is no app, neither configured nor stored, and never was one in the storage.
    pub(crate) async fn make_first(&self) -> Result<Option<NewApp>, StorageError> {
        if !self.current().is_empty() {
            return Ok(None);
        }
        let made = self
            .inner
            .database
            .create_first_app(FIRST_APP, AppKey::generate()?)
            .await?;
        // Also where another replica has made it.
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

    /// Looks again and again whether the storage's apps have changed, and takes up what has. Where the storage does not
    /// answer, the apps that are known go on being valid.
    pub(crate) async fn watch(&self, pause: Duration) {
        let mut reached = true;
        loop {
            sleep(pause).await;
            match self.refresh().await {
                Ok(()) if !reached => {
                    tracing::info!("the storage answers again: changes of apps are noticed");
                    reached = true;
                }
                Ok(()) => {}
                Err(error) if reached => {
                    tracing::error!(%error, "the storage does not answer: apps and keys stay as they are known here");
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
            "the storage's apps have changed"
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
        *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(apps);
    }

    fn sources(&self) -> std::sync::MutexGuard<'_, Sources> {
        locked(&self.inner.sources)
    }
}
