//! A service below a path: everything is there and nothing beside it, but for the probes.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use support::{Form, Models, Response, TestServer, credentials, form, log};

const LIVENESS: &str = "/v0.2/liveness-verification";

fn server() -> TestServer {
    TestServer::start(&Models::new(1), |config| {
        config.base_path = "/idv/v1".to_owned();
        config.cors.origins = vec!["https://onboarding.example".to_owned()];
        config.log.refusals_per_second = 0;
    })
}

/// A page or a file, without the headers of JSON.
fn get(server: &TestServer, path: &str) -> Response {
    let mut client = server.client();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    client.admin_response()
}

#[test]
fn everything_is_below_the_base_path_and_the_probes_are_beside_it_too() {
    let server = server();
    for path in [
        "/info",
        "/openapi.json",
        "/docs",
        "/docs/swagger-ui.css",
        "/healthz",
        "/readyz",
    ] {
        assert_eq!(get(&server, &format!("/idv/v1{path}")).status, 200, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for slash in ["", "/", "?x=1"] {
        let response = server.post(&format!("/idv/v1{LIVENESS}{slash}"), &form::pair());
        assert_eq!(response.json()["response_code"], 0);
    }
    for path in [
        LIVENESS,
        "/idv/v0.2/liveness-verification",
        "/idv/v1x/v0.2/liveness-verification",
        "/IDV/v1/v0.2/liveness-verification",
        "/v1/v0.2/liveness-verification",
        "/info",
        "/docs",
        "/openapi.json",
        "/",
    ] {
        let response = server.post(path, &form::pair()).expect(404, "NOT_FOUND");
        let message = "There is nothing at this path: the API is below /idv/v1.";
        assert_eq!(response.message(), message, "{path}");
    }
    for path in ["/idv/v1", "/idv/v1/", "/idv/v1/idv/v1/info", "/idv/v1/nowhere"] {
        let response = server.get(path).expect(404, "NOT_FOUND");
        assert_eq!(response.message(), "There is nothing at this path.", "{path}");
    }
    for base in ["/idv/v1", ""] {
        let response = server.get(&format!("{base}/v0.1/full-id-verification"));
        let said = response.expect(404, "NOT_FOUND").message();
        assert!(said.contains("does not offer full-id-verification"), "{said}");
        server
            .post(&format!("{base}/healthz"), &form::pair())
            .expect(405, "METHOD_NOT_ALLOWED");
    }
}

#[test]
fn the_description_names_the_base_path() {
    let server = server();
    let document = get(&server, "/idv/v1/openapi.json").json();
    assert_eq!(document["servers"][0]["url"], "/idv/v1");
    assert!(document["paths"].get(LIVENESS).is_some());
    let plain = TestServer::start(&Models::new(1), |_| {});
    assert_eq!(get(&plain, "/openapi.json").json()["servers"][0]["url"], "/");

    // Every address of the page, as a browser resolves it: from the folder that the page is in.
    for (server, base) in [(&server, "/idv/v1"), (&plain, "")] {
        let page = get(server, &format!("{base}/docs")).text();
        let addresses: Vec<&str> = ["href=\"", "src=\""]
            .iter()
            .flat_map(|mark| page.split(mark).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(addresses.len() > 5, "{addresses:?}");
        for address in addresses {
            assert!(!address.starts_with('/') && !address.contains(':'), "{address}");
            assert_eq!(get(server, &format!("{base}/{address}")).status, 200, "{address}");
        }
        let script = get(server, &format!("{base}/docs/swagger-initializer.js")).text();
        assert!(
            script.contains("\"openapi.json\"") && !script.contains("\"/openapi.json\""),
            "{script}"
        );
    }
}

#[test]
fn the_log_has_paths_without_the_base_path() {
    let server = server();
    for (path, id, shown) in [
        (format!("/idv/v1{LIVENESS}"), "base-path-1", LIVENESS),
        (LIVENESS.to_owned(), "base-path-2", LIVENESS),
        ("/idv/v1".to_owned(), "base-path-3", "/"),
    ] {
        let headers = format!("{}x-request-id: {id}\r\n", credentials());
        let mut client = server.client();
        client.send(&form::pair().request(&path, &headers));
        assert_eq!(client.response().header("x-correlation-id"), Some(id));
        assert_eq!(log::wait_for(id)["endpoint"], shown, "{path}");
    }
}

#[test]
fn metrics_have_endpoints_without_the_base_path() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.base_path = "/idv".to_owned();
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
    });
    server.post(&format!("/idv{LIVENESS}"), &form::pair());
    for path in ["/idv/healthz", "/healthz"] {
        assert_eq!(server.get(path).status, 200);
    }
    server.get("/info").expect(404, "NOT_FOUND");
    let mut operator = server.operator();
    // The admin listener has no base path.
    operator.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    let metrics = operator.admin_response().text();
    for line in [
        "likeness_requests_total{endpoint=\"liveness-verification\",status=\"200\"} 1",
        "likeness_requests_total{endpoint=\"healthz\",status=\"200\"} 2",
        "likeness_requests_total{endpoint=\"other\",status=\"404\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[test]
fn pages_can_read_that_a_path_is_not_below_the_base_path() {
    let server = server();
    for path in ["/idv/v1/nowhere", "/nowhere"] {
        let mut client = server.client();
        client.send(&Form::new().request(path, "origin: https://onboarding.example\r\n"));
        let response = client.response().expect(404, "NOT_FOUND");
        let allowed = response.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://onboarding.example"), "{path}");
    }
}
