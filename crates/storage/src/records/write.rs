//! Adding audit records together with what they are found by.

use super::sql::{Value, insert};
use crate::audit::AuditRow;
use crate::{Database, Result, Session};
use sqlx::{Row, query};

/// What the record of a verification is found by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchEntry {
    /// Number of the record in its instance.
    pub seq: i64,
    /// Time of the record, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    /// By chance: 0 for every second record, 1 for every fourth, and so on.
    pub sample: i64,
    /// `api_req_uid` of the response.
    pub request_id: Option<String>,
    /// The client's own id of the request.
    pub correlation_id: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// Outcome of the decision, or `error`.
    pub outcome: String,
    /// Status of the response.
    pub status: Option<i64>,
    /// Code of the error.
    pub error: Option<String>,
    /// The codes of the decision.
    pub codes: Vec<String>,
    /// Match confidence, 0..=1.
    pub face_match: Option<f64>,
    /// Liveness score, 0..=1.
    pub liveness: Option<f64>,
    /// Duration of the request, in milliseconds.
    pub duration: Option<f64>,
}

/// What a record is found by.
#[derive(Debug, Clone, PartialEq)]
pub enum Searchable {
    /// A verification.
    Verification(Box<SearchEntry>),
    /// A client received another status than the record of its verification has.
    Withheld {
        /// Number of the record in its instance.
        seq: i64,
        /// `api_req_uid` of the verification.
        request_id: String,
        /// The status that the client received.
        status: i64,
    },
}

/// The range of an instance's records that are searchable; empty where `first` is above `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) id: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

const ENTRIES: &str = "audit_search (chain, seq, time, sample, request_id, correlation_id, app, endpoint, profile, outcome, \
                       status, error, codes, face_match, liveness, duration)";

impl SearchEntry {
    fn values(self, chain: i64) -> Vec<Value> {
        vec![
            chain.into(),
            self.seq.into(),
            self.time.into(),
            self.sample.into(),
            self.request_id.into(),
            self.correlation_id.into(),
            self.app.into(),
            self.endpoint.into(),
            self.profile.into(),
            Some(self.outcome).into(),
            self.status.into(),
            self.error.into(),
            Some(self.codes.join(" ")).into(),
            self.face_match.into(),
            self.liveness.into(),
            self.duration.into(),
        ]
    }
}

/// Returns the number of an instance and its searchable range. A new one begins, empty, before the record `next`.
pub(super) async fn chain(session: &mut Session, instance: &str, next: i64) -> Result<Option<Chain>> {
    /// Replicas that begin instances at the same time compute the same number: one of them tries again.
    const ATTEMPTS: usize = 10;
    for _ in 0..ATTEMPTS {
        let known =
            query("SELECT id, first_seq, last_seq FROM audit_chains WHERE instance = $1").bind(instance);
        let known = session.fetch_all(known, |row| {
            Ok(Chain {
                id: row.try_get("id")?,
                first: row.try_get("first_seq")?,
                last: row.try_get("last_seq")?,
            })
        });
        if let Some(chain) = known.await?.pop() {
            return Ok(Some(chain));
        }
        let begin = query(
            "INSERT INTO audit_chains (id, instance, first_seq, last_seq) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3 FROM audit_chains WHERE 1 = 1 ON CONFLICT DO NOTHING",
        );
        session
            .execute(begin.bind(instance).bind(next).bind(next.saturating_sub(1)))
            .await?;
    }
    Ok(None)
}

/// Adds what records are found by. What exists stays as it is.
pub(super) async fn add(session: &mut Session, chain: i64, found: Vec<Searchable>) -> Result<()> {
    let (mut entries, mut codes, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
    for it in found {
        match it {
            Searchable::Verification(entry) => {
                let mut listed: Vec<&String> = entry.codes.iter().collect();
                listed.sort_unstable();
                listed.dedup();
                let rows = listed.into_iter().map(|code| {
                    let code = Value::from(&**code);
                    vec![code, entry.time.into(), chain.into(), entry.seq.into()]
                });
                codes.extend(rows);
                entries.push(entry.values(chain));
            }
            Searchable::Withheld {
                seq,
                request_id,
                status,
            } => withheld.push(vec![
                Value::from(&*request_id),
                chain.into(),
                seq.into(),
                status.into(),
            ]),
        }
    }
    for statement in insert(ENTRIES, entries)
        .chain(insert("audit_codes (code, time, chain, seq)", codes))
        .chain(insert(
            "audit_withheld (request_id, chain, seq, status)",
            withheld,
        ))
    {
        session.execute(statement.query()).await?;
    }
    Ok(())
}

impl Database {
    /// Adds rows of one instance, in the order of their numbers, and what they are found by: all of it or nothing. What exists
    /// stays as it is.
    pub async fn add_records(&self, rows: Vec<AuditRow>, found: Vec<Searchable>) -> Result<()> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(());
        };
        let (instance, first, last) = (first.instance.clone(), first.seq, last.seq);
        let mut session = self.begin().await?;
        Self::add_rows(&mut session, rows).await?;
        if let Some(chain) = chain(&mut session, &instance, first).await? {
            add(&mut session, chain.id, found).await?;
            // Where records in between are not searchable yet, the range ends before them.
            let extend = query(
                "UPDATE audit_chains SET last_seq = $1 WHERE id = $2 AND last_seq >= $3 AND last_seq < $4",
            );
            let extend = extend
                .bind(last)
                .bind(chain.id)
                .bind(first.saturating_sub(1))
                .bind(last);
            session.execute(extend).await?;
        }
        session.finish().await
    }
}
