//! The audit's event of a request.

use likeness_api::ApiError;
use likeness_engine::{Engine, Timings};

use super::context::{ImageFacts, RequestContext, millis};
use crate::audit::{File, Milliseconds, Verification};
use crate::endpoint::Endpoint;

impl RequestContext {
    /// Returns the event of this request in the audit.
    pub(crate) fn audit_event(&self) -> Verification<'_> {
        let info = self.engine.as_ref().map(Engine::info);
        let stage = |time: fn(&Timings) -> std::time::Duration| {
            let timings = self.timings.as_ref();
            timings.map(|timings| millis(time(timings)))
        };
        Verification {
            request_id: self.meta.id.to_string(),
            correlation_id: self.correlation_id.as_deref(),
            client: self.client,
            app: self.app.as_deref(),
            endpoint: self.endpoint.map(Endpoint::as_str),
            path: &self.path,
            profile: self.profile.as_deref(),
            pack: info.map(|info| info.pack.as_str()),
            pack_version: info.map(|info| info.pack_version.as_str()),
            pack_digest: info.map(|info| info.pack_digest.as_str()),
            match_calibration: info.map(|info| info.match_calibration.as_str()),
            liveness_calibration: info.map(|info| info.liveness_calibration.as_str()),
            selfie: file(self.selfie),
            photo: file(self.photo),
            face_match: self.face_match,
            liveness: self.liveness,
            threshold: self.threshold,
            outcome: self.outcome,
            codes: &self.codes,
            status: self.status,
            error: self.error.as_ref().map(ApiError::code),
            limit: self.refused_by,
            ms: Milliseconds {
                total: millis(self.total),
                body: self.body_read.map(millis),
                queue: self.queued().map(millis),
                decode: stage(|timings| timings.decode),
                detect: stage(|timings| timings.detect),
                embed: stage(|timings| timings.embed),
                liveness: stage(|timings| timings.liveness),
                quality: stage(|timings| timings.quality),
            },
        }
    }
}

fn file(image: ImageFacts) -> File {
    File {
        bytes: image.bytes,
        width: image.size.map(|(width, _)| width),
        height: image.size.map(|(_, height)| height),
        faces: image.faces,
    }
}
