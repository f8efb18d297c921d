//! What happens when the service is full, slow, broken, left alone or asked to stop.

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::form::png;
use support::models::{BLOCKING, PANICKING};
use support::{Form, Models, PATIENCE, TestServer, credentials, log};

const BIOMETRIC: &str = "/v0.1/biometric-verification";
const LIVENESS: &str = "/v0.1/liveness-verification";

fn blocking() -> Vec<u8> {
    Form::selfie(BLOCKING, 500).request(LIVENESS, &credentials())
}

/// Asks until the response has another status; fails when that takes too long.
fn status_other_than(server: &TestServer, status: u16) -> u16 {
    let start = Instant::now();
    loop {
        let response = server.post(LIVENESS, &Form::selfie(600, 500));
        if response.status != status {
            return response.status;
        }
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn requests_beyond_the_admission_are_refused_at_once() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |config| config.admission.max_requests = Some(2));
    let mut first = server.client();
    first.send(&blocking());
    models.wait_until_blocked();
    // The second has been let in when it is asked for its body.
    let form = Form::selfie(600, 500);
    let mut second = server.client();
    second.send(
        form.head(LIVENESS, &format!("{}expect: 100-continue\r\n", credentials()))
            .as_bytes(),
    );
    second.wait_for_continue();
    let refused = server.post(LIVENESS, &form).expect(503, "OVERLOADED");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    second.send(&form.body());
    models.release();
    assert_eq!(first.response().status, 200);
    assert_eq!(second.response().status, 200);
    assert_eq!(server.post(LIVENESS, &form).status, 200);
}

#[test]
fn work_past_its_deadline_keeps_its_admission() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |config| {
        config.admission.max_requests = Some(1);
        config.limits.deadline = Duration::from_millis(500);
    });
    let mut client = server.client();
    client.send(&blocking());
    models.wait_until_blocked();
    client.response().expect(504, "DEADLINE_EXCEEDED");
    server
        .post(LIVENESS, &Form::selfie(600, 500))
        .expect(503, "OVERLOADED");
    // Its only worker is past the deadline: other replicas should get the requests.
    server.get("/readyz").expect(503, "NOT_READY");
    models.release();
    assert_eq!(status_other_than(&server, 503), 200);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_panic_fails_only_its_own_request() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |_| {});
    let mut client = server.client();
    let headers = format!("{}x-request-id: corr-panic\r\n", credentials());
    for _ in 0..3 {
        client.send(&Form::selfie(PANICKING, 500).request(LIVENESS, &headers));
        client.response().expect(500, "INTERNAL");
    }
    let line = log::wait_for("corr-panic");
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["cause"].as_str().unwrap().contains("the detector panics"),
        "{line}"
    );
    client.send(&Form::pair().request(BIOMETRIC, &credentials()));
    assert_eq!(client.response().status, 200);
}

#[test]
fn work_stops_when_its_client_hangs_up() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |_| {});
    let warm_up = models.liveness_calls();
    let mut client = server.client();
    let headers = format!("{}x-request-id: corr-gone\r\n", credentials());
    client.send(&Form::selfie(BLOCKING, 500).request(LIVENESS, &headers));
    models.wait_until_blocked();
    drop(client);
    assert_eq!(log::wait_for("corr-gone")["status"], 499);
    models.release();
    assert_eq!(server.post(LIVENESS, &Form::selfie(600, 500)).status, 200);
    assert_eq!(
        models.liveness_calls(),
        warm_up + 1,
        "the first request stopped after detection"
    );
}

#[test]
fn a_slow_body_is_refused_at_the_deadline_and_the_connection_closes() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.limits.deadline = Duration::from_millis(200);
        config.connections.linger = Duration::from_millis(100);
    });
    let mut client = server.client();
    let request = Form::pair().request(BIOMETRIC, &credentials());
    client.send(&request[..request.len() - 10]);
    let response = client.response().expect(504, "DEADLINE_EXCEEDED");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_truncated_body_is_malformed() {
    let server = TestServer::start(&Models::new(1), |_| {});
    let mut client = server.client();
    let request = Form::pair().request(BIOMETRIC, &credentials());
    client.send(&request[..request.len() - 10]);
    client.finish();
    client.response().expect(400, "MALFORMED_REQUEST");

    let mut client = server.client();
    client.send(
        format!(
            "POST {LIVENESS} HTTP/1.1\r\nhost: x\r\n{}content-type: multipart/form-data; boundary=B\r\n\
             transfer-encoding: chunked\r\n\r\nnot a size\r\n",
            credentials()
        )
        .as_bytes(),
    );
    client.response().expect(400, "MALFORMED_REQUEST");
}

#[test]
fn a_large_upload_receives_its_refusal() {
    let server = TestServer::start(&Models::new(1), |config| config.limits.file_bytes = 1_000_000);
    let form = Form::new().file("selfie", &vec![7; 20_000_000]);
    // Many clients send all before they read anything.
    for (headers, status, code) in [
        (String::new(), 401, "INVALID_CREDENTIALS"),
        (credentials(), 413, "FILE_TOO_LARGE"),
    ] {
        let mut client = server.client();
        client.send(&form.request(LIVENESS, &headers));
        let response = client.response().expect(status, code);
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    for path in ["/nowhere", "/healthz"] {
        let mut client = server.client();
        client.send(&form.request(path, ""));
        assert!(matches!(client.response().status, 404 | 405));
        assert!(client.is_closed());
    }
}

#[test]
fn a_client_that_waits_for_100_continue_is_refused_before_it_sends() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.limits.body_bytes = 1_000_000;
        config.connections.linger = Duration::from_millis(100);
    });
    let small = Form::pair();
    let large = Form::new().file("selfie", &vec![7; 1_000_001]);
    let expect = "expect: 100-continue\r\n";
    for (head, status, code) in [
        (small.head(BIOMETRIC, expect), 401, "INVALID_CREDENTIALS"),
        (
            large.head(BIOMETRIC, &(credentials() + expect)),
            413,
            "FILE_TOO_LARGE",
        ),
    ] {
        let mut client = server.client();
        client.send(head.as_bytes());
        let response = client.response().expect(status, code);
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    let mut client = server.client();
    client.send(small.head(BIOMETRIC, &(credentials() + expect)).as_bytes());
    client.wait_for_continue();
    client.send(&small.body());
    assert_eq!(client.response().status, 200);
}

#[test]
fn bodies_over_the_limit_are_refused_in_any_encoding() {
    let server = TestServer::start(&Models::new(1), |config| config.limits.body_bytes = 100_000);
    // Declared: at once, before any of it is there.
    let form = Form::new().text("other", &"x".repeat(100_001));
    let mut client = server.client();
    client.send(form.head(LIVENESS, &credentials()).as_bytes());
    client.response().expect(413, "FILE_TOO_LARGE");
    // Chunked.
    let mut client = server.client();
    let body = form.body();
    client.send(
        format!(
            "POST {LIVENESS} HTTP/1.1\r\nhost: x\r\n{}content-type: multipart/form-data; boundary=BOUNDARY\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n",
            credentials(),
            body.len()
        )
        .as_bytes(),
    );
    client.send(&body);
    client.send(b"\r\n0\r\n\r\n");
    client.response().expect(413, "FILE_TOO_LARGE");
}

#[test]
fn a_connection_survives_small_refusals() {
    let server = TestServer::start(&Models::new(1), |_| {});
    let mut client = server.client();
    for _ in 0..3 {
        client.send(&Form::pair().request(BIOMETRIC, ""));
        let response = client.response().expect(401, "INVALID_CREDENTIALS");
        assert_eq!(response.header("connection"), None);
        client.send(
            &Form::new()
                .file("selfie", &png(600, 500))
                .file("selfie", b"x")
                .request(LIVENESS, &credentials()),
        );
        client.response().expect(400, "INVALID_PARAMETER");
        client.send(&Form::pair().request(BIOMETRIC, &credentials()));
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn a_connection_survives_an_invalid_chunked_form() {
    let server = TestServer::start(&Models::new(1), |_| {});
    let mut client = server.client();
    for _ in 0..2 {
        let body = Form::selfie(20, 20).body();
        client.send(
            format!(
                "POST {LIVENESS} HTTP/1.1\r\nhost: x\r\n{}content-type: multipart/form-data; boundary=BOUNDARY\r\n\
                 transfer-encoding: chunked\r\n\r\n{:x}\r\n",
                credentials(),
                body.len()
            )
            .as_bytes(),
        );
        client.send(&body);
        client.send(b"\r\n0\r\n\r\n");
        let response = client.response().expect(422, "IMAGE_TOO_SMALL");
        assert_eq!(response.header("connection"), None);
    }
}

#[test]
fn connections_are_bounded_in_number_and_time() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.connections.max = 1;
        config.connections.header_read = Duration::from_millis(200);
    });
    let mut silent = server.client();
    // Waits until the silent one is closed for being idle.
    assert_eq!(server.get("/healthz").status, 200);
    assert!(silent.is_closed());
    for beginning in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost:",
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(beginning.as_bytes());
        // HTTP/2 says a thing or two first.
        while !client.is_closed() {}
    }
    let mut client = server.client();
    client.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed(), "an idle connection is closed");
}

#[test]
fn shutdown_drains_in_flight_requests() {
    let models = Models::new(1);
    let mut server = TestServer::start(&models, |_| {});
    let mut idle = server.client();
    idle.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(idle.response().status, 200);
    let mut busy = server.client();
    busy.send(&blocking());
    models.wait_until_blocked();
    server.shut_down();
    assert!(idle.is_closed());
    let start = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(!server.has_ended());
    models.release();
    assert_eq!(busy.response().status, 200);
    server.wait_for_end();
}

#[test]
fn shutdown_is_bounded() {
    let models = Models::new(1);
    let mut server = TestServer::start(&models, |config| {
        config.limits.deadline = Duration::from_millis(200);
        config.shutdown.grace = Duration::from_millis(100);
    });
    let mut busy = server.client();
    busy.send(&blocking());
    models.wait_until_blocked();
    server.shut_down();
    busy.response().expect(504, "DEADLINE_EXCEEDED");
    server.wait_for_end();
    models.release();
}

#[test]
fn readiness_fails_before_the_listener_closes() {
    let mut server = TestServer::start(&Models::new(1), |config| config.shutdown.delay = PATIENCE);
    server.shut_down();
    let start = Instant::now();
    let response = loop {
        let response = server.get("/readyz");
        if response.status != 200 {
            break response;
        }
        assert!(start.elapsed() < PATIENCE);
    };
    let response = response.expect(503, "NOT_READY");
    assert!(response.header("retry-after").is_some());
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.post(LIVENESS, &Form::selfie(600, 500)).status, 200);
}
