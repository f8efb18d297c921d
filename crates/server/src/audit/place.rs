//! The place of one audit record in its hash chain.

use likeness_storage::Database;
use likeness_storage::audit::AuditRow;

use super::chain::{ChainKey, Checkpoint, NO_HASH, Record};
use super::row::audit_row;
use super::shipper::RecordsError;

/// How a record is linked to the one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The one beside it is there, and their hashes fit.
    Intact,
    /// The one beside it is there, and their hashes do not fit.
    Broken,
    /// The record is the first of its chain.
    First,
    /// Retention has removed the one before, and its checkpoint fits and is sealed.
    Checkpoint,
    /// Retention has removed the one before, and the checkpoint is not sealed with this key.
    Unsealed,
    /// The one before is missing.
    Missing,
    /// There is no later record yet.
    Last,
}

/// A record of any kind, and what its chain says of it.
#[derive(Debug, Clone)]
pub(crate) struct RecordInChain {
    pub(crate) row: AuditRow,
    /// Hash of the record before.
    pub(crate) previous_hash: String,
    pub(crate) hash: String,
    pub(crate) next_hash: Option<String>,
    /// Whether the hash is that of the record, with the key of this service.
    pub(crate) is_unchanged: bool,
    /// Whether the columns of the row are as its record has them.
    pub(crate) has_own_columns: bool,
    pub(crate) to_previous: Link,
    pub(crate) to_next: Link,
}

/// Returns a record of the database and its place in its chain; `None` if there is no such record, or it is unreadable.
pub(crate) async fn record_in_chain(
    database: &Database,
    key: &ChainKey,
    instance: &str,
    seq: i64,
) -> Result<Option<RecordInChain>, RecordsError> {
    let Some(stored) = database.record(instance, seq).await? else {
        return Ok(None);
    };
    let Ok(record) = serde_json::from_str::<Record<'_>>(&stored.row.line) else {
        return Ok(None);
    };
    let (previous_hash, hash) = (record.prev.to_owned(), record.hash.to_owned());
    let end_of = |row: &AuditRow| Checkpoint::of(&row.line).ok().map(|end| end.hash);
    let to_previous = match &stored.previous {
        Some(previous) if end_of(previous).as_ref() == Some(&previous_hash) => Link::Intact,
        Some(_) => Link::Broken,
        None if seq == 1 && previous_hash == NO_HASH => Link::First,
        None => to_checkpoint(database, key, instance, seq, &previous_hash).await?,
    };
    let next = stored.next.as_ref().map(|next| {
        let next: Option<Record<'_>> = serde_json::from_str(&next.line).ok();
        let link = if next.as_ref().is_some_and(|next| next.prev == hash) {
            Link::Intact
        } else {
            Link::Broken
        };
        (next.map(|next| next.hash.to_owned()), link)
    });
    let (next_hash, to_next) = next.unwrap_or((None, Link::Last));
    Ok(Some(RecordInChain {
        is_unchanged: key.is_hash_of(&stored.row.line, instance),
        has_own_columns: audit_row(&stored.row.line).is_ok_and(|expected| expected == stored.row),
        row: stored.row,
        previous_hash,
        hash,
        next_hash,
        to_previous,
        to_next,
    }))
}

/// Returns how a record is linked to the checkpoint that retention has left before it.
async fn to_checkpoint(
    database: &Database,
    key: &ChainKey,
    instance: &str,
    seq: i64,
    previous_hash: &str,
) -> Result<Link, RecordsError> {
    let checkpoints = database.audit_checkpoints().await?;
    let found = checkpoints
        .into_iter()
        .find(|found| found.instance == instance && found.seq.checked_add(1) == Some(seq));
    let Some(found) = found else {
        return Ok(Link::Missing);
    };
    let checkpoint = Checkpoint {
        seq: u64::try_from(found.seq).unwrap_or(0),
        hash: found.hash,
    };
    Ok(if checkpoint.hash != previous_hash {
        Link::Broken
    } else if key.is_sealed(instance, &checkpoint, found.seal.as_deref()) {
        Link::Checkpoint
    } else {
        Link::Unsealed
    })
}
