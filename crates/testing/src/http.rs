//! A client that sends exactly the bytes that a test gives it, since an HTTP library would correct what is under test;
//! and what each response must have.

use std::fmt;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
use std::time::Duration;

use image::{GrayImage, ImageFormat};
use serde_json::Value;

use crate::{Failed, Outcome, ensure, ensure_eq};

/// Upper bound for every wait of a test. None is expected to come near: it makes what hangs fail.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// An app and its key.
#[derive(Debug, Clone, Copy)]
pub struct App {
    /// The `app_id`.
    pub id: &'static str,
    /// The `app_key`.
    pub key: &'static str,
}

/// An app with the default settings.
pub const APP: App = App {
    id: "app-1",
    key: "key-1-Zq7hY2pLd84",
};
/// A disabled app.
pub const DISABLED: App = App {
    id: "app-off",
    key: "key-off-Wm4xT9sVb6",
};
/// An app with settings of its own: see [`BRANCH_PROFILES`] and [`BRANCH_FLOOR`].
pub const BRANCH: App = App {
    id: "app-branch",
    key: "key-branch-Rk8vB3",
};
/// The default profile of [`BRANCH`], and the other profile that it may use.
pub const BRANCH_PROFILES: (&str, &str) = ("strict-v0", "optimal-v0");
/// The least liveness threshold of [`BRANCH`].
pub const BRANCH_FLOOR: f64 = 0.45;
/// A key that belongs to no app.
pub const WRONG_KEY: &str = "key-wrong-Jd5nC6kQ";
/// Texts that no response and no log may contain.
pub const SECRETS: [&str; 5] = [APP.key, DISABLED.key, BRANCH.key, WRONG_KEY, "s3cret"];

impl App {
    /// Returns the headers as most clients write them.
    #[must_use]
    pub fn headers(self) -> String {
        format!("app_id: {}\r\napp_key: {}\r\n", self.id, self.key)
    }
}

/// A connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects, with [`TIMEOUT`] as the timeout of each later operation.
    ///
    /// # Errors
    /// The address refuses connections.
    pub fn open(address: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The server closed the connection or reads nothing.
    pub fn send(&mut self, bytes: &(impl AsRef<[u8]> + ?Sized)) -> Outcome {
        self.stream
            .get_mut()
            .write_all(bytes.as_ref())
            .map_err(|error| format!("cannot send: {error}").into())
    }

    /// Closes the sending half.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn finish(&mut self) -> Outcome {
        Ok(self.stream.get_mut().shutdown(Shutdown::Write)?)
    }

    /// Reads `100 Continue`, after which the server has admitted the request and begins to read the body.
    ///
    /// # Errors
    /// Another response.
    pub fn wait_for_continue(&mut self) -> Outcome {
        let lines = [self.line()?, self.line()?];
        ensure_eq!(lines, ["HTTP/1.1 100 Continue", ""]);
        Ok(())
    }

    /// Reads a response of the public listener and checks what all of them have in common.
    ///
    /// # Errors
    /// No response, or one without the documented headers and envelope.
    pub fn response(&mut self) -> Result<Response, Failed> {
        let response = self.admin_response()?;
        response.check().map_err(|failure| {
            let reason = failure.message().unwrap_or_default();
            format!("{reason}\nin {response:?}")
        })?;
        Ok(response)
    }

    /// Reads a response that is not JSON or has no envelope, such as those of the admin listener.
    ///
    /// # Errors
    /// No response.
    pub fn admin_response(&mut self) -> Result<Response, Failed> {
        let mut response = self.head_response()?;
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = self.chunks()?;
            return Ok(response);
        }
        let length = response.header("content-length").ok_or("no Content-Length")?;
        response.body.resize(length.parse()?, 0);
        self.stream.read_exact(&mut response.body)?;
        Ok(response)
    }

    /// Reads a body in chunks, up to the last one, which is empty.
    fn chunks(&mut self) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            let begin = body.len();
            body.resize(begin + length, 0);
            self.stream.read_exact(&mut body[begin..])?;
            ensure_eq!(self.line()?, "");
            if length == 0 {
                return Ok(body);
            }
        }
    }

    /// Reads the response to a HEAD request.
    ///
    /// # Errors
    /// No response, or one with a header twice.
    pub fn head_response(&mut self) -> Result<Response, Failed> {
        let start = self.line()?;
        let status = start
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .ok_or_else(|| format!("{start:?} is not a status line"))?
            .parse()?;
        let mut headers: Vec<(String, String)> = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("{line:?} is not a header"))?;
            let name = name.to_ascii_lowercase();
            ensure!(
                name == "vary" || headers.iter().all(|(found, _)| *found != name),
                "two headers {name}"
            );
            headers.push((name, value.trim().to_owned()));
        }
        Ok(Response {
            status,
            headers,
            body: Vec::new(),
        })
    }

    /// Returns whether the server closes the connection without sending more.
    ///
    /// # Errors
    /// It neither closes the connection nor sends anything for [`TIMEOUT`].
    pub fn is_closed(&mut self) -> Result<bool, Failed> {
        match self.stream.read(&mut [0]) {
            Ok(count) => Ok(count == 0),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        self.stream
            .read_line(&mut line)
            .map_err(|error| format!("no response: {error}"))?;
        line.strip_suffix("\r\n")
            .map(str::to_owned)
            .ok_or_else(|| format!("the connection ends with {line:?}").into())
    }
}

/// A response.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl Response {
    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<Json, Failed> {
        Json::parse(&self.body)
    }

    /// Returns the id of the request, which is `api_req_uid` in bodies that have one.
    ///
    /// # Errors
    /// No `X-Request-ID`.
    pub fn id(&self) -> Result<&str, Failed> {
        self.header("x-request-id")
            .ok_or_else(|| "no X-Request-ID".into())
    }

    /// Returns the body of a success without what differs from request to request.
    ///
    /// # Errors
    /// Another status than 200.
    pub fn content(&self) -> Result<Json, Failed> {
        self.expect(200)?;
        Ok(self.json()?.without_meta())
    }

    /// Checks the status.
    ///
    /// # Errors
    /// Another one.
    pub fn expect(&self, status: u16) -> Outcome {
        ensure!(self.status == status, "not {status} but {self:?}");
        Ok(())
    }

    /// Checks the status and code of an error.
    ///
    /// # Errors
    /// Another response.
    pub fn expect_code(&self, status: u16, code: &str) -> Outcome {
        self.expect(status)?;
        ensure_eq!(self.json()?.text("error.code")?, code);
        Ok(())
    }

    /// Checks the status, code and message of an error. In `message`, `*` stands for some characters.
    ///
    /// # Errors
    /// Another response.
    pub fn expect_error(&self, status: u16, code: &str, message: &str) -> Outcome {
        self.expect_code(status, code)?;
        let json = self.json()?;
        let found = json.text("error.message")?;
        ensure!(
            captures(message, found).is_some(),
            "the message is {found:?} instead of {message:?}"
        );
        Ok(())
    }

    /// Checks the whole body of an error, byte by byte.
    fn check_error(&self) -> Outcome {
        let json = self.json()?;
        let (code, message) = (json.text("error.code")?, json.text("error.message")?);
        ensure!(!message.is_empty(), "no message");
        let expected = format!(
            r#"{{"api_req_uid":"{}","requested_at":"{}","processed_at":"{}","error":{{"code":"{code}","message":{}}}}}"#,
            self.id()?,
            json.text("requested_at")?,
            json.text("processed_at")?,
            serde_json::to_string(message)?,
        );
        ensure_eq!(self.text(), expected);
        Ok(())
    }

    /// Checks the documented headers, ids and times, and that no secret is there.
    fn check(&self) -> Outcome {
        for (name, expected) in [
            ("content-type", "application/json"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=86400; includeSubDomains"),
        ] {
            ensure_eq!(self.header(name), Some(expected), "header {name}");
        }
        let id = self.id()?;
        let uuid = uuid::Uuid::parse_str(id)?;
        ensure!(
            uuid.get_version_num() == 4 && uuid.to_string() == id,
            "the X-Request-ID {id:?} is not a UUID of version 4"
        );
        match self.header("retry-after") {
            Some(seconds) => ensure!(seconds.parse::<u32>()? >= 1, "Retry-After: {seconds}"),
            None => ensure!(self.status != 503, "503 without Retry-After"),
        }
        let json = self.json()?;
        ensure_eq!(
            pretty(&self.body)?.lines().count(),
            serde_json::to_string_pretty(&*json)?.lines().count(),
            "a key is there twice"
        );
        if self.status != 200 || json.has("api_req_uid") {
            ensure_eq!(json.text("api_req_uid")?, id);
            let (requested, processed) = (json.text("requested_at")?, json.text("processed_at")?);
            for time in [requested, processed] {
                let parsed = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", time)?;
                ensure_eq!(parsed.strftime("%Y-%m-%d %H:%M:%S").to_string(), time);
            }
            ensure!(
                requested <= processed,
                "requested at {requested}, processed at {processed}"
            );
        }
        if self.status >= 400 {
            self.check_error()?;
        }
        for secret in SECRETS {
            ensure!(!format!("{self:?}").contains(secret), "a key is in a response");
        }
        ensure!(
            !self.text().contains("panic"),
            "an internal text is in a response"
        );
        Ok(())
    }
}

/// A JSON value whose members are found by path.
#[derive(Clone, PartialEq)]
pub struct Json(Value);

impl Deref for Json {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Json {
    /// Parses a text.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn parse(text: &[u8]) -> Result<Self, Failed> {
        let parsed = serde_json::from_slice(text);
        parsed
            .map(Self)
            .map_err(|error| format!("{error} in {:?}", String::from_utf8_lossy(text)).into())
    }

    /// Returns the value at a path such as `response_data.decision.details.0.code`.
    ///
    /// # Errors
    /// No such value.
    pub fn at(&self, path: &str) -> Result<Self, Failed> {
        self.find(path).cloned().map(Self)
    }

    /// Returns the text at a path.
    ///
    /// # Errors
    /// No text there.
    pub fn text(&self, path: &str) -> Result<&str, Failed> {
        let found = self.find(path)?.as_str();
        found.ok_or_else(|| format!("{path} is not a text in {self:?}").into())
    }

    /// Returns the number at a path.
    ///
    /// # Errors
    /// No number there.
    pub fn number(&self, path: &str) -> Result<f64, Failed> {
        let found = self.find(path)?.as_f64();
        found.ok_or_else(|| format!("{path} is not a number in {self:?}").into())
    }

    /// Returns the items of the list at a path.
    ///
    /// # Errors
    /// No list there.
    pub fn list(&self, path: &str) -> Result<Vec<Self>, Failed> {
        let found = self.find(path)?.as_array();
        let items = found.ok_or_else(|| format!("{path} is not a list in {self:?}"))?;
        Ok(items.iter().cloned().map(Self).collect())
    }

    /// Returns whether this is an object with this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    /// Returns the body without what differs from request to request.
    #[must_use]
    pub fn without_meta(mut self) -> Self {
        if let Value::Object(entries) = &mut self.0 {
            entries.retain(|key, _| !["api_req_uid", "requested_at", "processed_at"].contains(&key.as_str()));
        }
        self
    }

    fn find(&self, path: &str) -> Result<&Value, Failed> {
        self.0
            .pointer(&format!("/{}", path.replace('.', "/")))
            .ok_or_else(|| format!("no {path} in {self:?}").into())
    }
}

/// Formats a JSON text over several lines, with its keys in their order and its numbers as they are written: what
/// [`Value`] does not keep.
///
/// # Errors
/// It is not JSON.
pub fn pretty(text: &[u8]) -> Result<String, Failed> {
    let mut pretty = Vec::new();
    serde_transcode::transcode(
        &mut serde_json::Deserializer::from_slice(text),
        &mut serde_json::Serializer::pretty(&mut pretty),
    )?;
    Ok(String::from_utf8(pretty)?)
}

/// Returns what the `*` of a pattern stand for in a text, each for at least one character; `None` where the text is
/// another.
#[must_use]
pub fn captures<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut pieces = pattern.split('*');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let length = if pieces.peek().is_none() {
            rest.len().checked_sub(piece.len())?
        } else {
            rest.find(piece)?
        };
        if length == 0 || !rest.get(length..)?.starts_with(piece) {
            return None;
        }
        found.push(rest.get(..length)?);
        rest = rest.get(length + piece.len()..)?;
    }
    rest.is_empty().then_some(found)
}

/// Encodes a black PNG: an image of any size in few bytes, without a face.
///
/// # Errors
/// Those of the encoder.
pub fn flat(width: u32, height: u32) -> Result<Vec<u8>, Failed> {
    let mut bytes = Cursor::new(Vec::new());
    GrayImage::new(width, height).write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// The parts of a form (`multipart/form-data`), byte by byte.
#[derive(Debug, Clone)]
pub struct Form {
    parts: Vec<u8>,
    content_type: String,
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

impl Form {
    /// The `Content-Type` of every form that is not given another.
    pub const CONTENT_TYPE: &str = "multipart/form-data; boundary=BOUNDARY";

    /// Returns a form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            parts: Vec::new(),
            content_type: Self::CONTENT_TYPE.to_owned(),
        }
    }

    /// Returns the form of a biometric verification.
    #[must_use]
    pub fn pair(selfie: &[u8], photo: &[u8]) -> Self {
        Self::new().file("selfie", selfie).file("image", photo)
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"file\"");
        self.part(&head, bytes)
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"");
        self.part(&head, value.as_bytes())
    }

    /// Adds a part with these header lines.
    #[must_use]
    pub fn part(mut self, head: &str, data: &[u8]) -> Self {
        self.parts
            .extend_from_slice(format!("--BOUNDARY\r\n{head}\r\n\r\n").as_bytes());
        self.parts.extend_from_slice(data);
        self.parts.extend_from_slice(b"\r\n");
        self
    }

    /// Replaces the `Content-Type` of the request; the body stays as it is.
    #[must_use]
    pub fn with_content_type(mut self, content_type: &str) -> Self {
        content_type.clone_into(&mut self.content_type);
        self
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        [&self.parts[..], b"--BOUNDARY--\r\n"].concat()
    }

    /// Returns the head of a request with this form; `headers` are whole lines.
    #[must_use]
    pub fn head(&self, path: &str, headers: &str) -> String {
        let (content_type, length) = (&self.content_type, self.body().len());
        let form = format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n{headers}");
        head(path, &form)
    }

    /// Returns a request with this form; `headers` are whole lines.
    #[must_use]
    pub fn request(&self, path: &str, headers: &str) -> Vec<u8> {
        [self.head(path, headers).as_bytes(), &self.body()].concat()
    }
}

/// Returns the head of a POST request; `headers` are whole lines.
#[must_use]
pub fn head(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: likeness.example\r\n{headers}\r\n")
}

/// Returns a body in one chunk, as `Transfer-Encoding: chunked` has it.
#[must_use]
pub fn chunked(body: &[u8]) -> Vec<u8> {
    let length = format!("{:x}\r\n", body.len());
    [length.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}
