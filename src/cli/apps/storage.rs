//! The storage of the service whose settings these are.

use std::time::Duration;

use likeness::server::Config;
use likeness::server::storage::apps::{AppError, StoredApp};
use likeness::server::storage::{Database, Place};

use super::{CommonArguments, Failure};

/// What a service may take to read the apps, once it has noticed that they have changed.
const MARGIN: Duration = Duration::from_millis(500);

/// The settings, and the storage that they name.
pub(super) struct Access {
    pub(super) config: Config,
    pub(super) database: Database,
}

impl Access {
    /// Opens the storage, which must be there.
    pub(super) async fn open(common: &CommonArguments) -> Result<Self, Failure> {
        let config = settings(common)?;
        if let Place::File(path) = config.storage.settings()?.place
            && !path.exists()
        {
            return Err(format!(
                "there is no storage {}; name the service's configuration with --config, or run this where the service \
                 runs",
                path.display()
            )
            .into());
        }
        Self::with(config).await
    }

    /// Opens the storage, and makes it where it is not there.
    pub(super) async fn open_or_make(common: &CommonArguments) -> Result<Self, Failure> {
        Self::with(settings(common)?).await
    }

    async fn with(config: Config) -> Result<Self, Failure> {
        let database = config.storage.open().await?;
        Ok(Self { config, database })
    }

    pub(super) async fn app(&self, id: &str) -> Result<StoredApp, Failure> {
        let app = self.database.app(id).await?;
        Ok(app.ok_or_else(|| AppError::Unknown(id.to_owned()))?)
    }

    /// Waits until every service that runs with this storage has noticed a change.
    pub(super) async fn wait_for_services(&self) {
        tokio::time::sleep(self.config.storage.refresh + MARGIN).await;
    }
}

fn settings(common: &CommonArguments) -> Result<Config, Failure> {
    let config = common.config.load()?;
    if matches!(config.storage.settings()?.place, Place::Memory) {
        return Err("the storage is in the memory of each process: no other one sees its apps".into());
    }
    Ok(config)
}
