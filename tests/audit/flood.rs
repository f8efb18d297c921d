//! Requests without credentials, as many as somebody likes to send.

use std::time::Instant;

use likeness_testing::{Outcome, Suite, ensure};

use crate::run::{LIVENESS, audit, events_of, serve, stop};
use crate::support::server::WRONG_KEY;
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models(
        "a_flood_of_unauthenticated_requests_has_one_record_and_one_line_a_second",
        unauthenticated,
    );
}

/// Number of requests; on the slowest machine they take a few seconds.
const FLOOD: u64 = 2_000;

/// The sum of a field `name=NUMBER` over these lines of the log.
fn sum_of(lines: &[&str], name: &str) -> u64 {
    let numbers = lines.iter().filter_map(|line| {
        let (_, rest) = line.split_once(name)?;
        rest.split(|letter: char| !letter.is_ascii_digit())
            .next()?
            .parse::<u64>()
            .ok()
    });
    numbers.sum()
}

fn unauthenticated() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |_| {})?;
    let request = format!(
        "POST {LIVENESS} HTTP/1.1\r\nHost: localhost\r\napp_id: nobody\r\napp_key: {WRONG_KEY}\r\nContent-Length: 0\r\n\r\n"
    );
    let begun = Instant::now();
    let mut connection = server.connect()?;
    for _ in 0..FLOOD {
        connection.send(request.as_bytes())?;
        let answer = connection.response()?;
        ensure!(answer.status == 401, "{answer:?}");
    }
    let most = begun.elapsed().as_secs() + 1;
    stop(&server)?;
    // What is left when the service ends has one besides.
    let most_sums = most + 1;

    let events = events_of(&storage, "files")?;
    let refused: Vec<_> = events.iter().filter(|event| event["status"] == 401).collect();
    let (sums, own): (Vec<_>, Vec<_>) = refused.into_iter().partition(|event| event["kind"] == "skipped");
    ensure!(
        sums.iter()
            .all(|event| event["error"] == "INVALID_CREDENTIALS" && event["app"].is_null()),
        "{sums:?}"
    );
    ensure!(
        !own.is_empty() && own[0]["client"] == "127.0.0.1",
        "the first has its own"
    );
    ensure!(
        (sums.len() + own.len()) as u64 <= most_sums,
        "{} sums and {} others in {most} s",
        sums.len(),
        own.len()
    );
    let counted: u64 = sums.iter().filter_map(|event| event["lost"].as_u64()).sum();
    ensure!(counted + own.len() as u64 == FLOOD, "{counted} and {}", own.len());

    let log = server.log.text();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("INVALID_CREDENTIALS"))
        .collect();
    let (sums, own): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains("requests="));
    ensure!(
        (sums.len() + own.len()) as u64 <= most_sums,
        "{sums:?} and {own:?} in {most} s"
    );
    let counted = sum_of(&sums, "requests=");
    ensure!(counted + own.len() as u64 == FLOOD, "{counted} and {}", own.len());
    // Nor is it told of in other words.
    let others = log.lines().count() - sums.len() - own.len();
    ensure!(others < 30, "{log}");

    let whole = audit(&storage, &["verify", "--from", "files"])?;
    ensure!(whole.code == Some(0), "{whole:?}");
    let table = audit(
        &storage,
        &[
            "export",
            "--since",
            "2020-01-01",
            "--from",
            "files",
            "--format",
            "csv",
        ],
    )?;
    ensure!(
        table.code == Some(0) && table.stdout.contains(",skipped,"),
        "{table:?}"
    );
    Ok(())
}
