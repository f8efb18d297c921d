//! A server with the console, and a client that keeps its cookie.

use std::process::Command;

use likeness_testing::http::{Connection, Form, Response, TIMEOUT, captures};
use likeness_testing::{Failed, Outcome, ensure_eq};

use super::server::Server;

/// The token to log in with.
pub(crate) const TOKEN: &str = "console-token-Vb73kQpX";

/// Starts a server with one worker, an admin listener and the console.
pub(crate) fn serve(configure: impl FnOnce(&mut Command)) -> Result<Server, Failed> {
    Server::start(|command| {
        command
            .args(["--workers", "1", "--admin-listen", "127.0.0.1:0"])
            .args(["--set", "console.enabled=true"])
            .env("LIKENESS_CONSOLE_TOKEN", TOKEN);
        configure(command);
    })
}

/// Returns the address of the admin listener.
pub(crate) fn address(server: &Server) -> Result<String, Failed> {
    let line = server
        .stdout
        .wait_for("the admin listener", |line| line.starts_with("Admin listener: "))?;
    let address = line.split_once("://").ok_or("no address")?.1;
    Ok(address.to_owned())
}

/// A browser without a screen: it sends what a browser would, and keeps the cookie of the session.
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: String,
}

impl Client {
    /// A client that has not logged in.
    pub(crate) fn new(server: &Server) -> Result<Self, Failed> {
        Ok(Self {
            address: address(server)?,
            cookie: None,
            csrf: String::new(),
        })
    }

    /// A client that has logged in.
    pub(crate) fn logged_in(server: &Server) -> Result<Self, Failed> {
        let mut client = Self::new(server)?;
        client.log_in(TOKEN)?.expect(303)?;
        let page = client.get("/console/system")?;
        page.expect(200)?;
        client.csrf = csrf(&page)?;
        Ok(client)
    }

    pub(crate) fn log_in(&mut self, token: &str) -> Result<Response, Failed> {
        let response = self.post("/console/login", &[("token", token)])?;
        if let Some(cookie) = response.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Ok(response)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Response, Failed> {
        self.send("GET", path, &format!("Host: {}\r\n", self.address), b"")
    }

    /// Sends a form as a page of the console does, with the CSRF token.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Response, Failed> {
        let csrf = ("csrf", self.csrf.as_str());
        self.post_with(path, &self.same_site(), &[fields, &[csrf]].concat())
    }

    /// The headers of a browser that sends a form of the console's own.
    pub(crate) fn same_site(&self) -> String {
        let address = &self.address;
        format!("Host: {address}\r\nOrigin: http://{address}\r\n")
    }

    /// Sends a form with these headers, and without a CSRF token of its own.
    pub(crate) fn post_with(
        &self,
        path: &str,
        headers: &str,
        fields: &[(&str, &str)],
    ) -> Result<Response, Failed> {
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let headers = format!("{headers}Content-Type: application/x-www-form-urlencoded\r\n");
        self.send("POST", path, &headers, body.as_bytes())
    }

    /// Tries a verification, as the page's script does.
    pub(crate) fn try_pair(&self, form: &Form) -> Result<Response, Failed> {
        let headers = format!("{}X-CSRF-Token: {}\r\n", self.same_site(), self.csrf);
        let cookie = self.cookie_header();
        let mut connection = Connection::open(self.address.parse()?)?;
        let request = form.request("/console/try", &format!("{headers}{cookie}"));
        // The form's own head has another host.
        let text_end = request
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or("no head")?;
        let head = String::from_utf8_lossy(&request[..text_end]).into_owned();
        let is_kept = |line: &&str| !line.starts_with("Host: ") || *line == format!("Host: {}", self.address);
        let head: Vec<&str> = head.split("\r\n").filter(is_kept).collect();
        connection.send(&[head.join("\r\n").as_bytes(), &request[text_end..]].concat())?;
        connection.admin_response()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Response, Failed> {
        let mut connection = Connection::open(self.address.parse()?)?;
        let length = body.len();
        let cookie = self.cookie_header();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nAccept: text/html\r\nContent-Length: {length}\r\n{cookie}{headers}\r\n"
        );
        connection.send(&[head.as_bytes(), body].concat())?;
        connection.admin_response()
    }

    fn cookie_header(&self) -> String {
        let cookie = self.cookie.as_deref();
        cookie
            .map(|cookie| format!("Cookie: {cookie}\r\n"))
            .unwrap_or_default()
    }
}

/// Returns the CSRF token of a page.
pub(crate) fn csrf(page: &Response) -> Result<String, Failed> {
    let text = page.text();
    let found = captures("*<meta name=\"csrf\" content=\"*\">*", &text).ok_or("no CSRF token")?;
    ensure_eq!(found[1].len(), 64);
    Ok(found[1].to_owned())
}

/// Returns a value as a form sends it.
fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}

/// Checks that a response redirects to this path.
pub(crate) fn expect_redirect(response: &Response, to: &str) -> Outcome {
    response.expect(303)?;
    ensure_eq!(response.header("location"), Some(to));
    Ok(())
}
