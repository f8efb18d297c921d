//! What this program was built from.

use serde::Serialize;

/// What this program was built from.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Build {
    pub(crate) version: &'static str,
    /// What `LIKENESS_GIT_COMMIT` said while it was built.
    pub(crate) commit: Option<&'static str>,
    pub(crate) rustc: &'static str,
    pub(crate) target: &'static str,
}

impl Build {
    /// Of this very program. The build script says the last two.
    pub(crate) const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("LIKENESS_GIT_COMMIT"),
        rustc: env!("LIKENESS_BUILD_RUSTC"),
        target: env!("LIKENESS_BUILD_TARGET"),
    };
}
