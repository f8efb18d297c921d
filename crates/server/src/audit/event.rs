//! What a line of the audit says. Ids, scores and decisions; never a picture, an embedding or a key.

use std::net::IpAddr;

use jiff::Timestamp;
use likeness_api::ErrorCode;
use serde::Serialize;

use super::Refused;
use super::waiting::Withheld;
use crate::handlers::Endpoint;
use crate::record::{Picture, Record, millis};

/// Version of what events say; it changes when a field does.
const VERSION: u8 = 1;

/// A request to a verification endpoint that has ended.
#[derive(Debug, Serialize)]
pub(super) struct Verification<'a> {
    v: u8,
    time: String,
    kind: &'static str,
    request_id: String,
    correlation_id: Option<&'a str>,
    client: Option<IpAddr>,
    app: Option<&'a str>,
    endpoint: Option<&'static str>,
    path: &'a str,
    profile: Option<&'a str>,
    pack: Option<&'a str>,
    pack_version: Option<&'a str>,
    pack_digest: Option<&'a str>,
    match_calibration: Option<&'a str>,
    liveness_calibration: Option<&'a str>,
    selfie: File,
    photo: File,
    face_match: Option<f64>,
    liveness: Option<f64>,
    threshold: Option<f64>,
    outcome: Option<&'static str>,
    codes: &'a [&'static str],
    status: u16,
    error: Option<&'static str>,
    limit: Option<&'static str>,
    ms: Milliseconds,
}

#[derive(Debug, Serialize)]
struct File {
    bytes: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    faces: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    total: f64,
    body: Option<f64>,
    queue: Option<f64>,
    decode: Option<f64>,
    detect: Option<f64>,
    embed: Option<f64>,
    liveness: Option<f64>,
    quality: Option<f64>,
}

/// Something that befell the service.
#[derive(Debug, Serialize)]
pub(super) struct Note<'a> {
    v: u8,
    time: String,
    kind: &'static str,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> Verification<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let facts = &record.facts;
        let models = facts.models.as_ref();
        let timings = facts.timings;
        Self {
            v: VERSION,
            time: time(Timestamp::now()),
            kind: "verification",
            request_id: record.meta.id.to_string(),
            correlation_id: record.correlation_id.as_deref(),
            client: facts.client,
            app: facts.app.as_deref(),
            endpoint: facts.endpoint.map(Endpoint::as_str),
            path: &record.path,
            profile: facts.profile.as_deref(),
            pack: models.map(|models| models.pack.as_str()),
            pack_version: models.map(|models| models.pack_version.as_str()),
            pack_digest: models.map(|models| models.pack_digest.as_str()),
            match_calibration: models.map(|models| models.match_calibration.as_str()),
            liveness_calibration: models.map(|models| models.liveness_calibration.as_str()),
            selfie: File::of(facts.selfie),
            photo: File::of(facts.photo),
            face_match: facts.face_match,
            liveness: facts.liveness,
            threshold: facts.threshold,
            outcome: facts.outcome,
            codes: &facts.codes,
            status: record.status,
            error: facts.error.as_ref().map(|error| ErrorCode::as_str(error.code())),
            limit: facts.refused_by,
            ms: Milliseconds {
                total: millis(record.total),
                body: facts.body_read.map(millis),
                queue: facts.queued().map(millis),
                decode: timings.map(|timings| millis(timings.decode)),
                detect: timings.map(|timings| millis(timings.detect)),
                embed: timings.map(|timings| millis(timings.embed)),
                liveness: timings.map(|timings| millis(timings.liveness)),
                quality: timings.map(|timings| millis(timings.quality)),
            },
        }
    }
}

impl<'a> Note<'a> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            v: VERSION,
            time: time(Timestamp::now()),
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

    /// So many requests were refused alike that have no record of their own.
    pub(super) fn skipped(refused: &'a Refused, requests: u64) -> Self {
        Self {
            app: refused.app.as_deref(),
            status: Some(refused.status),
            error: refused.error.map(ErrorCode::as_str),
            ..Self::new("skipped").with_lost(requests)
        }
    }

    /// The client has got another answer than the line of its request says.
    pub(super) fn withheld(withheld: &'a Withheld) -> Self {
        Self {
            request_id: Some(&withheld.subject.request_id),
            app: withheld.subject.app.as_deref(),
            status: Some(withheld.status),
            ..Self::new("withheld")
        }
    }

    pub(super) fn with_models(self, info: &'a likeness_engine::EngineLabels) -> Self {
        Self {
            pack: Some(&info.pack),
            pack_version: Some(&info.pack_version),
            pack_digest: Some(&info.pack_digest),
            provider: Some(&info.provider),
            ..self
        }
    }

    pub(super) fn with_lost(self, lost: u64) -> Self {
        Self {
            lost: Some(lost),
            ..self
        }
    }
}

impl File {
    fn of(picture: Picture) -> Self {
        Self {
            bytes: picture.bytes,
            width: picture.size.map(|(width, _)| width),
            height: picture.size.map(|(_, height)| height),
            faces: picture.faces,
        }
    }
}

/// RFC 3339, UTC, with microseconds.
fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
