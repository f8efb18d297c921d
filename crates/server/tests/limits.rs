//! Limits of apps, over HTTP.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use likeness_server::storage::apps::AppLimits;
use serde_json::Value;
use support::{APP, Client, Form, KEY, Models, TestServer};

const LIVENESS: &str = "/v0.2/liveness-verification";

fn serve(models: &Models, edit: impl FnOnce(&mut AppLimits)) -> TestServer {
    let mut limits = AppLimits::none();
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
                    match client.answer().status {
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

#[test]
fn who_is_over_a_limit_is_told_which_and_when_to_come_again() {
    let models = Models::new(1);
    let server = serve(&models, |limits| {
        limits.requests_per_second = Some(0.01);
        limits.burst = Some(1);
    });
    assert_eq!(server.post(LIVENESS, &form()).status, 200);
    let answer = server.post(LIVENESS, &form());
    assert_eq!(answer.status, 403);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((90..=100).contains(&wait), "{wait}");
    let mut body = answer.json();
    for key in ["api_req_uid", "requested_at", "processed_at"] {
        assert!(body.as_object_mut().unwrap().remove(key).is_some());
    }
    let expected: Value = serde_json::from_str(
        r#"{"response_code":0,"error":{"code":"LIMIT_EXCEEDED","message":"This app may send 0.01 requests a second in the long run."}}"#,
    )
    .unwrap();
    assert_eq!(body, expected);

    // Limits are the app's: whoever does not prove to be it does not use them up, and is not told of them.
    let headers = format!("app_id: {APP}\r\napp_key: {KEY}x\r\n");
    let mut client = server.client();
    client.send(&form().request(LIVENESS, &headers));
    assert_eq!(client.answer().status, 401);
}
