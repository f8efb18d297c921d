//! HTTP/2 without TLS, with prior knowledge.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{APP, Form, KEY, Models, TestServer};

fn request(server: &TestServer, form: &Form, key: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{}/v0.2/biometric-verification", server.address))
        .header("app_id", APP)
        .header("app-key", key)
        .header("content-type", "multipart/form-data; boundary=BOUNDARY")
        .body(Full::from(form.body()))
        .unwrap()
}

#[test]
fn requests_share_a_connection_and_refusals_end_only_their_own() {
    let server = TestServer::start(&Models::new(1), |_| {});
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(share_a_connection(&server));
}

async fn share_a_connection(server: &TestServer) {
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let large = Form::pair().file("other", &vec![7; 20_000_000]);
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
            .send_request(request(server, &Form::pair(), KEY))
            .await
            .unwrap();
        assert_eq!(answered.status(), 200);
        answered.into_body().collect().await.unwrap();
    }
    let (one, two) = tokio::join!(
        client.clone().send_request(request(server, &Form::pair(), KEY)),
        client.clone().send_request(request(server, &large, KEY)),
    );
    assert_eq!(one.unwrap().status(), 200);
    assert_eq!(two.unwrap().status(), 200);
    drop(client);
    connection.await.unwrap().unwrap();
}
