use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// An response; the headers and the envelope that all must have were checked.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the server closed the connection, without a byte more.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Reads `100 Continue`.
    pub(crate) fn wait_for_continue(&mut self) {
        assert_eq!(self.line(), "HTTP/1.1 100 Continue");
        assert_eq!(self.line(), "");
    }

    pub(crate) fn response(&mut self) -> Response {
        let response = self.read(true);
        response.check();
        response
    }

    /// The response of the operator's port, whose errors have no envelope.
    pub(crate) fn admin_response(&mut self) -> Response {
        self.read(true)
    }

    /// The response to a HEAD request.
    pub(crate) fn head_response(&mut self) -> Response {
        self.read(false)
    }

    fn read(&mut self, with_body: bool) -> Response {
        let status = self.line();
        let status = status
            .strip_prefix("HTTP/1.1 ")
            .unwrap_or_else(|| panic!("{status:?}"));
        let status = status.split(' ').next().unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if with_body {
            let length = response
                .header("content-length")
                .expect("a content-length")
                .parse()
                .unwrap();
            response.body.resize(length, 0);
            self.stream.read_exact(&mut response.body).unwrap();
        }
        response
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "{line:?}");
        line.truncate(line.len() - 2);
        line
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("none").to_owned()
    }

    /// What an error says.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }

    /// The body without what differs from request to request.
    pub(crate) fn lasting(&self) -> Value {
        let mut json = self.json();
        for key in ["api_req_uid", "requested_at", "processed_at"] {
            assert!(json.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
        json
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{}",
            self.json()
        );
        self
    }

    fn check(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(self.header("x-frame-options"), Some("DENY"));
        assert_eq!(
            self.header("strict-transport-security"),
            Some("max-age=86400; includeSubDomains")
        );
        let id = self.header("x-request-id").unwrap();
        let json = self.json();
        if self.status >= 400 || json.get("api_req_uid").is_some() {
            assert_eq!(json["api_req_uid"].as_str(), Some(id));
            assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
        }
        if self.status >= 400 {
            let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(
                keys,
                [
                    "api_req_uid",
                    "error",
                    "processed_at",
                    "requested_at",
                    "response_code"
                ]
            );
            assert_eq!(json["response_code"], 0);
            assert_eq!(json["error"].as_object().unwrap().len(), 2);
            assert!(!self.message().is_empty());
        }
        match self.header("retry-after") {
            Some(seconds) => assert!(seconds.parse::<u32>().unwrap() >= 1),
            None => assert_ne!(self.status, 503),
        }
        for secret in [super::KEY, "s3cret", "panic"] {
            assert!(!String::from_utf8_lossy(&self.body).contains(secret));
        }
    }
}
