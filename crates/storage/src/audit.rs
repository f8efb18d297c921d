//! The rows of the audit.

use sqlx::Row as _;

use crate::{Database, StorageError};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Which service wrote the line: the id of its audit folder.
    pub instance: String,
    /// Number of the line in its instance, from 1.
    pub seq: i64,
    /// When it was written, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    /// What it is about.
    pub kind: String,
    /// `api_req_uid` of the answer.
    pub request_id: Option<String>,
    /// Who asked.
    pub app: Option<String>,
    /// Of the answer.
    pub status: Option<i64>,
    /// Of the decision.
    pub outcome: Option<String>,
    /// The line itself.
    pub line: String,
}

/// The last row that was removed of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditAnchor {
    /// Which instance.
    pub instance: String,
    /// Its number.
    pub seq: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// What shows that it was removed by who has the chain's key, in hexadecimal digits.
    pub seal: Option<String>,
}

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// From this time on, in microseconds since 1970-01-01 UTC.
    pub since: Option<i64>,
    /// Before this time, likewise.
    pub until: Option<i64>,
    /// Of this app.
    pub app: Option<String>,
}

const COLUMNS: &str = "instance, seq, time, kind, request_id, app, status, outcome, line";

impl Database {
    /// Adds rows, all of them or none; those that are there already stay as they are.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn add_audit(&self, rows: Vec<AuditRow>) -> Result<(), StorageError> {
        self.transaction(move |connection| {
            Box::pin(async move {
                for row in rows {
                    sqlx::query(
                        "INSERT INTO audit (instance, seq, time, kind, request_id, app, status, outcome, line) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (instance, seq) DO NOTHING",
                    )
                    .bind(row.instance)
                    .bind(row.seq)
                    .bind(row.time)
                    .bind(row.kind)
                    .bind(row.request_id)
                    .bind(row.app)
                    .bind(row.status)
                    .bind(row.outcome)
                    .bind(row.line)
                    .execute(&mut *connection)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Up to `count` rows after this one, by instance and number: so all are read, page by page.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn audit_after(
        &self,
        instance: &str,
        seq: i64,
        count: i64,
    ) -> Result<Vec<AuditRow>, StorageError> {
        let instance = instance.to_owned();
        self.run(move |connection| {
            Box::pin(async move {
                let text = format!(
                    "SELECT {COLUMNS} FROM audit WHERE instance > $1 OR (instance = $2 AND seq > $3) \
                     ORDER BY instance, seq LIMIT $4"
                );
                sqlx::query(sqlx::AssertSqlSafe(text))
                    .bind(instance.clone())
                    .bind(instance)
                    .bind(seq)
                    .bind(count)
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(row)
                    .collect()
            })
        })
        .await
    }

    /// Up to `count` rows that are wanted, after this place in the order of time, instance and number.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn find_audit(
        &self,
        filter: &AuditFilter,
        after: (i64, &str, i64),
        count: i64,
    ) -> Result<Vec<AuditRow>, StorageError> {
        let filter = filter.clone();
        let (time, instance, seq) = (after.0, after.1.to_owned(), after.2);
        self.run(move |connection| {
            Box::pin(async move {
                let text = format!(
                    "SELECT {COLUMNS} FROM audit WHERE time >= $1 AND time < $2 AND (app = $3 OR $4 = 1) AND \
                     (time > $5 OR (time = $6 AND (instance > $7 OR (instance = $8 AND seq > $9)))) \
                     ORDER BY time, instance, seq LIMIT $10"
                );
                sqlx::query(sqlx::AssertSqlSafe(text))
                    .bind(filter.since.unwrap_or(i64::MIN))
                    .bind(filter.until.unwrap_or(i64::MAX))
                    .bind(filter.app.clone().unwrap_or_default())
                    .bind(i64::from(filter.app.is_none()))
                    .bind(time)
                    .bind(time)
                    .bind(instance.clone())
                    .bind(instance)
                    .bind(seq)
                    .bind(count)
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(row)
                    .collect()
            })
        })
        .await
    }

    /// How many rows there are, and when the latest was written.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn audit_size(&self) -> Result<(i64, Option<i64>), StorageError> {
        self.run(|connection| {
            Box::pin(async move {
                let row = sqlx::query("SELECT COUNT(*) AS rows, MAX(time) AS latest FROM audit")
                    .fetch_one(connection)
                    .await?;
                Ok((row.try_get("rows")?, row.try_get("latest")?))
            })
        })
        .await
    }

    /// Removes an instance's rows up to this one, and remembers it as the anchor of those that stay. An anchor never goes
    /// back: rows before it may have been sent again.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn remove_audit(&self, anchor: AuditAnchor) -> Result<(), StorageError> {
        self.transaction(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO audit_anchors (instance, seq, hash, seal) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (instance) DO UPDATE \
                     SET seq = excluded.seq, hash = excluded.hash, seal = excluded.seal \
                     WHERE audit_anchors.seq < excluded.seq",
                )
                .bind(&anchor.instance)
                .bind(anchor.seq)
                .bind(&anchor.hash)
                .bind(&anchor.seal)
                .execute(&mut *connection)
                .await?;
                sqlx::query("DELETE FROM audit WHERE instance = $1 AND seq <= $2")
                    .bind(&anchor.instance)
                    .bind(anchor.seq)
                    .execute(&mut *connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// The last row of those at the beginning of this instance's that are all older than `before`, no further than its first
    /// `count`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn last_audit_before(
        &self,
        instance: &str,
        before: i64,
        count: i64,
    ) -> Result<Option<AuditRow>, StorageError> {
        let instance = instance.to_owned();
        self.run(move |connection| {
            Box::pin(async move {
                let text = format!(
                    "WITH beginning AS (SELECT seq, time FROM audit WHERE instance = $1 ORDER BY seq LIMIT $2) \
                     SELECT {COLUMNS} FROM audit WHERE instance = $3 AND seq = ( \
                     SELECT MAX(seq) FROM beginning WHERE seq < COALESCE( \
                     (SELECT MIN(seq) FROM beginning WHERE time >= $4), 9223372036854775807))"
                );
                sqlx::query(sqlx::AssertSqlSafe(text))
                    .bind(instance.clone())
                    .bind(count)
                    .bind(instance)
                    .bind(before)
                    .fetch_optional(connection)
                    .await?
                    .as_ref()
                    .map(row)
                    .transpose()
            })
        })
        .await
    }

    /// The next instance after this one, by name, whose last row is older than `silent_since` and its first one older than
    /// `before`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn ended_audit(
        &self,
        after: &str,
        silent_since: i64,
        before: i64,
    ) -> Result<Option<String>, StorageError> {
        let after = after.to_owned();
        self.run(move |connection| {
            Box::pin(async move {
                // From one instance to the next by the index, as there are far more rows than instances.
                sqlx::query_scalar(
                    "WITH RECURSIVE instances (instance) AS ( \
                     SELECT MIN(instance) FROM audit WHERE instance > $1 UNION ALL \
                     SELECT (SELECT MIN(audit.instance) FROM audit WHERE audit.instance > instances.instance) \
                     FROM instances WHERE instances.instance IS NOT NULL) \
                     SELECT instance FROM instances WHERE instance IS NOT NULL AND (SELECT time FROM audit \
                     WHERE audit.instance = instances.instance ORDER BY seq DESC LIMIT 1) < $2 AND (SELECT time FROM audit \
                     WHERE audit.instance = instances.instance ORDER BY seq LIMIT 1) < $3 LIMIT 1",
                )
                .bind(after)
                .bind(silent_since)
                .bind(before)
                .fetch_optional(connection)
                .await
            })
        })
        .await
    }

    /// Where each instance's chain begins, of those that retention has shortened.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn audit_anchors(&self) -> Result<Vec<AuditAnchor>, StorageError> {
        self.run(|connection| {
            Box::pin(async move {
                sqlx::query("SELECT instance, seq, hash, seal FROM audit_anchors ORDER BY instance")
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(|row| {
                        Ok(AuditAnchor {
                            instance: row.try_get("instance")?,
                            seq: row.try_get("seq")?,
                            hash: row.try_get("hash")?,
                            seal: row.try_get("seal")?,
                        })
                    })
                    .collect()
            })
        })
        .await
    }
}

fn row(row: &sqlx::any::AnyRow) -> Result<AuditRow, sqlx::Error> {
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
