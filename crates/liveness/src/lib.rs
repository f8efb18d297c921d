//! Passive liveness (presentation attack detection) for Likeness.
