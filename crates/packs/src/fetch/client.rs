//! One HTTP request, redirects followed.

use std::io::Read;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, Proxy};

use super::Patience;
use super::error::Trouble;
use super::proxy::proxy_for;
use super::redirect::follow;

/// Redirects that are followed for one file; release pages of code hosts take two.
const MAX_REDIRECTS: usize = 5;

/// `ureq` bound to the environment's proxies and root certificates.
pub(super) struct Client {
    agent: Agent,
    /// Why no https address can be asked.
    no_tls: Option<String>,
}

/// What a server answered, its body unread.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where in the file the body begins.
    pub(super) start: u64,
    /// Size of the whole file, where the server says it.
    pub(super) total: Option<u64>,
    pub(super) body: Box<dyn Read>,
}

impl Client {
    /// Root certificates come from `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, else from the system.
    pub(super) fn new(patience: &Patience) -> Self {
        let found = rustls_native_certs::load_native_certs();
        let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
        let unreadable = named.and_then(|file| {
            let error = std::fs::File::open(&file).err()?;
            Some(format!("{}: {error}", file.display()))
        });
        let no_tls = (found.certs.is_empty() || unreadable.is_some()).then(|| {
            let mut faults = unreadable.into_iter().chain(found.errors.iter().map(ToString::to_string));
            let reason = faults.next().unwrap_or_else(|| "there are none".to_owned());
            format!(
                "no usable root certificates ({reason}): install the system's (Debian: ca-certificates) or name a file \
                 of them with SSL_CERT_FILE"
            )
        });
        let roots = found
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::from(roots))
            .build();
        let connect = Some(patience.connect);
        let read = Some(patience.read);
        let config: Config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(connect)
            .timeout_connect(connect)
            .timeout_recv_response(read)
            .timeout_per_read(read)
            .timeout_per_write(read)
            .user_agent(concat!("likeness/", env!("CARGO_PKG_VERSION")))
            .proxy(None)
            .tls_config(tls)
            .build();
        Self {
            agent: config.new_agent(),
            no_tls,
        }
    }

    /// Asks for a file from `start` on.
    pub(super) fn get(&self, address: &str, start: u64) -> Result<Answer, Trouble> {
        let mut uri: Uri = address
            .parse()
            .map_err(|_| Trouble::Address("is no address".to_owned()))?;
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(Trouble::Address(
                "has a password in it, which is not supported".to_owned(),
            ));
        }
        for _ in 0..=MAX_REDIRECTS {
            let response = self.request(&uri, start)?;
            if !response.status().is_redirection() {
                return Answer::of(response, start);
            }
            let Some(location) = text(&response, header::LOCATION) else {
                return Err(Trouble::Status(response.status().as_u16()));
            };
            uri = follow(&uri, location).map_err(Trouble::Redirect)?;
        }
        Err(Trouble::Redirect(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn request(&self, uri: &Uri, start: u64) -> Result<Response<Body>, Trouble> {
        let is_https = uri.scheme_str() == Some("https");
        if let (true, Some(reason)) = (is_https, &self.no_tls) {
            return Err(Trouble::Tls(reason.clone()));
        }
        let proxy = match proxy_for(uri, |name| std::env::var(name).ok()) {
            Some(proxy) => Some(usable(&proxy)?),
            None => None,
        };
        let through = proxy
            .as_ref()
            .map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
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
        request
            .call()
            .map_err(|error| trouble_of(&error, through.as_deref()))
    }
}

fn usable(address: &str) -> Result<Proxy, Trouble> {
    // The address may hold a password, so it is not repeated.
    let faulty = || Trouble::Address("is behind a proxy whose address in the environment is none".to_owned());
    let proxy = Proxy::new(address).map_err(|_| faulty())?;
    if matches!(
        proxy.protocol(),
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https
    ) {
        Ok(proxy)
    } else {
        Err(Trouble::Address(
            "is behind a SOCKS proxy, and only HTTP proxies are supported".to_owned(),
        ))
    }
}

fn trouble_of(error: &ureq::Error, proxy: Option<&str>) -> Trouble {
    let through = proxy.map_or_else(String::new, |proxy| format!(" (through the proxy {proxy})"));
    match error {
        ureq::Error::Rustls(fault) => Trouble::Tls(format!("{fault}{through}")),
        ureq::Error::Io(fault) if matches!(fault.get_ref(), Some(inner) if inner.is::<rustls::Error>()) => {
            Trouble::Tls(format!("{fault}{through}"))
        }
        ureq::Error::HostNotFound => Trouble::Network(format!("the host is not known here{through}")),
        ureq::Error::Timeout(_) => Trouble::Network(format!("no answer in time{through}")),
        ureq::Error::Io(fault) => Trouble::Network(format!("{fault}{through}")),
        other => Trouble::Network(format!("{other}{through}")),
    }
}

impl Answer {
    fn of(response: Response<Body>, asked: u64) -> Result<Self, Trouble> {
        let status = response.status().as_u16();
        let length = text(&response, header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let (start, total) = if status == 206 {
            text(&response, header::CONTENT_RANGE)
                .and_then(content_range)
                .unwrap_or((0, None))
        } else {
            (0, length)
        };
        if status == 206 && start != asked {
            return Err(Trouble::Range);
        }
        Ok(Self {
            status,
            start,
            total,
            body: Box::new(response.into_body().into_reader()),
        })
    }
}

fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Start and total of `bytes 5-9/10`; the total may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// How long a body may be silent is the patience of each read.
pub(super) fn read_trouble(error: &std::io::Error) -> Trouble {
    Trouble::Network(format!("the connection broke: {error}"))
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
