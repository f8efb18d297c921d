//! HTTP/1.1 as far as it is needed to ask the same thing again and again.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Arguments, Failure};

const BOUNDARY: &str = "likeness-load-8c1e";
/// No answer takes longer, or something is broken.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest body of an answer that is read, in bytes.
const MAX_BODY: u64 = 1 << 20;

/// A biometric verification of the two images.
pub(crate) fn request(arguments: &Arguments) -> std::result::Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    for (name, path) in [("selfie", &arguments.selfie), ("image", &arguments.photo)] {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}.jpg\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let head = format!(
        "POST /v0.2/biometric-verification HTTP/1.1\r\nHost: {}\r\napp_id: {}\r\napp_key: {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        arguments.address,
        arguments.app_id,
        arguments.app_key,
        body.len()
    );
    Ok([head.into_bytes(), body].concat())
}

/// A client with at most one connection.
pub(crate) struct Caller {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Sends the request and reads the whole answer; its status.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                BufReader::new(stream)
            }
        };
        // A refused upload may be cut short by the answer: that is to be read all the same.
        let sent = stream.get_mut().write_all(request);
        let (status, stays_open) = answer(&mut stream)?;
        if sent.is_ok() && stays_open {
            self.stream = Some(stream);
        }
        Ok(status)
    }
}

fn answer(stream: &mut BufReader<TcpStream>) -> Result<(u16, bool)> {
    let broken = || Error::other("no HTTP/1.1 answer");
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(broken)?;
    let (mut length, mut stays_open) = (0_u64, true);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| broken())?;
        }
        stays_open &= header != "connection: close";
    }
    let mut body = stream.take(length.min(MAX_BODY));
    std::io::copy(&mut body, &mut std::io::sink())?;
    Ok((status, stays_open))
}
