//! Audit records as rows of CSV.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

/// The columns, as paths into a record: those of the chain, of requests by their names in its event, and of the service.
const COLUMNS: &str = "instance seq prev hash \
                       v time kind request_id correlation_id client app endpoint path profile \
                       pack pack_version pack_digest provider match_calibration liveness_calibration cohort \
                       selfie.bytes selfie.width selfie.height selfie.faces selfie.rotation \
                       photo.bytes photo.width photo.height photo.faces photo.rotation \
                       face_match cosine normalised_similarity liveness threshold outcome codes status error limit \
                       ms.total ms.body ms.queue ms.decode ms.detect ms.embed ms.liveness ms.quality \
                       version lost source action session detail";

/// Returns the names of the columns of an export as CSV.
pub fn csv_columns() -> impl Iterator<Item = &'static str> {
    COLUMNS.split(' ')
}

/// Returns the cells of an audit record in the columns of [`csv_columns`]. A field without a column is an error: a newer version
/// wrote it, and nothing is to be left out silently.
pub fn csv_cells(record: &str) -> io::Result<Vec<String>> {
    let record: Value = serde_json::from_str(record)?;
    let mut fields = BTreeMap::new();
    flatten(&record, "", &mut fields);
    let cells = csv_columns().map(|column| disarmed(fields.remove(column).map_or_else(String::new, text)));
    let cells: Vec<String> = cells.collect();
    if let Some(unknown) = fields.keys().next() {
        return Err(io::Error::other(format!(
            "a record has the field `{unknown}`, for which this version has no column: use --format jsonl"
        )));
    }
    Ok(cells)
}

/// Returns a cell that no spreadsheet takes for a formula.
#[must_use]
pub fn disarmed(text: String) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if is_formula { format!("'{text}") } else { text }
}

/// The fields of a record, as paths; those of its event without that name before them.
fn flatten<'a>(value: &'a Value, path: &str, fields: &mut BTreeMap<String, &'a Value>) {
    let Some(object) = value.as_object() else {
        fields.insert(path.to_owned(), value);
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
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str) -> io::Result<String> {
        Ok(csv_cells(line)?.join(","))
    }

    #[test]
    fn a_row_has_the_fields_of_the_record_in_their_columns() {
        let line = r#"{"instance":"i","seq":7,"prev":"p","hash":"h","event":{"v":1,"kind":"verification",
            "correlation_id":"=1+1","codes":["A","B"],"selfie":{"bytes":9,"width":null},"ms":{"total":1.5}}}"#;
        let row = row(line).unwrap();
        assert!(row.starts_with("i,7,p,h,1,,verification,,'=1+1,"), "{row}");
        assert!(
            row.contains(",9,,") && row.contains(",A B,") && row.contains(",1.5,"),
            "{row}"
        );
        assert_eq!(row.matches(',').count(), csv_columns().count() - 1);
    }

    #[test]
    fn a_field_without_a_column_is_an_error() {
        let error = row(r#"{"seq":1,"event":{"ms":{"later":1}}}"#).unwrap_err();
        assert!(error.to_string().contains("`ms.later`"), "{error}");
    }

    #[test]
    fn formulas_are_disarmed_and_numbers_are_not() {
        for (text, expected) in [
            ("acme", "acme"),
            ("-0.25", "-0.25"),
            ("=1+1", "'=1+1"),
            ("@a,\"b\"", "'@a,\"b\""),
        ] {
            assert_eq!(disarmed(text.to_owned()), expected);
        }
    }
}
