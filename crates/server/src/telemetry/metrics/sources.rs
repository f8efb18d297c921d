//! Whom the metrics ask when they are collected, of what other parts of the service know. Each is set once, by the part
//! that knows; what nobody has set is not among the metrics.

use std::sync::OnceLock;
use std::time::SystemTime;

use crate::audit::AuditGauges;

/// The certificate that is served.
pub(crate) trait CertificateGauges: Send + Sync {
    /// When it expires.
    fn not_after(&self) -> Option<SystemTime>;
}

/// Those who are asked.
#[derive(Default)]
pub(crate) struct Sources {
    pub(super) audit: OnceLock<Box<dyn AuditGauges>>,
    pub(super) certificate: OnceLock<Box<dyn CertificateGauges>>,
}

impl Sources {
    /// A second call changes nothing, here and below.
    pub(crate) fn set_audit(&self, gauges: impl AuditGauges + 'static) {
        let _ = self.audit.set(Box::new(gauges));
    }

    pub(crate) fn set_certificate(&self, gauges: impl CertificateGauges + 'static) {
        let _ = self.certificate.set(Box::new(gauges));
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("audit", &self.audit.get().is_some())
            .field("certificate", &self.certificate.get().is_some())
            .finish()
    }
}
