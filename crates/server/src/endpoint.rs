//! The endpoints and versions of the API.

use likeness_storage::apps::AppEndpoint;

use crate::config::{LimitsConfig, VersionLimits};

/// A verification endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Biometric,
    Liveness,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 2] = [Self::Biometric, Self::Liveness];

    /// Returns the endpoint as the settings of apps have it.
    pub(crate) const fn setting(self) -> AppEndpoint {
        match self {
            Self::Biometric => AppEndpoint::Biometric,
            Self::Liveness => AppEndpoint::Liveness,
        }
    }

    /// Returns the name in paths, audit records and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Biometric => "biometric-verification",
            Self::Liveness => "liveness-verification",
        }
    }
}

/// A version of the API. They differ only in the accepted sizes of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    V0_1,
    V0_2,
}

impl ApiVersion {
    pub(crate) const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

    /// Returns the first segment of paths.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::V0_1 => "/v0.1",
            Self::V0_2 => "/v0.2",
        }
    }

    /// Returns the accepted sizes of images.
    pub(crate) fn sides(self, limits: &LimitsConfig) -> VersionLimits {
        match self {
            Self::V0_1 => limits.v0_1,
            Self::V0_2 => limits.v0_2,
        }
    }
}
