//! One HTTP request, redirects followed.

use std::io::Read;

use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body, Proxy};

use super::RetryPolicy;
use super::http::{client, native_roots};
use super::proxy::proxy_for;
use super::redirect::follow;
use crate::{FailureKind, FetchFailure};

/// Redirects that are followed for one file; release pages of code hosts take two.
const MAX_REDIRECTS: usize = 5;

/// `ureq` with the environment's proxies and root certificates.
pub(super) struct Client {
    agent: Agent,
    /// Why no https address can be requested.
    no_tls: Option<String>,
}

/// A response, its body unread.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where in the file the body begins.
    pub(super) start: u64,
    /// Size of the whole file, if the server states it.
    pub(super) total: Option<u64>,
    pub(super) body: Box<dyn Read>,
}

impl Client {
    pub(super) fn new(retry: &RetryPolicy) -> Self {
        let (roots, errors) = native_roots();
        let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
        let unreadable = named.and_then(|file| {
            let error = std::fs::File::open(&file).err()?;
            Some(format!("{}: {error}", file.display()))
        });
        let no_tls = (roots.is_empty() || unreadable.is_some()).then(|| {
            let mut faults = unreadable.into_iter().chain(errors);
            let reason = faults.next().unwrap_or_else(|| "there are none".to_owned());
            format!(
                "no usable root certificates ({reason}): install the system's (Debian: ca-certificates) or name a CA \
                 bundle with SSL_CERT_FILE"
            )
        });
        let (connect, read) = (Some(retry.connect_timeout), Some(retry.read_timeout));
        let config = client(roots, None)
            .timeout_resolve(connect)
            .timeout_connect(connect)
            .timeout_recv_response(read)
            .timeout_per_read(read)
            .timeout_per_write(read)
            .build();
        Self {
            agent: config.new_agent(),
            no_tls,
        }
    }

    /// Requests a file from `start` on.
    pub(super) fn get(&self, address: &str, start: u64) -> Result<Answer, FetchFailure> {
        let mut uri: Uri = address.parse().map_err(|_| unavailable("invalid address"))?;
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(unavailable("credentials in an address are not supported"));
        }
        for _ in 0..=MAX_REDIRECTS {
            let response = self.request(&uri, start)?;
            if !response.status().is_redirection() {
                return Ok(Answer::of(response));
            }
            let Some(location) = text(&response, header::LOCATION) else {
                return Err(of_status(response.status().as_u16()));
            };
            uri = follow(&uri, location).map_err(unavailable)?;
        }
        Err(unavailable(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn request(&self, uri: &Uri, start: u64) -> Result<Response<Body>, FetchFailure> {
        let is_https = uri.scheme_str() == Some("https");
        if let (true, Some(reason)) = (is_https, &self.no_tls) {
            return Err(no_tls(reason));
        }
        let proxy = proxy_for(uri, |name| std::env::var(name).ok())
            .map(|proxy| usable(&proxy))
            .transpose()?;
        let through = proxy.as_ref().map_or_else(String::new, |proxy| {
            format!(" (through the proxy {}:{})", proxy.host(), proxy.port())
        });
        let mut request = self
            .agent
            .get(uri)
            .config()
            .https_only(is_https)
            .proxy(proxy)
            .build()
            // A compressed body has other bytes.
            .header(header::ACCEPT_ENCODING, "identity");
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        request.call().map_err(|error| match &error {
            ureq::Error::Rustls(fault) => no_tls(format!("{fault}{through}")),
            ureq::Error::Io(fault) if matches!(fault.get_ref(), Some(inner) if inner.is::<rustls::Error>()) => {
                no_tls(format!("{fault}{through}"))
            }
            ureq::Error::HostNotFound => network(format!("unknown host{through}")),
            ureq::Error::Timeout(_) => network(format!("timed out{through}")),
            ureq::Error::Io(fault) => network(format!("{fault}{through}")),
            other => network(format!("{other}{through}")),
        })
    }
}

fn unavailable(reason: impl Into<String>) -> FetchFailure {
    FetchFailure::new(FailureKind::Unavailable, reason)
}

fn no_tls(reason: impl std::fmt::Display) -> FetchFailure {
    FetchFailure::new(FailureKind::Tls, format!("no secure connection: {reason}"))
}

pub(super) fn network(reason: impl Into<String>) -> FetchFailure {
    FetchFailure::new(FailureKind::Network, reason)
}

/// The failure of a request that was answered with this status.
pub(super) fn of_status(status: u16) -> FetchFailure {
    let meaning = match status {
        401 | 403 => " (access denied)",
        404 | 410 => " (there is no such file)",
        407 => " (the proxy requires credentials)",
        429 => " (too many requests)",
        500..=599 => " (the server failed)",
        _ => "",
    };
    let kind = match status {
        408 | 416 | 429 | 500..=599 => FailureKind::Temporary,
        _ => FailureKind::Unavailable,
    };
    FetchFailure::new(kind, format!("HTTP status {status}{meaning}"))
}

fn usable(address: &str) -> Result<Proxy, FetchFailure> {
    // The address may have a password in it, so it is not repeated.
    let proxy = Proxy::new(address)
        .map_err(|_| unavailable("the address of the proxy in the environment is invalid"))?;
    match proxy.protocol() {
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(proxy),
        _ => Err(unavailable("SOCKS proxies are not supported, only HTTP proxies")),
    }
}

impl Answer {
    fn of(response: Response<Body>) -> Self {
        let status = response.status().as_u16();
        let (start, total) = if status == 206 {
            let range = text(&response, header::CONTENT_RANGE).and_then(content_range);
            range.unwrap_or((0, None))
        } else {
            let length = text(&response, header::CONTENT_LENGTH);
            (0, length.and_then(|text| text.parse().ok()))
        };
        Self {
            status,
            start,
            total,
            body: Box::new(response.into_body().into_reader()),
        }
    }
}

fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns start and total of `bytes 5-9/10`; the total may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_says_where_the_bytes_belong() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for text in ["", "bytes */10", "bytes x-9/10", "octets 5-9/10", "bytes 5/10"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
