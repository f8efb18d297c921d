//! The operator's port.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::secrets::{check_credential, optional_secret, redacted};

/// The operator's port: a second one, apart from that of the callers. It is off unless it has an address.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Address and port to listen on for the operator. Absent: there is no such port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// What an operator sends as `Authorization: Bearer …`. Absent: nothing is asked for, which is allowed on loopback
    /// addresses only.
    #[serde(
        default,
        deserialize_with = "optional_secret",
        serialize_with = "redacted",
        skip_serializing_if = "Option::is_none"
    )]
    pub token: Option<SecretString>,
    /// What may be sent instead of `token` where nothing is changed: for `/metrics` and `/info`. What collects metrics
    /// need not be able to do what an operator can. Needs `token`.
    #[serde(
        default,
        deserialize_with = "optional_secret",
        serialize_with = "redacted",
        skip_serializing_if = "Option::is_none"
    )]
    pub metrics_token: Option<SecretString>,
}

impl AdminConfig {
    /// Checks the settings against each other and against the callers' address.
    pub(super) fn validate(&self, callers: SocketAddr) -> Result<(), ConfigError> {
        let tokens = [
            ("admin.token", &self.token),
            ("admin.metrics_token", &self.metrics_token),
        ];
        for (key, token) in tokens {
            let Some(token) = token else { continue };
            let token = token.expose_secret();
            let wrong = check_credential(token).err().or_else(|| {
                let has_space = token.contains(char::is_whitespace);
                has_space.then_some("has spaces in it")
            });
            if let Some(reason) = wrong {
                return Err(ConfigError::invalid(key, reason));
            }
        }
        if self.metrics_token.is_some() && self.token.is_none() {
            return Err(ConfigError::invalid(
                "admin.metrics_token",
                "is of no use without admin.token: nothing is asked for then",
            ));
        }
        let Some(listen) = self.listen else {
            return Ok(());
        };
        let same_host =
            listen.ip() == callers.ip() || listen.ip().is_unspecified() || callers.ip().is_unspecified();
        // Where both ask for port 0, each gets one of its own.
        if listen.port() != 0 && listen.port() == callers.port() && same_host {
            return Err(ConfigError::invalid(
                "admin.listen",
                format!("{listen} is the address that callers use (`listen` is {callers})"),
            ));
        }
        if !listen.ip().is_loopback() && self.token.is_none() {
            return Err(ConfigError::invalid(
                "admin.token",
                format!(
                    "is needed where admin.listen ({listen}) can be reached from elsewhere; set it, best by \
                     LIKENESS_ADMIN_TOKEN, or listen on 127.0.0.1"
                ),
            ));
        }
        Ok(())
    }
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
        let callers = "127.0.0.1:8080".parse().unwrap();
        config.validate(callers).err().map(|error| error.to_string())
    }

    #[test]
    fn who_is_reached_from_elsewhere_asks_for_a_token() {
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
    fn operators_and_callers_have_ports_of_their_own() {
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
}
