use std::net::SocketAddr;
use std::ops::Deref;

use likeness_testing::http::{self, Connection};
use serde_json::Value;

/// A connection, see [`Connection`]; what fails panics.
pub(crate) struct Client(Connection);

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self(Connection::open(address).unwrap())
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.send(bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn is_closed(&mut self) -> bool {
        self.0.is_closed().unwrap()
    }

    #[track_caller]
    pub(crate) fn wait_for_continue(&mut self) {
        self.0.wait_for_continue().unwrap();
    }

    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        Response(self.0.response().unwrap())
    }

    #[track_caller]
    pub(crate) fn admin_response(&mut self) -> Response {
        Response(self.0.admin_response().unwrap())
    }

    #[track_caller]
    pub(crate) fn head_response(&mut self) -> Response {
        Response(self.0.head_response().unwrap())
    }
}

/// A response, see [`http::Response`]; what fails panics.
#[derive(Debug)]
pub(crate) struct Response(http::Response);

impl Deref for Response {
    type Target = http::Response;

    fn deref(&self) -> &http::Response {
        &self.0
    }
}

impl Response {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("none").to_owned()
    }

    /// The message of an error.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }

    /// The body without what differs from request to request.
    #[track_caller]
    pub(crate) fn lasting(&self) -> Value {
        Value::clone(&self.0.json().unwrap().without_meta())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16, code: &str) -> Self {
        let found = (self.status, self.code());
        assert_eq!((found.0, found.1.as_str()), (status, code), "{self:?}");
        self
    }
}
