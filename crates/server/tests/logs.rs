//! Which request a line of the log belongs to.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use serde_json::Value;
use support::models::TELLING;
use support::{Models, TestServer, credentials, form, log};

#[test]
fn log_lines_of_a_request_have_its_id() {
    let server = TestServer::start(&Models::new(2), |_| {});
    let mut ids = Vec::new();
    for number in 0..3 {
        let form = form::selfie(TELLING, 500);
        let headers = format!("{}x-request-id: tells-{number}\r\n", credentials());
        let mut client = server.client();
        client.send(&form.request("/v0.2/liveness-verification", &headers));
        let response = client.response();
        assert_eq!(response.status, 200);
        let line = log::wait_for(&format!("tells-{number}"));
        assert_eq!(line["request_id"].as_str(), response.header("x-request-id"));
        ids.push(line["request_id"].as_str().unwrap().to_owned());
    }
    let said: Vec<String> = log::all()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "the detector says something")
        .map(|line| line["span"]["request_id"].as_str().unwrap_or("none").to_owned())
        .collect();
    assert_eq!(said, ids);
}
