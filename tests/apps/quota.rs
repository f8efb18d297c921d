//! A quota that several services share.

use std::time::Instant;

use likeness_testing::{Outcome, Suite, TestDatabase, ensure};

use super::rotation::{ask, headers, wait_until_accepted};
use super::storage::{Storage, text};
use crate::support::PATIENCE;

const QUOTA: usize = 60;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_models_and_databases(
        "quota::two_services_share_it_and_one_that_is_killed_wins_nothing",
        shared,
    );
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
