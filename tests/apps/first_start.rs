//! A service that finds no app makes one.

use std::thread;

use likeness_testing::{Failed, Outcome, Postgres, Suite, TestDatabase, ensure};

use super::rotation::{ask, headers, wait_until_accepted};
use crate::support::server::Server;
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models_and_databases("first_start::makes_an_app_and_prints_its_key_once", once);
    suite.with_any_models_and_postgres("first_start::of_two_replicas_one_makes_the_app", replicas);
}

/// The key that a service has printed until it was ready and asked to stop.
fn printed_key(server: &Server) -> Result<Option<String>, Failed> {
    server.terminate()?;
    server.wait()?;
    let printed = server.stdout.text();
    let key = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("app_key: "));
    ensure!(
        key.is_some() == printed.contains("app_id:  default"),
        "a key without its app: {printed}"
    );
    let log = server.log.text();
    ensure!(
        key.is_none_or(|key| !log.contains(key)),
        "the key is in the log:\n{log}"
    );
    Ok(key.map(str::to_owned))
}

fn once(database: &TestDatabase) -> Outcome {
    let storage = Storage::of(database)?;
    let key = printed_key(&storage.serve(|_| {})?)?.ok_or("no key on the first start")?;
    let second = storage.serve(|_| {})?;
    ensure!(
        ask(&second, &headers("default", &key))? == 200,
        "the key is not accepted"
    );
    ensure!(printed_key(&second)?.is_none(), "the second start prints a key");

    // Whoever has apps in the configuration, or removed the last one, gets none.
    let configured = storage.serve(|command| {
        command.env("LIKENESS_APPS", "other:0123456789abcdef");
    })?;
    ensure!(
        printed_key(&configured)?.is_none(),
        "an app besides configured ones"
    );
    storage.json(&["delete", "default", "--no-wait"])?;
    let empty = storage.serve(|_| {})?;
    ensure!(printed_key(&empty)?.is_none(), "the removed app is back");
    ensure!(
        empty.log.text().contains("likeness apps create"),
        "{}",
        empty.log.text()
    );
    Ok(())
}

fn replicas(postgres: &Postgres) -> Outcome {
    let storage = Storage::at(&postgres.new_database()?)?;
    let start = || -> Result<Server, String> {
        storage
            .serve(|_| {})
            .map_err(|failure| failure.message().unwrap_or_default().to_owned())
    };
    let servers = thread::scope(|scope| {
        let started = [scope.spawn(start), scope.spawn(start)];
        started.map(|thread| thread.join().map_err(|_| Failed::from("a thread panicked")))
    });
    let mut keys = Vec::new();
    let mut running = Vec::new();
    for server in servers {
        running.push(server??);
    }
    // Both let the app in that one of them has made.
    let key = running.iter().find_map(|server| {
        let printed = server.stdout.text();
        printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("app_key: ").map(str::to_owned))
    });
    let key = key.ok_or("no replica has printed a key")?;
    for server in &running {
        wait_until_accepted(server, &headers("default", &key))?;
        keys.extend(printed_key(server)?);
    }
    ensure!(keys.len() == 1, "{} keys", keys.len());
    Ok(())
}
