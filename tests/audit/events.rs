//! What the audit says of each request.

use std::path::Path;
use std::time::Instant;

use likeness::{Engine, VerifyOptions};
use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::{Value, json};

use crate::run::{BIOMETRIC, LIVENESS, events_of, files, selfie, serve, stop};
use crate::support::server::{APP, SECRETS, WRONG_KEY};
use crate::support::storage::{Storage, text};
use crate::support::{TIMEOUT, image as picture};
use likeness_testing::http::{Form, flat};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("each_request_has_an_event_that_says_what_became_of_it", answered);
    suite.with_any_models("a_refusal_has_an_event_that_says_why", refused);
    suite.with_any_models(
        "a_selfie_that_is_not_live_has_an_event_that_says_why",
        not_live_below_a_base_path,
    );
    suite.with_any_models("who_hangs_up_has_an_event", gone);
}

/// What changes from run to run is put away; what it is has been checked.
pub(crate) fn lasting(mut event: Value) -> Value {
    for key in [
        "time",
        "request_id",
        "pack_digest",
        "match_calibration",
        "liveness_calibration",
        "cohort",
        "pack_version",
    ] {
        if event[key].is_string() {
            event[key] = json!("<text>");
        }
    }
    if let Some(times) = event["ms"].as_object_mut() {
        for (_, value) in times.iter_mut().filter(|(_, value)| value.is_f64()) {
            *value = json!("<ms>");
        }
    }
    event
}

fn answered(shared: &Path) -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |_| {})?;
    let pair = Form::pair(
        &picture(shared, "faces/img2.jpg")?,
        &picture(shared, "faces/img11.jpg")?,
    );
    let answer =
        server.send(&pair.request(BIOMETRIC, &format!("{}X-Request-ID: mine-1\r\n", APP.headers())))?;
    ensure!(answer.status == 200, "{answer:?}");
    let id = answer.id()?.to_owned();
    let wrong = format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", APP.id);
    ensure!(
        server.send(&selfie()?.request(LIVENESS, &wrong))?.status == 401,
        "a wrong key"
    );
    ensure!(
        server
            .post(LIVENESS, &Form::new().file("selfie", b"no picture"))?
            .status
            == 415,
        "no picture"
    );
    stop(&server)?;

    let found = events_of(&storage, "database")?;
    ensure!(
        found == events_of(&storage, "files")?,
        "the storage says something else than the files"
    );
    let kinds: Vec<&str> = found.iter().filter_map(|event| event["kind"].as_str()).collect();
    ensure!(
        kinds == ["start", "verification", "verification", "verification", "stop"],
        "{kinds:?}"
    );
    ensure!(found[1]["request_id"] == id.as_str(), "{id}: {}", found[1]);
    // What the client was told is what is on record.
    let told = answer.json()?;
    let score = |key: &str| told.number(&format!("response_data.biometric.{key}"));
    let compared = compared(shared)?;
    let ms = json!({ "total": "<ms>", "body": "<ms>", "queue": "<ms>", "decode": "<ms>", "detect": "<ms>",
        "embed": "<ms>", "liveness": "<ms>", "quality": "<ms>" });
    let expected = json!({
        "v": 2, "time": "<text>", "kind": "verification", "request_id": "<text>", "correlation_id": "mine-1",
        "client": "127.0.0.1", "app": APP.id, "endpoint": "biometric-verification", "path": BIOMETRIC,
        "profile": "optimal-v0", "pack": "open-2", "pack_version": "<text>", "pack_digest": "<text>",
        "match_calibration": "<text>", "liveness_calibration": "<text>", "cohort": "<text>",
        "selfie": { "bytes": picture(shared, "faces/img2.jpg")?.len(), "width": 1536, "height": 1152, "faces": 1, "rotation": 0 },
        "photo": { "bytes": picture(shared, "faces/img11.jpg")?.len(), "width": 600, "height": 800, "faces": 1, "rotation": 0 },
        "face_match": score("face_match_confidence")?, "cosine": compared[0],
        "normalised_similarity": compared[1], "liveness": score("selfie.faces_liveness")?, "threshold": null, "outcome": "pass", "codes": [], "status": 200,
        "error": null, "limit": null, "ms": ms,
    });
    let event = lasting(found[1].clone());
    ensure!(event == expected, "{event}\ninstead of\n{expected}");
    let refused = &found[2];
    ensure!(
        refused["app"].is_null() && refused["status"] == 401 && refused["error"] == "INVALID_CREDENTIALS",
        "{refused}"
    );
    ensure!(found[3]["error"] == "UNSUPPORTED_IMAGE_FORMAT", "{}", found[3]);

    for file in files(&storage)? {
        let text = std::fs::read_to_string(file)?;
        for secret in SECRETS {
            ensure!(!text.contains(secret), "a key is on record");
        }
    }
    no_bytes_of(
        &storage,
        &[
            picture(shared, "faces/img2.jpg")?,
            picture(shared, "faces/img11.jpg")?,
        ],
    )
}

/// The cosine and the normalised similarity of one person's two images, as the library finds them.
fn compared(shared: &Path) -> Result<[f64; 2], Failed> {
    let engine = Engine::builder().workers(1).build()?;
    let (selfie, photo) = (
        picture(shared, "faces/img2.jpg")?,
        picture(shared, "faces/img11.jpg")?,
    );
    let verification = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
    let similarity = verification.similarity.ok_or("an image without a face")?;
    let normalised = similarity.normalised.ok_or("the default pack has a cohort")?;
    Ok([similarity.cosine, normalised].map(|value| (f64::from(value) * 1e6).round() / 1e6))
}

/// An event of [`APP`] of which nothing more is known than this.
pub(crate) fn expected(known: Value) -> Value {
    let mut event = json!({
        "v": 2, "time": "<text>", "kind": "verification", "request_id": "<text>", "correlation_id": null,
        "client": "127.0.0.1", "app": APP.id, "endpoint": null, "path": null, "profile": null, "pack": null,
        "pack_version": null, "pack_digest": null, "match_calibration": null, "liveness_calibration": null, "cohort": null,
        "selfie": { "bytes": null, "width": null, "height": null, "faces": null, "rotation": null },
        "photo": { "bytes": null, "width": null, "height": null, "faces": null, "rotation": null },
        "face_match": null, "cosine": null, "normalised_similarity": null, "liveness": null, "threshold": null, "outcome": null, "codes": [], "status": null,
        "error": null, "limit": null,
        "ms": { "total": "<ms>", "body": null, "queue": null, "decode": null, "detect": null, "embed": null,
            "liveness": null, "quality": null },
    });
    if let (Some(event), Value::Object(known)) = (event.as_object_mut(), known) {
        event.extend(known);
    }
    event
}

/// The header of the response has the same codes. Paths on record are without the base path, and the header may be off.
fn not_live_below_a_base_path() -> Outcome {
    for (setting, header) in [("true", Some("NO_FACE_IN_SELFIE")), ("false", None)] {
        let storage = Storage::new()?;
        let server = serve(&storage, |command| {
            command.args(["--set", "base_path=/idv"]);
            command.args(["--set", &format!("api.findings_header={setting}")]);
        })?;
        let request = selfie()?.request(&format!("/idv{LIVENESS}"), &APP.headers());
        let response = server.send(&request)?;
        response.expect(200)?;
        ensure!(response.header("x-likeness-findings") == header, "{response:?}");
        stop(&server)?;
        let found = events_of(&storage, "database")?;
        let event = found.iter().find(|event| event["status"] == 200);
        let event = event.ok_or("no event")?;
        ensure!(
            event["codes"] == json!(["NO_FACE_IN_SELFIE"])
                && event["outcome"] == "not live"
                && event["path"] == LIVENESS,
            "{event}"
        );
    }
    Ok(())
}

fn refused() -> Outcome {
    let storage = Storage::new()?;
    let made = storage.json(&["create", "acme", "--daily-quota", "1", "--no-wait"])?;
    let acme = format!("app_id: acme\r\napp_key: {}\r\n", text(&made, "key")?);
    let server = serve(&storage, |_| {})?;
    for status in [200, 403] {
        let answer = server.send(&selfie()?.request(LIVENESS, &acme))?;
        ensure!(answer.status == status, "{answer:?}");
    }
    let answer = server.post(LIVENESS, &Form::new().text("other", "1"))?;
    ensure!(answer.status == 400, "{answer:?}");
    stop(&server)?;
    let found = events_of(&storage, "database")?;
    let of = |status: u16| {
        let event = found.iter().find(|event| event["status"] == status);
        event.cloned().map(lasting).ok_or("no event")
    };
    let limited = expected(json!({
        "app": "acme", "path": LIVENESS, "endpoint": "liveness-verification", "status": 403,
        "error": "LIMIT_EXCEEDED", "limit": "daily",
    }));
    ensure!(of(403)? == limited, "{}\ninstead of\n{limited}", of(403)?);
    let mut wrong = expected(json!({
        "path": LIVENESS, "endpoint": "liveness-verification", "status": 400, "error": answer.json()?.text("error.code")?,
    }));
    // How far it came before it was found wrong is no promise.
    wrong["ms"] = of(400)?["ms"].take();
    ensure!(of(400)? == wrong, "{}\ninstead of\n{wrong}", of(400)?);
    Ok(())
}

fn gone() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |_| {})?;
    // Large, so that its client has gone long before it is judged.
    let picture = flat(5_000, 4_000)?;
    let mut connection = server.connect()?;
    connection.send(
        &Form::new()
            .file("selfie", &picture)
            .request(LIVENESS, &APP.headers()),
    )?;
    drop(connection);
    let begun = Instant::now();
    let event = loop {
        let events = events_of(&storage, "files")?;
        if let Some(event) = events.into_iter().find(|event| event["kind"] == "verification") {
            break lasting(event);
        }
        ensure!(begun.elapsed() < TIMEOUT, "no event");
    };
    let mut wanted = expected(json!({
        "path": LIVENESS, "endpoint": "liveness-verification", "status": 499,
    }));
    // How far it had come by then is no promise.
    for key in [
        "selfie",
        "ms",
        "pack",
        "pack_version",
        "pack_digest",
        "match_calibration",
        "liveness_calibration",
        "cohort",
    ] {
        wanted[key] = event[key].clone();
    }
    ensure!(event == wanted, "{event}\ninstead of\n{wanted}");
    Ok(())
}

/// Nothing in the storage's folder has a piece of these pictures, as they are or in base64; nor a list of numbers, as an
/// embedding would be.
fn no_bytes_of(storage: &Storage, pictures: &[Vec<u8>]) -> Outcome {
    let mut pieces = Vec::new();
    for picture in pictures {
        let middle = picture.len() / 2;
        // Wherever the three bytes begin that four letters stand for.
        for start in middle..middle + 3 {
            let piece = picture.get(start..start + 24).ok_or("a short picture")?;
            pieces.push(piece.to_vec());
            pieces.push(base64(piece));
        }
    }
    let (mut folders, mut searched) = (vec![storage.folder().to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)?;
            searched += bytes.len();
            for piece in &pieces {
                let found = bytes.windows(piece.len()).any(|window| window == piece);
                ensure!(!found, "{} has a piece of a picture", path.display());
            }
        }
    }
    ensure!(searched > 5_000, "{searched} bytes are all there is");
    for event in events_of(storage, "files")? {
        for (key, value) in event.as_object().into_iter().flatten() {
            let numbers = value
                .as_array()
                .is_some_and(|list| list.iter().any(Value::is_number));
            ensure!(!numbers, "{key} is a list of numbers");
        }
    }
    Ok(())
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: usize| LETTERS[bits & 63];
    bytes
        .chunks_exact(3)
        .flat_map(|three| {
            let bits = three.iter().fold(0, |bits, &byte| bits << 8 | usize::from(byte));
            [bits >> 18, bits >> 12, bits >> 6, bits].map(letter)
        })
        .collect()
}
