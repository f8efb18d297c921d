//! Whole bodies as snapshots; and what holds for the response to a biometric verification, whatever the models measure.

use insta::internals::Content;
use insta::{Comparator, Snapshot};
use likeness_testing::http::Json;
use likeness_testing::{Failed, Outcome, ensure, ensure_eq};
use serde_json::Value;

/// Two portraits of one person, both live.
pub(crate) const SAME_PERSON: (&str, &str) = ("faces/img2.jpg", "faces/img11.jpg");

/// The snapshot of the response for [`SAME_PERSON`].
pub(crate) const SAME_PERSON_BODY: &str = "verification_of_one_person";

/// Compares a JSON body with the snapshot `tests/snapshots/NAME.snap`: the order of its keys, and how its numbers are
/// written. Ids and times are redacted. Integers and `0.0` are exact; for what a model measures see [`Measured`].
pub(crate) fn assert_body(name: &str, body: &[u8]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_comparator(Box::new(Measured));
    for (key, redacted) in [
        ("api_req_uid", "[id]"),
        ("requested_at", "[time]"),
        ("processed_at", "[time]"),
    ] {
        settings.add_redaction(&format!(".**.{key}"), redacted);
    }
    settings.add_dynamic_redaction(".**.description", |text, _| {
        text.as_str().map(without_measured).map_or(text, Content::from)
    });
    let mut json = serde_json::Deserializer::from_slice(body);
    let json = serde_transcode::Transcoder::new(&mut json);
    settings.bind(|| insta::assert_json_snapshot!(name, json));
}

/// Compares several bodies with one snapshot, in which each has its name; see [`assert_body`].
pub(crate) fn assert_bodies(name: &str, bodies: &[(String, Vec<u8>)]) -> Outcome {
    let mut all = Vec::new();
    for (case, body) in bodies {
        let begin = if all.is_empty() { '{' } else { ',' };
        all.extend(format!("{begin}{}:", serde_json::to_string(case)?).into_bytes());
        all.extend(body);
    }
    all.push(b'}');
    assert_body(name, &all);
    Ok(())
}

/// Replaces the number before `(actual)` in a description.
fn without_measured(description: &str) -> String {
    let Some((before, after)) = description.split_once(" (actual)") else {
        return description.to_owned();
    };
    let mut words: Vec<&str> = before.split(' ').collect();
    if let Some(number) = words.iter_mut().rfind(|word| word.parse::<f64>().is_ok()) {
        *number = "*";
    }
    format!("{} (actual){after}", words.join(" "))
}

/// Tolerates the differences that processors and decoders make to measured numbers, and none that another image or
/// another face would make.
#[derive(Clone)]
struct Measured;

impl Comparator for Measured {
    fn matches(&self, reference: &Snapshot, test: &Snapshot) -> bool {
        let lines = |snapshot: &Snapshot| {
            let text = snapshot.contents().as_text().map(ToString::to_string);
            text.unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (expected, found) = (lines(reference), lines(test));
        expected.len() == found.len()
            && expected
                .iter()
                .zip(&found)
                .all(|(expected, found)| expected == found || is_close(expected, found).unwrap_or(false))
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(self.clone())
    }
}

/// Whether two lines have the same key, and numbers that are written alike and differ little.
fn is_close(expected: &str, found: &str) -> Option<bool> {
    let (key, expected) = expected.trim_end_matches(',').split_once(": ")?;
    let (same_key, found) = found.trim_end_matches(',').split_once(": ")?;
    let tolerance = match key.trim().trim_matches('"') {
        "face_match_confidence" => 0.05,
        "faces_liveness" | "confidence" => 0.1,
        // Pixels.
        "x" | "y" => 3.0,
        _ => return None,
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|_| text.contains('.'));
    let (expected, found) = (number(expected)?, number(found)?);
    Some(key == same_key && expected != 0.0 && (found - expected).abs() <= tolerance)
}

/// The thresholds of a profile as its texts write them: below the first reject, below the second review.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    pub(crate) face_match: (&'static str, &'static str),
    pub(crate) liveness: (&'static str, &'static str),
}

pub(crate) const PERMISSIVE: Thresholds = Thresholds {
    face_match: ("0.3", "0.4"),
    liveness: ("0.3", "0.5"),
};
pub(crate) const OPTIMAL: Thresholds = Thresholds {
    face_match: ("0.4", "0.56"),
    liveness: ("0.4", "0.6"),
};
pub(crate) const STRICT: Thresholds = Thresholds {
    face_match: ("0.56", "0.7"),
    liveness: ("0.6", "0.8"),
};

/// Checks that the decision follows from the very numbers of its body, and how those are written.
pub(crate) fn follows_from_its_numbers(body: &Json, thresholds: Thresholds) -> Outcome {
    numbers_are_written_as_documented("", body)?;
    let data = body.at("response_data")?;
    let has_face = |image: &str| -> Result<bool, Failed> {
        Ok(!data
            .list(&format!("biometric.{image}.faces_predicted"))?
            .is_empty())
    };
    let mut expected = Vec::new();
    if has_face("selfie")? && has_face("image")? {
        expected.extend(failed(
            "FAILED_FACE_MATCH",
            "Faces do not match; threshold failed",
            data.number("biometric.face_match_confidence")?,
            thresholds.face_match,
        )?);
    }
    if has_face("selfie")? {
        expected.extend(failed(
            "FAILED_SELFIE_LIVENESS",
            "Selfie liveness threshold failed",
            data.number("biometric.selfie.faces_liveness")?,
            thresholds.liveness,
        )?);
    }
    let details = data.list("decision.details")?;
    let mut found = Vec::new();
    for line in &details {
        if line.text("code")?.starts_with("FAILED_") {
            let texts = [
                line.text("code")?,
                line.text("decision")?,
                line.text("description")?,
            ];
            found.push(texts.map(str::to_owned));
        }
    }
    ensure_eq!(found, expected);
    for decision in ["reject", "review", "warning"] {
        let mut highest = 0.0_f64;
        for line in &details {
            if line.text("decision")? == decision {
                highest = highest.max(line.number("confidence")?);
            }
        }
        ensure_eq!(data.number(&format!("decision.{decision}_score"))?, highest);
    }
    Ok(())
}

/// Returns the line that a score must have, if any: code, decision and description.
fn failed(
    code: &str,
    text: &str,
    score: f64,
    (reject, review): (&str, &str),
) -> Result<Option<[String; 3]>, Failed> {
    let decision = if score < reject.parse()? {
        "reject"
    } else if score < review.parse()? {
        "review"
    } else {
        return Ok(None);
    };
    let description = format!("{text}: {reject} < {score} (actual) < {review}");
    Ok(Some([code.to_owned(), decision.to_owned(), description]))
}

/// Checks that measured numbers have at most four decimals; that `confidence` and the scores of the decision are integers
/// where they are whole; and that the others never are.
pub(crate) fn numbers_are_written_as_documented(path: &str, value: &Value) -> Outcome {
    let key = path.rsplit('.').next().unwrap_or_default();
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                numbers_are_written_as_documented(&format!("{path}.{key}"), value)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                numbers_are_written_as_documented(path, item)?;
            }
        }
        Value::Number(number) => {
            let text = number.to_string();
            let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
            ensure!(decimals.len() <= 4, "{path} has more than four decimals: {text}");
            let has_point = number.is_f64();
            let must_have_point = match key {
                "face_match_confidence" | "faces_liveness" | "x" | "y" => true,
                "response_code" | "height" | "width" => false,
                // A whole number has none.
                "confidence" | "reject_score" | "review_score" | "warning_score" => {
                    number.as_f64() != whole.parse().ok()
                }
                _ => return Err(format!("{path} is a number").into()),
            };
            ensure!(has_point == must_have_point, "{path} is written {text}");
        }
        Value::Null => return Err(format!("{path} is null").into()),
        Value::Bool(_) | Value::String(_) => {}
    }
    Ok(())
}
