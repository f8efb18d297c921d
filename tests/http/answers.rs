//! Whole answers: against the documented samples, and for pictures of every kind.

use std::path::Path;

use likeness_testing::{Failed, Outcome, Suite, ensure};

use crate::SERVER;
use crate::support::answers::{
    OPTIMAL, PERMISSIVE, SAME_PERSON, SAME_PERSON_ANSWER, STRICT, follows_from_its_numbers,
    numbers_are_written_as_documented,
};
use crate::support::form::{Form, flat};
use crate::support::json::Json;
use crate::support::server::{APP, BRANCH};
use crate::support::{captures, for_each, picture};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("answers::have_the_structure_of_the_documented_samples", structure);
    suite.with_shared_and_models("answers::verifications_of_every_kind", verifications);
    suite.with_shared_and_models("answers::all_faces_of_a_photo_and_the_best_match", multiface);
    suite.with_shared_and_models("answers::each_profile_has_its_bounds", profiles);
    suite.with_shared_and_models("answers::liveness_of_every_kind", liveness);
    suite.with_shared_and_models("answers::both_versions_answer_alike_within_their_sizes", versions);
    suite.with_models("answers::probes_and_information", probes);
}

const LIVE: &str = "faces/img11.jpg";
const OTHER_PERSON: &str = "faces/img30.jpg";
const PRINT: &str = "liveness/nuaa/print/0001_00_00_01_0.jpg";
const NO_FACE: &str = "awkward/Flag_of_the_Netherlands-16bit.png";
/// Two faces, the second with more than a quarter of the first one's area. Below the least size of `/v0.1`.
const TWO_FACES: &str = "groups/2008_001009.jpg";
const CROWD: &str = "groups/selfie-many-people.jpg";
/// Two pictures of one person; the liveness of the first is near 0.47, between the bounds of the profiles.
const UNSURE: (&str, &str) = ("faces/img35.jpg", "faces/img36.jpg");

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

fn pair(shared: &Path, (selfie, photo): (&str, &str)) -> Result<Form, Failed> {
    Ok(Form::pair(&picture(shared, selfie)?, &picture(shared, photo)?))
}

fn selfie(shared: &Path, name: &str) -> Result<Form, Failed> {
    Ok(Form::new().file("selfie", &picture(shared, name)?))
}

/// The samples of the documentation beside its restatement.
fn structure(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let sample =
        |name: &str| -> Result<Json, Failed> { Json::parse(&std::fs::read(shared.join("api").join(name))?) };
    // A print that is compared with somebody else fails both checks, as in the sample.
    let answer = server.post("/v0.1/biometric-verification", &pair(shared, (PRINT, LIVE))?)?;
    let documented = sample("sample-biometric-verification.json")?;
    same_structure("", &answer.json()?, &documented)?;
    let codes = |body: &Json| -> Result<Vec<String>, Failed> {
        let details = body.list("response_data.decision.details")?;
        details
            .iter()
            .map(|line| Ok(line.text("code")?.to_owned()))
            .collect()
    };
    ensure!(
        codes(&answer.json()?)? == codes(&documented)?,
        "the codes are {:?}",
        codes(&answer.json()?)?
    );
    let answer = server.post("/v0.1/liveness-verification", &selfie(shared, PRINT)?)?;
    same_structure("", &answer.json()?, &sample("sample-liveness-verification.json")?)
}

/// Same keys in the same order, same nesting, same kinds of values, and texts of the same form.
fn same_structure(path: &str, actual: &Json, sample: &Json) -> Outcome {
    let key = path.rsplit('.').next().unwrap_or_default();
    match (actual, sample) {
        (Json::Object(found), Json::Object(documented)) => {
            let keys =
                |entries: &[(String, Json)]| entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            ensure!(
                keys(found) == keys(documented),
                "{path} has the keys {:?} instead of {:?}",
                keys(found),
                keys(documented)
            );
            for ((key, value), (_, documented)) in found.iter().zip(documented) {
                same_structure(&format!("{path}.{key}"), value, documented)?;
            }
        }
        (Json::List(found), Json::List(documented)) => {
            let first = documented.first().ok_or("an empty list in a sample")?;
            ensure!(!found.is_empty(), "{path} is empty");
            for item in found {
                same_structure(path, item, first)?;
            }
        }
        (Json::Text(found), Json::Text(documented)) => {
            let pattern = match key {
                "api_req_uid" => "*-*-4*-*-*",
                "processed_at" | "requested_at" => "*-*-* *:*:*",
                "description" => "*threshold failed: * < * (actual) < *",
                _ => "*",
            };
            ensure!(
                captures(pattern, found).is_some() && captures(pattern, documented).is_some(),
                "{path} is {found:?}, in the sample {documented:?}"
            );
        }
        // Either kind, as the number is whole or not: the sample has both. Which one it must be is checked elsewhere,
        // see `numbers_are_written_as_documented`.
        (Json::Integer(_) | Json::Decimal(_), Json::Integer(_) | Json::Decimal(_)) if key == "confidence" => {
        }
        (Json::Integer(_), Json::Integer(_)) | (Json::Decimal(_), Json::Decimal(_)) => {}
        _ => return Err(format!("{path} is {actual:?}, in the sample {sample:?}").into()),
    }
    Ok(())
}

/// `response_data` of an answer around what differs: the match, the photo, the selfie and the decision.
fn biometric_answer(face_match: &str, image: &str, selfie: &str, details: &str, scores: [u8; 3]) -> String {
    let [reject, review, warning] = scores;
    format!(
        r#"{{
  "api_req_uid": "<id>",
  "processed_at": "<time>",
  "requested_at": "<time>",
  "response_code": 1,
  "response_data": {{
    "biometric": {{
      "face_match_confidence": {face_match},
      "image": {image},
      "selfie": {selfie}
    }},
    "decision": {{
      "details": [{details}],
      "reject_score": {reject},
      "review_score": {review},
      "warning_score": {warning}
    }}
  }}
}}"#
    )
}

fn verifications(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let portrait = r#"{
        "faces_predicted": [
          {
            "confidence": 0.9539,
            "delta": { "x": 271.2002, "y": 361.9011 },
            "top_left": { "x": 157.3595, "y": 72.3206 }
          }
        ],
        "img": { "height": 800, "width": 600 }
      }"#;
    let portrait_selfie = r#"{
        "faces_liveness": 0.9296,
        "faces_predicted": [
          {
            "confidence": 0.9539,
            "delta": { "x": 271.2002, "y": 361.9011 },
            "top_left": { "x": 157.3595, "y": 72.3206 }
          }
        ],
        "img": { "height": 800, "width": 600 }
      }"#;
    let flag = r#"{ "faces_predicted": [], "img": { "height": 600, "width": 900 } }"#;
    let flag_selfie =
        r#"{ "faces_liveness": 0.0, "faces_predicted": [], "img": { "height": 600, "width": 900 } }"#;
    let no_face_in_selfie = r#"{
          "code": "NO_FACE_IN_SELFIE",
          "confidence": 1,
          "decision": "reject",
          "description": "No face detected in the selfie image"
        }"#;
    let no_face_in_image = r#"{
          "code": "NO_FACE_IN_IMAGE",
          "confidence": 1,
          "decision": "reject",
          "description": "No face detected in the photo image"
        }"#;
    let cases = [
        ("one person twice", (SAME_PERSON, SAME_PERSON_ANSWER.to_owned())),
        (
            "two persons",
            (
                (SAME_PERSON.0, OTHER_PERSON),
                biometric_answer(
                    "0.0367",
                    r#"{
        "faces_predicted": [
          {
            "confidence": 0.9428,
            "delta": { "x": 445.26, "y": 628.1707 },
            "top_left": { "x": 357.1136, "y": 180.1305 }
          }
        ],
        "img": { "height": 1004, "width": 1453 }
      }"#,
                    r#"{
        "faces_liveness": 0.9946,
        "faces_predicted": [
          {
            "confidence": 0.9365,
            "delta": { "x": 377.5323, "y": 527.9575 },
            "top_left": { "x": 586.4561, "y": 175.5669 }
          }
        ],
        "img": { "height": 1152, "width": 1536 }
      }"#,
                    r#"{
          "code": "FAILED_FACE_MATCH",
          "confidence": 1,
          "decision": "reject",
          "description": "Faces do not match; threshold failed: 0.4 < * (actual) < 0.56"
        }"#,
                    [1, 0, 0],
                ),
            ),
        ),
        (
            "a print of somebody else",
            (
                (PRINT, LIVE),
                biometric_answer(
                    "0.0563",
                    portrait,
                    r#"{
        "faces_liveness": 0.0008,
        "faces_predicted": [
          {
            "confidence": 0.9387,
            "delta": { "x": 161.5473, "y": 215.4453 },
            "top_left": { "x": 264.0814, "y": 3.3572 }
          }
        ],
        "img": { "height": 480, "width": 640 }
      }"#,
                    r#"{
          "code": "FAILED_FACE_MATCH",
          "confidence": 1,
          "decision": "reject",
          "description": "Faces do not match; threshold failed: 0.4 < * (actual) < 0.56"
        },
        {
          "code": "FAILED_SELFIE_LIVENESS",
          "confidence": 1,
          "decision": "reject",
          "description": "Selfie liveness threshold failed: 0.4 < * (actual) < 0.6"
        }"#,
                    [1, 0, 0],
                ),
            ),
        ),
        (
            "no face in the selfie",
            (
                (NO_FACE, LIVE),
                biometric_answer("0.0", portrait, flag_selfie, no_face_in_selfie, [1, 0, 0]),
            ),
        ),
        (
            "no face in the photo",
            (
                (LIVE, NO_FACE),
                biometric_answer("0.0", flag, portrait_selfie, no_face_in_image, [1, 0, 0]),
            ),
        ),
        (
            "no face in either",
            (
                (NO_FACE, NO_FACE),
                biometric_answer(
                    "0.0",
                    flag,
                    flag_selfie,
                    &format!("{no_face_in_selfie}, {no_face_in_image}"),
                    [1, 0, 0],
                ),
            ),
        ),
        (
            "several faces in both",
            (
                (TWO_FACES, TWO_FACES),
                biometric_answer(
                    "0.9897",
                    r#"{
        "faces_predicted": [
          {
            "confidence": 0.94,
            "delta": { "x": 78.4025, "y": 104.5414 },
            "top_left": { "x": 133.9046, "y": 199.3438 }
          }
        ],
        "img": { "height": 480, "width": 360 }
      }"#,
                    r#"{
        "faces_liveness": 0.9869,
        "faces_predicted": [
          {
            "confidence": 0.94,
            "delta": { "x": 78.4025, "y": 104.5414 },
            "top_left": { "x": 133.9046, "y": 199.3438 }
          },
          {
            "confidence": 0.94,
            "delta": { "x": 62.8302, "y": 84.8967 },
            "top_left": { "x": 153.1707, "y": 74.9439 }
          }
        ],
        "img": { "height": 480, "width": 360 }
      }"#,
                    r#"{
          "code": "MULTIPLE_FACES_IN_SELFIE",
          "confidence": 1,
          "decision": "review",
          "description": "Multiple faces detected in the selfie image: 2"
        },
        {
          "code": "MULTIPLE_FACES_IN_IMAGE",
          "confidence": 1,
          "decision": "warning",
          "description": "Multiple faces detected in the photo image: 2"
        }"#,
                    [0, 1, 1],
                ),
            ),
        ),
        (
            "several faces in the photo, of which the largest is somebody else",
            (
                (LIVE, CROWD),
                biometric_answer(
                    "0.0487",
                    r#"{
        "faces_predicted": [
          {
            "confidence": 0.8341,
            "delta": { "x": 125.0783, "y": 317.3938 },
            "top_left": { "x": 474.9217, "y": 286.1549 }
          }
        ],
        "img": { "height": 604, "width": 600 }
      }"#,
                    portrait_selfie,
                    r#"{
          "code": "FAILED_FACE_MATCH",
          "confidence": 1,
          "decision": "reject",
          "description": "Faces do not match; threshold failed: 0.4 < * (actual) < 0.56"
        },
        {
          "code": "MULTIPLE_FACES_IN_IMAGE",
          "confidence": 1,
          "decision": "warning",
          "description": "Multiple faces detected in the photo image: 6"
        },
        {
          "code": "CUT_FACE_IN_IMAGE",
          "confidence": 1,
          "decision": "warning",
          "description": "Face cut by the border of the photo image: * of it visible (actual) < 0.9"
        }"#,
                    [1, 0, 1],
                ),
            ),
        ),
    ];
    for_each(cases, |(pictures, expected)| {
        let answer = server.post(BIOMETRIC, &pair(shared, pictures)?)?;
        answer.expect(200, &expected)?;
        follows_from_its_numbers(&answer.json()?, OPTIMAL)
    })
}

fn multiface(shared: &Path) -> Outcome {
    let form = pair(shared, (LIVE, CROWD))?.text("image_multiface", "true");
    let answer = SERVER.get()?.post(BIOMETRIC, &form)?;
    // The match is that of the second face; of the largest alone it is 0.05, see above.
    answer.expect(
        200,
        &biometric_answer(
            "0.9255",
            r#"{
        "faces_predicted": [
          {
            "confidence": 0.7637,
            "delta": { "x": 115.8425, "y": 289.9841 },
            "top_left": { "x": 484.1575, "y": 275.1 }
          },
          {
            "confidence": 0.9371,
            "delta": { "x": 133.4016, "y": 182.2521 },
            "top_left": { "x": 354.2725, "y": 111.3173 }
          },
          {
            "confidence": 0.9384,
            "delta": { "x": 117.2826, "y": 148.6275 },
            "top_left": { "x": 90.2202, "y": 290.6758 }
          },
          {
            "confidence": 0.8391,
            "delta": { "x": 78.8435, "y": 176.055 },
            "top_left": { "x": 521.1565, "y": 58.7422 }
          },
          {
            "confidence": 0.9325,
            "delta": { "x": 98.2957, "y": 134.3354 },
            "top_left": { "x": 209.2409, "y": 120.1023 }
          },
          {
            "confidence": 0.9229,
            "delta": { "x": 74.5279, "y": 109.9085 },
            "top_left": { "x": 0.0, "y": 243.9113 }
          }
        ],
        "img": { "height": 604, "width": 600 }
      }"#,
            r#"{
        "faces_liveness": 0.9296,
        "faces_predicted": [
          {
            "confidence": 0.9539,
            "delta": { "x": 271.2002, "y": 361.9011 },
            "top_left": { "x": 157.3595, "y": 72.3206 }
          }
        ],
        "img": { "height": 800, "width": 600 }
      }"#,
            "",
            [0, 0, 0],
        ),
    )?;
    follows_from_its_numbers(&answer.json()?, OPTIMAL)
}

fn profiles(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let unsure = pair(shared, UNSURE)?;
    let cases = [
        ("none", (None, OPTIMAL, "review")),
        ("permissive-v0", (Some("permissive-v0"), PERMISSIVE, "review")),
        ("optimal-v0", (Some("optimal-v0"), OPTIMAL, "review")),
        ("strict-v0", (Some("strict-v0"), STRICT, "reject")),
    ];
    for_each(cases, |(profile, bounds, decision)| {
        let form = profile.map_or_else(|| unsure.clone(), |name| unsure.clone().text("profile", name));
        let (reject, review) = bounds.liveness;
        let scores = if decision == "reject" {
            [1, 0, 0]
        } else {
            [0, 1, 0]
        };
        let answer = server.post(BIOMETRIC, &form)?;
        answer.expect(
            200,
            &biometric_answer(
                "0.9487",
                r#"{
        "faces_predicted": [
          {
            "confidence": 0.949,
            "delta": { "x": 278.2438, "y": 371.8159 },
            "top_left": { "x": 648.5346, "y": 213.4547 }
          }
        ],
        "img": { "height": 1000, "width": 1500 }
      }"#,
                r#"{
        "faces_liveness": 0.4723,
        "faces_predicted": [
          {
            "confidence": 0.9423,
            "delta": { "x": 355.7329, "y": 470.7151 },
            "top_left": { "x": 244.2324, "y": 127.4457 }
          }
        ],
        "img": { "height": 1080, "width": 1080 }
      }"#,
                &format!(
                    r#"{{
          "code": "FAILED_SELFIE_LIVENESS",
          "confidence": 1,
          "decision": "{decision}",
          "description": "Selfie liveness threshold failed: {reject} < * (actual) < {review}"
        }}"#
                ),
                scores,
            ),
        )?;
        follows_from_its_numbers(&answer.json()?, bounds)
    })?;
    // An app's own default holds where the request names no profile, and where it names one that the app may use.
    for_each(
        [
            ("default of the app", (None, STRICT)),
            ("asked for", (Some("optimal-v0"), OPTIMAL)),
        ],
        |(profile, bounds)| {
            let form = profile.map_or_else(|| unsure.clone(), |name| unsure.clone().text("profile", name));
            let answer = server.send(&form.request(BIOMETRIC, &BRANCH.headers()))?;
            ensure!(answer.status == 200, "{answer:?}");
            follows_from_its_numbers(&answer.json()?, bounds)
        },
    )
}

fn liveness_answer(code: u8, data: &str) -> String {
    format!(
        r#"{{
  "api_req_uid": "<id>",
  "processed_at": "<time>",
  "requested_at": "<time>",
  "response_code": {code},
  "response_data": {data}
}}"#
    )
}

fn liveness(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let live = r#"{
    "faces_liveness": 0.9296,
    "faces_predicted": [
      {
        "confidence": 0.9539,
        "delta": { "x": 271.2002, "y": 361.9011 },
        "top_left": { "x": 157.3595, "y": 72.3206 }
      }
    ],
    "img": { "height": 800, "width": 600 }
  }"#;
    let print = r#"{
    "faces_liveness": 0.0008,
    "faces_predicted": [
      {
        "confidence": 0.9387,
        "delta": { "x": 161.5473, "y": 215.4453 },
        "top_left": { "x": 264.0814, "y": 3.3572 }
      }
    ],
    "img": { "height": 480, "width": 640 }
  }"#;
    let unsure = r#"{
    "faces_liveness": 0.4723,
    "faces_predicted": [
      {
        "confidence": 0.9423,
        "delta": { "x": 355.7329, "y": 470.7151 },
        "top_left": { "x": 244.2324, "y": 127.4457 }
      }
    ],
    "img": { "height": 1080, "width": 1080 }
  }"#;
    let no_face =
        r#"{ "faces_liveness": 0.0, "faces_predicted": [], "img": { "height": 600, "width": 900 } }"#;
    let cases = [
        ("live", (LIVE, None, 1, live)),
        ("not live", (PRINT, None, 2, print)),
        ("no face", (NO_FACE, None, 2, no_face)),
        ("below the usual threshold", (UNSURE.0, None, 2, unsure)),
        ("a threshold below the score", (UNSURE.0, Some("0.3"), 1, unsure)),
        ("a threshold above the score", (UNSURE.0, Some("0.6"), 2, unsure)),
        ("the lowest threshold", (PRINT, Some("0"), 1, print)),
        ("the highest threshold", (UNSURE.0, Some("1.0"), 2, unsure)),
        (
            "a threshold as exponents write it, with space around it",
            (UNSURE.0, Some(" 3e-1 "), 1, unsure),
        ),
        ("no face is never live", (NO_FACE, Some("0"), 2, no_face)),
    ];
    for_each(cases, |(name, threshold, code, data)| {
        let form = selfie(shared, name)?;
        let form = threshold.map_or_else(
            || form.clone(),
            |threshold| form.clone().text("threshold", threshold),
        );
        let answer = server.post(LIVENESS, &form)?;
        answer.expect(200, &liveness_answer(code, data))?;
        numbers_are_written_as_documented("", &answer.json()?)
    })
}

fn versions(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    for (endpoint, form) in [
        ("biometric-verification", pair(shared, SAME_PERSON)?),
        ("liveness-verification", selfie(shared, LIVE)?),
    ] {
        let first = server.post(&format!("/v0.1/{endpoint}"), &form)?.lasting()?;
        let second = server.post(&format!("/v0.2/{endpoint}"), &form)?.lasting()?;
        ensure!(first == second, "{endpoint}: {first:?}\n{second:?}");
    }
    // Each version takes what is just within its own sizes, see `errors` for the other side.
    let sizes = [
        ("/v0.1", 480, 480),
        ("/v0.1", 10_000, 480),
        ("/v0.2", 300, 300),
        ("/v0.2", 400, 400),
        ("/v0.2", 300, 5_000),
    ];
    for_each(sizes.map(|size| (size.0, size)), |(version, width, height)| {
        let form = Form::new().file("selfie", &flat(width, height)?);
        let data = format!(
            r#"{{ "faces_liveness": 0.0, "faces_predicted": [], "img": {{ "height": {height}, "width": {width} }} }}"#
        );
        let answer = server.post(&format!("{version}/liveness-verification"), &form)?;
        answer.expect(200, &liveness_answer(2, &data))
    })
}

fn probes() -> Outcome {
    let server = SERVER.get()?;
    server.get("/healthz")?.expect(200, r#"{"status": "ok"}"#)?;
    server.get("/readyz")?.expect(200, r#"{"status": "ready"}"#)?;
    let info = server.get("/info")?;
    ensure!(info.status == 200, "{info:?}");
    // Every key is here: what would be added has to be looked at for what it gives away.
    let expected = format!(
        r#"{{
  "liveness_calibration": "none: the models' mean live probability as it is",
  "match_calibration": "lfw-dev (2026-11-25, *)",
  "name": "likeness",
  "pack": "open-1",
  "pack_version": "*",
  "provider": "cpu",
  "version": "{}"
}}"#,
        env!("CARGO_PKG_VERSION")
    );
    info.json()?.sorted().expect(&Json::parse(expected.as_bytes())?)?;
    ensure!(
        !format!("{info:?}").contains(APP.id),
        "an app is named in {info:?}"
    );
    Ok(())
}
