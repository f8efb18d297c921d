//! A quota that several services share.

use std::time::Instant;

use likeness_testing::{Failed, Outcome, Postgres, Suite, TestDatabase, ensure};

use super::rotation::{ask, headers, wait_until_accepted};
use crate::support::PATIENCE;
use crate::support::storage::{Storage, text};

const QUOTA: usize = 60;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_models_and_postgres("quota::it_holds_over_an_outage", outage);
    suite.with_models_and_databases(
        "quota::two_services_share_it_and_one_that_is_killed_wins_nothing",
        shared,
    );
}

/// Units that are spent while the storage is away are not there to be had again when it is back.
fn outage(_: &Postgres) -> Outcome {
    // One of its own: it is stopped.
    let postgres = Postgres::start_new()?;
    let storage = Storage::at(&postgres.new_database()?)?;
    let made = storage.json(&["create", "acme", "--daily-quota", "30", "--no-wait"])?;
    let headers = headers("acme", &text(&made, "key")?);
    let server = storage.serve(|command| {
        command.env("LIKENESS__STORAGE__TIMEOUT_SECONDS", "1");
    })?;
    wait_until_accepted(&server, &headers)?;
    let ask_until_refused = || -> Result<usize, Failed> {
        let mut let_in = 0;
        loop {
            match ask(&server, &headers)? {
                200 => let_in += 1,
                403 => return Ok(let_in),
                status => return Err(format!("status {status}").into()),
            }
            ensure!(let_in <= 30, "{let_in} are let in");
        }
    };
    for _ in 0..9 {
        ensure!(ask(&server, &headers)? == 200, "of a quota of 30, ten");
    }
    postgres.stop();
    let away = ask_until_refused()?;
    ensure!(
        (15..=20).contains(&away),
        "{away} while the storage is away, after ten of 30"
    );
    postgres.start()?;
    server.log.wait_for("that it is back", |line| {
        line.contains("usage is written down again")
    })?;
    let back = ask_until_refused()?;
    ensure!(10 + away + back <= 30, "10, {away} and {back} are more than 30");
    server.terminate()?;
    ensure!(server.wait()?.code() == Some(0), "it does not end well");
    let again = storage.serve(|_| {})?;
    ensure!(
        ask(&again, &headers)? == 403 || away + back < 20,
        "a restart has units"
    );
    Ok(())
}

fn shared(place: &TestDatabase) -> Outcome {
    let storage = Storage::of(place)?;
    let quota = QUOTA.to_string();
    let made = storage.json(&["create", "acme", "--daily-quota", &quota, "--no-wait"])?;
    let headers = headers("acme", &text(&made, "key")?);
    let (one, other) = (storage.serve(|_| {})?, storage.serve(|_| {})?);
    wait_until_accepted(&one, &headers)?;
    wait_until_accepted(&other, &headers)?;
    let mut let_in = 2;
    // One may sit for a second on units that the other wants.
    let begun = Instant::now();
    let mut refused_in_a_row = 0;
    while let_in < QUOTA || refused_in_a_row < 10 {
        for server in [&one, &other] {
            match ask(server, &headers)? {
                200 => (let_in, refused_in_a_row) = (let_in + 1, 0),
                403 => refused_in_a_row += 1,
                status => return Err(format!("status {status}").into()),
            }
        }
        ensure!(let_in <= QUOTA, "{let_in} of {QUOTA} were let in");
        ensure!(begun.elapsed() < PATIENCE, "only {let_in} of {QUOTA} were let in");
    }
    one.kill();
    let again = storage.serve(|_| {})?;
    for _ in 0..5 {
        ensure!(
            ask(&again, &headers)? == 403,
            "a new service has a quota of its own"
        );
    }
    Ok(())
}
