//! HTTP/2 without TLS, with prior knowledge.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::io::Write;
use std::net::TcpStream;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{APP, Form, KEY, Models, TIMEOUT, TestServer, form};

fn request(server: &TestServer, form: &Form, key: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{}/v0.2/biometric-verification", server.address))
        .header("app_id", APP)
        .header("app-key", key)
        .header("content-type", "multipart/form-data; boundary=BOUNDARY")
        .body(Full::from(form.body()))
        .unwrap()
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

type Client = http2::SendRequest<Full<Bytes>>;

async fn connect(server: &TestServer) -> (Client, tokio::task::JoinHandle<hyper::Result<()>>) {
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    (client, tokio::spawn(connection))
}

#[test]
fn refusals_end_only_their_own_stream() {
    let server = TestServer::start(&Models::new(1), |_| {});
    block_on(share_a_connection(&server));
}

async fn share_a_connection(server: &TestServer) {
    let (mut client, connection) = connect(server).await;
    let large = form::pair().file("other", &vec![7; 20_000_000]);
    for _ in 0..3 {
        let refused = client
            .send_request(request(server, &large, "wrong"))
            .await
            .unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["x-frame-options"], "DENY");
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["error"]["code"], "INVALID_CREDENTIALS");

        let answered = client
            .send_request(request(server, &form::pair(), KEY))
            .await
            .unwrap();
        assert_eq!(answered.status(), 200);
        answered.into_body().collect().await.unwrap();
    }
    let (one, two) = tokio::join!(
        client.clone().send_request(request(server, &form::pair(), KEY)),
        client.clone().send_request(request(server, &large, KEY)),
    );
    assert_eq!(one.unwrap().status(), 200);
    assert_eq!(two.unwrap().status(), 200);
    drop(client);
    connection.await.unwrap().unwrap();
}

/// What the operator's guide says of the headers of a request, each counted with 32 bytes more (RFC 9113, 6.5.2).
const MAX_HEADER_LIST: usize = 16 * 1024;

#[test]
fn headers_over_the_bound_are_refused_and_the_connection_stays() {
    let server = TestServer::start(&Models::new(1), |_| {});
    block_on(fill_headers(&server));
}

async fn fill_headers(server: &TestServer) {
    let (mut client, connection) = connect(server).await;
    let mut ask = async |count: usize, length: usize| {
        let mut request = request(server, &form::pair(), KEY);
        for number in 0..count {
            let name = hyper::header::HeaderName::try_from(format!("x-{number:04}")).unwrap();
            request
                .headers_mut()
                .insert(name, "v".repeat(length).parse().unwrap());
        }
        let response = client.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    };
    for (count, length, status) in [
        (1, MAX_HEADER_LIST - 1_000, 200),
        (1, MAX_HEADER_LIST, 431),
        (200, 10, 200),
        // Each of them is small, and counts 48 bytes.
        (MAX_HEADER_LIST / 48, 10, 431),
        (0, 0, 200),
    ] {
        assert_eq!(
            ask(count, length).await,
            status,
            "{count} headers of {length} bytes"
        );
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[test]
fn endless_headers_are_refused() {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const CONTINUATION: u8 = 9;
    let server = TestServer::start(&Models::new(1), |_| {});
    // A literal field that no table takes in: name `x`, value of 100 bytes (RFC 7541, 6.2.2).
    let field = [&[0, 1, b'x', 100][..], &[b'v'; 100]].concat();
    let block = field.repeat(150);

    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    stream.write_all(&frame(HEADERS, 0, 1, &block)).unwrap();
    let more = frame(CONTINUATION, 0, 1, &block);
    // What the kernel takes in on both sides comes on top of what the service reads.
    const ENOUGH: usize = 64 << 20;
    let sent = (0..ENOUGH)
        .step_by(more.len())
        .find(|_| stream.write_all(&more).is_err());
    assert!(sent.is_some(), "{ENOUGH} bytes of headers were read");
    let others = server.post("/v0.2/biometric-verification", &form::pair());
    assert_eq!(others.status, 200, "others are served");
}
