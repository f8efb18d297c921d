//! Audit records as CSV.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::csv_cell::cell;

/// The columns: the fields of a record, and those of its event, as paths.
const COLUMNS: [&str; 46] = [
    "instance",
    "seq",
    "prev",
    "hash",
    "v",
    "time",
    "kind",
    "request_id",
    "correlation_id",
    "client",
    "app",
    "endpoint",
    "path",
    "profile",
    "pack",
    "pack_version",
    "pack_digest",
    "provider",
    "match_calibration",
    "liveness_calibration",
    "selfie.bytes",
    "selfie.width",
    "selfie.height",
    "selfie.faces",
    "photo.bytes",
    "photo.width",
    "photo.height",
    "photo.faces",
    "face_match",
    "liveness",
    "threshold",
    "outcome",
    "codes",
    "status",
    "error",
    "limit",
    "ms.total",
    "ms.body",
    "ms.queue",
    "ms.decode",
    "ms.detect",
    "ms.embed",
    "ms.liveness",
    "ms.quality",
    // Of events of the service itself.
    "version",
    "lost",
];

/// Writes the names of the columns.
pub(super) fn write_header(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))
}

/// Writes the row of a record.
///
/// # Errors
/// Those of `out`; and a field without a column, as of a newer version: an export must not omit it silently.
pub(super) fn write_row(out: &mut impl Write, line: &str) -> io::Result<()> {
    let line: Value = serde_json::from_str(line)?;
    let mut fields = Vec::new();
    flatten(&line, "", &mut fields);
    if let Some((unknown, _)) = fields.iter().find(|(name, _)| !COLUMNS.contains(&name.as_str())) {
        return Err(io::Error::other(format!(
            "audit record has the field `{unknown}`, for which this version has no column: use --format jsonl"
        )));
    }
    let cells = COLUMNS.iter().map(|column| {
        let value = fields.iter().find(|(name, _)| name == column);
        let text = value.map_or_else(String::new, |(_, value)| text(value));
        cell(&text).into_owned()
    });
    writeln!(out, "{}", cells.collect::<Vec<_>>().join(","))
}

/// Collects the fields of a record, as paths; those of its event without that name before them.
fn flatten<'a>(value: &'a Value, path: &str, fields: &mut Vec<(String, &'a Value)>) {
    let Some(object) = value.as_object() else {
        fields.push((path.to_owned(), value));
        return;
    };
    for (key, value) in object {
        match (path, key.as_str()) {
            ("", "event") => flatten(value, "", fields),
            ("", _) => flatten(value, key, fields),
            _ => flatten(value, &format!("{path}.{key}"), fields),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let words: Vec<String> = list.iter().map(text).collect();
            words.join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str) -> io::Result<String> {
        let mut out = Vec::new();
        write_row(&mut out, line)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_row_has_the_fields_of_its_record_in_its_columns() {
        let line = r#"{"instance":"i","seq":7,"prev":"p","hash":"h","event":{"v":1,"kind":"verification",
            "correlation_id":"=1+1","codes":["A","B"],"selfie":{"bytes":9,"width":null},"ms":{"total":1.5}}}"#;
        let row = row(line).unwrap();
        assert!(row.starts_with("i,7,p,h,1,,verification,,\"'=1+1\","), "{row}");
        assert!(
            row.contains(",9,,") && row.contains(",A B,") && row.contains(",1.5,"),
            "{row}"
        );
        assert_eq!(row.matches(',').count(), COLUMNS.len() - 1);
    }

    #[test]
    fn a_field_without_a_column_is_an_error() {
        let error = row(r#"{"seq":1,"event":{"ms":{"later":1}}}"#).unwrap_err();
        assert!(error.to_string().contains("`ms.later`"), "{error}");
    }
}
