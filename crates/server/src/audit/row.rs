//! The row of an audit record, and what it is found by.

use std::io;

use jiff::Timestamp;
use likeness_storage::audit::AuditRow;
use likeness_storage::records::{SearchEntry, Searchable};
use serde::Deserialize;

use super::chain::Record;

/// The outcome of a request without a decision.
const ERROR: &str = "error";
/// The app of what was tried in the console. No app has this id, and in records it has none.
const CONSOLE_APP: &str = "(console)";
/// Longest text that is searched for. No field of an event is longer but paths, which are not searched for.
const MAX_TEXT: usize = 256;

/// The fields of an event that have columns.
#[derive(Debug, Deserialize)]
struct Searched {
    time: String,
    kind: String,
    request_id: Option<String>,
    app: Option<String>,
    status: Option<i64>,
    outcome: Option<String>,
}

/// Returns the row of an audit record; an error if the text is none.
pub fn audit_row(line: &str) -> io::Result<AuditRow> {
    let record: Record<'_> = serde_json::from_str(line)?;
    let event: Searched = serde_json::from_str(record.event.get())?;
    let time: Timestamp = event.time.parse().map_err(io::Error::other)?;
    Ok(AuditRow {
        instance: record.instance.to_owned(),
        seq: i64::try_from(record.seq).map_err(io::Error::other)?,
        time: time.as_microsecond(),
        kind: event.kind,
        request_id: event.request_id,
        app: event.app,
        status: event.status,
        outcome: event.outcome,
        line: line.to_owned(),
    })
}

/// The fields of an event that are searched for, beside those that the columns of its row have.
#[derive(Debug, Deserialize)]
struct Found {
    correlation_id: Option<String>,
    endpoint: Option<String>,
    profile: Option<String>,
    #[serde(default)]
    codes: Vec<String>,
    face_match: Option<f64>,
    liveness: Option<f64>,
    error: Option<String>,
    source: Option<String>,
    ms: Option<Times>,
}

#[derive(Debug, Deserialize)]
struct Times {
    total: Option<f64>,
}

/// Returns what an audit record is found by; `None` for a record that is not searched for.
pub fn searchable(line: &str) -> io::Result<Option<Searchable>> {
    let row = audit_row(line)?;
    match row.kind.as_str() {
        "verification" => {}
        "withheld" => {
            let withheld = text(row.request_id).zip(row.status);
            return Ok(withheld.map(|(request_id, status)| Searchable::Withheld {
                seq: row.seq,
                request_id,
                status,
            }));
        }
        _ => return Ok(None),
    }
    let record: Record<'_> = serde_json::from_str(line)?;
    let found: Found = serde_json::from_str(record.event.get())?;
    Ok(Some(Searchable::Verification(Box::new(SearchEntry {
        seq: row.seq,
        time: row.time,
        sample: class(record.hash),
        request_id: text(row.request_id),
        correlation_id: text(found.correlation_id),
        app: text(row.app).or_else(|| {
            found
                .source
                .filter(|it| it == "console")
                .map(|_| CONSOLE_APP.to_owned())
        }),
        endpoint: text(found.endpoint),
        profile: text(found.profile),
        outcome: text(row.outcome).unwrap_or_else(|| ERROR.to_owned()),
        status: row.status,
        error: text(found.error),
        codes: found
            .codes
            .into_iter()
            .filter_map(|code| text(Some(code)))
            .collect(),
        face_match: found.face_match,
        liveness: found.liveness,
        duration: found.ms.and_then(|ms| ms.total),
    }))))
}

/// Returns a text that can be searched for. PostgreSQL takes no NUL, and its indexes no long text.
fn text(text: Option<String>) -> Option<String> {
    text.filter(|text| text.len() <= MAX_TEXT && !text.contains('\0'))
}

/// Returns the number of zeros that the bits of a hash begin with: k for one of 2^(k+1) records.
fn class(hash: &str) -> i64 {
    let bits = hash
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    bits.map_or(0, |bits| i64::from(bits.leading_zeros().min(30)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &str) -> String {
        format!(
            r#"{{"instance":"one","seq":7,"prev":"p","hash":"0000ffff00000000","event":{{"v":2,"time":"2026-11-30T12:00:00.000001Z",{event}}}}}"#
        )
    }

    #[test]
    fn a_verification_is_found_by_its_fields() {
        let line = line(
            r#""kind":"verification","request_id":"r","correlation_id":"c","app":"a","endpoint":"biometric-verification",
            "profile":"p","face_match":0.9,"liveness":null,"outcome":"review","codes":["X","Y"],"status":200,"error":null,
            "ms":{"total":12.5,"queue":null}"#,
        );
        let Some(Searchable::Verification(entry)) = searchable(&line).unwrap() else {
            panic!("no verification");
        };
        let some = |text: &str| Some(text.to_owned());
        let wanted = SearchEntry {
            seq: 7,
            time: 1_796_040_000_000_001,
            sample: 16,
            request_id: some("r"),
            correlation_id: some("c"),
            app: some("a"),
            endpoint: some("biometric-verification"),
            profile: some("p"),
            outcome: "review".to_owned(),
            status: Some(200),
            error: None,
            codes: vec!["X".to_owned(), "Y".to_owned()],
            face_match: Some(0.9),
            liveness: None,
            duration: Some(12.5),
        };
        assert_eq!(*entry, wanted);
    }

    #[test]
    fn a_refusal_has_the_outcome_error() {
        let line = line(
            r#""kind":"verification","app":null,"status":401,"outcome":null,"codes":[],"error":"UNAUTHORIZED""#,
        );
        let Some(Searchable::Verification(entry)) = searchable(&line).unwrap() else {
            panic!("no verification");
        };
        assert_eq!(
            (&*entry.outcome, entry.error.as_deref()),
            ("error", Some("UNAUTHORIZED"))
        );
    }

    #[test]
    fn other_kinds_are_not_searched_for() {
        assert_eq!(searchable(&line(r#""kind":"stop""#)).unwrap(), None);
        let withheld = line(r#""kind":"withheld","request_id":"r","status":499"#);
        let wanted = Searchable::Withheld {
            seq: 7,
            request_id: "r".to_owned(),
            status: 499,
        };
        assert_eq!(searchable(&withheld).unwrap(), Some(wanted));
    }

    #[test]
    fn text_that_no_index_takes_is_left_out() {
        let long = "x".repeat(MAX_TEXT + 1);
        for hostile in ["a\\u0000b", &long] {
            let line = line(&format!(r#""kind":"verification","correlation_id":"{hostile}""#));
            let Some(Searchable::Verification(entry)) = searchable(&line).unwrap() else {
                panic!("no verification");
            };
            assert_eq!(entry.correlation_id, None);
        }
    }
}
