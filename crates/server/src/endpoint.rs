//! The endpoints of the API and its versions.

use likeness_storage::apps::AppEndpoint;

/// Which verification a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Biometric,
    Liveness,
}

impl Endpoint {
    /// As the settings of apps have it.
    pub(crate) const fn setting(self) -> AppEndpoint {
        match self {
            Self::Biometric => AppEndpoint::Biometric,
            Self::Liveness => AppEndpoint::Liveness,
        }
    }

    /// As operators name it, in records and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Biometric => "biometric-verification",
            Self::Liveness => "liveness-verification",
        }
    }
}

/// Versions of the API: the same but for the sizes of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    V0_1,
    V0_2,
}

impl ApiVersion {
    pub(crate) const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

    /// What paths begin with.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::V0_1 => "/v0.1",
            Self::V0_2 => "/v0.2",
        }
    }
}
