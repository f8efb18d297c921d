//! The Kairos-compatible HTTP service of Likeness.
