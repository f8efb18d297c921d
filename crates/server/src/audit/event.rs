//! The events of audit records. Ids, scores and decisions; never an image, an embedding or a key.

use std::net::IpAddr;

use jiff::Timestamp;
use likeness_api::ErrorCode;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::waiting::Subject;

/// Version of the events; it changes when a field does.
const VERSION: u8 = 2;

/// An event: a verification, or something that happened to the service itself.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Event<'a> {
    Verification(&'a Verification<'a>),
    Start {
        pack: &'a str,
        pack_version: &'a str,
        pack_digest: &'a str,
        provider: &'a str,
    },
    Stop,
    Lost {
        lost: u64,
    },
    /// So many requests were refused alike that have no record of their own.
    Skipped {
        lost: u64,
        #[serde(flatten)]
        refused: Refused,
    },
    /// Something was done in the console, or refused.
    Console(&'a ConsoleAction<'a>),
    /// The client has received another response than the record of its request says.
    Withheld {
        #[serde(flatten)]
        subject: Subject,
        status: u16,
    },
}

/// Something that an operator did in the console, or that was refused.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ConsoleAction<'a> {
    /// Such as `login`, `app.create` or `reload`.
    pub(crate) action: &'a str,
    /// `done`, `refused` or `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) client: Option<IpAddr>,
    /// The label of the session, the same from login to logout; it does not open it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<&'a str>,
    /// The app that was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<&'a str>,
    /// Why it was refused or failed, or which settings it changed. Never a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<&'a str>,
}

/// What refused requests have in common that are recorded together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Refused {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<String>,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "code")]
    pub(super) error: Option<ErrorCode>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    v: u8,
    time: String,
    /// The version of the service, in its own events.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl Event<'_> {
    /// Returns the event as JSON, with its time: RFC 3339, UTC, with microseconds.
    pub(super) fn json(&self) -> serde_json::Result<Box<RawValue>> {
        serde_json::value::to_raw_value(&Envelope {
            v: VERSION,
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            version: (!matches!(self, Self::Verification(_))).then_some(env!("CARGO_PKG_VERSION")),
            event: self,
        })
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
    /// `console` for what was tried there; absent for requests of apps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<&'static str>,
    pub(crate) path: &'a str,
    pub(crate) profile: Option<&'a str>,
    pub(crate) pack: Option<&'a str>,
    pub(crate) pack_version: Option<&'a str>,
    pub(crate) pack_digest: Option<&'a str>,
    pub(crate) match_calibration: Option<&'a str>,
    pub(crate) liveness_calibration: Option<&'a str>,
    pub(crate) cohort: Option<&'a str>,
    pub(crate) selfie: ImageFacts,
    pub(crate) photo: ImageFacts,
    pub(crate) face_match: Option<f64>,
    pub(crate) cosine: Option<f64>,
    pub(crate) normalised_similarity: Option<f64>,
    pub(crate) liveness: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) codes: &'a [&'static str],
    pub(crate) status: u16,
    #[serde(serialize_with = "code")]
    pub(crate) error: Option<ErrorCode>,
    pub(crate) limit: Option<&'static str>,
    /// The time of each stage in milliseconds.
    #[serde(serialize_with = "map")]
    pub(crate) ms: Vec<(&'static str, Option<f64>)>,
}

/// The facts about one of the two images; width and height of the upright image, in pixels.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct ImageFacts {
    pub(crate) bytes: Option<u64>,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) faces: Option<u64>,
    /// Degrees clockwise by which the image was turned upright; 0: not at all.
    pub(crate) rotation: Option<u16>,
}

fn code<S: Serializer>(code: &Option<ErrorCode>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(ErrorCode::as_str).serialize(serializer)
}

fn map<S: Serializer>(entries: &[(&str, Option<f64>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().copied())
}
