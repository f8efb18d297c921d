//! Profiles and thresholds: from scores to review and reject.
