//! The audit's event of a request.

use likeness_api::ApiError;

use super::record::{Picture, Record, millis};
use crate::audit::{File, Milliseconds, Verification};
use crate::endpoint::Endpoint;

impl Record {
    /// Returns the event of this request in the audit.
    pub(crate) fn audit_event(&self) -> Verification<'_> {
        let facts = &self.facts;
        let models = facts.models.as_ref();
        let timings = facts.timings;
        Verification {
            request_id: self.meta.id.to_string(),
            correlation_id: self.correlation_id.as_deref(),
            client: facts.client,
            app: facts.app.as_deref(),
            endpoint: facts.endpoint.map(Endpoint::as_str),
            path: &self.path,
            profile: facts.profile.as_deref(),
            pack: models.map(|models| models.pack.as_str()),
            pack_version: models.map(|models| models.pack_version.as_str()),
            pack_digest: models.map(|models| models.pack_digest.as_str()),
            match_calibration: models.map(|models| models.match_calibration.as_str()),
            liveness_calibration: models.map(|models| models.liveness_calibration.as_str()),
            selfie: file(facts.selfie),
            photo: file(facts.photo),
            face_match: facts.face_match,
            liveness: facts.liveness,
            threshold: facts.threshold,
            outcome: facts.outcome,
            codes: &facts.codes,
            status: self.status,
            error: facts.error.as_ref().map(ApiError::code),
            limit: facts.refused_by,
            ms: Milliseconds {
                total: millis(self.total),
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

fn file(image: Picture) -> File {
    File {
        bytes: image.bytes,
        width: image.size.map(|(width, _)| width),
        height: image.size.map(|(_, height)| height),
        faces: image.faces,
    }
}
