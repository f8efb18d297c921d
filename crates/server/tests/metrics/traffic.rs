//! A server, requests of every kind, and the text of its metrics taken apart.

use std::collections::{BTreeMap, BTreeSet};

use likeness_server::AppConfig;

use crate::support::models::EMPTY;
use crate::support::{APP, Form, KEY, Models, Response, TestServer, credentials, form};

pub(crate) const TOKEN: &str = "operators-t0ken";
pub(crate) const METRICS_TOKEN: &str = "metrics-t0ken";
/// An app whose id has to be escaped.
pub(crate) const ODD_APP: &str = "odd\"app\\2";

pub(crate) const BIOMETRIC: &str = "/v0.2/biometric-verification";
pub(crate) const LIVENESS: &str = "/v0.1/liveness-verification";

pub(crate) fn server() -> TestServer {
    TestServer::start(&Models::new(1), |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
        config.admin.token = Some(TOKEN.into());
        config.admin.metrics_token = Some(METRICS_TOKEN.into());
        config.apps.push(AppConfig::new(ODD_APP, KEY));
    })
}

/// Asks the operator's port.
pub(crate) fn operate(server: &TestServer, method: &str, path: &str, token: Option<&str>) -> Response {
    let mut client = server.operator();
    let authorization = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    client.send(
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{authorization}\r\n").as_bytes(),
    );
    client.admin_response()
}

pub(crate) fn scrape(server: &TestServer) -> Text {
    let response = operate(server, "GET", "/metrics", Some(METRICS_TOKEN));
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    Text::parse(response.text())
}

/// Something of everything, each once.
pub(crate) fn traffic(server: &TestServer) {
    assert_eq!(server.post(BIOMETRIC, &form::pair()).status, 200);
    assert_eq!(server.post(LIVENESS, &form::selfie(500, 500)).status, 200);
    // Nobody in the selfie: a reject with a line.
    let nobody = Form::new().file("selfie", &crate::support::form::png(EMPTY, 500));
    let nobody = nobody.file("image", &crate::support::form::png(500, 500));
    assert_eq!(server.post(BIOMETRIC, &nobody).status, 200);
    assert_eq!(server.post(BIOMETRIC, &form::selfie(500, 500)).status, 400);
    for (path, expected) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/info", 200),
        ("/nowhere", 404),
    ] {
        assert_eq!(server.get(path).status, expected);
    }
    send(
        server,
        &form::pair().request(BIOMETRIC, "app_id: x\r\napp_key: y\r\n"),
        401,
    );
    let odd = format!("app_id: {ODD_APP}\r\napp_key: {KEY}\r\n");
    send(server, &form::pair().request(BIOMETRIC, &odd), 200);
}

pub(crate) fn send(server: &TestServer, request: &[u8], expected: u16) {
    let mut client = server.client();
    client.send(request);
    assert_eq!(client.response().status, expected);
}

/// The text, sample by sample.
pub(crate) struct Text {
    pub(crate) text: String,
    /// By `name{label="value",…}`, the labels as they stand there.
    pub(crate) samples: BTreeMap<String, f64>,
}

impl Text {
    fn parse(text: String) -> Self {
        let mut samples = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let before = samples.insert(series.to_owned(), value.parse().unwrap());
            assert!(before.is_none(), "{series} is there twice");
        }
        Self { text, samples }
    }

    /// The value of this series; 0 where it is not there.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    /// Names of the series, with what histograms add to theirs.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.samples
            .keys()
            .map(|series| series.split('{').next().unwrap())
            .collect()
    }
}

/// What was counted between two looks.
pub(crate) fn rise(before: &Text, after: &Text, series: &str) -> f64 {
    after.value(series) - before.value(series)
}

/// The credentials of the first app.
pub(crate) fn known() -> String {
    assert!(credentials().contains(APP));
    credentials()
}
