//! TLS on the service's ports.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::seconds;

/// The shortest pause between two looks at the files.
const MIN_CHECK: Duration = Duration::from_millis(10);

/// TLS. It is on where there is a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// File with the certificate and those between it and a root, in this order (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// File with the certificate's private key (PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// File with the roots that clients' certificates must come from (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate. Default: off.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// Whether the operator's port speaks TLS too, with the same certificate. Default: no.
    #[serde(default)]
    pub operators: bool,
    /// How long a client may take for the handshake. Default: 10 s.
    #[serde(rename = "handshake_seconds", with = "seconds")]
    pub handshake: Duration,
    /// Pause between two looks whether the files have changed; 0: only when an operator asks. Default: 10 s.
    #[serde(rename = "check_seconds", with = "seconds")]
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
    /// They are, and may have none; one that is not of [`TlsConfig::client_ca`] is refused.
    Optional,
    /// Who has none of [`TlsConfig::client_ca`] is refused.
    Required,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_certificates: ClientCertificates::Off,
            operators: false,
            handshake: Duration::from_secs(10),
            check: Duration::from_secs(10),
        }
    }
}

impl TlsConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let is_on = self.certificate.is_some();
        if is_on != self.key.is_some() {
            let (there, missing) = if is_on {
                ("certificate", "key")
            } else {
                ("key", "certificate")
            };
            return Err(ConfigError::invalid(
                format!("tls.{missing}"),
                format!("is needed where there is a tls.{there}"),
            ));
        }
        let asks = self.client_certificates != ClientCertificates::Off;
        if asks && self.client_ca.is_none() {
            return Err(ConfigError::invalid(
                "tls.client_ca",
                "is needed where tls.client_certificates asks for certificates",
            ));
        }
        if self.client_ca.is_some() && !asks {
            return Err(ConfigError::invalid(
                "tls.client_certificates",
                "must be \"optional\" or \"required\" where there is a tls.client_ca",
            ));
        }
        if (asks || self.operators) && !is_on {
            return Err(ConfigError::invalid("tls.certificate", "is needed for TLS"));
        }
        if self.handshake.is_zero() {
            return Err(ConfigError::invalid(
                "tls.handshake_seconds",
                "must be more than 0",
            ));
        }
        if !self.check.is_zero() && self.check < MIN_CHECK {
            let reason = format!("must be 0 or at least {}", MIN_CHECK.as_secs_f64());
            return Err(ConfigError::invalid("tls.check_seconds", reason));
        }
        Ok(())
    }
}
