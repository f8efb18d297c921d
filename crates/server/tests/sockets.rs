//! What a client can do to a connection, and what it gets for it.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use likeness_server::Config;
use support::{Models, Response, TIMEOUT, TestServer, credentials, form, log};

const LIVENESS: &str = "/v0.2/liveness-verification";
const ORIGIN: &str = "https://onboarding.example";

fn serve(configure: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::start(&Models::new(1), configure)
}

fn send(server: &TestServer, request: &str) -> Response {
    let mut client = server.client();
    client.send(request.as_bytes());
    client.response()
}

/// The status of an response that hyper gives by itself, without a body and the usual headers; the connection closes.
fn bare_status(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let response = String::from_utf8_lossy(&response).into_owned();
    assert!(response.ends_with("\r\n\r\n"), "it has a body: {response}");
    response.lines().next().unwrap_or_default().to_owned()
}

fn preflight(origin: &str) -> String {
    format!(
        "OPTIONS {LIVENESS} HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: app_id,app_key\r\n\r\n"
    )
}

fn cross_origin_headers(response: &Response) -> Vec<&str> {
    let names = response.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[test]
fn cross_origin_requests_are_refused_by_default() {
    let server = serve(|_| {});
    let asked = send(&server, &preflight(ORIGIN)).expect(405, "METHOD_NOT_ALLOWED");
    assert_eq!(cross_origin_headers(&asked), [""; 0]);
    let get = format!("GET /info HTTP/1.1\r\nhost: x\r\norigin: {ORIGIN}\r\n\r\n");
    let response = send(&server, &get);
    assert_eq!(response.status, 200);
    assert_eq!(cross_origin_headers(&response), [""; 0]);
}

#[test]
fn cross_origin_requests_of_configured_origins_are_allowed() {
    let server = serve(|config| config.cors.origins = vec![ORIGIN.to_owned()]);
    let mut client = server.client();
    client.send(preflight(ORIGIN).as_bytes());
    // It has no body, and no content type.
    let asked = client.admin_response();
    assert_eq!((asked.status, asked.body.len()), (200, 0));
    assert_eq!(asked.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET,POST"));
    let headers = asked.header("access-control-allow-headers").unwrap();
    for name in ["app_id", "app_key", "app-id", "app-key", "content-type"] {
        assert!(headers.split(',').any(|found| found == name), "{headers}");
    }
    assert_eq!(asked.header("access-control-allow-credentials"), None);
    assert!(asked.header("x-request-id").is_some());

    let form = form::selfie(600, 500);
    let mut client = server.client();
    client.send(&form.request(LIVENESS, &format!("{}origin: {ORIGIN}\r\n", credentials())));
    let response = client.response();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(
        response.header("access-control-expose-headers"),
        Some("x-request-id,x-correlation-id,x-likeness-findings,retry-after")
    );
    // Pages can read why they were refused, too.
    client.send(&form.request(LIVENESS, &format!("origin: {ORIGIN}\r\n")));
    let refused = client.response().expect(401, "INVALID_CREDENTIALS");
    assert_eq!(refused.header("access-control-allow-origin"), Some(ORIGIN));

    for other in [
        "https://evil.example",
        "null",
        "https://onboarding.example.evil.example",
    ] {
        let mut client = server.client();
        client.send(preflight(other).as_bytes());
        let asked = client.admin_response();
        assert_eq!(asked.header("access-control-allow-origin"), None, "{other}");
    }
}

#[test]
fn the_connections_of_an_address_are_bounded() {
    let server = serve(|config| config.connections.max_per_address = Some(2));
    let healthz = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut clients = [server.client(), server.client()];
    for client in &mut clients {
        client.send(healthz);
        assert_eq!(client.response().status, 200);
    }
    for _ in 0..100 {
        assert!(server.client().is_closed(), "the third");
    }
    let lines: Vec<serde_json::Value> = log::all()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &serde_json::Value| {
            line["setting"] == "connections.max_per_address" && line["limit"] == 2
        })
        .collect();
    assert_eq!(lines.len(), 1, "one line a minute: {lines:?}");
    assert_eq!(
        (&lines[0]["level"], &lines[0]["address"]),
        (&"WARN".into(), &"127.0.0.1".into())
    );
    for client in &mut clients {
        client.send(healthz);
        assert_eq!(client.response().status, 200, "the first two go on");
    }
    drop(clients);
    let begun = Instant::now();
    let is_served = || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(healthz).is_ok() && stream.read(&mut [0]).is_ok_and(|count| count == 1)
    };
    while !is_served() {
        assert!(begun.elapsed() < TIMEOUT, "their places are never free again");
    }
}

/// An address that is loopback, and that the service does not take for one: it is written as IPv6.
#[test]
fn an_address_has_half_of_the_connections_without_a_proxy() {
    const MAPPED: &str = "[::ffff:127.0.0.1]:0";
    if std::net::TcpListener::bind(MAPPED).is_err() {
        eprintln!("skipped: there is no IPv6 here");
        return;
    }
    let server = serve(|config| {
        config.listen = MAPPED.parse().unwrap();
        config.connections.max = 6;
    });
    let mut clients = [server.client(), server.client(), server.client()];
    for client in &mut clients {
        client.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    assert!(server.client().is_closed(), "the fourth of six");
}

#[test]
fn a_stalled_body_is_refused() {
    let server = serve(|config| {
        config.connections.body_idle = Duration::from_millis(100);
        config.connections.linger = Duration::from_millis(100);
        config.request_limits.deadline = TIMEOUT * 2;
    });
    let mut client = server.client();
    let request = form::pair().request(LIVENESS, &credentials());
    client.send(&request[..request.len() - 10]);
    let response = client.response().expect(504, "DEADLINE_EXCEEDED");
    assert_eq!(
        response.message(),
        "Nothing came of the request body for 0.1 seconds. Try again."
    );
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
}

/// It asks and asks and reads nothing: once no more goes into the buffers between the two, it has as long as any idle
/// connection.
#[test]
fn a_client_that_does_not_read_is_closed() {
    let server = serve(|config| config.connections.header_read = Duration::from_millis(200));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let begun = Instant::now();
    let error = loop {
        if let Err(error) = stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n") {
            break error;
        }
        assert!(begun.elapsed() < TIMEOUT, "it is never closed");
    };
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error}"
    );
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn headers_are_bounded_in_number_and_size() {
    let server = serve(|_| {});
    let request = |count: usize, value: &str| {
        let headers: String = (1..count)
            .map(|number| format!("x-{number}: {value}\r\n"))
            .collect();
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n")
    };
    assert_eq!(send(&server, &request(100, "y")).status, 200);
    let too_many = "HTTP/1.1 431 Request Header Fields Too Large";
    assert_eq!(bare_status(&server, request(101, "y").as_bytes()), too_many);
    let long = "y".repeat(70_000);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(request(2, &long).as_bytes()).unwrap();
    let mut begin = vec![0; too_many.len()];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(String::from_utf8_lossy(&begin), too_many);
}

#[test]
fn unknown_methods_and_paths_get_the_envelope() {
    let server = serve(|_| {});
    for method in ["OPTIONS", "TRACE", "PROPFIND", "get", "X"] {
        for path in [LIVENESS, "/healthz", "/info", "/docs"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            let response = send(&server, &request).expect(405, "METHOD_NOT_ALLOWED");
            let allowed = if path == LIVENESS { "POST" } else { "GET,HEAD" };
            assert_eq!(response.header("allow"), Some(allowed), "{request}");
            // What TRACE would send back are the credentials.
            assert!(!String::from_utf8_lossy(&response.body).contains(method));
        }
    }
    for (path, status) in [("/healthz", 200), (LIVENESS, 405), ("/nowhere", 404)] {
        let mut client = server.client();
        client.send(format!("HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        assert_eq!(client.head_response().status, status, "{path}");
        // No body came: the connection is where it should be.
        client.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(client.response().status, 200, "{path}");
    }
    for path in [
        "/healthz/",
        "/%",
        "/%zz",
        "/%00",
        "/%68ealthz",
        "/v0.2/%6civeness-verification",
        "/v0.2/../healthz",
        "/v0.2//liveness-verification",
        "/v0.2/liveness-verification//",
        "/nowhere?%zz=%",
    ] {
        server.get(path).expect(404, "NOT_FOUND");
    }
    assert_eq!(server.get("/healthz?%zz=%&&").status, 200);
    let slash = format!("{LIVENESS}/");
    assert_eq!(server.post(&slash, &form::selfie(600, 500)).status, 200);
    for broken in [
        &b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST /info HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let status = bare_status(&server, broken);
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{}", broken.escape_ascii());
    }
}

#[test]
fn the_description_can_be_disabled() {
    let (with, without) = (serve(|_| {}), serve(|config| config.docs.enabled = false));
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui.css"] {
        assert_eq!(get(&with, path).status, 200, "{path}");
        without.get(path).expect(404, "NOT_FOUND");
    }
}

#[test]
fn the_page_of_the_api_loads_only_files_of_this_service() {
    let server = serve(|_| {});
    let page = get(&server, "/docs");
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("http"),
        "{policy}"
    );
    let page = page.text();
    let files: Vec<&str> = page
        .split([' ', '>'])
        .filter_map(|attribute| {
            attribute
                .strip_prefix("href=\"")
                .or(attribute.strip_prefix("src=\""))
        })
        .map(|value| value.trim_end_matches(['"', '/']))
        .collect();
    assert_eq!(files.len(), 7, "{files:?}");
    for file in files {
        // Relative to the page, so that it works below any path.
        assert!(file.starts_with("docs/"), "{file}");
        assert_eq!(get(&server, &format!("/{file}")).status, 200, "{file}");
    }
    let set_up = get(&server, "/docs/swagger-initializer.js").text();
    assert!(
        set_up.contains("\"openapi.json\"") && set_up.contains(r#""validatorUrl": "none""#),
        "{set_up}"
    );
    assert!(!set_up.contains("://"), "{set_up}");
    server.get("/docs/nothing").expect(404, "NOT_FOUND");
}

fn get(server: &TestServer, path: &str) -> support::client::Response {
    let mut client = server.client();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    client.admin_response()
}
