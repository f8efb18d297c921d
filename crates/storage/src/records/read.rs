//! Pages of audit records, and single ones.

use sqlx::any::AnyRow;
use sqlx::{Row, query};

use super::filter::{PageStart, RecordKey, RecordsFilter};
use super::sql::Statement;
use super::write::SearchEntry;
use crate::audit::{AuditRow, row};
use crate::{Database, Result};

/// A record that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRecord {
    /// Its position.
    pub key: RecordKey,
    /// The service that wrote the record: the id of its audit folder.
    pub instance: String,
    /// What it is found by.
    pub entry: SearchEntry,
}

/// A record with those beside it in its chain, where they are in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The record.
    pub row: AuditRow,
    /// The one before it.
    pub previous: Option<AuditRow>,
    /// The one after it.
    pub next: Option<AuditRow>,
}

const COLUMNS: &str = "SELECT s.chain AS chain, s.seq AS seq, s.time AS time, s.sample AS sample, \
     s.request_id AS request_id, s.correlation_id AS correlation_id, s.app AS app, s.endpoint AS endpoint, \
     s.profile AS profile, s.outcome AS outcome, s.status AS status, s.error AS error, s.codes AS codes, \
     s.face_match AS face_match, s.liveness AS liveness, s.duration AS duration, \
     (SELECT c.instance FROM audit_chains c WHERE c.id = s.chain) AS instance";

/// The whole record of an entry; `NULL` where retention has just removed it.
const LINE: &str = "SELECT s.chain AS chain, s.seq AS seq, s.time AS time, (SELECT a.line FROM audit a WHERE \
     a.instance = (SELECT c.instance FROM audit_chains c WHERE c.id = s.chain) AND a.seq = s.seq) AS line";

fn key(row: &AnyRow) -> Result<RecordKey, sqlx::Error> {
    Ok(RecordKey {
        time: row.try_get("time")?,
        chain: row.try_get("chain")?,
        seq: row.try_get("seq")?,
    })
}

fn found(row: &AnyRow) -> Result<FoundRecord, sqlx::Error> {
    let key = key(row)?;
    let codes: String = row.try_get("codes")?;
    Ok(FoundRecord {
        key,
        instance: row.try_get::<Option<String>, _>("instance")?.unwrap_or_default(),
        entry: SearchEntry {
            seq: key.seq,
            time: key.time,
            sample: row.try_get("sample")?,
            request_id: row.try_get("request_id")?,
            correlation_id: row.try_get("correlation_id")?,
            app: row.try_get("app")?,
            endpoint: row.try_get("endpoint")?,
            profile: row.try_get("profile")?,
            outcome: row.try_get("outcome")?,
            status: row.try_get("status")?,
            error: row.try_get("error")?,
            codes: codes.split_whitespace().map(ToOwned::to_owned).collect(),
            face_match: row.try_get("face_match")?,
            liveness: row.try_get("liveness")?,
            duration: row.try_get("duration")?,
        },
    })
}

impl Database {
    /// Returns up to `count` records of the selection from there on, the latest first.
    pub async fn find_records(
        &self,
        filter: &RecordsFilter,
        from: PageStart,
        count: i64,
    ) -> Result<Vec<FoundRecord>> {
        let mut statement = Statement::new(COLUMNS);
        filter.push_to(&mut statement);
        filter.push_page_to(&mut statement, from, count);
        let mut records = self.search_all(statement.query(), found).await?;
        if from.is_backwards() {
            records.reverse();
        }
        Ok(records)
    }

    /// Returns up to `count` records of the selection from there on, the latest first: each with its position, and its text as
    /// the audit has it. The text is `None` where retention has just removed it.
    pub async fn find_lines(
        &self,
        filter: &RecordsFilter,
        from: PageStart,
        count: i64,
    ) -> Result<Vec<(RecordKey, Option<String>)>> {
        let mut statement = Statement::new(LINE);
        filter.push_to(&mut statement);
        filter.push_page_to(&mut statement, from, count);
        let lines = self.search_all(statement.query(), |row| Ok((key(row)?, row.try_get("line")?)));
        let mut lines = lines.await?;
        if from.is_backwards() {
            lines.reverse();
        }
        Ok(lines)
    }

    /// Returns the plan of [`find_records`](Self::find_records), as the database explains it. For tests and benches.
    #[doc(hidden)]
    pub async fn explain_records(
        &self,
        filter: &RecordsFilter,
        from: PageStart,
        count: i64,
    ) -> Result<String> {
        let (explain, column) = match self.kind() {
            crate::Kind::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
            crate::Kind::Postgres => ("EXPLAIN ", 0),
        };
        let mut statement = Statement::new(explain);
        statement.push(COLUMNS, []);
        filter.push_to(&mut statement);
        filter.push_page_to(&mut statement, from, count);
        let lines = match column {
            0 => self.search_all(statement.query(), |row| row.try_get::<String, _>(0)),
            _ => self.search_all(statement.query(), |row| row.try_get::<String, _>(3)),
        };
        Ok(lines.await?.join("\n"))
    }

    /// Has the database count the values of its columns, as servers do by themselves. For tests and benches.
    #[doc(hidden)]
    pub async fn analyze(&self) -> Result<()> {
        let mut session = self.begin().await?;
        session.execute(query("ANALYZE")).await?;
        session.finish().await
    }

    /// Returns a record of any kind with those beside it in its chain.
    pub async fn record(&self, instance: &str, seq: i64) -> Result<Option<StoredRecord>> {
        let rows = query("SELECT * FROM audit WHERE instance = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq");
        let rows = rows
            .bind(instance)
            .bind(seq.saturating_sub(1))
            .bind(seq.saturating_add(1));
        let mut rows = self.search_all(rows, row).await?;
        let next = rows.pop_if(|row| row.seq > seq);
        let Some(row) = rows.pop_if(|row| row.seq == seq) else {
            return Ok(None);
        };
        let previous = rows.pop();
        Ok(Some(StoredRecord { row, previous, next }))
    }

    /// Returns the status that the client of a verification received instead of the recorded one, and the number of the record
    /// that says so.
    pub async fn withheld(&self, request_id: &str) -> Result<Option<(i64, i64)>> {
        let found =
            query("SELECT status, seq FROM audit_withheld WHERE request_id = $1 ORDER BY chain, seq LIMIT 1");
        let found = self.search_all(found.bind(request_id), |row| {
            Ok((row.try_get("status")?, row.try_get("seq")?))
        });
        Ok(found.await?.pop())
    }

    /// Returns up to `count` different values of a column of the search, in their order.
    async fn values_of(&self, column: &str, count: i64) -> Result<Vec<String>> {
        // From one value to the next by the index.
        let mut statement = Statement::default();
        let text = format!(
            "WITH RECURSIVE listed (value) AS ( \
             SELECT MIN({column}) FROM audit_search UNION ALL \
             SELECT (SELECT MIN({column}) FROM audit_search WHERE {column} > listed.value) \
             FROM listed WHERE listed.value IS NOT NULL) \
             SELECT value FROM listed WHERE value IS NOT NULL LIMIT ?"
        );
        statement.push(&text, [count.into()]);
        self.search_all(statement.query(), |row| row.try_get(0)).await
    }

    /// Returns up to `count` apps that have records, by name.
    pub async fn recorded_apps(&self, count: i64) -> Result<Vec<String>> {
        self.values_of("app", count).await
    }

    /// Returns up to `count` profiles that have records, by name.
    pub async fn recorded_profiles(&self, count: i64) -> Result<Vec<String>> {
        self.values_of("profile", count).await
    }
}
