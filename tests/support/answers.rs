//! What a biometric verification's answer must be, whatever the models say; and the answer for the pair of pictures
//! that both suites use most.

use likeness_testing::{Outcome, ensure};

use super::json::Json;

/// Two portraits of one person, both live.
pub(crate) const SAME_PERSON: (&str, &str) = ("faces/img2.jpg", "faces/img11.jpg");

/// The answer for [`SAME_PERSON`].
pub(crate) const SAME_PERSON_ANSWER: &str = r#"{
  "api_req_uid": "<id>",
  "processed_at": "<time>",
  "requested_at": "<time>",
  "response_code": 1,
  "response_data": {
    "biometric": {
      "face_match_confidence": 0.9433,
      "image": {
        "faces_predicted": [
          {
            "confidence": 0.9539,
            "delta": { "x": 271.2002, "y": 361.9011 },
            "top_left": { "x": 157.3595, "y": 72.3206 }
          }
        ],
        "img": { "height": 800, "width": 600 }
      },
      "selfie": {
        "faces_liveness": 0.9946,
        "faces_predicted": [
          {
            "confidence": 0.9365,
            "delta": { "x": 377.5323, "y": 527.9575 },
            "top_left": { "x": 586.4561, "y": 175.5669 }
          }
        ],
        "img": { "height": 1152, "width": 1536 }
      }
    },
    "decision": {
      "details": [],
      "reject_score": 0,
      "review_score": 0,
      "warning_score": 0
    }
  }
}"#;

/// The bounds of a profile as its texts write them: below the first reject, below the second review.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) face_match: (&'static str, &'static str),
    pub(crate) liveness: (&'static str, &'static str),
}

pub(crate) const PERMISSIVE: Bounds = Bounds {
    face_match: ("0.3", "0.4"),
    liveness: ("0.3", "0.5"),
};
pub(crate) const OPTIMAL: Bounds = Bounds {
    face_match: ("0.4", "0.56"),
    liveness: ("0.4", "0.6"),
};
pub(crate) const STRICT: Bounds = Bounds {
    face_match: ("0.56", "0.7"),
    liveness: ("0.6", "0.8"),
};

/// Checks that the decision follows from the very numbers of its body, and how those are written.
pub(crate) fn follows_from_its_numbers(body: &Json, bounds: Bounds) -> Outcome {
    numbers_are_written_as_documented("", body)?;
    let data = body.at("response_data")?;
    let no_face = |picture: &str| {
        data.list(&format!("biometric.{picture}.faces_predicted"))
            .map(<[Json]>::is_empty)
    };
    let (selfie_is_empty, photo_is_empty) = (no_face("selfie")?, no_face("image")?);
    let mut expected = Vec::new();
    if !selfie_is_empty && !photo_is_empty {
        let score = data.number("biometric.face_match_confidence")?;
        expected.extend(failed(
            "FAILED_FACE_MATCH",
            "Faces do not match; threshold failed",
            score,
            bounds.face_match,
        )?);
    }
    if !selfie_is_empty {
        let score = data.number("biometric.selfie.faces_liveness")?;
        expected.extend(failed(
            "FAILED_SELFIE_LIVENESS",
            "Selfie liveness threshold failed",
            score,
            bounds.liveness,
        )?);
    }
    let details = data.list("decision.details")?;
    let mut found = Vec::new();
    for line in details {
        if line.text("code")?.starts_with("FAILED_") {
            found.push(
                [
                    line.text("code")?,
                    line.text("decision")?,
                    line.text("description")?,
                ]
                .map(str::to_owned),
            );
        }
    }
    ensure!(
        found == expected,
        "the lines are {found:?} instead of {expected:?}"
    );
    for decision in ["reject", "review", "warning"] {
        let score = data.number(&format!("decision.{decision}_score"))?;
        let mut highest = 0.0_f64;
        for line in details
            .iter()
            .filter(|line| line.text("decision").ok() == Some(decision))
        {
            highest = highest.max(line.number("confidence")?);
        }
        ensure!(
            score == highest,
            "{decision}_score is {score} instead of {highest}"
        );
    }
    Ok(())
}

/// The line that a score must have, if any: code, decision and description.
fn failed(
    code: &str,
    text: &str,
    score: f64,
    (reject, review): (&str, &str),
) -> Result<Option<[String; 3]>, likeness_testing::Failed> {
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

/// Measured numbers have at most four decimals; `confidence` and the scores of the decision are integers where they are
/// whole, the others never are.
pub(crate) fn numbers_are_written_as_documented(path: &str, value: &Json) -> Outcome {
    let key = path.rsplit('.').next().unwrap_or_default();
    match value {
        Json::Object(entries) => {
            for (key, value) in entries {
                numbers_are_written_as_documented(&format!("{path}.{key}"), value)?;
            }
        }
        Json::List(items) => {
            for item in items {
                numbers_are_written_as_documented(path, item)?;
            }
        }
        Json::Integer(number) => {
            let may_be_integer = matches!(
                key,
                "confidence"
                    | "reject_score"
                    | "review_score"
                    | "warning_score"
                    | "response_code"
                    | "height"
                    | "width"
            );
            ensure!(may_be_integer, "{path} has no decimal point: {number}");
        }
        Json::Decimal(number) => {
            let always_decimal = matches!(key, "face_match_confidence" | "faces_liveness" | "x" | "y");
            ensure!(
                always_decimal || number.fract() != 0.0,
                "{path} is whole and written with a decimal point: {number}"
            );
            let decimals = number
                .to_string()
                .split_once('.')
                .map_or(0, |(_, decimals)| decimals.len());
            ensure!(decimals <= 4, "{path} has more than four decimals: {number}");
        }
        Json::Null => return Err(format!("{path} is null").into()),
        Json::Bool(_) | Json::Text(_) => {}
    }
    Ok(())
}
