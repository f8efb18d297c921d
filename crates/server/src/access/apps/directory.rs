//! The current apps of the configuration and of the database, which change while the service runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use likeness_storage::apps::{AppKey, NewApp, StoredApp};
use likeness_storage::{Database, StorageError};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::Apps;

/// Id of the app that a service creates if there is none.
pub const FIRST_APP: &str = "default";

/// The current apps.
#[derive(Debug)]
pub(crate) struct AppDirectory {
    database: Database,
    /// Replaced as a whole, so that no request waits.
    current: ArcSwap<Apps>,
    sources: Mutex<Sources>,
}

/// The parts of [`AppDirectory::current`].
#[derive(Debug)]
struct Sources {
    configured: Apps,
    stored: Vec<StoredApp>,
    /// The revision of `stored`.
    revision: Option<i64>,
}

impl AppDirectory {
    /// Reads the apps of the database, and adds them to the configured ones.
    pub(crate) async fn open(configured: Apps, database: Database) -> Result<Self, StorageError> {
        let directory = Self {
            database,
            current: ArcSwap::from_pointee(configured.clone()),
            sources: Mutex::new(Sources {
                configured,
                stored: Vec::new(),
                revision: None,
            }),
        };
        directory.read().await?;
        Ok(directory)
    }

    /// Returns the current apps.
    pub(crate) fn current(&self) -> Arc<Apps> {
        self.current.load_full()
    }

    /// Creates [`FIRST_APP`] unless an app is configured, or the database has or ever had one.
    pub(crate) async fn make_first(&self) -> Result<Option<NewApp>, StorageError> {
        if !self.current().is_empty() {
            return Ok(None);
        }
        let key = AppKey::generate()?;
        let created = self.database.create_first_app(FIRST_APP, key).await?;
        // Another replica may have created it.
        self.read().await?;
        Ok(created)
    }

    /// Replaces the configured apps.
    pub(crate) fn configure(&self, configured: Apps) -> Result<(), StorageError> {
        let mut sources = self.sources.lock();
        let configured = configured.with_demo_of(&sources.configured);
        let apps = configured.clone().with_stored(&sources.stored)?;
        sources.configured = configured;
        self.current.store(Arc::new(apps));
        Ok(())
    }

    /// Reads the apps of the database again whenever they have changed. While the database is down, the known apps stay
    /// valid.
    pub(crate) async fn watch(&self, interval: Duration) {
        let mut is_reached = true;
        loop {
            sleep(interval).await;
            let outcome = self.refresh().await;
            let was_reached = std::mem::replace(&mut is_reached, outcome.is_ok());
            match outcome {
                Ok(()) if !was_reached => tracing::info!("reading apps from the database again"),
                Err(error) if was_reached => {
                    tracing::error!(%error, "cannot read apps from the database; known apps and keys stay valid");
                }
                _ => {}
            }
        }
    }

    /// Reads the apps of the database if they have changed.
    pub(crate) async fn refresh(&self) -> Result<(), StorageError> {
        let revision = self.database.apps_revision().await?;
        if self.sources.lock().revision == Some(revision) {
            return Ok(());
        }
        self.read().await?;
        let apps = self.current().len();
        tracing::info!(revision, apps, "apps in the database have changed");
        Ok(())
    }

    async fn read(&self) -> Result<(), StorageError> {
        let (revision, stored) = self.database.apps().await?;
        let mut sources = self.sources.lock();
        let apps = sources.configured.clone().with_stored(&stored)?;
        sources.stored = stored;
        sources.revision = Some(revision);
        self.current.store(Arc::new(apps));
        Ok(())
    }
}
