//! Formats that the system's libraries decode.

use likeness_engine::HeifChoice;
use serde::{Deserialize, Serialize};

/// Formats that the system's libraries decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImagingConfig {
    /// HEIC and AVIF. Default: off.
    pub heif: Heif,
}

/// How HEIC and AVIF are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Heif {
    /// They are refused.
    #[default]
    Off,
    /// By the system's libheif, in a confined process for each image.
    System,
}

impl From<Heif> for HeifChoice {
    fn from(heif: Heif) -> Self {
        match heif {
            Heif::Off => Self::Off,
            Heif::System => Self::System,
        }
    }
}
