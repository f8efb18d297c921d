//! PEM files, loaded for rustls.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

use crate::config::{ClientCertificates, TlsConfig};

/// Largest file that is read, in bytes: chains have a few kilobytes, CA bundles some hundred.
const MAX_BYTES: u64 = 4 << 20;

/// An error of the TLS files. The operator must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the TLS file {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The content of a file is unusable.
    #[error("cannot use the TLS file {path}: {reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The certificate has expired.
    #[error("the TLS certificate {path} has expired", path = path.display())]
    Expired {
        /// The file.
        path: PathBuf,
    },
    /// The certificate is not valid yet.
    #[error("the TLS certificate {path} is not valid yet", path = path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not match.
    #[error("cannot serve the TLS certificate {certificate} with the key {key}: {reason}", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The error of rustls.
        reason: String,
    },
}

/// The files that a configuration names.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    client_ca: Option<PathBuf>,
    clients: ClientCertificates,
}

/// The contents of the files.
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// A certificate that can be served.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) digest: String,
    not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Loaded {
    /// Checks that the certificate is valid now.
    pub(super) fn check_time(&self, files: &Files) -> Result<(), TlsError> {
        let now = SystemTime::now();
        let path = files.certificate.clone();
        if self.not_after <= now {
            Err(TlsError::Expired { path })
        } else if self.not_before > now {
            Err(TlsError::NotYetValid { path })
        } else {
            Ok(())
        }
    }
}

impl Contents {
    /// Returns a digest that differs for other contents.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.certificate, &self.key].into_iter().chain(&self.client_ca) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize())
    }
}

impl Files {
    pub(super) fn of(config: &TlsConfig) -> Option<Self> {
        Some(Self {
            certificate: config.certificate.clone()?,
            key: config.key.clone()?,
            client_ca: config.client_ca.clone(),
            clients: config.client_certificates,
        })
    }

    /// Returns whether others than the owner and a group may read the key.
    pub(super) fn key_is_open(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(&self.key).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
        }
        #[cfg(not(unix))]
        false
    }

    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    pub(super) fn load(&self, contents: &Contents) -> Result<Loaded, TlsError> {
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let (not_before, not_after) = chain
            .first()
            .map_or(Err("no certificate".to_owned()), validity)
            .map_err(|reason| content(&self.certificate, reason))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
            let reason = format!("no usable private key ({error}); keys with a passphrase are not supported");
            content(&self.key, reason)
        })?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| content(&self.certificate, error.to_string()))?;
        let builder = match self.client_verifier(contents)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| TlsError::Pair {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                reason: error.to_string(),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded {
            config: Arc::new(config),
            digest: contents.digest(),
            not_before,
            not_after,
        })
    }

    fn client_verifier(&self, contents: &Contents) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(path), Some(pem)) = (&self.client_ca, &contents.client_ca) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(path, pem)? {
            roots
                .add(root)
                .map_err(|error| content(path, error.to_string()))?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
        let builder = match self.clients {
            ClientCertificates::Off => return Ok(None),
            ClientCertificates::Optional => builder.allow_unauthenticated(),
            ClientCertificates::Required => builder,
        };
        builder
            .build()
            .map(Some)
            .map_err(|error| content(path, error.to_string()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| TlsError::File {
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(content(path, format!("more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path, error.to_string()))?;
    if chain.is_empty() {
        return Err(content(path, "no PEM certificate".to_owned()));
    }
    Ok(chain)
}

fn content(path: &Path, reason: String) -> TlsError {
    TlsError::Content {
        path: path.to_owned(),
        reason,
    }
}

/// Returns the validity: not before, not after.
fn validity(certificate: &CertificateDer<'_>) -> Result<(SystemTime, SystemTime), String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let validity = parsed.validity();
    let [not_before, not_after] = [validity.not_before, validity.not_after].map(|time| {
        let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
        UNIX_EPOCH + Duration::from_secs(seconds)
    });
    Ok((not_before, not_after))
}
