//! One HTTP request, by the proxy of the environment, redirects followed.

use std::io::Read;
use std::sync::Arc;

use ureq::config::ConfigBuilder;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body, Proxy};

use super::RetryPolicy;
use super::places::without_password;
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
            let fault = unreadable.into_iter().chain(errors).next();
            let reason = fault.unwrap_or_else(|| "there are none".to_owned());
            format!(
                "no usable root certificates ({reason}): install the system's (Debian: ca-certificates) or name a CA \
                 bundle with SSL_CERT_FILE"
            )
        });
        let (connect, read) = (Some(retry.connect_timeout), Some(retry.read_timeout));
        let agent = client(roots, None)
            .timeout_resolve(connect)
            .timeout_connect(connect)
            .timeout_recv_response(read)
            .timeout_per_read(read)
            .timeout_per_write(read)
            .build()
            .new_agent();
        Self { agent, no_tls }
    }

    /// Requests a file from `start` on.
    pub(super) fn get(&self, address: &str, start: u64) -> Result<Answer, FetchFailure> {
        let mut uri: Uri = address.parse().map_err(|_| unavailable("invalid address"))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
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
        let is_https = is_https(uri);
        if let (true, Some(reason)) = (is_https, &self.no_tls) {
            return Err(no_tls(reason));
        }
        let proxy = proxy_for(uri, |name| std::env::var(name).ok());
        let proxy = proxy.map(|proxy| usable(&proxy)).transpose()?;
        let through = |proxy: &Proxy| format!(" (through the proxy {}:{})", proxy.host(), proxy.port());
        let through = proxy.as_ref().map(through).unwrap_or_default();
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
            ureq::Error::HostNotFound => unavailable(format!("unknown host{through}")),
            ureq::Error::Io(fault) if is_lookup(fault) => unavailable(format!("unknown host: {fault}{through}")),
            ureq::Error::Timeout(_) => network(format!("timed out{through}")),
            ureq::Error::Io(fault) => network(format!("{fault}{through}")),
            other => network(format!("{other}{through}")),
        })
    }
}

/// Whether a name has not been found. The resolver has asked more than once itself, so another attempt would be in vain where no
/// network is; the standard library has a text for it and no kind of error.
fn is_lookup(fault: &std::io::Error) -> bool {
    fault.to_string().starts_with("failed to lookup address")
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

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
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

/// Returns the proxy for an address by `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, in upper or lower case, if one is set
/// and `NO_PROXY` does not name the host. By hand, since `ureq` takes one proxy whatever the scheme of the address.
fn proxy_for(uri: &Uri, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let host = uri.host().unwrap_or_default();
    let lookup = |name: &str| {
        let found = environment(name).or_else(|| environment(&name.to_lowercase()));
        found.filter(|value| !value.trim().is_empty())
    };
    if lookup("NO_PROXY").is_some_and(|list| is_exempt(host, &list)) {
        return None;
    }
    let of_scheme = if is_https(uri) {
        "HTTPS_PROXY"
    } else {
        "HTTP_PROXY"
    };
    lookup(of_scheme).or_else(|| lookup("ALL_PROXY"))
}

/// Whether the list has the host itself or a domain that it is in.
fn is_exempt(host: &str, list: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_lowercase();
    list.split([',', ' ']).map(str::trim).any(|entry| {
        let entry = entry.trim_matches(['[', ']']).to_lowercase();
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*" || !domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}")))
    })
}

/// Returns the address in a `Location`, which may be relative to the address that responded with it, or why it is not
/// followed: it is not an http(s) address, or leads from https to http.
fn follow(from: &Uri, location: &str) -> Result<Uri, String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map_or("", |authority| authority.as_str());
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let absolute = match location.chars().next() {
        _ if has_scheme(location) => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        Some('/') => format!("{scheme}://{authority}{location}"),
        Some('?') => format!("{scheme}://{authority}{}{location}", from.path()),
        _ => format!("{scheme}://{authority}{folder}/{location}"),
    };
    let is_web = |to: &Uri| {
        matches!(to.scheme_str(), Some("http" | "https")) && to.host().is_some_and(|host| !host.is_empty())
    };
    let Some(to) = absolute.parse().ok().filter(is_web) else {
        let shown = without_password(location);
        return Err(format!(
            "a redirect to {shown:?}, which is not an http(s) address"
        ));
    };
    if is_https(from) && !is_https(&to) {
        let shown = without_password(&to.to_string());
        return Err(format!("a redirect from https to {shown}, which is not safe"));
    }
    Ok(to)
}

/// Whether it is absolute (RFC 3986, 3.1 and 4.2). A query may contain other addresses.
fn has_scheme(location: &str) -> bool {
    location.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// Returns the root certificates in `SSL_CERT_FILE` and `SSL_CERT_DIR`, else those of the system, and errors of reading.
#[must_use]
pub fn native_roots() -> (Vec<Certificate<'static>>, Vec<String>) {
    let found = rustls_native_certs::load_native_certs();
    let roots = found
        .certs
        .iter()
        .map(|root| Certificate::from_der(root).to_owned());
    let errors = found.errors.iter().map(ToString::to_string);
    (roots.collect(), errors.collect())
}

/// Returns the settings of a client that trusts these roots, without redirects and proxy; no status is an error.
#[must_use]
pub fn client(roots: Vec<Certificate<'static>>, identity: Option<ClientCert>) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(roots.into_iter()))
        .client_cert(identity)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("likeness/", env!("CARGO_PKG_VERSION")))
        .proxy(None)
        .tls_config(tls)
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

    fn proxy(address: &str, environment: &[(&str, &str)]) -> Option<String> {
        proxy_for(&address.parse().unwrap(), |name| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_proxy_is_taken_by_the_scheme_of_the_address() {
        let both = [("HTTPS_PROXY", "http://a:1"), ("HTTP_PROXY", "http://b:2")];
        assert_eq!(proxy("https://host/x", &both).unwrap(), "http://a:1");
        assert_eq!(proxy("http://host/x", &both).unwrap(), "http://b:2");
        assert_eq!(proxy("http://host/x", &both[..1]), None);
        let all = [("all_proxy", "http://c:3"), ("https_proxy", "")];
        assert_eq!(proxy("https://host/x", &all).unwrap(), "http://c:3");
        assert_eq!(proxy("https://host/x", &[]), None);
    }

    #[test]
    fn no_proxy_names_hosts_domains_or_everything() {
        let exempt = |host: &str, list: &str| {
            let environment = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", list)];
            proxy(&format!("https://{host}/x"), &environment).is_none()
        };
        for list in [
            "models.bank.example",
            "bank.example",
            ".bank.example",
            "*.bank.example",
            "*",
            "other, BANK.example",
        ] {
            assert!(exempt("models.bank.example", list), "{list}");
        }
        for list in ["notbank.example", "ank.example", "", ",", "models", "."] {
            assert!(!exempt("models.bank.example", list), "{list}");
        }
        assert!(exempt("127.0.0.1:8080", "127.0.0.1"));
        assert!(exempt("[::1]:8080", "::1"));
    }

    fn follow_from(from: &str, location: &str) -> Result<String, String> {
        follow(&from.parse().unwrap(), location).map(|uri| uri.to_string())
    }

    #[test]
    fn addresses_are_absolute_or_relative_to_the_one_that_answered() {
        let from = "https://host:8443/folder/file?query";
        for (location, expected) in [
            ("https://other/x?y", "https://other/x?y"),
            ("//other/x", "https://other/x"),
            ("/x", "https://host:8443/x"),
            ("x#part", "https://host:8443/folder/x"),
            (
                "x?from=https://other/y",
                "https://host:8443/folder/x?from=https://other/y",
            ),
            (
                "/x?from=https://other/y",
                "https://host:8443/x?from=https://other/y",
            ),
            ("?token=1", "https://host:8443/folder/file?token=1"),
        ] {
            assert_eq!(follow_from(from, location).unwrap(), expected);
        }
        assert_eq!(
            follow_from("http://host/x", "https://host/x").unwrap(),
            "https://host/x"
        );
    }

    #[test]
    fn a_redirect_never_leads_to_plain_http_nor_to_files() {
        for (location, expected) in [
            ("http://host/x", "from https to http"),
            ("file:///etc/passwd", "not an http(s) address"),
            ("ftp://host/x", "not an http(s) address"),
            ("javascript:x", "not an http(s) address"),
            ("https://", "not an http(s) address"),
            ("https:///x", "not an http(s) address"),
            ("a b", "not an http(s) address"),
        ] {
            let error = follow_from("https://host/x", location).unwrap_err();
            assert!(error.contains(expected), "{location}: {error}");
        }
    }
}
