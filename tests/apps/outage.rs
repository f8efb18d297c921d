//! A database that is away.

use likeness_testing::{Failed, Outcome, Postgres, Suite, ensure};

use super::rotation::{ask, headers, wait_until_accepted};
use crate::support::process::Process;
use crate::support::storage::{Storage, text};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models_and_postgres("outage::known_apps_stay_valid_and_it_is_said_once", |_| {
        while_serving()
    });
    suite.with_any_models_and_postgres("outage::a_start_waits_for_the_database_and_then_says_so", |_| {
        at_start()
    });
}

/// A server of the test's own, as it is to be stopped.
fn own() -> Result<(Postgres, Storage), Failed> {
    let postgres = Postgres::start_new()?;
    let storage = Storage::at(&postgres.new_database()?)?;
    Ok((postgres, storage))
}

fn while_serving() -> Outcome {
    let (postgres, storage) = own()?;
    let key = text(&storage.json(&["create", "acme", "--no-wait"])?, "key")?;
    let server = storage.serve(|command| {
        command.env("LIKENESS__DATABASE__TIMEOUT_SECONDS", "1");
    })?;
    ensure!(ask(&server, &headers("acme", &key))? == 200, "it is not let in");

    let (down, up) = (
        "cannot read apps from the database",
        "reading apps from the database again",
    );
    postgres.stop();
    server.log.wait_for("the outage", |line| line.contains(down))?;
    for _ in 0..5 {
        ensure!(
            ask(&server, &headers("acme", &key))? == 200,
            "a known app is refused"
        );
        ensure!(
            ask(&server, &headers("acme", "wrong"))? == 401,
            "a wrong key is let in"
        );
    }
    postgres.start()?;
    server.log.wait_for("its end", |line| line.contains(up))?;
    let other = text(&storage.json(&["create", "other"])?, "key")?;
    wait_until_accepted(&server, &headers("other", &other))?;
    let log = server.log.text();
    let lines = [down, up].map(|text| log.lines().filter(|line| line.contains(text)).count());
    ensure!(lines == [1, 1], "{lines:?} lines in:\n{log}");
    ensure!(!log.contains(postgres.password()), "the password is in the log");
    Ok(())
}

fn at_start() -> Outcome {
    let (postgres, storage) = own()?;
    postgres.stop();
    let mut command = storage.command(&["serve", "--workers", "1", "--listen", "127.0.0.1:0"]);
    command.env("LIKENESS__DATABASE__START_SECONDS", "0.5");
    let ended = Process::run(&mut command)?;
    ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
    ensure!(
        ended.stderr.contains("postgres://likeness@127.0.0.1:")
            && !ended.stderr.contains(postgres.password()),
        "{ended:?}"
    );

    let mut command = storage.command(&["serve", "--workers", "1", "--listen", "127.0.0.1:0"]);
    command.env("LIKENESS__DATABASE__START_SECONDS", "120");
    let patient = Process::start(&mut command)?;
    patient
        .stderr
        .wait_for("that it waits", |line| line.contains("waiting for the database"))?;
    postgres.start()?;
    patient
        .stdout
        .wait_for("that it is ready", |line| line.contains(" is ready on "))?;
    Ok(())
}
