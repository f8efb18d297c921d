//! A flood of refusals does not flood the log, and is counted all the same. A process of its own: the log is all its own.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::time::Instant;

use serde_json::Value;
use support::{Form, Models, TIMEOUT, TestServer, log};

const FLOOD: u64 = 200;

/// Lines of 401 so far: of one request, of several, and how many requests those sum up.
fn told() -> (u64, u64, u64) {
    let (mut lines, mut sums, mut summed) = (0, 0, 0);
    for line in log::all().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["error"] != "INVALID_CREDENTIALS" {
            continue;
        }
        match line["requests"].as_u64() {
            Some(requests) => {
                assert_eq!(
                    (line["status"].as_u64(), &line["level"]),
                    (Some(401), &"INFO".into())
                );
                assert!(line["within_ms"].as_f64().unwrap() > 0.0, "{line}");
                (sums, summed) = (sums + 1, summed + requests);
            }
            None => lines += 1,
        }
    }
    (lines, sums, summed)
}

#[test]
fn a_flood_of_refusals_has_few_lines_and_a_sum() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
    });
    let request = Form::new().request("/v0.2/liveness-verification", "");
    let first = Instant::now();
    let mut client = server.client();
    for _ in 0..FLOOD {
        client.send(&request);
        client.response().expect(401, "INVALID_CREDENTIALS");
    }
    // The last ones are summed up without another refusal that would set it off.
    let begun = Instant::now();
    let (lines, sums) = loop {
        let (lines, sums, summed) = told();
        if lines + summed == FLOOD {
            break (lines, sums);
        }
        assert!(begun.elapsed() < TIMEOUT, "{lines} lines and {summed} summed up");
        std::thread::yield_now();
    };
    // By default one a second, the sums included.
    let most = first.elapsed().as_secs() + 2;
    assert!(lines >= 1, "the first has no line");
    assert!(lines + sums <= most, "{lines} lines and {sums} sums in {most} s");

    let mut operator = server.operator();
    operator.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    let text = operator.admin_response().text();
    let counted: u64 = text
        .lines()
        .filter(|line| line.starts_with("likeness_requests_total{") && line.contains("\"401\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, FLOOD, "{text}");
}
