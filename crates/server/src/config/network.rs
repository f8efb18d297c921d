//! Listeners, connections, TLS, and who may call from where.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::values::{check_credential, seconds, secret};
use super::{Config, ConfigError, ensure};

/// Connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionsConfig {
    /// Open connections; those beyond wait in the listening queue. Default: 1,024.
    #[default(1_024)]
    pub max: usize,
    /// How long a client may take for the headers of a request, and a connection stay idle. Default: 75 s (nginx: 60 s).
    #[serde(rename = "header_read_seconds", with = "seconds")]
    #[default(Duration::from_secs(75))]
    pub header_read: Duration,
    /// How long the rest of a rejected upload is read, so that the client sees the response. Default: 5 s.
    #[serde(rename = "linger_seconds", with = "seconds")]
    #[default(Duration::from_secs(5))]
    pub linger: Duration,
    /// How long a client may send nothing of a body. Default: 5 s; `request_limits.deadline_seconds` bounds the whole.
    #[serde(rename = "body_idle_seconds", with = "seconds")]
    #[default(Duration::from_secs(5))]
    pub body_idle: Duration,
    /// Open connections of one address, except trusted proxies; those beyond are closed at once. 0: no limit. Absent: see
    /// [`Config::max_per_address`].
    pub max_per_address: Option<usize>,
}

/// Longest base path in bytes.
const MAX_BASE_PATH_BYTES: usize = 256;

impl Config {
    pub(super) fn validate_base_path(&self) -> Result<(), ConfigError> {
        let path = self.base_path.as_str();
        let slashes = "must begin with one slash and end with none, such as \"/idv\"; \"\" for none";
        let characters = "may have letters, digits and -._~ between its slashes, and no segment `.` or `..`";
        let segments = || path.split('/').skip(1);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_name = |segment: &str| segment.bytes().all(is_plain) && !matches!(segment, "." | "..");
        ensure([
            (
                path.is_empty() || (path.starts_with('/') && segments().all(|segment| !segment.is_empty())),
                "base_path",
                slashes,
            ),
            (segments().all(is_name), "base_path", characters),
            (
                path.len() <= MAX_BASE_PATH_BYTES,
                "base_path",
                "is longer than 256 bytes",
            ),
        ])
    }

    /// How many connections one address may have open; 0: no limit. Default: half of `connections.max`, but no limit on a
    /// loopback address and behind trusted proxies, whose connections are those of many clients.
    pub fn max_per_address(&self) -> usize {
        let derived = || self.derived_max_per_address().0;
        self.connections.max_per_address.unwrap_or_else(derived)
    }

    /// Returns what holds where nothing sets it, and why.
    pub(super) fn derived_max_per_address(&self) -> (usize, &'static str) {
        if self.listen.ip().is_loopback() {
            return (0, "no limit, as listen is a loopback address");
        }
        if !self.proxies.trusted.is_empty() {
            return (0, "no limit, as proxies are trusted");
        }
        let why = "half of connections.max, as listen is not a loopback address and proxies.trusted is empty";
        ((self.connections.max / 2).max(1), why)
    }
}

/// Graceful shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// Between `/readyz` turning 503 and the listeners closing, for load balancers to take notice. Default: 0.
    #[serde(rename = "delay_seconds", with = "seconds")]
    pub delay: Duration,
    /// How long, beyond the deadline of a request, to wait for in-flight requests. Default: 5 s.
    #[serde(rename = "grace_seconds", with = "seconds")]
    #[default(Duration::from_secs(5))]
    pub grace: Duration,
}

/// The admin listener, apart from the public one. It is off unless it has an address.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Its address and port. Absent: there is no admin listener.
    pub listen: Option<SocketAddr>,
    /// What an operator sends as `Authorization: Bearer …`. Absent: nothing; allowed on loopback addresses only.
    #[serde(default, with = "secret")]
    pub token: Option<SecretString>,
    /// What may be sent instead of `token` for `/metrics` and `/info`, where nothing is changed. Needs `token`.
    #[serde(default, with = "secret")]
    pub metrics_token: Option<SecretString>,
}

impl AdminConfig {
    pub(super) fn validate(&self, public: SocketAddr) -> Result<(), ConfigError> {
        let tokens = [
            ("admin.token", &self.token),
            ("admin.metrics_token", &self.metrics_token),
        ];
        for (key, token) in tokens {
            let Some(token) = token.as_ref().map(ExposeSecret::expose_secret) else {
                continue;
            };
            check_credential(token).map_err(|reason| ConfigError::invalid(key, reason))?;
            ensure([(!token.contains(char::is_whitespace), key, "has spaces")])?;
        }
        let has_token = self.token.is_some();
        let of_use = self.metrics_token.is_none() || has_token;
        let no_use = "has no effect without admin.token: nothing needs a token then";
        ensure([(of_use, "admin.metrics_token", no_use)])?;
        let Some(listen) = self.listen else {
            return Ok(());
        };
        let same_host =
            listen.ip() == public.ip() || listen.ip().is_unspecified() || public.ip().is_unspecified();
        // Where both are port 0, each gets one of its own.
        let apart = listen.port() == 0 || listen.port() != public.port() || !same_host;
        let same = format!("{listen} is the address of the public listener (`listen` is {public})");
        let open = format!(
            "is needed where admin.listen ({listen}) can be reached from other machines; set it, best by \
             LIKENESS_ADMIN_TOKEN, or listen on 127.0.0.1"
        );
        ensure([
            (apart, "admin.listen", &same),
            (listen.ip().is_loopback() || has_token, "admin.token", &open),
        ])
    }
}

/// TLS. It is on where there is a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// File with the certificate and those between it and a root, in this order (PEM).
    pub certificate: Option<PathBuf>,
    /// File with the certificate's private key (PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase).
    pub key: Option<PathBuf>,
    /// File with the roots that clients' certificates must come from (PEM).
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate. Default: off.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// Whether the admin listener speaks TLS too, with the same certificate. Default: no.
    pub admin: bool,
    /// How long a client may take for the handshake. Default: 10 s.
    #[serde(rename = "handshake_seconds", with = "seconds")]
    #[default(Duration::from_secs(10))]
    pub handshake: Duration,
    /// Pause between two polls of the files for changes; 0: they are read again at a reload only. Default: 10 s.
    #[serde(rename = "check_seconds", with = "seconds")]
    #[default(Duration::from_secs(10))]
    pub check: Duration,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Off,
    /// They are, and may have none; one that is not of [`TlsConfig::client_ca`] is rejected.
    Optional,
    /// Clients without one of [`TlsConfig::client_ca`] are rejected.
    Required,
}

impl TlsConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let (certificate, key) = (self.certificate.is_some(), self.key.is_some());
        let (asks, ca) = (
            self.client_certificates != ClientCertificates::Off,
            self.client_ca.is_some(),
        );
        let is_on = asks || self.admin;
        let no_ca = "is needed where tls.client_certificates asks for certificates";
        let no_asking = "must be \"optional\" or \"required\" with tls.client_ca";
        ensure([
            (key || !certificate, "tls.key", "is needed with tls.certificate"),
            (certificate || !key, "tls.certificate", "is needed with tls.key"),
            (!asks || ca, "tls.client_ca", no_ca),
            (asks || !ca, "tls.client_certificates", no_asking),
            (certificate || !is_on, "tls.certificate", "is needed for TLS"),
        ])
    }
}

/// The proxies before the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProxiesConfig {
    /// Networks whose `X-Forwarded-For` and `Forwarded` are trusted, such as `10.0.0.0/8`. Default: none.
    pub trusted: Vec<IpNet>,
}

/// Cross-origin requests of pages in browsers. None are allowed by default: keys do not belong into pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CorsConfig {
    /// The origins whose pages may send requests, such as `https://onboarding.example`. Default: none.
    pub origins: Vec<String>,
}

impl CorsConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let reason =
            "must be a scheme and a host, such as https://onboarding.example or http://localhost:3000";
        self.origins.iter().enumerate().try_for_each(|(index, origin)| {
            ensure([(is_origin(origin), &format!("cors.origins[{index}]"), reason)])
        })
    }
}

/// Whether browsers send it as it is: `*` is none, on purpose.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or(text.strip_prefix("http://"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    HeaderValue::from_str(text).is_ok()
        && host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_plain))
}

/// The description of the API at `/openapi.json` and the page made of it at `/docs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DocsConfig {
    /// Whether they are there; off, both are `NOT_FOUND`. Default: true. They say nothing of this installation.
    #[default(true)]
    pub enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(listen: &str, token: Option<&str>) -> Option<String> {
        let config = AdminConfig {
            listen: Some(listen.parse().unwrap()),
            token: token.map(Into::into),
            metrics_token: None,
        };
        let public = "127.0.0.1:8080".parse().unwrap();
        config.validate(public).err().map(|error| error.to_string())
    }

    #[test]
    fn an_admin_listener_reached_from_other_machines_needs_a_token() {
        for loopback in ["127.0.0.1:9090", "127.9.9.9:9090", "[::1]:9090"] {
            assert_eq!(fault(loopback, None), None);
            assert_eq!(fault(loopback, Some("s3cret")), None);
        }
        for open in [
            "0.0.0.0:9090",
            "[::]:9090",
            "10.0.0.1:9090",
            "[::ffff:127.0.0.1]:9090",
        ] {
            let error = fault(open, None).unwrap();
            assert!(
                error.contains("admin.token") && error.contains("LIKENESS_ADMIN_TOKEN"),
                "{error}"
            );
            assert_eq!(fault(open, Some("s3cret")), None);
        }
    }

    #[test]
    fn the_listeners_have_addresses_of_their_own() {
        for same in ["127.0.0.1:8080", "0.0.0.0:8080"] {
            let error = fault(same, Some("s3cret")).unwrap();
            assert!(
                error.contains("admin.listen") && error.contains("127.0.0.1:8080"),
                "{error}"
            );
        }
        assert_eq!(fault("127.0.0.2:8080", None), None);
        assert_eq!(fault("127.0.0.1:0", None), None);
    }

    #[test]
    fn a_token_fits_into_a_header() {
        for wrong in ["", " s3cret", "s3 cret", "s3\tcret", &"s".repeat(257)] {
            let error = fault("127.0.0.1:9090", Some(wrong)).unwrap();
            assert!(error.contains("admin.token") && !error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn a_base_path_begins_with_one_slash_and_ends_with_none() {
        let fault = |path: &str| {
            let config = Config {
                base_path: path.to_owned(),
                ..Config::default()
            };
            config.validate_base_path().err().map(|error| error.to_string())
        };
        for right in ["", "/idv", "/a/b", "/v1.0/id-v_e~r", "/..."] {
            assert_eq!(fault(right), None, "{right}");
        }
        for wrong in [
            "/",
            "idv",
            "/idv/",
            "//idv",
            "/a//b",
            "idv/",
            "http://a.example/idv",
        ] {
            let error = fault(wrong).unwrap();
            assert!(
                error.contains("base_path") && error.contains("one slash"),
                "{error}"
            );
        }
        for wrong in [
            "/a b", "/a?b", "/a#b", "/%61", "/a/../b", "/.", "/\u{e9}", "/{a}", "/*a",
        ] {
            let error = fault(wrong).unwrap();
            assert!(error.contains("letters, digits"), "{error}");
        }
        assert!(fault(&format!("/{}", "a".repeat(256))).unwrap().contains("256"));
    }

    #[test]
    fn only_origins_are_taken() {
        for right in ["https://a.example", "http://localhost:3000", "http://[::1]:8080"] {
            assert!(is_origin(right), "{right}");
        }
        for wrong in [
            "*",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "null",
            "ftp://a",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
