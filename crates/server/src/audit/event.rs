//! The events of audit records. Ids, scores and decisions; never an image, an embedding or a key.

use std::net::IpAddr;

use jiff::Timestamp;
use likeness_api::ErrorCode;
use likeness_engine::EngineInfo;
use serde::{Serialize, Serializer};

use super::Refused;
use super::waiting::Withheld;

/// Version of the events; it changes when a field does.
const VERSION: u8 = 1;

/// What every event begins with.
#[derive(Debug, Serialize)]
pub(super) struct Envelope<'a, E> {
    v: u8,
    time: String,
    kind: &'static str,
    #[serde(flatten)]
    event: &'a E,
}

impl<'a, E: Serialize> Envelope<'a, E> {
    pub(super) fn new(kind: &'static str, event: &'a E) -> Self {
        Self {
            v: VERSION,
            // RFC 3339, UTC, with microseconds.
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            kind,
            event,
        }
    }
}

/// A request to a verification endpoint that has ended.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Verification<'a> {
    pub(crate) request_id: String,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) app: Option<&'a str>,
    pub(crate) endpoint: Option<&'static str>,
    pub(crate) path: &'a str,
    pub(crate) profile: Option<&'a str>,
    pub(crate) pack: Option<&'a str>,
    pub(crate) pack_version: Option<&'a str>,
    pub(crate) pack_digest: Option<&'a str>,
    pub(crate) match_calibration: Option<&'a str>,
    pub(crate) liveness_calibration: Option<&'a str>,
    pub(crate) selfie: File,
    pub(crate) photo: File,
    pub(crate) face_match: Option<f64>,
    pub(crate) liveness: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) codes: &'a [&'static str],
    pub(crate) status: u16,
    #[serde(serialize_with = "code")]
    pub(crate) error: Option<ErrorCode>,
    pub(crate) limit: Option<&'static str>,
    pub(crate) ms: Milliseconds,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct File {
    pub(crate) bytes: Option<u64>,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) faces: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Milliseconds {
    pub(crate) total: f64,
    pub(crate) body: Option<f64>,
    pub(crate) queue: Option<f64>,
    pub(crate) decode: Option<f64>,
    pub(crate) detect: Option<f64>,
    pub(crate) embed: Option<f64>,
    pub(crate) liveness: Option<f64>,
    pub(crate) quality: Option<f64>,
}

fn code<S: Serializer>(code: &Option<ErrorCode>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(ErrorCode::as_str).serialize(serializer)
}

/// An event of the service itself.
#[derive(Debug, Serialize)]
pub(super) struct Note<'a> {
    #[serde(skip)]
    pub(super) kind: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "code")]
    error: Option<ErrorCode>,
}

impl<'a> Note<'a> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            version: env!("CARGO_PKG_VERSION"),
            pack: None,
            pack_version: None,
            pack_digest: None,
            provider: None,
            lost: None,
            request_id: None,
            app: None,
            status: None,
            error: None,
        }
    }

    /// The service has started with these models.
    pub(super) fn start(info: &'a EngineInfo) -> Self {
        Self {
            pack: Some(&info.pack),
            pack_version: Some(&info.pack_version),
            pack_digest: Some(&info.pack_digest),
            provider: Some(&info.provider),
            ..Self::new("start")
        }
    }

    /// So many events were lost.
    pub(super) fn lost(events: u64) -> Self {
        Self {
            lost: Some(events),
            ..Self::new("lost")
        }
    }

    /// So many requests were refused alike that have no record of their own.
    pub(super) fn skipped(refused: &'a Refused, requests: u64) -> Self {
        Self {
            lost: Some(requests),
            app: refused.app.as_deref(),
            status: Some(refused.status),
            error: refused.error,
            ..Self::new("skipped")
        }
    }

    /// The client has received another response than the record of its request says.
    pub(super) fn withheld(withheld: &'a Withheld) -> Self {
        Self {
            request_id: Some(&withheld.subject.request_id),
            app: withheld.subject.app.as_deref(),
            status: Some(withheld.status),
            ..Self::new("withheld")
        }
    }
}
