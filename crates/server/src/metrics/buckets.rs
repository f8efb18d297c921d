//! Upper bounds of histograms.

/// A liveness check takes about 20 ms and a verification about 30 ms (docs/performance.md), so there the steps are fine;
/// group photographs take up to 2 s; the deadline is 10 s, after which nothing takes longer.
pub(super) const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A stage takes from 0.3 ms (quality) over 2 to 8 ms (detection, liveness, embedding) to 18 ms (decoding a progressive
/// JPEG) and 70 ms (a WebP); waiting takes up to the deadline.
pub(super) const STAGE_SECONDS: &[f64] = &[
    0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 10.0,
];

/// Thresholds have two decimals and lie anywhere: twenty steps show where the mass is and whether it moves.
pub(super) const SCORE: &[f64] = &[
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
    1.0,
];

/// None, one, two and a few decide; 64 is the default of `engine.max_faces`.
pub(super) const FACES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 64.0];

/// From a thumbnail to the default of `request_limits.file_bytes`.
pub(super) const UPLOAD_BYTES: &[f64] = &[
    16_384.0,
    65_536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    15_728_640.0,
];
