//! A disk that is full, and has room again.

use std::process::Command;

use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::{Value, json};

use crate::events::{expected, lasting};
use crate::run::{LIVENESS, audit, events_of, metric, selfie, serve, stop, wait_for_metric};
use crate::support::process::Process;
use crate::support::server::{APP, Server};
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models("what_cannot_be_recorded_is_refused_where_it_must_be", required);
    suite.with_any_models("a_result_that_is_withheld_costs_no_unit_of_a_quota", withheld);
    suite.with_any_models(
        "a_full_disk_is_told_of_twice_and_ends_with_its_room",
        full_storage,
    );
    suite.with_any_models(
        "a_full_disk_does_not_stop_verifications_and_all_is_recorded_later",
        full_disk,
    );
}

/// Has the server write no more than so many bytes to any file, as on a disk that is full.
fn with_full_disk(storage: &Storage, mode: &str) -> Result<Server, Failed> {
    let server = serve(storage, |command| {
        command
            .env("LIKENESS__AUDIT__MODE", mode)
            .env("LIKENESS__AUDIT__WAIT_MS", "5000");
        // SQLite has its own files: they are not to be touched by this.
        command.env("LIKENESS_DATABASE_URL", "sqlite::memory:");
    })?;
    ensure!(
        server.post(LIVENESS, &selfie()?)?.status == 200,
        "before the disk is full"
    );
    set_room(&server, "1")?;
    Ok(server)
}

/// The longest that a file may be, in bytes.
fn set_room(server: &Server, bytes: &str) -> Outcome {
    let status = Command::new("prlimit")
        .args(["--pid", &server.id().to_string(), &format!("--fsize={bytes}:")])
        .status()?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}

/// There is room again; ends the service, and gives what is on record, which is whole.
fn after(storage: &Storage, server: &Server) -> Result<Vec<Value>, Failed> {
    set_room(server, "unlimited")?;
    server.log.wait_for("that it is written again", |line| {
        line.contains("writing the audit again")
    })?;
    stop(server)?;
    let whole = audit(storage, &["verify", "--from", "files"])?;
    ensure!(whole.code == Some(0), "{whole:?}");
    events_of(storage, "files")
}

fn with_status(events: &[Value], status: u16) -> Vec<Value> {
    let found = events.iter().filter(|event| event["status"] == status);
    found.cloned().collect()
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
    server
        .log
        .wait_for("what is wrong", |line| line.contains("cannot write the audit"))?;
    let lines = server.log.text().matches("cannot write the audit").count();
    ensure!(lines == 1, "it is said {lines} times");
    let events = after(&storage, &server)?;
    ensure!(with_status(&events, 200).len() == 4, "{events:?}");
    Ok(())
}

/// The storage is an SQLite file on that disk.
fn full_storage() -> Outcome {
    let storage = Storage::new()?;
    let file = storage.folder().join("likeness.toml");
    let app = format!("id = \"{}\"\nkey = \"{}\"", APP.id, APP.key);
    std::fs::write(
        &file,
        format!("[[apps]]\n{app}\nlimits = {{ daily_quota = 1_000 }}\n"),
    )?;
    let server = storage.serve(|command| {
        command
            .arg("--config")
            .arg(&file)
            .env("LIKENESS__ADMIN__LISTEN", "127.0.0.1:0");
    })?;
    let verify = |count: usize| -> Outcome {
        for _ in 0..count {
            let status = server.post(LIVENESS, &selfie()?)?.status;
            ensure!(status == 200, "status {status}\n{}", server.log.text());
        }
        Ok(())
    };
    verify(3)?;
    wait_for_metric(&server, "likeness_audit_pending_rows", |rows| rows == 0.0)?;
    set_room(&server, "1")?;
    verify(3)?;
    let said = [
        "cannot write the audit",
        "writing the audit again",
        "cannot persist usage",
        "usage is persisted again",
        "cannot keep pending usage on disk",
        "pending usage is kept on disk again",
    ];
    for said in said.iter().step_by(2) {
        server.log.wait_for("what is wrong", |line| line.contains(said))?;
    }
    // What can still be read does not say that the storage is well.
    wait_for_metric(&server, "likeness_storage_up", |up| up == 0.0)?;
    let errors = "likeness_storage_errors_total{operation=\"transaction\"}";
    let failed = metric(&server, errors)?;
    wait_for_metric(&server, errors, |errors| {
        errors >= failed + 4.0 || metric(&server, "likeness_storage_up").is_ok_and(|up| up != 0.0)
    })?;
    ensure!(metric(&server, "likeness_storage_up")? == 0.0, "it flaps");
    let log = server.log.text();
    ensure!(
        !log.contains("cannot read apps from the database"),
        "nothing can be read:\n{log}"
    );
    verify(3)?;

    set_room(&server, "unlimited")?;
    for said in said.iter().skip(1).step_by(2).take(2) {
        server
            .log
            .wait_for("that it is over", |line| line.contains(said))?;
    }
    wait_for_metric(&server, "likeness_storage_up", |up| up == 1.0)?;
    wait_for_metric(&server, "likeness_audit_pending_rows", |rows| rows == 0.0)?;
    verify(1)?;
    stop(&server)?;
    for said in said {
        let lines = server.log.text().matches(said).count();
        ensure!(
            lines == 1,
            "{said:?} is said {lines} times:\n{}",
            server.log.text()
        );
    }
    let usage = Process::run(&mut storage.command(&["usage", "--json"]))?;
    let usage: Value = serde_json::from_str(&usage.stdout)?;
    ensure!(usage["apps"][0]["liveness"] == 10, "{usage}");
    let verified = with_status(&events_of(&storage, "database")?, 200).len();
    ensure!(verified == 10, "{verified} of 10 are in the storage");
    for from in ["database", "files"] {
        let whole = audit(&storage, &["verify", "--from", from])?;
        ensure!(whole.code == Some(0), "{from}: {whole:?}");
    }
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
    let events = after(&storage, &server)?;
    // The first of them was judged before it was known that it cannot be recorded, and its result given to nobody.
    let lost: u64 = events.iter().filter_map(|event| event["lost"].as_u64()).sum();
    ensure!(
        lost == 1 && with_status(&events, 200).len() == 1,
        "{lost} lost: {events:?}"
    );
    let refused = with_status(&events, 503);
    ensure!(refused.len() == 2, "{refused:?}");
    let wanted = expected(json!({
        "path": LIVENESS, "endpoint": "liveness-verification", "status": 503, "error": "NOT_READY",
    }));
    let event = lasting(refused[0].clone());
    ensure!(event == wanted, "{event}\ninstead of\n{wanted}");
    Ok(())
}

fn withheld() -> Outcome {
    let storage = Storage::new()?;
    let file = storage.folder().join("likeness.toml");
    let app = format!("id = \"{}\"\nkey = \"{}\"", APP.id, APP.key);
    std::fs::write(
        &file,
        format!("[[apps]]\n{app}\nlimits = {{ daily_quota = 2 }}\n"),
    )?;
    let server = storage.serve(|command| {
        command
            .arg("--config")
            .arg(&file)
            .env("LIKENESS__AUDIT__MODE", "required")
            .env("LIKENESS__AUDIT__WAIT_MS", "5000")
            .env("LIKENESS_DATABASE_URL", "sqlite::memory:");
    })?;
    let status = || Ok::<u16, Failed>(server.post(LIVENESS, &selfie()?)?.status);
    ensure!(status()? == 200, "the first of two");
    set_room(&server, "1")?;
    ensure!(status()? == 503, "its result cannot be recorded");
    set_room(&server, "unlimited")?;
    server.log.wait_for("that it is written again", |line| {
        line.contains("writing the audit again")
    })?;
    ensure!(status()? == 200, "the second of two");
    ensure!(status()? == 403, "the quota is used up");
    stop(&server)
}
