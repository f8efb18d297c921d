//! Opening the databases of tests.

use std::future::Future;

use likeness_storage::{Database, Place, Settings, StorageError};
use likeness_testing::{Failed, Outcome, TestDatabase};

/// Runs a test on a runtime of its own.
pub(crate) fn block_on(test: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(test)
}

pub(crate) fn settings(url: &str) -> Result<Settings, StorageError> {
    Ok(Settings::new(Place::from_url(&url.into())?))
}

pub(crate) async fn open(test: &TestDatabase) -> Result<Database, Failed> {
    Ok(Database::open(&settings(test.url())?).await?)
}
