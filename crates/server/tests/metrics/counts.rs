//! The numbers agree with what was sent.

use std::time::Instant;

use likeness_server::AppConfig;
use likeness_testing::Suite;

use crate::support::models::BLOCKING;
use crate::support::{APP, Form, KEY, Models, TIMEOUT, TestServer, form};
use crate::traffic::{
    BIOMETRIC, LIVENESS, METRICS_TOKEN, TOKEN, known, operate, rise, scrape, send, server, traffic,
};

pub(crate) fn tests(suite: &mut Suite) {
    let mut test = |name: &str, test: fn()| {
        suite.test(format!("counts::{name}"), move || {
            test();
            Ok(())
        });
    };
    test("agree_with_what_was_sent", agree_with_what_was_sent);
    test("say_what_is_under_way", say_what_is_under_way);
    test("have_the_open_connections", have_the_open_connections);
    test("stay_few_under_hostile_requests", stay_few_under_hostile_requests);
    test("of_apps_are_bounded", of_apps_are_bounded);
    test("are_of_one_server_only", are_of_one_server_only);
    test("are_for_the_operator_only", are_for_the_operator_only);
    test(
        "details_are_for_the_operator_only",
        details_are_for_the_operator_only,
    );
}

fn agree_with_what_was_sent() {
    let server = server();
    let before = scrape(&server);
    for _ in 0..3 {
        traffic(&server);
    }
    let after = scrape(&server);
    for (series, expected) in [
        (
            r#"likeness_requests_total{endpoint="biometric-verification",status="200"}"#,
            9.0,
        ),
        (
            r#"likeness_requests_total{endpoint="biometric-verification",status="400"}"#,
            3.0,
        ),
        (
            r#"likeness_requests_total{endpoint="biometric-verification",status="401"}"#,
            3.0,
        ),
        (
            r#"likeness_requests_total{endpoint="liveness-verification",status="200"}"#,
            3.0,
        ),
        (r#"likeness_requests_total{endpoint="healthz",status="200"}"#, 3.0),
        (r#"likeness_requests_total{endpoint="readyz",status="200"}"#, 3.0),
        (r#"likeness_requests_total{endpoint="info",status="200"}"#, 3.0),
        (r#"likeness_requests_total{endpoint="other",status="404"}"#, 3.0),
        (r#"likeness_requests_total{endpoint="metrics",status="200"}"#, 1.0),
        (
            r#"likeness_errors_total{endpoint="biometric-verification",code="MISSING_FIELD"}"#,
            3.0,
        ),
        (
            r#"likeness_errors_total{endpoint="biometric-verification",code="INVALID_CREDENTIALS"}"#,
            3.0,
        ),
        (
            r#"likeness_errors_total{endpoint="biometric-verification",code="INTERNAL"}"#,
            0.0,
        ),
        (r#"likeness_errors_total{endpoint="other",code="NOT_FOUND"}"#, 3.0),
        (r#"likeness_app_requests_total{app="app-1",class="2xx"}"#, 9.0),
        (r#"likeness_app_requests_total{app="app-1",class="4xx"}"#, 3.0),
        (
            r#"likeness_app_requests_total{app="odd\"app\\2",class="2xx"}"#,
            3.0,
        ),
        (
            r#"likeness_decisions_total{endpoint="liveness-verification",outcome="live"}"#,
            3.0,
        ),
        (
            r#"likeness_decisions_total{endpoint="biometric-verification",outcome="reject"}"#,
            3.0,
        ),
        (r#"likeness_decision_codes_total{code="NO_FACE_IN_SELFIE"}"#, 3.0),
        ("likeness_face_match_score_count", 9.0),
        (
            r#"likeness_liveness_score_count{endpoint="liveness-verification"}"#,
            3.0,
        ),
        // The fake models give 0.75 to every living face.
        (
            r#"likeness_liveness_score_bucket{endpoint="liveness-verification",le="0.7"}"#,
            0.0,
        ),
        (
            r#"likeness_liveness_score_bucket{endpoint="liveness-verification",le="0.75"}"#,
            3.0,
        ),
        (r#"likeness_picture_faces_count{picture="selfie"}"#, 12.0),
        (r#"likeness_picture_faces_bucket{picture="selfie",le="0"}"#, 3.0),
        (r#"likeness_picture_faces_sum{picture="photo"}"#, 9.0),
        (r#"likeness_upload_size_bytes_count{picture="selfie"}"#, 12.0),
        (r#"likeness_upload_size_bytes_count{picture="photo"}"#, 9.0),
        (
            r#"likeness_request_duration_seconds_count{endpoint="biometric-verification",class="2xx"}"#,
            9.0,
        ),
        (
            r#"likeness_request_duration_seconds_count{endpoint="biometric-verification",class="4xx"}"#,
            6.0,
        ),
        (
            r#"likeness_stage_duration_seconds_count{endpoint="biometric-verification",stage="decode"}"#,
            9.0,
        ),
        (
            r#"likeness_stage_duration_seconds_count{endpoint="biometric-verification",stage="queue"}"#,
            9.0,
        ),
        (
            r#"likeness_stage_duration_seconds_count{endpoint="biometric-verification",stage="decide"}"#,
            9.0,
        ),
        (
            r#"likeness_stage_duration_seconds_count{endpoint="liveness-verification",stage="embed"}"#,
            0.0,
        ),
        (
            r#"likeness_stage_duration_seconds_count{endpoint="liveness-verification",stage="other"}"#,
            3.0,
        ),
        // The first look is counted when it has ended, the second one has not.
        (r#"likeness_http_requests_total{version="1.1"}"#, 31.0),
        (r#"likeness_http_requests_total{version="2"}"#, 0.0),
    ] {
        assert_eq!(rise(&before, &after, series), expected, "{series}");
    }
    let stages = |field: &str| -> f64 {
        after
            .samples
            .iter()
            .filter(|(series, _)| series.starts_with(&format!("likeness_stage_duration_seconds_{field}{{")))
            .map(|(_, value)| value)
            .sum()
    };
    assert!(stages("sum") > 0.0);
    assert_eq!(after.value("likeness_apps"), 3.0);
    assert_eq!(after.value("likeness_ready"), 1.0);
    assert_eq!(after.value("likeness_workers"), 1.0);
}

fn say_what_is_under_way() {
    let models = Models::new(1);
    let server = TestServer::start(&models, |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
        config.admission.max_requests = Some(2);
    });
    let look = || {
        let text = operate(&server, "GET", "/metrics", None).body.clone();
        String::from_utf8(text).unwrap()
    };
    let has = |text: &str, line: &str| text.lines().any(|found| found == line);
    let text = look();
    assert!(has(&text, "likeness_admitted_requests 0") && has(&text, "likeness_admitted_requests_max 2"));

    let blocking = form::selfie(BLOCKING, 500).request(LIVENESS, &known());
    let mut first = server.client();
    first.send(&blocking);
    models.wait_until_blocked();
    let text = look();
    for line in [
        "likeness_admitted_requests 1",
        "likeness_workers_busy 1",
        "likeness_queued_requests 0",
        "likeness_engine_sessions_busy 1",
    ] {
        assert!(has(&text, line), "{line} in {text}");
    }
    let mut second = server.client();
    second.send(&blocking);
    let deadline = Instant::now() + TIMEOUT;
    while !has(&look(), "likeness_queued_requests 1") {
        assert!(Instant::now() < deadline, "{}", look());
    }
    assert!(has(&look(), "likeness_admitted_requests 2"));
    send(&server, &form::selfie(500, 500).request(LIVENESS, &known()), 503);
    models.release();
    models.wait_until_blocked();
    models.release();
    assert_eq!(first.response().status, 200);
    assert_eq!(second.response().status, 200);
    let text = look();
    for line in [
        "likeness_admitted_requests 0",
        "likeness_workers_busy 0",
        "likeness_queued_requests 0",
        r#"likeness_errors_total{endpoint="liveness-verification",code="OVERLOADED"} 1"#,
        r#"likeness_requests_total{endpoint="liveness-verification",status="503"} 1"#,
    ] {
        assert!(has(&text, line), "{line} in {text}");
    }
}

fn have_the_open_connections() {
    let server = server();
    let wait_for = |expected: f64| {
        let deadline = Instant::now() + TIMEOUT;
        // A connection that its client has closed is one until the server has seen that.
        while scrape(&server).value(r#"likeness_connections{port="callers"}"#) != expected {
            assert!(Instant::now() < deadline, "{expected}");
        }
    };
    wait_for(0.0);
    let (one, other) = (server.client(), server.client());
    wait_for(2.0);
    drop(one);
    wait_for(1.0);
    drop(other);
    wait_for(0.0);
    let text = scrape(&server);
    assert_eq!(text.value(r#"likeness_connections_max{port="callers"}"#), 1_024.0);
    assert!(text.value(r#"likeness_connections{port="operators"}"#) >= 1.0);
}

/// Whatever callers write into a request, no label is made of it.
fn stay_few_under_hostile_requests() {
    let server = server();
    traffic(&server);
    let before = scrape(&server).samples.len();
    for number in 0..300 {
        let headers = format!(
            "app_id: id-{number}\r\napp_key: {KEY}\r\nx-request-id: cor-{number}\r\nuser-agent: agent-{number}\r\n"
        );
        send(&server, &form::pair().request(BIOMETRIC, &headers), 401);
        let path = format!("/v0.2/biometric-verification/{number}");
        send(&server, &form::pair().request(&path, &headers), 404);
        let mut client = server.client();
        client.send(format!("M{number} /p{number} HTTP/1.1\r\nhost: h{number}\r\n\r\n").as_bytes());
        assert_eq!(client.response().status, 404);
        let fields = form::pair().text("profile", &format!("profile-{number}"));
        send(&server, &fields.request(BIOMETRIC, &known()), 400);
        assert_eq!(
            operate(&server, "GET", &format!("/admin/{number}"), Some(TOKEN)).status,
            404
        );
    }
    let after = scrape(&server);
    let added = after.samples.len() - before;
    // Codes and statuses that had not been there before.
    assert!(added <= 6, "{added} more series");
    for hostile in ["id-7", "cor-7", "agent-7", "/p7", "M7", "profile-7", "/admin"] {
        assert!(!after.text.contains(hostile), "{hostile} is in the metrics");
    }
    assert!(after.samples.len() < 2_000, "{} series", after.samples.len());
}

fn of_apps_are_bounded() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
        let more = (0..130).map(|number| AppConfig::new(format!("many-{number}"), KEY));
        config.apps.extend(more);
    });
    for number in 0..130 {
        let headers = format!("app_id: many-{number}\r\napp_key: {KEY}\r\n");
        send(&server, &Form::new().request(LIVENESS, &headers), 400);
    }
    let text = operate(&server, "GET", "/metrics", None).text();
    let count = |end: &str| {
        text.lines()
            .filter(|line| line.starts_with("likeness_app_requests_total{app=\"many-") && line.ends_with(end))
            .count()
    };
    assert_eq!(count(r#"class="4xx"} 1"#), 100);
    assert!(text.contains("likeness_app_requests_total{app=\"other\",class=\"4xx\"} 30\n"));
}

fn are_of_one_server_only() {
    let (one, other) = (server(), server());
    traffic(&one);
    let series = r#"likeness_requests_total{endpoint="liveness-verification",status="200"}"#;
    assert_eq!(scrape(&one).value(series), 1.0);
    assert_eq!(scrape(&other).value(series), 0.0);
}

fn are_for_the_operator_only() {
    let server = server();
    for path in ["/metrics", "/metrics/", "/admin/metrics"] {
        assert_eq!(server.get(path).status, 404, "{path} on the callers' port");
    }
    for (token, expected) in [
        (None, 401),
        (Some("wrong"), 401),
        (Some(TOKEN), 200),
        (Some(METRICS_TOKEN), 200),
    ] {
        let response = operate(&server, "GET", "/metrics", token);
        assert_eq!(response.status, expected, "{token:?}");
    }
    // Who may look may not change.
    let reload = operate(&server, "POST", "/admin/reload", Some(METRICS_TOKEN));
    assert_eq!(reload.status, 401);
    assert_eq!(operate(&server, "POST", "/metrics", Some(TOKEN)).status, 405);
}

fn details_are_for_the_operator_only() {
    let server = server();
    let public = server.get("/info").json();
    let keys: Vec<&str> = public.as_object().unwrap().keys().map(String::as_str).collect();
    // Every key is here: what would be added has to be looked at for what it gives away.
    assert_eq!(
        keys,
        [
            "cohort",
            "liveness_calibration",
            "match_calibration",
            "name",
            "pack",
            "pack_version",
            "provider",
            "version"
        ]
    );
    assert_eq!(operate(&server, "GET", "/info", None).status, 401);
    let response = operate(&server, "GET", "/info", Some(METRICS_TOKEN));
    assert_eq!(response.status, 200);
    let info = response.json();
    assert_eq!(info["build"]["version"], env!("CARGO_PKG_VERSION"));
    // The tests' models are custom, and nobody executes them on a device.
    let runtime = &info["runtime"];
    for (key, value) in [("provider", "custom"), ("device", ""), ("precision", "")] {
        assert_eq!(runtime[key], value, "{key}");
    }
    for key in ["rustc", "target"] {
        assert!(
            info["build"][key].as_str().is_some_and(|text| !text.is_empty()),
            "{key}"
        );
    }
    assert_eq!(info["apps"], 3);
    assert_eq!(info["workers"], 1);
    assert_eq!(info["models"]["pack"], "custom");
    assert_eq!(info["configuration"]["request_limits"]["deadline_seconds"], 10.0);
    assert_eq!(info["configuration"]["admin"]["token"], "<redacted>");
    let text = response.text();
    for secret in [KEY, TOKEN, METRICS_TOKEN, APP] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
