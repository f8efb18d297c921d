//! A quota that several services share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use likeness_testing::{Failed, Outcome, Postgres, Suite, TestDatabase, ensure};

use super::rotation::{ask, headers, wait_until_accepted};
use crate::support::TIMEOUT;
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::storage::{Storage, text};

const QUOTA: usize = 60;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models_and_postgres("quota::it_holds_over_an_outage", outage);
    suite.with_any_models_and_postgres(
        "quota::a_storage_that_hangs_holds_nobody_up_and_loses_nothing",
        |_| hanging(),
    );
    suite.with_any_models_and_databases("quota::it_is_exact_under_eight_clients_of_two_services", crowd);
    suite.with_any_models_and_databases(
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
        command.env("LIKENESS__DATABASE__TIMEOUT_SECONDS", "1");
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
        line.contains("usage is persisted again")
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

/// Liveness verifications of today by `likeness usage`.
fn counted(storage: &Storage) -> Result<u64, Failed> {
    let ended = Process::run(&mut storage.command(&["usage", "--json"]))?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    Ok(json["apps"][0]["liveness"].as_u64().ok_or("no number")?)
}

/// The server is there and answers nothing. It is asked for longer than a test waits for anything.
fn hanging() -> Outcome {
    const CLIENTS: usize = 4;
    const EACH: usize = 5;
    let postgres = Postgres::start_new()?;
    let storage = Storage::at(&postgres.new_database()?)?;
    let made = storage.json(&["create", "acme", "--daily-quota", "1000", "--no-wait"])?;
    let headers = headers("acme", &text(&made, "key")?);
    let server = storage.serve(|command| {
        command.env("LIKENESS__DATABASE__TIMEOUT_SECONDS", "300");
    })?;
    wait_until_accepted(&server, &headers)?;
    let frozen = postgres.freeze()?;
    let statuses = std::thread::scope(|scope| {
        let client = || {
            (0..EACH)
                .map(|_| ask(&server, &headers))
                .collect::<Result<Vec<_>, _>>()
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let ended = clients
            .into_iter()
            .map(|client| client.join().map_err(|_| "a panic")?);
        ended.collect::<Result<Vec<_>, Failed>>()
    })?;
    ensure!(
        statuses.iter().flatten().all(|status| *status == 200),
        "{statuses:?}\n{}",
        server.log.text()
    );
    // All usage is on disk, though the database has confirmed none of it yet.
    let wanted = (1 + CLIENTS * EACH) as u64;
    let begun = Instant::now();
    loop {
        let bytes = std::fs::read(storage.folder().join("usage-pending.json")).unwrap_or_default();
        let kept: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let batches = kept.as_array().into_iter().flatten();
        let items = batches.flat_map(|batch| batch["usage"].as_array().into_iter().flatten());
        let sum: u64 = items.filter_map(|item| item["liveness"].as_u64()).sum();
        // The first request may have been flushed before.
        if sum + 1 >= wanted {
            break;
        }
        ensure!(begun.elapsed() < TIMEOUT, "{sum} of {wanted} are kept: {kept}");
    }
    let log = server.log.text();
    ensure!(log.matches("cannot persist usage").count() == 1, "{log}");
    server.kill();
    drop(frozen);
    let again = storage.serve(|_| {})?;
    let found = counted(&storage)?;
    ensure!(found == wanted, "{found} of {wanted} are counted");
    again.terminate()?;
    ensure!(again.wait()?.code() == Some(0), "it does not end well");
    let found = counted(&storage)?;
    ensure!(found == wanted, "{found} of {wanted} are counted in the end");
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
        ensure!(begun.elapsed() < TIMEOUT, "only {let_in} of {QUOTA} were let in");
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

/// Half of the clients ask one service and half the other, all at once, until nothing is left: each until it is refused so
/// often that the units which the other service sits on for a second have come back.
fn crowd(place: &TestDatabase) -> Outcome {
    const CLIENTS: usize = 8;
    let storage = Storage::of(place)?;
    let quota = QUOTA.to_string();
    let made = storage.json(&["create", "acme", "--daily-quota", &quota, "--no-wait"])?;
    let headers = headers("acme", &text(&made, "key")?);
    let servers = [storage.serve(|_| {})?, storage.serve(|_| {})?];
    for server in &servers {
        wait_until_accepted(server, &headers)?;
    }
    let let_in = AtomicUsize::new(servers.len());
    let client = |server: &Server| -> Outcome {
        let begun = Instant::now();
        loop {
            match ask(server, &headers)? {
                200 => {
                    let_in.fetch_add(1, Ordering::Relaxed);
                }
                403 if let_in.load(Ordering::Relaxed) >= QUOTA => return Ok(()),
                403 => {}
                status => return Err(format!("status {status}").into()),
            }
            ensure!(
                begun.elapsed() < TIMEOUT,
                "only {let_in:?} of {QUOTA} were let in"
            );
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = servers
            .iter()
            .cycle()
            .take(CLIENTS)
            .map(|server| scope.spawn(|| client(server)))
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| Failed::from("a client panicked"))?)
    })?;
    let let_in = let_in.into_inner();
    ensure!(let_in == QUOTA, "{let_in} of {QUOTA} were let in");
    Ok(())
}
