//! One line of the log for each request. Ids, scores and decisions; never a picture, an embedding or a key.

use likeness_api::ApiError;

use crate::telemetry::record::{Record, millis};

/// Writes the line of a request that has ended.
pub(crate) fn write(record: &Record) {
    let facts = &record.facts;
    let timings = facts.timings;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "likeness::request",
                request_id = %record.meta.id,
                correlation_id = record.correlation_id.as_deref(),
                client = facts.client.map(tracing::field::display),
                app = facts.app.as_deref(),
                method = record.method.as_str(),
                endpoint = record.path.as_str(),
                status = record.status,
                error = facts.error.as_ref().map(|error| error.code().as_str()),
                message = facts.error.as_ref().map(ApiError::message),
                cause = facts.error.as_ref().and_then(ApiError::cause),
                profile = facts.profile.as_deref(),
                outcome = facts.outcome,
                selfie_faces = facts.selfie.faces,
                photo_faces = facts.photo.faces,
                face_match = facts.face_match,
                liveness = facts.liveness,
                total_ms = millis(record.total),
                body_ms = facts.body_read.map(millis),
                queue_ms = facts.queued().map(millis),
                decode_ms = timings.map(|timings| millis(timings.decode)),
                detect_ms = timings.map(|timings| millis(timings.detect)),
                embed_ms = timings.map(|timings| millis(timings.embed)),
                liveness_ms = timings.map(|timings| millis(timings.liveness)),
                quality_ms = timings.map(|timings| millis(timings.quality)),
            )
        };
    }
    match record.status {
        500 => line!(error),
        501.. => line!(warn),
        // Probes come every few seconds.
        _ if matches!(record.path.as_str(), "/healthz" | "/readyz") => line!(debug),
        // So does what collects metrics, where it is let in.
        200 if record.path == "/metrics" => line!(debug),
        _ => line!(info),
    }
}
