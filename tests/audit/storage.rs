//! A service that is killed, and a database that is down.

use std::sync::Mutex;
use std::time::Instant;

use likeness_testing::{Outcome, Postgres, Suite, TestDatabase, ensure};
use serde_json::Value;

use crate::run::{LIVENESS, audit, events_of, metric, selfie, serve, stop, wait_for_metric};
use crate::support::TIMEOUT;
use crate::support::server::APP;
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models_and_databases("answered_requests_are_recorded_after_kill_9", killed);
    suite.with_any_models_and_postgres("records_stay_in_the_files_while_the_database_is_down", outage);
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
    let missing = on_record(&events_of(&storage, "database")?);
    ensure!(
        missing == 0,
        "{missing} of {} are not in the storage",
        answered.len()
    );
    for from in ["database", "files"] {
        let whole = audit(&storage, &["verify", "--from", from])?;
        ensure!(whole.code == Some(0), "{from}: {whole:?}");
    }
    Ok(())
}

fn outage(_: &Postgres) -> Outcome {
    // One of its own: it is stopped.
    let postgres = Postgres::start_new()?;
    let url = postgres.new_database()?;
    let storage = Storage::at(&url)?;
    let server = serve(&storage, |command| {
        command
            .env("LIKENESS__DATABASE__TIMEOUT_SECONDS", "1")
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
        line.contains("cannot move audit records into the database")
    })?;
    wait_for_metric(&server, "likeness_storage_up", |up| up == 0.0)?;
    wait_for_metric(
        &server,
        "likeness_storage_errors_total{operation=\"connect\"}",
        |errors| errors >= 1.0,
    )?;
    postgres.start()?;
    server.log.wait_for("that it is back", |line| {
        line.contains("moving audit records into the database again")
    })?;
    let begun = Instant::now();
    loop {
        let stored = events_of(&storage, "database")?;
        if stored.iter().filter(|event| event["status"] == 200).count() == 6 {
            break;
        }
        ensure!(begun.elapsed() < TIMEOUT, "{stored:?}");
    }
    wait_for_metric(&server, "likeness_storage_up", |up| up == 1.0)?;
    for said in [
        "cannot move audit records into the database",
        "moving audit records into the database again",
    ] {
        let lines = server.log.text().matches(said).count();
        ensure!(lines == 1, "{said:?} is said {lines} times");
    }
    Ok(())
}
