//! Limits of apps, over HTTP.

#![allow(clippy::unwrap_used)]

mod support;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use likeness_server::storage::apps::AppLimits;
use serde_json::json;
use support::models::{BLOCKING, PANICKING};
use support::{APP, Client, Form, KEY, Models, Response, TIMEOUT, TestServer, form};

const LIVENESS: &str = "/v0.2/liveness-verification";

fn serve(models: &Models, edit: impl FnOnce(&mut AppLimits)) -> TestServer {
    let mut limits = AppLimits::default();
    edit(&mut limits);
    TestServer::start(models, |config| {
        config.apps.retain(|app| app.id == APP);
        config.apps[0].limits = limits;
    })
}

fn form() -> Form {
    Form::new().file("selfie", &support::form::png(400, 400))
}

#[test]
fn eight_clients_get_exactly_the_quota() {
    let server = serve(&Models::new(2), |limits| limits.daily_quota = Some(101));
    let (let_in, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let request = form().request(LIVENESS, &support::credentials());
    let address = server.address;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let mut client = Client::connect(address);
                    client.send(&request);
                    match client.response().status {
                        200 => let_in.fetch_add(1, Ordering::Relaxed),
                        403 => refused.fetch_add(1, Ordering::Relaxed),
                        status => panic!("{status}"),
                    };
                }
            });
        }
    });
    assert_eq!((let_in.into_inner(), refused.into_inner()), (101, 59));
}

/// The whole response of a limit: its body without what differs from request to request, and `Retry-After` in seconds.
#[track_caller]
fn refusal(response: &Response) -> (String, u64) {
    assert_eq!(response.status, 403);
    let wait = response.header("retry-after").unwrap().parse().unwrap();
    let message = response.message();
    let expected = json!({
        "error": { "code": "LIMIT_EXCEEDED", "message": message },
    });
    assert_eq!(response.lasting(), expected);
    (message, wait)
}

/// Whole seconds until a time in UTC, and one that is a moment later: of clocks that go on meanwhile.
fn seconds_until(end: Timestamp) -> RangeInclusive<u64> {
    let left = u64::try_from(end.as_second() - Timestamp::now().as_second()).unwrap_or(0);
    left.max(1)..=left + TIMEOUT.as_secs()
}

/// The first moment of the next day and of the next month.
fn next(day_or_month: &str) -> Timestamp {
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let date = match day_or_month {
        "day" => today.tomorrow().unwrap(),
        _ => today.last_of_month().tomorrow().unwrap(),
    };
    TimeZone::UTC
        .to_timestamp(date.to_datetime(Time::midnight()))
        .unwrap()
}

#[test]
fn the_rate_limit_says_when_to_retry() {
    let models = Models::new(1);
    let server = serve(&models, |limits| {
        limits.requests_per_second = Some(0.01);
        limits.burst = Some(1);
    });
    assert_eq!(server.post(LIVENESS, &form()).status, 200);
    let (message, wait) = refusal(&server.post(LIVENESS, &form()));
    // One in 100 seconds, of which a few may have passed on a busy machine.
    assert!((100 - TIMEOUT.as_secs()..=100).contains(&wait), "{wait}");
    assert_eq!(
        message,
        format!("This app may send 0.01 requests a second in the long run. Try again in {wait} seconds.")
    );

    // Limits are the app's: whoever does not prove to be it does not use them up, and is not told of them.
    let headers = format!("app_id: {APP}\r\napp_key: {KEY}x\r\n");
    let mut client = server.client();
    client.send(&form().request(LIVENESS, &headers));
    assert_eq!(client.response().status, 401);
}

#[test]
fn the_concurrency_limit_says_when_to_retry() {
    let models = Models::new(1);
    let server = serve(&models, |limits| limits.concurrent_requests = Some(1));
    let mut first = server.client();
    first.send(&form::selfie(BLOCKING, 500).request(LIVENESS, &support::credentials()));
    models.wait_until_blocked();
    assert_eq!(
        refusal(&server.post(LIVENESS, &form())),
        (
            "This app may have 1 requests under way at the same time. Try again in 1 second.".to_owned(),
            1
        )
    );
    models.release();
    assert_eq!(first.response().status, 200);
}

#[test]
fn an_exhausted_quota_says_when_the_next_one_begins() {
    for of in ["day", "month"] {
        let server = serve(&Models::new(1), |limits| match of {
            "day" => limits.daily_quota = Some(2),
            _ => limits.monthly_quota = Some(2),
        });
        let end = next(of);
        for _ in 0..2 {
            assert_eq!(server.post(LIVENESS, &form()).status, 200);
        }
        let response = server.post(LIVENESS, &form());
        if next(of) != end {
            // Midnight came meanwhile, and with it a new quota.
            continue;
        }
        let (message, wait) = refusal(&response);
        assert!(seconds_until(end).contains(&wait), "{wait}");
        let time = end.strftime("%Y-%m-%d %H:%M:%S");
        assert_eq!(
            message,
            format!("This app has used up its 2 requests of this {of}, which ends at {time} UTC.")
        );
    }
}

/// What ends with 500 or 503 by no fault of the client leaves the quota as it was, exactly.
#[test]
fn failures_of_the_service_do_not_count() {
    let models = Models::new(1);
    let mut limits = AppLimits::default();
    limits.daily_quota = Some(3);
    let server = TestServer::start(&models, |config| {
        config.apps.retain(|app| app.id == APP);
        config.apps[0].limits = limits;
        config.admission.max_requests = Some(1);
    });
    for _ in 0..5 {
        server
            .post(LIVENESS, &form::selfie(PANICKING, 500))
            .expect(500, "INTERNAL");
    }
    let mut first = server.client();
    first.send(&form::selfie(BLOCKING, 500).request(LIVENESS, &support::credentials()));
    models.wait_until_blocked();
    for _ in 0..5 {
        server.post(LIVENESS, &form()).expect(503, "OVERLOADED");
    }
    models.release();
    assert_eq!(first.response().status, 200);
    assert_eq!(server.post(LIVENESS, &form()).status, 200);
    // A client's own fault counts.
    server.post(LIVENESS, &Form::new()).expect(400, "MISSING_FIELD");
    server.post(LIVENESS, &form()).expect(403, "LIMIT_EXCEEDED");
}
