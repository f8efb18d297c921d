//! Many clients, slow clients, and the end of the service.

use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use likeness_testing::{Failed, Outcome, Suite, ensure};

use crate::SERVER;
use crate::support::client::Connection;
use crate::support::form::{Form, flat, head};
use crate::support::json::Json;
use crate::support::server::{APP, Server, WRONG_KEY};
use crate::support::{PATIENCE, picture};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models(
        "load::parallel_clients_get_the_answers_that_they_get_alone",
        parallel,
    );
    suite.with_models("load::who_comes_while_it_is_full_is_refused", overloaded);
    suite.with_shared_and_models(
        "load::many_times_its_capacity_leaves_it_as_it_was",
        overloaded_by_many,
    );
    suite.with_models("load::a_body_that_does_not_come_meets_the_deadline", deadline);
    suite.with_shared_and_models("load::the_end_waits_for_what_is_under_way", shutdown);
    suite.with_models(
        "load::a_second_signal_a_second_later_ends_it_at_once",
        shutdown_at_once,
    );
    suite.with_models("load::balancers_are_told_before_the_port_closes", notice);
}

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

fn parallel(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let read = |name: &str| picture(shared, name);
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
        .map(|request| server.send(request)?.lasting())
        .collect::<Result<_, Failed>>()?;
    ensure!(
        alone.windows(2).all(|two| two[0] != two[1]),
        "requests cannot be told apart by their answers"
    );
    let client = |number: usize| -> Outcome {
        let mut connection = server.connect()?;
        // Each begins with another request, so that different ones are worked on at the same time.
        for step in 0..requests.len() {
            let index = (number + step) % requests.len();
            connection.send(&requests[index])?;
            let found = connection.answer()?.lasting()?;
            ensure!(
                found == alone[index],
                "client {number}: {found:?}\ninstead of\n{:?}",
                alone[index]
            );
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

    // Nothing is looked at beyond the credentials: this is no form.
    let headers = format!(
        "{}Content-Type: text/plain\r\nContent-Length: 7\r\n",
        APP.headers()
    );
    let refused = server.send(&[head(LIVENESS, &headers), b"garbage".to_vec()].concat())?;
    refused.expect_error(
        503,
        "OVERLOADED",
        "The service is working on as many requests as it can. Try again shortly.",
    )?;
    ensure!(refused.header("retry-after")? == Some("1"), "{refused:?}");
    // Who has no business here is not told how busy it is.
    let stranger = format!("app_id: {}\r\napp_key: {WRONG_KEY}\r\n", APP.id);
    let answer = server.send(&form.request(LIVENESS, &stranger))?;
    ensure!(answer.status == 401, "{answer:?}");
    // It is alive, and it will be free again in no time: neither probe minds.
    ensure!(server.get("/healthz")?.status == 200, "/healthz");
    ensure!(server.get("/readyz")?.status == 200, "/readyz");

    first.send(&form.body())?;
    let answer = first.answer()?;
    ensure!(answer.status == 200, "{answer:?}");
    // Whoever is answered has given its place back.
    let answer = server.post(LIVENESS, &form)?;
    ensure!(answer.status == 200, "{answer:?}");

    // So has who went away without an answer, as soon as that is noticed.
    let gone = begin(&server, &form, "X-Request-ID: went-away\r\n")?;
    drop(gone);
    server
        .log
        .wait_for("the id of the client that went away", |line| {
            line.contains("went-away")
        })?;
    let answer = server.post(LIVENESS, &form)?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// How many clients call at the same time, and how often each; one worker, and four requests that are let in.
const CROWD: (usize, usize) = (64, 6);
/// After how many crowds the memory of the process has to have settled.
const MOST_CROWDS: usize = 8;

fn overloaded_by_many(shared: &Path) -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__ADMISSION__MAX_REQUESTS", "4");
    })?;
    let form = Form::new().file("selfie", &picture(shared, "faces/img2.jpg")?);
    let usual = server.post(LIVENESS, &form)?.lasting()?;
    let request = form.request(LIVENESS, &APP.headers());
    let crowd = || -> Result<usize, Failed> {
        let client = || -> Result<usize, Failed> {
            let mut answered = 0;
            for _ in 0..CROWD.1 {
                let answer = server.send(&request)?;
                match answer.status {
                    200 if answer.lasting()? == usual => answered += 1,
                    503 if answer.header("retry-after")? == Some("1") => {}
                    _ => return Err(format!("{answer:?}").into()),
                }
            }
            Ok(answered)
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CROWD.0).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_fold(0, |answered, client| {
                Ok(answered + client.join().map_err(|_| Failed::from("a client panicked"))??)
            })
        })
    };
    // What the allocator keeps depends on which requests met: a process may take a few crowds to have had its worst
    // meeting. What every crowd adds to never settles.
    let mut most = 0;
    let mut settled = false;
    for _ in 0..MOST_CROWDS {
        let answered = crowd()?;
        ensure!(
            0 < answered && answered < CROWD.0 * CROWD.1,
            "{answered} of {} requests succeeded",
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
        let answer = server.post(LIVENESS, &form)?;
        ensure!(answer.status == 200, "it is over, and still {answer:?}");
    }
    Ok(())
}

fn deadline() -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__LIMITS__DEADLINE_SECONDS", "1");
    })?;
    let form = Form::new().file("selfie", &flat(300, 300)?);
    let mut connection = begin(&server, &form, "")?;
    let body = form.body();
    connection.send(&body[..body.len() / 2])?;
    let answer = connection.answer()?;
    answer.expect_error(
        504,
        "DEADLINE_EXCEEDED",
        "The answer was not ready within the time limit of a request. Try again; smaller files take less time.",
    )?;
    // The rest of the body may come or not: what follows on this connection would be a guess.
    ensure!(answer.header("connection")? == Some("close"), "{answer:?}");
    Ok(())
}

fn shutdown(shared: &Path) -> Outcome {
    let server = Server::start(|command| {
        command.args(["--workers", "1"]);
    })?;
    let form = Form::new().file("selfie", &picture(shared, "faces/img11.jpg")?);
    let usual = server.post(LIVENESS, &form)?.lasting()?;
    let mut idle = server.connect()?;
    idle.send(b"GET /readyz HTTP/1.1\r\nHost: likeness.example\r\n\r\n")?;
    ensure!(idle.answer()?.status == 200, "/readyz");

    let mut under_way = begin(&server, &form, "")?;
    let body = form.body();
    let (sent, rest) = body.split_at(body.len() / 2);
    under_way.send(sent)?;
    // One wish that arrives several times, by a wrapper that signals the process and its group.
    server.terminate_by(&["TERM", "INT", "TERM"])?;
    server
        .log
        .wait_for("`shutting down`", |line| line.contains("shutting down"))?;
    ensure!(idle.is_closed()?, "a connection without a request stays open");
    becomes_closed(&server)?;

    under_way.send(rest)?;
    let answer = under_way.answer()?;
    let found = answer.lasting()?;
    ensure!(found == usual, "{found:?}\ninstead of\n{usual:?}");
    ensure!(under_way.is_closed()?, "the connection stays open");

    let status = server.wait()?;
    ensure!(status.code() == Some(0), "{status}\n{}", server.log.text());
    ensure!(
        TcpStream::connect(server.address).is_err(),
        "the port is still open"
    );
    let log = server.log.text();
    ensure!(
        log.contains(answer.id()?),
        "no line of the last request in:\n{log}"
    );
    ensure!(!log.contains("before everything under way was finished"), "{log}");
    Ok(())
}

/// Who asks again after the first second does not want to wait for what is under way.
fn shutdown_at_once() -> Outcome {
    let server = Server::start(|command| {
        command.args(["--workers", "1"]);
    })?;
    let form = Form::new().file("selfie", &flat(300, 300)?);
    let mut under_way = begin(&server, &form, "")?;
    under_way.send(&form.body()[..10])?;
    let start = Instant::now();
    server.terminate()?;
    server
        .log
        .wait_for("`shutting down`", |line| line.contains("shutting down"))?;
    while !server.log.text().contains("told twice to stop") {
        ensure!(
            start.elapsed() < PATIENCE,
            "it does not end: {}",
            server.log.text()
        );
        server.terminate()?;
    }
    ensure!(server.wait()?.code() == Some(1), "{}", server.log.text());
    Ok(())
}

/// Between the signal and the closing of the port everything is answered, and `/readyz` says to look elsewhere.
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
    let answer = server.get("/readyz")?;
    answer.expect_error(
        503,
        "NOT_READY",
        "The service is not ready yet. Try again shortly.",
    )?;
    ensure!(answer.header("retry-after")? == Some("5"), "{answer:?}");
    ensure!(server.get("/healthz")?.status == 200, "/healthz");
    let answer = server.post(LIVENESS, &Form::new().file("selfie", &flat(300, 300)?))?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// Waits until the port refuses connections: it closes between the line in the log and the end of what is under way.
fn becomes_closed(server: &Server) -> Outcome {
    let start = Instant::now();
    while TcpStream::connect_timeout(&server.address, PATIENCE).is_ok() {
        ensure!(start.elapsed() < PATIENCE, "the port stays open");
        std::thread::yield_now();
    }
    Ok(())
}
