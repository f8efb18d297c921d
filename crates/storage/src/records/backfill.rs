//! Making records searchable that were added without it, and forgetting those that are removed.

use sqlx::{Row, query};

use super::sql::{Statement, Value};
use super::write::{Chain, Searchable, add, chain};
use crate::audit::AuditRow;
use crate::{Database, Result};

/// Some records of an instance that are not searchable yet, next to those that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsearchable {
    /// The instance.
    pub instance: String,
    /// Its rows, in the order of their numbers.
    pub rows: Vec<AuditRow>,
    chain: Chain,
    /// The range with these records.
    becomes: Chain,
}

/// How many of the records are searchable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchProgress {
    /// Records in the database, of every kind.
    pub records: i64,
    /// Those of them that are not searchable yet.
    pub remaining: i64,
}

/// Every instance with its first and last number, and its searchable range. From one instance to the next by the index, since
/// there are far more rows than instances.
const INSTANCES: &str = "WITH RECURSIVE instances (instance) AS ( \
     SELECT MIN(instance) FROM audit WHERE instance > ? UNION ALL \
     SELECT (SELECT MIN(audit.instance) FROM audit WHERE audit.instance > instances.instance) \
     FROM instances WHERE instances.instance IS NOT NULL), \
     ranges AS (SELECT instances.instance AS instance, \
     (SELECT MIN(seq) FROM audit WHERE audit.instance = instances.instance) AS low, \
     (SELECT MAX(seq) FROM audit WHERE audit.instance = instances.instance) AS high, c.first_seq AS first_seq, \
     c.last_seq AS last_seq \
     FROM instances LEFT JOIN audit_chains c ON c.instance = instances.instance WHERE instances.instance IS NOT NULL) ";

impl Database {
    /// Returns up to `count` records that are not searchable yet, of the first instance by name that has such records: the latest
    /// ones first. `None`: every record is searchable.
    pub async fn unsearchable(&self, count: i64) -> Result<Option<Unsearchable>> {
        let mut statement = Statement::default();
        statement.push(INSTANCES, [Value::from("")]);
        statement.push(
            "SELECT instance, low, high FROM ranges WHERE first_seq IS NULL OR low < first_seq OR high > last_seq LIMIT 1",
            [],
        );
        let found = self.fetch_all(statement.query(), |row| {
            Ok((
                row.try_get("instance")?,
                row.try_get("low")?,
                row.try_get("high")?,
            ))
        });
        let Some((instance, low, high)): Option<(String, i64, i64)> = found.await?.pop() else {
            return Ok(None);
        };
        let mut session = self.begin().await?;
        let found = chain(&mut session, &instance, high.saturating_add(1)).await?;
        session.finish().await?;
        let Some(chain) = found else { return Ok(None) };
        let is_behind = high > chain.last;
        let (order, from, to) = if is_behind {
            ("", chain.last.saturating_add(1), high)
        } else {
            (" DESC", low, chain.first.saturating_sub(1))
        };
        let mut statement = Statement::new("SELECT * FROM audit");
        let condition = format!(" WHERE instance = ? AND seq >= ? AND seq <= ? ORDER BY seq{order} LIMIT ?");
        let values = [Value::from(&*instance), from.into(), to.into(), count.into()];
        statement.push(&condition, values);
        let mut rows = self.fetch_all(statement.query(), crate::audit::row).await?;
        rows.sort_by_key(|row| row.seq);
        let is_all = i64::try_from(rows.len()).unwrap_or(i64::MAX) < count;
        let mut becomes = chain;
        // With all rows read, numbers without a row are in the range as well: nothing is missing for them.
        match (is_behind, rows.first(), rows.last()) {
            (true, _, Some(last)) if !is_all => becomes.last = last.seq,
            (true, ..) => becomes.last = high,
            (false, Some(first), _) if !is_all => becomes.first = first.seq,
            (false, ..) => becomes.first = low,
        }
        Ok(Some(Unsearchable {
            instance,
            rows,
            chain,
            becomes,
        }))
    }

    /// Makes records searchable by what was found in them: all of them or none. Another service may do the same meanwhile.
    pub async fn make_searchable(&self, records: &Unsearchable, found: Vec<Searchable>) -> Result<()> {
        let Chain { id, first, last } = records.chain;
        let mut session = self.begin().await?;
        add(&mut session, id, found).await?;
        if records.becomes.last != last {
            let extend = query("UPDATE audit_chains SET last_seq = $1 WHERE id = $2 AND last_seq = $3");
            session
                .execute(extend.bind(records.becomes.last).bind(id).bind(last))
                .await?;
        }
        if records.becomes.first != first {
            let extend = query("UPDATE audit_chains SET first_seq = $1 WHERE id = $2 AND first_seq = $3");
            session
                .execute(extend.bind(records.becomes.first).bind(id).bind(first))
                .await?;
        }
        session.finish().await
    }

    /// Returns how many records are searchable.
    pub async fn search_progress(&self) -> Result<SearchProgress> {
        let mut statement = Statement::default();
        statement.push(INSTANCES, [Value::from("")]);
        statement.push(
            "SELECT CAST(SUM(high - low + 1) AS BIGINT) AS records, CAST(SUM(CASE WHEN first_seq IS NULL THEN high - low + 1 \
             ELSE CASE WHEN first_seq > low THEN first_seq - low ELSE 0 END + \
             CASE WHEN high > last_seq THEN high - last_seq ELSE 0 END END) AS BIGINT) AS remaining FROM ranges",
            [],
        );
        let found = self.fetch_all(statement.query(), |row| {
            Ok(SearchProgress {
                records: row.try_get::<Option<i64>, _>("records")?.unwrap_or(0),
                remaining: row.try_get::<Option<i64>, _>("remaining")?.unwrap_or(0),
            })
        });
        Ok(found.await?.pop().unwrap_or_default())
    }

    /// Forgets up to `count` records of one instance that retention has removed. Returns whether there may be more.
    pub async fn forget_removed(&self, count: i64) -> Result<bool> {
        let removed = query(
            "SELECT c.id AS id, a.seq AS seq FROM audit_anchors a JOIN audit_chains c ON c.instance = a.instance WHERE \
             EXISTS (SELECT 1 FROM audit_search s WHERE s.chain = c.id AND s.seq <= a.seq) OR \
             EXISTS (SELECT 1 FROM audit_withheld w WHERE w.chain = c.id AND w.seq <= a.seq) LIMIT 1",
        );
        let removed = self.fetch_all(removed, |row| Ok((row.try_get("id")?, row.try_get("seq")?)));
        let Some((chain, up_to)): Option<(i64, i64)> = removed.await?.pop() else {
            return Ok(false);
        };
        let mut session = self.begin().await?;
        let entries = query(
            "SELECT seq, time, codes FROM audit_search WHERE chain = $1 AND seq <= $2 ORDER BY seq LIMIT $3",
        );
        let entries = entries.bind(chain).bind(up_to).bind(count);
        let entries: Vec<(i64, i64, String)> = session
            .fetch_all(entries, |row| {
                Ok((row.try_get("seq")?, row.try_get("time")?, row.try_get("codes")?))
            })
            .await?;
        let is_all = i64::try_from(entries.len()).unwrap_or(i64::MAX) < count;
        let last = entries.last().filter(|_| !is_all).map_or(up_to, |last| last.0);
        let times = || entries.iter().map(|entry| entry.1);
        let mut codes: Vec<&str> = entries.iter().flat_map(|entry| entry.2.split(' ')).collect();
        codes.sort_unstable();
        codes.dedup();
        for code in codes.into_iter().filter(|code| !code.is_empty()) {
            let delete = query(
                "DELETE FROM audit_codes WHERE code = $1 AND time >= $2 AND time <= $3 AND chain = $4 AND seq <= $5",
            );
            let delete = delete.bind(code.to_owned());
            let delete = delete.bind(times().min()).bind(times().max());
            session.execute(delete.bind(chain).bind(last)).await?;
        }
        for delete in [
            "DELETE FROM audit_search WHERE chain = $1 AND seq <= $2",
            "DELETE FROM audit_withheld WHERE chain = $1 AND seq <= $2",
        ] {
            session.execute(query(delete).bind(chain).bind(last)).await?;
        }
        session.finish().await?;
        Ok(true)
    }
}
