//! Making audit records searchable that were added without it, and forgetting removed ones.

use std::time::Duration;

use likeness_storage::{Database, StorageError};
use tokio::time::{Instant, sleep};

use super::row::searchable;
use crate::periodic::ticks;

/// Records that are made searchable, or forgotten, at once.
const BATCH: i64 = 500;
/// Pause between two batches, in which others use the database.
const PAUSE: Duration = Duration::from_millis(20);
/// How often records without it are looked for, such as those of a service of an earlier version.
const INTERVAL: Duration = Duration::from_secs(60);

/// Makes records searchable and forgets removed ones, as long as it is polled.
pub(super) async fn keep_up(database: &Database) {
    let mut ticks = ticks(Instant::now(), INTERVAL);
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        match pass(database).await {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "cannot make audit records searchable; retrying each minute");
                }
            }
        }
    }
}

async fn pass(database: &Database) -> Result<(), StorageError> {
    while database.forget_removed(BATCH).await? {
        sleep(PAUSE).await;
    }
    let mut made = 0;
    while let Some(records) = database.unsearchable(BATCH).await? {
        if made == 0 {
            let remaining = database.search_progress().await?.remaining;
            tracing::info!(records = remaining, "making audit records searchable");
        }
        made += records.rows.len();
        // A damaged record is for `likeness audit verify` to report.
        let found = records
            .rows
            .iter()
            .filter_map(|row| searchable(&row.line).ok().flatten());
        database.make_searchable(&records, found.collect()).await?;
        sleep(PAUSE).await;
    }
    if made > 0 {
        tracing::info!(records = made, "audit records are searchable");
    }
    Ok(())
}
