//! Many clients, slow clients, and the end of the service.

use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use likeness_testing::http::{Connection, Form, Json, flat, head};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

use crate::SERVER;
use crate::support::server::{APP, DISABLED, Server, WRONG_KEY};
use crate::support::{TIMEOUT, image};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models(
        "load::parallel_clients_get_the_responses_that_they_get_alone",
        parallel,
    );
    suite.with_any_models("load::requests_beyond_the_limit_are_refused_at_once", overloaded);
    suite.with_shared_and_models(
        "load::many_times_the_capacity_leaves_responses_and_memory_as_they_were",
        overloaded_by_many,
    );
    suite.with_any_models("load::a_body_that_stalls_meets_the_deadline", deadline);
    suite.with_shared_and_models("load::a_graceful_shutdown_finishes_in_flight_requests", shutdown);
    suite.with_any_models(
        "load::a_second_signal_a_second_later_aborts_in_flight_requests",
        shutdown_at_once,
    );
    suite.with_any_models("load::readiness_ends_before_the_port_closes", notice);
}

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

fn parallel(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let read = |name: &str| image(shared, name);
    let requests = [
        Form::pair(&read("faces/img2.jpg")?, &read("faces/img11.jpg")?).request(BIOMETRIC, &APP.headers()),
        Form::pair(&read("faces/img11.jpg")?, &read("groups/selfie-many-people.jpg")?)
            .text("image_multiface", "true")
            .request(BIOMETRIC, &APP.headers()),
        Form::pair(&read("faces/img22.jpg")?, &read("faces/img30.jpg")?).request(BIOMETRIC, &APP.headers()),
        Form::new()
            .file("selfie", &read("faces/img55.jpg")?)
            .request(LIVENESS, &APP.headers()),
        Form::new()
            .file("selfie", &read("groups/couple.jpg")?)
            .request(LIVENESS, &APP.headers()),
    ];
    let alone: Vec<Json> = requests
        .iter()
        .map(|request| server.send(request)?.content())
        .collect::<Result<_, Failed>>()?;
    ensure!(
        alone.windows(2).all(|two| two[0] != two[1]),
        "requests cannot be told apart by their responses"
    );
    let client = |number: usize| -> Outcome {
        let mut connection = server.connect()?;
        // Each begins with another request, so that different ones are worked on at the same time.
        for step in 0..requests.len() {
            let index = (number + step) % requests.len();
            connection.send(&requests[index])?;
            let found = connection.response()?.content()?;
            ensure_eq!(found, alone[index], "client {number}");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..8).map(|number| scope.spawn(move || client(number))).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| Failed::from("a client panicked"))?)
    })
}

/// A request whose sender waits for `100 Continue`: once that has come, the request is admitted and its body is read.
fn begin(server: &Server, form: &Form, more: &str) -> Result<Connection, Failed> {
    let headers = format!("{}Expect: 100-continue\r\n{more}", APP.headers());
    let mut connection = server.connect()?;
    connection.send(&form.head(LIVENESS, &headers))?;
    connection.wait_for_continue()?;
    Ok(connection)
}

fn overloaded() -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__ADMISSION__MAX_REQUESTS", "1");
    })?;
    let form = Form::new().file("selfie", &flat(300, 300)?);
    let mut first = begin(&server, &form, "")?;

    // Nothing is checked beyond the credentials: this is not a form.
    let headers = format!(
        "{}Content-Type: text/plain\r\nContent-Length: 7\r\n",
        APP.headers()
    );
    let refused = server.send(&(head(LIVENESS, &headers) + "garbage"))?;
    refused.expect_error(
        503,
        "OVERLOADED",
        "The service is working on as many requests as it can. Try again shortly.",
    )?;
    ensure!(refused.header("retry-after") == Some("1"), "{refused:?}");
    // A request without valid credentials is not told how busy the service is.
    let wrong = format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", APP.id);
    let response = server.send(&form.request(LIVENESS, &wrong))?;
    ensure!(response.status == 401, "{response:?}");
    let response = server.send(&form.request(LIVENESS, &DISABLED.headers()))?;
    ensure!(response.status == 403, "{response:?}");
    // It is alive and will be free again soon: both probes succeed.
    ensure!(server.get("/healthz")?.status == 200, "/healthz");
    ensure!(server.get("/readyz")?.status == 200, "/readyz");

    first.send(&form.body())?;
    let response = first.response()?;
    ensure!(response.status == 200, "{response:?}");
    // A request with a response has freed its place.
    let response = server.post(LIVENESS, &form)?;
    ensure!(response.status == 200, "{response:?}");

    // So has one whose client disconnected, as soon as that is noticed.
    let gone = begin(&server, &form, "X-Request-ID: went-away\r\n")?;
    drop(gone);
    server
        .log
        .wait_for("the id of the client that went away", |line| {
            line.contains("went-away")
        })?;
    let response = server.post(LIVENESS, &form)?;
    ensure!(response.status == 200, "{response:?}");
    Ok(())
}

/// How many clients send requests at the same time, and how many each; one worker, and four requests that are admitted.
const CROWD: (usize, usize) = (64, 6);
/// After how many crowds the memory of the process has to have settled.
const MOST_CROWDS: usize = 8;

fn overloaded_by_many(shared: &Path) -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__ADMISSION__MAX_REQUESTS", "4");
    })?;
    let form = Form::new().file("selfie", &image(shared, "faces/img2.jpg")?);
    let usual = server.post(LIVENESS, &form)?.content()?;
    let request = form.request(LIVENESS, &APP.headers());
    let crowd = || -> Result<usize, Failed> {
        let client = || -> Result<usize, Failed> {
            let mut succeeded = 0;
            for _ in 0..CROWD.1 {
                let response = server.send(&request)?;
                match response.status {
                    200 if response.content()? == usual => succeeded += 1,
                    503 if response.header("retry-after") == Some("1") => {}
                    _ => return Err(format!("{response:?}").into()),
                }
            }
            Ok(succeeded)
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CROWD.0).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_fold(0, |succeeded, client| {
                Ok(succeeded + client.join().map_err(|_| Failed::from("a client panicked"))??)
            })
        })
    };
    // What the allocator keeps depends on which requests met: a process may take a few crowds to have had its worst
    // meeting. What every crowd adds to never settles.
    let mut most = 0;
    let mut settled = false;
    for _ in 0..MOST_CROWDS {
        let succeeded = crowd()?;
        ensure!(
            0 < succeeded && succeeded < CROWD.0 * CROWD.1,
            "{succeeded} of {} requests succeeded",
            CROWD.0 * CROWD.1
        );
        let resident = server.resident_bytes()?;
        settled = resident <= most + most / 50;
        if settled {
            break;
        }
        most = most.max(resident);
    }
    ensure!(
        settled,
        "{MOST_CROWDS} crowds, and memory still grows: {most} bytes"
    );
    for _ in 0..CROWD.1 {
        let response = server.post(LIVENESS, &form)?;
        ensure!(response.status == 200, "it is over, and still {response:?}");
    }
    Ok(())
}

fn deadline() -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__REQUEST_LIMITS__DEADLINE_SECONDS", "1");
    })?;
    let form = Form::new().file("selfie", &flat(300, 300)?);
    let mut connection = begin(&server, &form, "")?;
    let body = form.body();
    connection.send(&body[..body.len() / 2])?;
    let response = connection.response()?;
    response.expect_error(
        504,
        "DEADLINE_EXCEEDED",
        "The answer was not ready within the time limit of a request. Try again; smaller files take less time.",
    )?;
    // The rest of the body may come or not: what follows on this connection would be a guess.
    ensure!(response.header("connection") == Some("close"), "{response:?}");
    connection.finish()?;
    ensure!(connection.is_closed()?, "the connection stays open");
    Ok(())
}

fn shutdown(shared: &Path) -> Outcome {
    let server = Server::start(|command| {
        command.args(["--workers", "1"]);
    })?;
    let form = Form::new().file("selfie", &image(shared, "faces/img11.jpg")?);
    let usual = server.post(LIVENESS, &form)?.content()?;
    let mut idle = server.connect()?;
    idle.send(b"GET /readyz HTTP/1.1\r\nHost: likeness.example\r\n\r\n")?;
    ensure!(idle.response()?.status == 200, "/readyz");

    let mut in_flight = begin(&server, &form, "")?;
    let body = form.body();
    let (sent, rest) = body.split_at(body.len() / 2);
    in_flight.send(sent)?;
    // One request to stop that arrives several times, by a wrapper that signals the process and its group.
    server.terminate_by(&["TERM", "INT", "TERM"])?;
    server
        .log
        .wait_for("`shutting down`", |line| line.contains("shutting down"))?;
    ensure!(idle.is_closed()?, "a connection without a request stays open");
    becomes_closed(&server)?;

    in_flight.send(rest)?;
    let response = in_flight.response()?;
    ensure_eq!(response.content()?, usual);
    ensure!(in_flight.is_closed()?, "the connection stays open");

    let status = server.wait()?;
    ensure!(status.code() == Some(0), "{status}\n{}", server.log.text());
    ensure!(
        TcpStream::connect(server.address).is_err(),
        "the port is still open"
    );
    let log = server.log.text();
    ensure!(
        log.contains(response.id()?),
        "no line of the last request in:\n{log}"
    );
    ensure!(
        !log.contains("before all in-flight requests were finished"),
        "{log}"
    );
    Ok(())
}

fn shutdown_at_once() -> Outcome {
    let server = Server::start(|command| {
        command.args(["--workers", "1"]);
    })?;
    let form = Form::new().file("selfie", &flat(300, 300)?);
    let mut in_flight = begin(&server, &form, "")?;
    in_flight.send(&form.body()[..10])?;
    let start = Instant::now();
    server.terminate()?;
    server
        .log
        .wait_for("`shutting down`", |line| line.contains("shutting down"))?;
    while !server.log.text().contains("second shutdown signal") {
        ensure!(
            start.elapsed() < TIMEOUT,
            "it does not end: {}",
            server.log.text()
        );
        server.terminate()?;
    }
    ensure!(server.wait()?.code() == Some(1), "{}", server.log.text());
    Ok(())
}

/// Between the signal and the closing of the port requests succeed, and `/readyz` fails.
fn notice() -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__SHUTDOWN__DELAY_SECONDS", "3600");
    })?;
    server.terminate()?;
    server
        .log
        .wait_for("`shutting down`", |line| line.contains("shutting down"))?;
    let response = server.get("/readyz")?;
    response.expect_error(
        503,
        "NOT_READY",
        "The service is not ready yet. Try again shortly.",
    )?;
    ensure!(response.header("retry-after") == Some("5"), "{response:?}");
    ensure!(server.get("/healthz")?.status == 200, "/healthz");
    let response = server.post(LIVENESS, &Form::new().file("selfie", &flat(300, 300)?))?;
    ensure!(response.status == 200, "{response:?}");
    Ok(())
}

/// Waits until the port refuses connections: it closes between the line in the log and the end of the in-flight requests.
fn becomes_closed(server: &Server) -> Outcome {
    let start = Instant::now();
    while TcpStream::connect_timeout(&server.address, TIMEOUT).is_ok() {
        ensure!(start.elapsed() < TIMEOUT, "the port stays open");
        std::thread::yield_now();
    }
    Ok(())
}
