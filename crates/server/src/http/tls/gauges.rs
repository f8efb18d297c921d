//! What metrics tell of the certificate.

use std::time::SystemTime;

use super::Tls;
use crate::telemetry::metrics::CertificateGauges;

impl CertificateGauges for Tls {
    fn not_after(&self) -> Option<SystemTime> {
        Some(self.current().not_after)
    }
}
