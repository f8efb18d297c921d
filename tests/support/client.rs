//! A client that sends exactly the bytes it is told: an HTTP library would put right what is to be tested.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use likeness_testing::{Failed, Outcome, ensure};

use super::PATIENCE;
use super::json::{Json, is_time, is_uuid_v4};
use super::server::SECRETS;

/// One connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.stream
            .get_mut()
            .write_all(bytes)
            .map_err(|error| format!("sending: {error}").into())
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) -> Outcome {
        Ok(self.stream.get_mut().shutdown(Shutdown::Write)?)
    }

    /// Waits for `100 Continue`: the server has begun to read the body, and not before.
    pub(crate) fn wait_for_continue(&mut self) -> Outcome {
        let lines = [self.line()?, self.line()?];
        ensure!(lines == ["HTTP/1.1 100 Continue", ""], "{lines:?}");
        Ok(())
    }

    /// The next answer, with what all of them have in common checked.
    pub(crate) fn answer(&mut self) -> Result<Answer, Failed> {
        let answer = self.operators_answer()?;
        answer.check().map_err(|failure| {
            let said = failure.message().unwrap_or_default();
            format!("{said}, in {answer:?}")
        })?;
        Ok(answer)
    }

    /// The next answer of the operator's port, whose errors have no envelope.
    pub(crate) fn operators_answer(&mut self) -> Result<Answer, Failed> {
        let start = self.line()?;
        let status = start
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .ok_or_else(|| format!("{start:?} is no status line"))?
            .parse()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("{line:?} is no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")?
            .ok_or("no Content-Length")?
            .parse()?;
        answer.body.resize(length, 0);
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    /// Whether the server closes the connection without a byte more.
    pub(crate) fn is_closed(&mut self) -> Result<bool, Failed> {
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
            .map_err(|error| format!("waiting for an answer: {error}"))?;
        line.strip_suffix("\r\n")
            .map(str::to_owned)
            .ok_or_else(|| format!("the connection ends with {line:?}").into())
    }
}

/// A whole answer.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {body}", self.status, self.headers)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, Failed> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        ensure!(values.next().is_none(), "the header {name} is there twice");
        Ok(value)
    }

    pub(crate) fn json(&self) -> Result<Json, Failed> {
        Json::parse(&self.body)
    }

    /// `api_req_uid`, or where the body has none, the header that is the same.
    pub(crate) fn id(&self) -> Result<&str, Failed> {
        self.header("x-request-id")?
            .ok_or_else(|| "no X-Request-ID".into())
    }

    /// The body of an answer that is 200, without what differs from request to request.
    pub(crate) fn lasting(&self) -> Result<Json, Failed> {
        ensure!(self.status == 200, "{self:?}");
        Ok(self.json()?.without_meta())
    }

    /// Compares the whole body, see [`Json::expect`].
    pub(crate) fn expect(&self, status: u16, body: &str) -> Outcome {
        ensure!(self.status == status, "not {status} but {self:?}");
        self.json()?.expect(&Json::parse(body.as_bytes())?)
    }

    /// Compares the status and the whole body of an error. In `message`, `*` stands for some characters.
    pub(crate) fn expect_error(&self, status: u16, code: &str, message: &str) -> Outcome {
        let text = |text: &str| Json::Text(text.to_owned());
        let object = |entries: Vec<(&str, Json)>| {
            Json::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            )
        };
        let expected = object(vec![
            ("api_req_uid", text("<id>")),
            ("requested_at", text("<time>")),
            ("processed_at", text("<time>")),
            ("response_code", Json::Integer(0)),
            (
                "error",
                object(vec![("code", text(code)), ("message", text(message))]),
            ),
        ]);
        ensure!(self.status == status, "not {status} {code} but {self:?}");
        self.json()?.expect(&expected)
    }

    /// The headers that the documentation lists, ids and times, and that nothing secret is there.
    fn check(&self) -> Outcome {
        for (name, expected) in [
            ("content-type", "application/json"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=86400; includeSubDomains"),
        ] {
            let found = self.header(name)?;
            ensure!(found == Some(expected), "the header {name} is {found:?}");
        }
        let id = self.id()?;
        ensure!(is_uuid_v4(id), "the X-Request-ID {id:?} is no UUID of version 4");
        let json = self.json()?;
        if self.status != 200 || json.has("api_req_uid") {
            ensure!(json.text("api_req_uid")? == id, "X-Request-ID is not api_req_uid");
            let (requested, processed) = (json.text("requested_at")?, json.text("processed_at")?);
            ensure!(
                is_time(requested) && is_time(processed) && requested <= processed,
                "requested at {requested:?}, processed at {processed:?}"
            );
        }
        for secret in SECRETS {
            ensure!(!format!("{self:?}").contains(secret), "a key is in an answer");
        }
        Ok(())
    }
}
