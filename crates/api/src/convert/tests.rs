//! Whole bodies, against the documented samples and the contract's rules.

use std::time::Duration;

use jiff::Timestamp;
use likeness_engine::decision::{Evidence, Profile, Score, decide};
use likeness_engine::detection::{BoundingBox, Face, Point};
use likeness_engine::imaging::{Format, ImagingError};
use likeness_engine::{EngineError, ImageRole, Size};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::error_response;
use crate::response::ErrorResponse;

fn meta(id: &str, requested_at: &str) -> Meta {
    Meta {
        id: Uuid::parse_str(id).unwrap(),
        requested_at: requested_at.parse().unwrap(),
    }
}

fn face(score: f32, [x, y, width, height]: [f32; 4]) -> Face {
    let bounding_box = BoundingBox { x, y, width, height };
    Face {
        bounding_box,
        score,
        landmarks: [Point { x: 0.0, y: 0.0 }; 5],
    }
}

fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

type Seen<'a> = (&'a [Face], Size);

/// What the engine gives [`biometric_response`], judged under `optimal-v0`.
fn biometric_body(
    face_match: Option<f64>,
    liveness: Option<f64>,
    photo: Seen<'_>,
    selfie: Seen<'_>,
) -> String {
    let areas =
        |(faces, _): Seen<'_>| -> Vec<f32> { faces.iter().map(|face| face.bounding_box.area()).collect() };
    let evidence = Evidence {
        selfie_face_areas: &areas(selfie),
        photo_face_areas: &areas(photo),
        photo_multiface: false,
        face_match: face_match.map(score),
        liveness: liveness.map(score),
        selfie_quality: None,
        photo_quality: None,
        selfie_rotation: 0,
        photo_rotation: 0,
        same_image: false,
    };
    let decision = decide(&Profile::optimal_v0(), &evidence).unwrap();
    let data = BiometricData {
        biometric: biometric(face_match.map(score), liveness.map(score), photo, selfie),
        decision: DecisionReport::from(&decision),
    };
    let meta = meta("601d8377-03be-481e-a314-d61675154d3e", "2024-04-22T06:36:50.25Z");
    let processed_at = "2024-04-22T06:36:50.999Z".parse().unwrap();
    let code = ResponseCodes::default().of_decision(decision.outcome());
    serde_json::to_string_pretty(&respond(&meta, processed_at, code, data)).unwrap()
}

fn liveness_body(live: bool, liveness: f64, seen: Seen<'_>) -> String {
    let meta = meta("c6bb825f-871c-4323-8c06-8e5fd3517747", "2024-04-01T20:05:17Z");
    let code = ResponseCodes::default().of_liveness(live);
    let data = super::selfie(Some(score(liveness)), seen);
    serde_json::to_string_pretty(&respond(&meta, meta.requested_at, code, data)).unwrap()
}

fn error_body(error: &ApiError) -> ErrorResponse {
    let meta = meta("c6bb825f-871c-4323-8c06-8e5fd3517747", "2024-04-01T20:05:17Z");
    error_response(&meta, "2024-04-01T20:05:18Z".parse().unwrap(), error)
}

fn sample_biometric_body() -> String {
    biometric_body(
        Some(0.4803),
        Some(0.0026),
        (
            &[face(0.9999, [40.3778, 42.5628, 63.2991, 86.6425])],
            Size {
                width: 150,
                height: 200,
            },
        ),
        (
            &[face(1.0, [153.1597, 169.8101, 235.0864, 290.2446])],
            Size {
                width: 500,
                height: 666,
            },
        ),
    )
}

fn sample_liveness_body() -> String {
    liveness_body(
        false,
        0.000_04,
        (
            &[face(0.9885, [38.0577, 4.0824, 18.9982, 25.3957])],
            Size {
                width: 95,
                height: 71,
            },
        ),
    )
}

/// The documented samples are restated here, with their keys in their order and their numbers as they write them;
/// `tests/samples.rs` has the files themselves.
#[test]
fn the_documented_biometric_sample() {
    insta::assert_snapshot!(sample_biometric_body(), @r#"
    {
      "api_req_uid": "601d8377-03be-481e-a314-d61675154d3e",
      "processed_at": "2024-04-22 06:36:50",
      "requested_at": "2024-04-22 06:36:50",
      "response_code": 1,
      "response_data": {
        "biometric": {
          "face_match_confidence": 0.4803,
          "image": {
            "faces_predicted": [
              {
                "confidence": 0.9999,
                "delta": {
                  "x": 63.2991,
                  "y": 86.6425
                },
                "top_left": {
                  "x": 40.3778,
                  "y": 42.5628
                }
              }
            ],
            "img": {
              "height": 200,
              "width": 150
            }
          },
          "selfie": {
            "faces_liveness": 0.0026,
            "faces_predicted": [
              {
                "confidence": 1,
                "delta": {
                  "x": 235.0864,
                  "y": 290.2446
                },
                "top_left": {
                  "x": 153.1597,
                  "y": 169.8101
                }
              }
            ],
            "img": {
              "height": 666,
              "width": 500
            }
          }
        },
        "decision": {
          "details": [
            {
              "code": "FAILED_FACE_MATCH",
              "confidence": 1,
              "decision": "review",
              "description": "Faces do not match; threshold failed: 0.4 < 0.4803 (actual) < 0.56"
            },
            {
              "code": "FAILED_SELFIE_LIVENESS",
              "confidence": 1,
              "decision": "reject",
              "description": "Selfie liveness threshold failed: 0.4 < 0.0026 (actual) < 0.6"
            }
          ],
          "reject_score": 1,
          "review_score": 1,
          "warning_score": 0
        }
      }
    }
    "#);
}

#[test]
fn the_documented_liveness_sample() {
    insta::assert_snapshot!(sample_liveness_body(), @r#"
    {
      "api_req_uid": "c6bb825f-871c-4323-8c06-8e5fd3517747",
      "processed_at": "2024-04-01 20:05:17",
      "requested_at": "2024-04-01 20:05:17",
      "response_code": 2,
      "response_data": {
        "faces_liveness": 0.0,
        "faces_predicted": [
          {
            "confidence": 0.9885,
            "delta": {
              "x": 18.9982,
              "y": 25.3957
            },
            "top_left": {
              "x": 38.0577,
              "y": 4.0824
            }
          }
        ],
        "img": {
          "height": 71,
          "width": 95
        }
      }
    }
    "#);
}

#[test]
fn no_face_anywhere() {
    let nothing: Seen<'_> = (
        &[],
        Size {
            width: 640,
            height: 480,
        },
    );
    insta::assert_snapshot!(biometric_body(None, None, nothing, nothing));
    insta::assert_snapshot!(liveness_body(false, 0.0, nothing));
}

#[test]
fn everything_passes() {
    // Whole numbers, where the two ways of writing them differ, and a box at the corner of the picture.
    let seen: Seen<'_> = (
        &[face(1.0, [0.0, -0.0, 320.0, 400.0])],
        Size {
            width: 640,
            height: 480,
        },
    );
    insta::assert_snapshot!(biometric_body(Some(1.0), Some(1.0), seen, seen));
    insta::assert_snapshot!(liveness_body(true, 1.0, seen));
}

#[test]
fn several_faces_are_listed_in_order() {
    let faces = [
        face(0.75, [1.0, 2.0, 40.0, 50.0]),
        face(0.999_96, [100.5, 2.25, 30.125, 40.062_5]),
    ];
    let seen: Seen<'_> = (
        &faces,
        Size {
            width: 640,
            height: 480,
        },
    );
    insta::assert_snapshot!(biometric_body(Some(0.9), Some(0.9), seen, seen));
}

#[test]
fn every_body_is_read_as_it_was_written() {
    let body: BiometricResponse = serde_json::from_str(&sample_biometric_body()).unwrap();
    assert_eq!(
        serde_json::to_string_pretty(&body).unwrap(),
        sample_biometric_body()
    );
    assert_eq!(
        body.requested_at,
        "2024-04-22T06:36:50Z".parse::<Timestamp>().unwrap()
    );

    let body: LivenessResponse = serde_json::from_str(&sample_liveness_body()).unwrap();
    assert_eq!(
        serde_json::to_string_pretty(&body).unwrap(),
        sample_liveness_body()
    );

    let body = error_body(&ApiError::missing_field("selfie"));
    let text = serde_json::to_string(&body).unwrap();
    assert_eq!(serde_json::from_str::<ErrorResponse>(&text).unwrap(), body);
}

#[test]
fn every_error_code_has_its_body() {
    for &code in ErrorCode::ALL {
        let error = ApiError::from(code);
        let shown = json!({
            "status": code.status(),
            "retry_after_seconds": error.retry_after_seconds(),
            "when": code.when(),
            "carries_details": code.carries_details(),
        });
        let body = serde_json::to_string_pretty(&error_body(&error)).unwrap();
        let text = format!("{}\n\n{body}", serde_json::to_string_pretty(&shown).unwrap());
        insta::assert_snapshot!(format!("error_{code}"), text);
    }
}

#[test]
fn each_fault_as_the_client_sees_it() {
    let imaging = [
        ImagingError::Empty,
        ImagingError::NotAnImage,
        ImagingError::Unsupported {
            format: "HEIC",
            reason: "send JPEG, PNG, WebP, BMP, TIFF or GIF".into(),
        },
        ImagingError::Unsupported {
            format: "JPEG",
            reason: "arithmetic coding".into(),
        },
        ImagingError::Corrupt {
            format: Format::Jpeg,
            reason: "the data ends in the middle of a scan.".into(),
        },
        ImagingError::Corrupt {
            format: Format::Png,
            reason: String::new(),
        },
        ImagingError::TooManyBytes {
            bytes: 15_728_641,
            limit: 15_728_640,
        },
        ImagingError::TooLarge {
            width: 12_000,
            height: 9_000,
            max_side: 10_000,
            max_pixels: 64_000_000,
        },
        ImagingError::DecodeTooLarge {
            format: Format::Tiff,
            width: 9_000,
            height: 7_000,
            needed: 300_000_001,
            limit: 201_326_592,
        },
        ImagingError::TooManyScans {
            width: 8_000,
            height: 8_000,
            scans: 43,
        },
        ImagingError::Interrupted,
        ImagingError::Decoder {
            format: Format::Heic,
            reason: "no process can be started".to_owned(),
        },
        ImagingError::BadBuffer {
            width: 2,
            height: 2,
            expected: 12,
            found: 11,
        },
    ];
    let pictures = imaging.into_iter().enumerate().map(|(i, source)| {
        let role = if i % 2 == 0 {
            ImageRole::Selfie
        } else {
            ImageRole::Photo
        };
        EngineError::Image { role, source }
    });
    let others = [
        EngineError::Option("threshold must be a number from 0 to 1, not 7".into()),
        EngineError::DeadlineExceeded,
        EngineError::Cancelled,
        EngineError::Inference("session 3: CUDA out of memory".into()),
    ];
    let told: Vec<String> = pictures
        .chain(others)
        .map(|error| {
            let told = ApiError::from(error);
            format!(
                "{} {told}\n    log: {}",
                told.code().status(),
                told.cause().unwrap_or("-")
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_the_http_layer_finds() {
    let told = [
        ApiError::missing_field("image"),
        ApiError::invalid_parameter("threshold", "must be a number from 0 to 1, not 7"),
        ApiError::file_too_large("selfie", None, 15_728_640),
        ApiError::image_too_small("image", 640, 299, 300),
        ApiError::image_too_large("image", 640, 5_001, 5_000),
    ]
    .map(|error| format!("{} {error}", error.code().status()));
    insta::assert_snapshot!(told.join("\n"), @"
    400 MISSING_FIELD: The form field `image` is absent or empty.
    400 INVALID_PARAMETER: The form field `threshold` must be a number from 0 to 1, not 7.
    413 FILE_TOO_LARGE: The file in `selfie` has more than the 15728640 bytes that are accepted.
    422 IMAGE_TOO_SMALL: The picture in `image` is 640x299 pixels; each side must have at least 300.
    422 IMAGE_TOO_LARGE: The picture in `image` is 640x5001 pixels; each side may have at most 5000.
    ");
}

#[test]
fn internals_never_reach_a_caller() {
    for &code in ErrorCode::ALL.iter().filter(|code| !code.carries_details()) {
        let error = ApiError::new(code, "the key of app 7 is wrong").with_retry_after(Duration::ZERO);
        assert_eq!(error.message(), code.default_message());
        assert_eq!(error.cause(), Some("the key of app 7 is wrong"));
        let body = serde_json::to_string(&error_body(&error)).unwrap();
        assert!(!body.contains("app 7") && !error.to_string().contains("app 7"));
    }
    let fixed: Vec<_> = ErrorCode::ALL
        .iter()
        .filter(|code| !code.carries_details())
        .collect();
    assert_eq!(
        fixed,
        [
            &ErrorCode::InvalidCredentials,
            &ErrorCode::AppDisabled,
            &ErrorCode::Internal
        ]
    );
}

#[test]
fn a_decoder_cannot_fill_or_break_a_message() {
    let reason = format!("line\none\u{0}{}", "x".repeat(10_000));
    let error = ImagingError::Corrupt {
        format: Format::Jpeg,
        reason,
    };
    let error = ApiError::from_imaging("selfie", &error);
    assert!(error.message().len() < 400);
    assert!(error.message().contains("(line one x"));
    assert!(!error.message().contains(char::is_control));
}

#[test]
fn waits_are_whole_seconds_rounded_up() {
    let wait = |wait| {
        ApiError::from(ErrorCode::Overloaded)
            .with_retry_after(wait)
            .retry_after_seconds()
    };
    assert_eq!(wait(Duration::ZERO), Some(1));
    assert_eq!(wait(Duration::from_millis(1)), Some(1));
    assert_eq!(wait(Duration::from_secs(1)), Some(1));
    assert_eq!(wait(Duration::from_millis(1_001)), Some(2));
    assert_eq!(wait(Duration::MAX), Some(u64::MAX));
}

#[test]
fn the_table_is_the_contracts() {
    let table: Vec<(u16, &str)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.status(), code.as_str()))
        .collect();
    assert_eq!(
        table,
        [
            (400, "MALFORMED_REQUEST"),
            (400, "MISSING_FIELD"),
            (400, "INVALID_PARAMETER"),
            (401, "INVALID_CREDENTIALS"),
            (403, "LIMIT_EXCEEDED"),
            (403, "APP_DISABLED"),
            (404, "NOT_FOUND"),
            (405, "METHOD_NOT_ALLOWED"),
            (413, "FILE_TOO_LARGE"),
            (415, "UNSUPPORTED_IMAGE_FORMAT"),
            (422, "CORRUPT_IMAGE"),
            (422, "IMAGE_TOO_SMALL"),
            (422, "IMAGE_TOO_LARGE"),
            (500, "INTERNAL"),
            (503, "OVERLOADED"),
            (503, "NOT_READY"),
            (504, "DEADLINE_EXCEEDED"),
        ]
    );
    // Those that waiting helps with say how long.
    let waits: Vec<_> = ErrorCode::ALL
        .iter()
        .filter(|code| code.default_retry_after().is_some())
        .map(|code| code.as_str())
        .collect();
    assert_eq!(waits, ["LIMIT_EXCEEDED", "OVERLOADED", "NOT_READY"]);
}

#[test]
fn ids_are_random_uuids_in_lower_case_with_hyphens() {
    let meta = Meta::now();
    assert_eq!(meta.id.get_version_num(), 4);
    assert_ne!(meta.id, Meta::now().id);
    let body: Value = serde_json::to_value(error_response(
        &meta,
        meta.requested_at,
        &ErrorCode::NotFound.into(),
    ))
    .unwrap();
    let id = body["api_req_uid"].as_str().unwrap();
    assert_eq!(id, meta.id.hyphenated().to_string());
    assert_eq!(id, id.to_lowercase());
    assert_eq!(id.len(), 36);
}

#[test]
fn times_are_utc_to_the_second_that_has_begun() {
    let shown = |time: &str| {
        let meta = meta("c6bb825f-871c-4323-8c06-8e5fd3517747", time);
        let body = error_response(&meta, meta.requested_at, &ErrorCode::NotFound.into());
        serde_json::to_value(body).unwrap()["requested_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(shown("2024-02-29T23:59:59.999999999Z"), "2024-02-29 23:59:59");
    assert_eq!(shown("2024-12-31T23:30:00-01:00"), "2025-01-01 00:30:00");
    assert_eq!(shown("2026-01-02T03:04:05Z"), "2026-01-02 03:04:05");
}

#[test]
fn the_response_code_says_whether_anything_asks_for_a_review_or_a_reject() {
    let codes = ResponseCodes {
        pass: 200,
        findings: 300,
        not_live: 65_535,
    };
    for (outcome, by_default, configured) in [
        (Outcome::Pass, 0, 200),
        (Outcome::Warning, 0, 200),
        (Outcome::Review, 1, 300),
        (Outcome::Reject, 1, 300),
    ] {
        assert_eq!(ResponseCodes::default().of_decision(outcome), by_default);
        assert_eq!(codes.of_decision(outcome), configured);
    }
    for (live, by_default, configured) in [(true, 0, 200), (false, 2, 65_535)] {
        assert_eq!(ResponseCodes::default().of_liveness(live), by_default);
        assert_eq!(codes.of_liveness(live), configured);
    }
}

#[test]
fn an_error_has_no_response_code_that_a_client_could_take_for_success() {
    for code in ErrorCode::ALL {
        let body = serde_json::to_value(error_body(&(*code).into())).unwrap();
        assert_eq!(body.get("response_code"), None, "{code}");
    }
}
