//! The audit records in the database.

use sqlx::any::AnyRow;
use sqlx::{Row, query};

use crate::{Database, Result, Session};

/// The row of an audit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// The service that wrote the record: the id of its audit folder.
    pub instance: String,
    /// Number of the record in its instance, from 1.
    pub seq: i64,
    /// Time of the record, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    /// Kind of the record.
    pub kind: String,
    /// `api_req_uid` of the response.
    pub request_id: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// Status of the response.
    pub status: Option<i64>,
    /// Outcome of the decision.
    pub outcome: Option<String>,
    /// The whole record as text.
    pub line: String,
}

/// Where the chain of an instance begins: the last record that retention has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// The instance.
    pub instance: String,
    /// Number of the record.
    pub seq: i64,
    /// Hash of the record, in hexadecimal digits.
    pub hash: String,
    /// Proof that the service that removed the record has the chain's key, in hexadecimal digits.
    pub seal: Option<String>,
}

/// A selection of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Not before this time, in microseconds since 1970-01-01 UTC.
    pub since: Option<i64>,
    /// Before this time, likewise.
    pub until: Option<i64>,
    /// Only this app.
    pub app: Option<String>,
}

impl AuditFilter {
    /// Returns whether a row is in the selection.
    #[must_use]
    pub fn selects(&self, row: &AuditRow) -> bool {
        self.since.is_none_or(|since| row.time >= since)
            && self.until.is_none_or(|until| row.time < until)
            && self.app.as_ref().is_none_or(|app| row.app.as_ref() == Some(app))
    }
}

impl Database {
    /// Adds rows, all of them or none. Rows that exist stay as they are. They become searchable later; see
    /// [`add_records`](Self::add_records).
    pub async fn add_audit(&self, rows: Vec<AuditRow>) -> Result<()> {
        let mut session = self.begin().await?;
        Self::add_rows(&mut session, rows).await?;
        session.finish().await
    }

    pub(crate) async fn add_rows(session: &mut Session, rows: Vec<AuditRow>) -> Result<()> {
        for row in rows {
            let insert = query(
                "INSERT INTO audit (instance, seq, time, kind, request_id, app, status, outcome, line) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (instance, seq) DO NOTHING",
            );
            let insert = insert.bind(row.instance).bind(row.seq).bind(row.time);
            let insert = insert.bind(row.kind).bind(row.request_id).bind(row.app);
            let insert = insert.bind(row.status);
            session.execute(insert.bind(row.outcome).bind(row.line)).await?;
        }
        Ok(())
    }

    /// Returns up to `count` rows after this one, by instance and number: all rows, page by page, beginning after `("", i64::MIN)`.
    pub async fn audit_after(&self, instance: &str, seq: i64, count: i64) -> Result<Vec<AuditRow>> {
        let rows = query(
            "SELECT * FROM audit WHERE instance > $1 OR (instance = $2 AND seq > $3) \
             ORDER BY instance, seq LIMIT $4",
        );
        let rows = rows.bind(instance).bind(instance).bind(seq).bind(count);
        self.fetch_all(rows, row).await
    }

    /// Returns up to `count` rows of the selection, after this position in the order of time, instance and number.
    pub async fn find_audit(
        &self,
        filter: &AuditFilter,
        after: (i64, &str, i64),
        count: i64,
    ) -> Result<Vec<AuditRow>> {
        let (time, instance, seq) = after;
        let rows = query(
            "SELECT * FROM audit WHERE time >= $1 AND time < $2 AND (app = $3 OR $4 = 1) AND \
             (time > $5 OR (time = $6 AND (instance > $7 OR (instance = $8 AND seq > $9)))) \
             ORDER BY time, instance, seq LIMIT $10",
        );
        let (app, is_any) = (filter.app.as_deref().unwrap_or_default(), filter.app.is_none());
        let rows = rows.bind(filter.since.unwrap_or(i64::MIN));
        let rows = rows.bind(filter.until.unwrap_or(i64::MAX));
        let rows = rows.bind(app).bind(i64::from(is_any));
        let rows = rows.bind(time).bind(time).bind(instance).bind(instance);
        self.fetch_all(rows.bind(seq).bind(count), row).await
    }

    /// Returns the number of rows, and the time of the latest.
    pub async fn audit_size(&self) -> Result<(i64, Option<i64>)> {
        let size = query("SELECT COUNT(*) AS rows, MAX(time) AS latest FROM audit");
        let size = self.fetch_all(size, |row| Ok((row.try_get("rows")?, row.try_get("latest")?)));
        Ok(size.await?.pop().unwrap_or_default())
    }

    /// Removes the rows of an instance up to this checkpoint, and keeps it as the beginning of those that stay. A checkpoint
    /// never goes back: rows before it may have been sent again.
    pub async fn remove_audit(&self, checkpoint: AuditCheckpoint) -> Result<()> {
        let mut session = self.begin().await?;
        let keep = query(
            "INSERT INTO audit_anchors (instance, seq, hash, seal) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (instance) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, seal = excluded.seal \
             WHERE audit_anchors.seq < excluded.seq",
        );
        let (instance, seq) = (&checkpoint.instance, checkpoint.seq);
        let keep = keep.bind(instance).bind(seq).bind(&checkpoint.hash);
        session.execute(keep.bind(&checkpoint.seal)).await?;
        let delete = query("DELETE FROM audit WHERE instance = $1 AND seq <= $2");
        session.execute(delete.bind(instance).bind(seq)).await?;
        session.finish().await
    }

    /// Returns the last of an instance's first rows that are all older than `before`, at most its first `count` rows.
    pub async fn last_audit_before(
        &self,
        instance: &str,
        before: i64,
        count: i64,
    ) -> Result<Option<AuditRow>> {
        let last = query(
            "WITH beginning AS (SELECT seq, time FROM audit WHERE instance = $1 ORDER BY seq LIMIT $2) \
             SELECT * FROM audit WHERE instance = $3 AND seq = ( \
             SELECT MAX(seq) FROM beginning WHERE seq < COALESCE( \
             (SELECT MIN(seq) FROM beginning WHERE time >= $4), 9223372036854775807))",
        );
        let last = last.bind(instance).bind(count).bind(instance).bind(before);
        Ok(self.fetch_all(last, row).await?.pop())
    }

    /// Returns the next instance by name after this one whose last row is older than `silent_since` and whose first row is
    /// older than `before`.
    pub async fn ended_audit(&self, after: &str, silent_since: i64, before: i64) -> Result<Option<String>> {
        // From one instance to the next by the index, since there are far more rows than instances.
        let next = query(
            "WITH RECURSIVE instances (instance) AS ( \
             SELECT MIN(instance) FROM audit WHERE instance > $1 UNION ALL \
             SELECT (SELECT MIN(audit.instance) FROM audit WHERE audit.instance > instances.instance) \
             FROM instances WHERE instances.instance IS NOT NULL) \
             SELECT instance FROM instances WHERE instance IS NOT NULL AND (SELECT time FROM audit \
             WHERE audit.instance = instances.instance ORDER BY seq DESC LIMIT 1) < $2 AND (SELECT time FROM audit \
             WHERE audit.instance = instances.instance ORDER BY seq LIMIT 1) < $3 LIMIT 1",
        );
        let next = next.bind(after).bind(silent_since).bind(before);
        Ok(self.fetch_all(next, |row| row.try_get(0)).await?.pop())
    }

    /// Returns where the chain of each instance begins, of those that retention has shortened.
    pub async fn audit_checkpoints(&self) -> Result<Vec<AuditCheckpoint>> {
        let checkpoints = query("SELECT instance, seq, hash, seal FROM audit_anchors ORDER BY instance");
        self.fetch_all(checkpoints, |row| {
            Ok(AuditCheckpoint {
                instance: row.try_get("instance")?,
                seq: row.try_get("seq")?,
                hash: row.try_get("hash")?,
                seal: row.try_get("seal")?,
            })
        })
        .await
    }
}

pub(crate) fn row(row: &AnyRow) -> Result<AuditRow, sqlx::Error> {
    Ok(AuditRow {
        instance: row.try_get("instance")?,
        seq: row.try_get("seq")?,
        time: row.try_get("time")?,
        kind: row.try_get("kind")?,
        request_id: row.try_get("request_id")?,
        app: row.try_get("app")?,
        status: row.try_get("status")?,
        outcome: row.try_get("outcome")?,
        line: row.try_get("line")?,
    })
}
