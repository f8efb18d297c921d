//! The Likeness engine: detection, embedding, liveness and decision in one call.
