//! What happens when the service is full, slow, broken, left alone or asked to stop.

mod support;

use std::time::{Duration, Instant};

use support::models::{BLOCKING, PANICKING};
use support::{Models, TIMEOUT, TestServer, credentials, form, log};

const BIOMETRIC: &str = "/v0.1/biometric-verification";
const LIVENESS: &str = "/v0.1/liveness-verification";

fn blocking() -> Vec<u8> {
    form::selfie(BLOCKING, 500).request(LIVENESS, &credentials())
}

/// Asks until the response has another status; fails when that takes too long.
fn status_other_than(server: &TestServer, status: u16) -> u16 {
    let start = Instant::now();
    loop {
        let response = server.post(LIVENESS, &form::selfie(600, 500));
        if response.status != status {
            return response.status;
        }
        assert!(start.elapsed() < TIMEOUT);
    }
}

#[test]
fn work_past_its_deadline_keeps_its_admission() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |config| {
        config.admission.max_requests = Some(1);
        config.request_limits.deadline = Duration::from_millis(500);
    });
    let mut client = server.client();
    client.send(&blocking());
    models.wait_until_blocked();
    client.response().expect(504, "DEADLINE_EXCEEDED");
    server
        .post(LIVENESS, &form::selfie(600, 500))
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
        client.send(&form::selfie(PANICKING, 500).request(LIVENESS, &headers));
        client.response().expect(500, "INTERNAL");
    }
    let line = log::wait_for("corr-panic");
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["cause"].as_str().unwrap().contains("the detector panics"),
        "{line}"
    );
    client.send(&form::pair().request(BIOMETRIC, &credentials()));
    assert_eq!(client.response().status, 200);
}

#[test]
fn work_stops_when_its_client_hangs_up() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |_| {});
    let warm_up = models.liveness_calls();
    let mut client = server.client();
    let headers = format!("{}x-request-id: corr-gone\r\n", credentials());
    client.send(&form::selfie(BLOCKING, 500).request(LIVENESS, &headers));
    models.wait_until_blocked();
    drop(client);
    assert_eq!(log::wait_for("corr-gone")["status"], 499);
    models.release();
    assert_eq!(server.post(LIVENESS, &form::selfie(600, 500)).status, 200);
    assert_eq!(
        models.liveness_calls(),
        warm_up + 1,
        "the first request stopped after detection"
    );
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
fn shutdown_is_bounded() {
    let models = Models::new(1);
    let mut server = TestServer::start(&models, |config| {
        config.request_limits.deadline = Duration::from_millis(200);
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
