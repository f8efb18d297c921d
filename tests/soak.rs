//! The program at full load for long: every response as it was at first, and no memory that grows.
//!
//! The suite runs a short version. `make soak` runs 20,000 verifications, by `LIKENESS_SOAK`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use likeness_testing::http::{Form, Json, Response};
use likeness_testing::{Failed, Outcome, Suite, ensure};

use support::image;
use support::server::{APP, Server};

mod support;

/// Number of verifications.
const VARIABLE: &str = "LIKENESS_SOAK";
const SHORT: usize = 600;
/// Share of them after which the memory is looked at for the first time, and the least number: each worker has met the
/// largest images by then.
const FIRST: (usize, usize) = (10, 200);
const WORKERS: usize = 2;
/// More than there are workers, so that a request always waits; fewer than are admitted.
const CLIENTS: usize = 4;
/// How much more memory the process may have at the end: a share of what it had, or so many bytes.
const GROWTH: (u64, u64) = (3, 8 << 20);

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("full_load_leaves_responses_and_memory_as_they_were", soak);
    suite.run()
}

/// A request, and its response but for ids and times.
struct Case {
    request: Vec<u8>,
    status: u16,
    content: Json,
}

fn soak(shared: &Path) -> Outcome {
    let total = match std::env::var(VARIABLE) {
        Ok(number) => number.parse().map_err(|error| format!("{VARIABLE}: {error}"))?,
        Err(_) => SHORT,
    };
    let first = (total / FIRST.0).max(FIRST.1).min(total);
    let server = Server::start(|command| {
        command.args(["--workers", &WORKERS.to_string()]);
    })?;
    let cases = cases(shared, &server)?;

    run(&server, &cases, first)?;
    let before = server.resident_bytes()?;
    let begun = Instant::now();
    run(&server, &cases, total - first)?;
    let after = server.resident_bytes()?;

    let per_second = (total - first) as f64 / begun.elapsed().as_secs_f64();
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    #[expect(clippy::print_stdout, reason = "the figures of `make soak`")]
    {
        println!(
            "soak: {total} requests, {per_second:.1} a second; resident memory {:.1} MiB after {first}, {:.1} MiB at the end",
            megabytes(before),
            megabytes(after),
        );
    }
    let allowed = (before * GROWTH.0 / 100).max(GROWTH.1);
    ensure!(
        after <= before + allowed,
        "{:.1} MiB of resident memory became {:.1} MiB",
        megabytes(before),
        megabytes(after)
    );
    Ok(())
}

/// What clients send, good and bad, and each response as it is without other load.
fn cases(shared: &Path, server: &Server) -> Result<Vec<Case>, Failed> {
    let headers = APP.headers();
    let read = |name: &str| image(shared, name);
    let pair =
        |selfie: &str, photo: &str| -> Result<Form, Failed> { Ok(Form::pair(&read(selfie)?, &read(photo)?)) };
    let half = read("faces/img2.jpg")?;
    let half = &half[..half.len() / 2];
    let requests = [
        pair("faces/img2.jpg", "faces/img11.jpg")?.request(BIOMETRIC, &headers),
        pair("faces/img11.jpg", "faces/img2.jpg")?.request(BIOMETRIC, &headers),
        pair("faces/img22.jpg", "faces/img30.jpg")?.request(BIOMETRIC, &headers),
        pair("faces/img55.jpg", "faces/img4.jpg")?
            .text("profile", "strict-v0")
            .request(BIOMETRIC, &headers),
        pair("faces/img11.jpg", "groups/selfie-many-people.jpg")?
            .text("image_multiface", "true")
            .request(BIOMETRIC, &headers),
        Form::new()
            .file("selfie", &read("faces/img55.jpg")?)
            .request(LIVENESS, &headers),
        Form::new()
            .file("selfie", &read("groups/couple.jpg")?)
            .request(LIVENESS, &headers),
        Form::new().file("selfie", half).request(LIVENESS, &headers),
        Form::new()
            .file("selfie", b"not an image")
            .request(LIVENESS, &headers),
    ];
    requests
        .into_iter()
        .map(|request| {
            let response = server.send(&request)?;
            Ok(Case {
                request,
                status: response.status,
                content: lasting(&response)?,
            })
        })
        .collect()
}

/// Returns what does not change from one response to the next.
fn lasting(response: &Response) -> Result<Json, Failed> {
    if response.status == 200 {
        response.content()
    } else {
        response.json()?.at("error")
    }
}

/// Sends so many requests, by all clients at once, and checks each response.
fn run(server: &Server, cases: &[Case], count: usize) -> Outcome {
    let next = AtomicUsize::new(0);
    let client = || -> Outcome {
        let mut connection = server.connect()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            let case = &cases[number % cases.len()];
            connection.send(&case.request)?;
            let response = connection.response()?;
            ensure!(
                response.status == case.status && lasting(&response)? == case.content,
                "request {number}: {response:?}\ninstead of {}\n{:?}",
                case.status,
                case.content
            );
            if response.header("connection") == Some("close") {
                connection = server.connect()?;
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| Failed::from("a client panicked"))?)
    })
}
