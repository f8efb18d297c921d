//! The audit of the real binary: what it says, and what becomes of it when something breaks.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;

use likeness_testing::{Failed, Outcome, Postgres, Suite, TestDatabase, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use support::form::{Form, flat};
use support::process::{Ended, Process};
use support::server::{APP, SECRETS, Server, WRONG_KEY};
use support::storage::Storage;
use support::{PATIENCE, picture};

mod support;

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("each_request_has_an_event_that_says_what_became_of_it", events);
    suite.with_models("what_was_tampered_with_is_found", tampered);
    suite.with_models_and_databases("who_was_answered_is_on_record_after_kill_9", killed);
    suite.with_models("what_cannot_be_recorded_is_refused_where_it_must_be", required);
    suite.with_models("a_full_disk_does_not_stop_verifications", full_disk);
    suite.with_models_and_postgres("while_the_storage_is_away_the_files_keep_it", outage);
    suite.run()
}

/// A service with one worker on this storage.
fn serve(storage: &Storage, more: impl FnOnce(&mut Command)) -> Result<Server, Failed> {
    Server::start(|command| {
        storage.set_for(command);
        command.args(["--workers", "1"]);
        more(command);
    })
}

/// Runs `likeness audit`.
fn audit(storage: &Storage, arguments: &[&str]) -> Result<Ended, Failed> {
    Process::run(&mut storage.command(&[&["audit"], arguments].concat()))
}

/// The events in the files or in the storage.
fn events_of(storage: &Storage, from: &str) -> Result<Vec<Value>, Failed> {
    let ended = audit(storage, &["export", "--since", "2020-01-01", "--from", from])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ended
        .stdout
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["event"].take()))
        .collect()
}

fn files(storage: &Storage) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for instance in std::fs::read_dir(storage.folder().join("audit"))? {
        for entry in std::fs::read_dir(instance?.path())? {
            files.extend(
                Some(entry?.path()).filter(|path| path.extension().is_some_and(|name| name == "jsonl")),
            );
        }
    }
    files.sort();
    Ok(files)
}

fn stop(server: &Server) -> Outcome {
    server.terminate()?;
    let status = server.wait()?;
    ensure!(status.code() == Some(0), "{status}\n{}", server.log.text());
    Ok(())
}

fn selfie() -> Result<Form, Failed> {
    Ok(Form::new().file("selfie", &flat(400, 400)?))
}

/// What changes from run to run is put away; what it is has been checked.
fn lasting(mut event: Value) -> Value {
    for key in [
        "time",
        "request_id",
        "pack_digest",
        "match_calibration",
        "liveness_calibration",
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

fn events(shared: &Path) -> Outcome {
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

    let found = events_of(&storage, "store")?;
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
    let ms = json!({ "total": "<ms>", "body": "<ms>", "queue": "<ms>", "decode": "<ms>", "detect": "<ms>",
        "embed": "<ms>", "liveness": "<ms>", "quality": "<ms>" });
    let expected = json!({
        "v": 1, "time": "<text>", "kind": "verification", "request_id": "<text>", "correlation_id": "mine-1",
        "client": "127.0.0.1", "app": APP.id, "endpoint": "biometric-verification", "path": BIOMETRIC,
        "profile": "optimal-v0", "pack": "open-1", "pack_version": "<text>", "pack_digest": "<text>",
        "match_calibration": "<text>", "liveness_calibration": "<text>",
        "selfie": { "bytes": picture(shared, "faces/img2.jpg")?.len(), "width": 1536, "height": 1152, "faces": 1 },
        "photo": { "bytes": picture(shared, "faces/img11.jpg")?.len(), "width": 600, "height": 800, "faces": 1 },
        "face_match": score("face_match_confidence")?, "liveness": score("selfie.faces_liveness")?, "threshold": null, "outcome": "pass", "codes": [], "status": 200,
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
    let csv = audit(
        &storage,
        &[
            "export",
            "--since",
            "2020-01-01",
            "--app",
            APP.id,
            "--format",
            "csv",
        ],
    )?;
    ensure!(
        csv.stdout.lines().count() == 3 && csv.stdout.contains("mine-1"),
        "{}",
        csv.stdout
    );
    Ok(())
}

fn tampered() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |_| {})?;
    for _ in 0..3 {
        ensure!(server.post(LIVENESS, &selfie()?)?.status == 200, "a verification");
    }
    stop(&server)?;
    let whole = audit(&storage, &["verify"])?;
    ensure!(
        whole.code == Some(0) && whole.stdout.contains("The audit is whole."),
        "{whole:?}"
    );
    let head = whole
        .stdout
        .split_whitespace()
        .find(|word| word.matches(':').count() == 2)
        .ok_or("no head")?
        .to_owned();
    let from_files = audit(&storage, &["verify", "--from", "files", "--expect-head", &head])?;
    ensure!(from_files.code == Some(0), "{from_files:?}");

    let file = files(&storage)?.remove(0);
    let right = std::fs::read_to_string(&file)?;
    let without_line = |number: usize| -> String {
        let lines = right.lines().enumerate().filter(|(at, _)| *at != number);
        lines.map(|(_, line)| format!("{line}\n")).collect()
    };
    for (what, text, said) in [
        (
            "changed",
            right.replacen("\"liveness\":0.0", "\"liveness\":0.9", 1),
            "was changed",
        ),
        ("removed", without_line(2), "were removed"),
        ("cut", without_line(4), "lines are missing at its end"),
    ] {
        ensure!(text != right, "{what}: nothing was");
        std::fs::write(&file, &text)?;
        let found = audit(&storage, &["verify", "--from", "files", "--expect-head", &head])?;
        ensure!(
            found.code == Some(4) && found.stdout.contains(said),
            "{what}: {found:?}"
        );
    }
    // Made anew by who knows how, and longer than what was noted down: only that gives it away.
    std::fs::write(&file, forged(&right)?)?;
    let without = audit(&storage, &["verify", "--from", "files"])?;
    ensure!(without.code == Some(0), "{without:?}");
    let found = audit(&storage, &["verify", "--from", "files", "--expect-head", &head])?;
    ensure!(
        found.code == Some(4) && found.stdout.contains("no chain goes through"),
        "{found:?}"
    );
    Ok(())
}

/// The same lines with another score, and one more, all hashed as they should be.
fn forged(right: &str) -> Result<String, Failed> {
    let mut events = Vec::new();
    let mut instance = String::new();
    for line in right.lines() {
        let whole: Value = serde_json::from_str(line)?;
        whole["instance"]
            .as_str()
            .ok_or("no instance")?
            .clone_into(&mut instance);
        let (_, event) = line.split_once("\"event\":").ok_or("no event")?;
        let event = event.strip_suffix('}').ok_or("no end")?;
        events.push(event.replace("\"liveness\":0.0", "\"liveness\":0.9"));
    }
    events.extend(events.last().cloned());
    let mut prev = "0".repeat(64);
    let mut lines = Vec::new();
    for (seq, event) in (1..).zip(events) {
        let digest = Sha256::digest(format!("{instance}\n{seq}\n{prev}\n{event}"));
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!(
            "{{\"instance\":\"{instance}\",\"seq\":{seq},\"prev\":\"{prev}\",\"hash\":\"{hash}\",\"event\":{event}}}\n"
        ));
        prev = hash;
    }
    Ok(lines.concat())
}

fn killed(place: &TestDatabase) -> Outcome {
    let storage = Storage::of(place)?;
    let server = serve(&storage, |_| {})?;
    let answered = Mutex::new(Vec::new());
    let request = selfie()?.request(LIVENESS, &APP.headers());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Until the server is gone.
                while let Ok(answer) = server.send(&request) {
                    let Ok(id) = answer.id() else { break };
                    let mut answered = answered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    answered.push(id.to_owned());
                    if answered.len() == 60 {
                        server.kill();
                    }
                }
            });
        }
    });
    let answered = answered.into_inner().unwrap_or_default();
    ensure!(answered.len() >= 60, "{} answers", answered.len());
    let on_record = |events: &[Value]| {
        answered
            .iter()
            .filter(|id| !events.iter().any(|event| event["request_id"] == id.as_str()))
            .count()
    };
    let missing = on_record(&events_of(&storage, "files")?);
    ensure!(
        missing == 0,
        "{missing} of {} are not in the files",
        answered.len()
    );

    let again = serve(&storage, |_| {})?;
    ensure!(again.post(LIVENESS, &selfie()?)?.status == 200, "after a restart");
    stop(&again)?;
    let missing = on_record(&events_of(&storage, "store")?);
    ensure!(
        missing == 0,
        "{missing} of {} are not in the storage",
        answered.len()
    );
    for from in ["store", "files"] {
        let whole = audit(&storage, &["verify", "--from", from])?;
        ensure!(whole.code == Some(0), "{from}: {whole:?}");
    }
    Ok(())
}

/// Has the server write no more than so many bytes to any file, as on a disk that is full.
fn with_full_disk(storage: &Storage, mode: &str) -> Result<Server, Failed> {
    let server = serve(storage, |command| {
        command
            .env("LIKENESS__AUDIT__MODE", mode)
            .env("LIKENESS__AUDIT__WAIT_MS", "5000");
        // SQLite has its own files: they are not to be touched by this.
        command.env("LIKENESS_STORAGE_URL", "sqlite::memory:");
    })?;
    ensure!(
        server.post(LIVENESS, &selfie()?)?.status == 200,
        "before the disk is full"
    );
    let status = Command::new("prlimit")
        .args(["--pid", &server.id().to_string(), "--fsize=1:1"])
        .status()?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(server)
}

fn full_disk() -> Outcome {
    let storage = Storage::new()?;
    let server = with_full_disk(&storage, "best-effort")?;
    for _ in 0..3 {
        ensure!(
            server.post(LIVENESS, &selfie()?)?.status == 200,
            "while the disk is full"
        );
    }
    server.log.wait_for("what is wrong", |line| {
        line.contains("the audit cannot be written")
    })?;
    let lines = server.log.text().matches("the audit cannot be written").count();
    ensure!(lines == 1, "it is said {lines} times");
    Ok(())
}

fn required() -> Outcome {
    let storage = Storage::new()?;
    let server = with_full_disk(&storage, "required")?;
    for _ in 0..3 {
        let answer = server.post(LIVENESS, &selfie()?)?;
        answer.expect_error(
            503,
            "NOT_READY",
            "The service is not ready yet. Try again shortly.",
        )?;
    }
    ensure!(server.get("/healthz")?.status == 200, "/healthz");
    Ok(())
}

/// A number of the operator's port.
fn metric(server: &Server, name: &str) -> Result<f64, Failed> {
    let answer = server.operate("GET", "/metrics", "")?;
    let text = String::from_utf8(answer.body)?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.ok_or_else(|| format!("no {name} in\n{text}"))?.parse()?)
}

/// Asks for a number until it is as wanted.
fn wait_for_metric(server: &Server, name: &str, wanted: impl Fn(f64) -> bool) -> Outcome {
    let begun = Instant::now();
    loop {
        let value = metric(server, name)?;
        if wanted(value) {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{name} stays {value}");
    }
}

fn outage(_: &Postgres) -> Outcome {
    // One of its own: it is stopped.
    let postgres = Postgres::start_new()?;
    let url = postgres.new_database()?;
    let storage = Storage::at(&url)?;
    let server = serve(&storage, |command| {
        command
            .env("LIKENESS__STORAGE__TIMEOUT_SECONDS", "1")
            .env("LIKENESS__ADMIN__LISTEN", "127.0.0.1:0");
    })?;
    ensure!(server.post(LIVENESS, &selfie()?)?.status == 200, "before");
    ensure!(
        metric(&server, "likeness_storage_up")? == 1.0,
        "it is down before"
    );
    postgres.stop();
    for _ in 0..5 {
        ensure!(
            server.post(LIVENESS, &selfie()?)?.status == 200,
            "while it is away"
        );
    }
    server.log.wait_for("that it is away", |line| {
        line.contains("the audit does not get into the storage")
    })?;
    wait_for_metric(&server, "likeness_storage_up", |up| up == 0.0)?;
    wait_for_metric(
        &server,
        "likeness_storage_errors_total{operation=\"connect\"}",
        |errors| errors >= 1.0,
    )?;
    postgres.start()?;
    server.log.wait_for("that it is back", |line| {
        line.contains("the audit goes into the storage again")
    })?;
    let begun = Instant::now();
    loop {
        let stored = events_of(&storage, "store")?;
        if stored.iter().filter(|event| event["status"] == 200).count() == 6 {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "{stored:?}");
    }
    wait_for_metric(&server, "likeness_storage_up", |up| up == 1.0)?;
    for said in [
        "the audit does not get into the storage",
        "the audit goes into the storage again",
    ] {
        let lines = server.log.text().matches(said).count();
        ensure!(lines == 1, "{said:?} is said {lines} times");
    }
    Ok(())
}
