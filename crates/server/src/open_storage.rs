//! Opening the storage.

use std::time::Duration;

use likeness_storage::{Database, StorageError};
use tokio::time::{Instant, sleep};

use crate::config::Config;

/// Pause between two attempts to reach a database that does not answer.
const PAUSE: Duration = Duration::from_millis(250);

impl Config {
    /// Opens the database and brings its tables up to date; where nobody answers, again and again for
    /// `database.start_seconds`. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StorageError`], which names the host and never shows a password.
    pub async fn open_database(&self) -> Result<Database, StorageError> {
        let settings = self.database.settings(&self.data_folder)?;
        let deadline = Instant::now() + self.database.start;
        let mut told = false;
        loop {
            match Database::open(&settings).await {
                Err(error) if error.is_transient() && Instant::now() + PAUSE < deadline => {
                    if !told {
                        let seconds = self.database.start.as_secs_f64();
                        tracing::warn!(%error, seconds, "waiting for the storage");
                    }
                    told = true;
                    sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}
