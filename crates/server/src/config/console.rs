//! The console: pages for operators on the admin listener.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::values::{check_credential, secret};
use super::{AdminConfig, ConfigError, TlsConfig, ensure};

/// Fewest characters of a token: it is compared at most five times a minute for each address, but for ever.
const MIN_TOKEN: usize = 16;

/// The console. It is off unless it is enabled: the admin listener alone opens no page.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsoleConfig {
    /// Whether the admin listener serves the console, under `/console`. Default: no.
    pub enabled: bool,
    /// The token to log in with, at least 16 characters. Required where the console is enabled, also on loopback addresses.
    #[serde(with = "secret")]
    pub token: Option<SecretString>,
    /// Whether the console may be served without TLS where `admin.listen` can be reached from other machines. Default: no.
    pub allow_plain: bool,
    /// Names besides `localhost` by which browsers may open the console, without a port, such as `likeness.example`. IP
    /// addresses need no entry. Default: none.
    pub allowed_hosts: Vec<String>,
}

impl ConsoleConfig {
    pub(super) fn validate(&self, admin: &AdminConfig, tls: &TlsConfig) -> Result<(), ConfigError> {
        let token = self.token.as_ref().map(ExposeSecret::expose_secret);
        if let Some(token) = token {
            let invalid = |reason| ConfigError::invalid("console.token", reason);
            check_credential(token).map_err(invalid)?;
            let is_metrics = |other: &SecretString| other.expose_secret() == token;
            ensure([
                (
                    token.chars().count() >= MIN_TOKEN,
                    "console.token",
                    "has fewer than 16 characters",
                ),
                (
                    !admin.metrics_token.as_ref().is_some_and(is_metrics),
                    "console.token",
                    "is admin.metrics_token, which may only read metrics: choose another",
                ),
            ])?;
        }
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            let reason = "must be the name of a host without scheme and port, such as likeness.example";
            ensure([(is_host(host), &format!("console.allowed_hosts[{index}]"), reason)])?;
        }
        if !self.enabled {
            return Ok(());
        }
        let Some(listen) = admin.listen else {
            let reason = "the console is on the admin listener: set admin.listen, such as 127.0.0.1:9090";
            return Err(ConfigError::invalid("console.enabled", reason));
        };
        let no_token = "is needed to log in to the console, also on loopback addresses; set it, best by \
                        LIKENESS_CONSOLE_TOKEN";
        let is_safe = listen.ip().is_loopback() || Self::is_tls(tls) || self.allow_plain;
        let plain = format!(
            "admin.listen ({listen}) can be reached from other machines without TLS: set tls.admin = true with a \
             certificate, listen on 127.0.0.1, or set console.allow_plain = true where a proxy adds TLS"
        );
        ensure([
            (token.is_some(), "console.token", no_token),
            (is_safe, "console.enabled", &plain),
        ])
    }

    /// Returns whether the admin listener speaks TLS.
    pub(crate) fn is_tls(tls: &TlsConfig) -> bool {
        tls.admin && tls.certificate.is_some()
    }

    /// Returns whether a browser may name this host, without a port: `localhost`, an IP address (in brackets if it is one of
    /// IPv6), or one of [`allowed_hosts`](Self::allowed_hosts). A page of another origin can only reach this service by a
    /// name of its own (DNS rebinding), never by an address.
    pub(crate) fn allows_host(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        host.eq_ignore_ascii_case("localhost")
            || bare.unwrap_or(host).parse::<IpAddr>().is_ok()
            || self
                .allowed_hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn fault(listen: Option<&str>, change: impl FnOnce(&mut ConsoleConfig)) -> Option<String> {
        let admin = AdminConfig {
            listen: listen.map(|listen| listen.parse().unwrap()),
            token: Some("s3cret-of-the-operator".into()),
            metrics_token: Some("s3cret-of-prometheus".into()),
        };
        let mut console = ConsoleConfig {
            enabled: true,
            token: Some(TOKEN.into()),
            ..ConsoleConfig::default()
        };
        change(&mut console);
        let checked = console.validate(&admin, &TlsConfig::default());
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn an_enabled_console_needs_a_listener_and_a_token() {
        assert_eq!(fault(Some("127.0.0.1:9090"), |_| ()), None);
        let error = fault(None, |_| ()).unwrap();
        assert!(error.contains("admin.listen"), "{error}");
        let error = fault(Some("127.0.0.1:9090"), |console| console.token = None).unwrap();
        assert!(
            error.contains("console.token") && error.contains("LIKENESS_CONSOLE_TOKEN"),
            "{error}"
        );
        assert_eq!(fault(None, |console| console.enabled = false), None);
    }

    #[test]
    fn a_token_is_long_and_not_that_of_the_metrics() {
        for wrong in ["", "short", "s3cret-of-prometheus", " 0123456789abcdef"] {
            let error = fault(Some("127.0.0.1:9090"), |console| {
                console.token = Some(wrong.into());
            });
            let error = error.unwrap();
            assert!(
                error.contains("console.token") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn other_machines_need_tls_or_an_explicit_choice() {
        let error = fault(Some("10.0.0.1:9090"), |_| ()).unwrap();
        assert!(
            error.contains("tls.admin") && error.contains("allow_plain"),
            "{error}"
        );
        assert_eq!(
            fault(Some("10.0.0.1:9090"), |console| console.allow_plain = true),
            None
        );
    }

    #[test]
    fn a_host_is_an_address_or_a_listed_name() {
        let console = ConsoleConfig {
            allowed_hosts: vec!["likeness.example".into()],
            ..ConsoleConfig::default()
        };
        for right in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "[::1]",
            "10.1.2.3",
            "Likeness.Example",
        ] {
            assert!(console.allows_host(right), "{right}");
        }
        for wrong in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
        ] {
            assert!(!console.allows_host(wrong), "{wrong}");
        }
    }

    #[test]
    fn allowed_hosts_are_names() {
        for wrong in ["", "https://a.example", "a.example:9090", "*"] {
            let error = fault(Some("127.0.0.1:9090"), |console| {
                console.allowed_hosts = vec![wrong.into()];
            });
            assert!(error.unwrap().contains("console.allowed_hosts[0]"), "{wrong}");
        }
    }
}
