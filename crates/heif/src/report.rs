//! What the process reports before it decodes: its library, or why it has none.

/// Why the system's libheif cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeifError {
    /// The library is missing, or lacks what is needed of it.
    #[error("cannot load libheif.so.1: {0}; install it (Debian and Ubuntu: `apt-get install libheif1`)")]
    Library(String),
    /// The library has no decoder.
    #[error(
        "libheif {0} has no decoder: install its plugins (Debian and Ubuntu: libheif-plugin-libde265 for HEIC, \
         libheif-plugin-dav1d for AVIF)"
    )]
    NoDecoder(String),
    /// The process cannot be started, or cannot be confined.
    #[error("cannot start the process that decodes HEIC and AVIF: {0}")]
    Process(String),
    /// Not on this system.
    #[error(
        "HEIC and AVIF are supported on Linux (x86-64 and arm64) only, where the process can be confined"
    )]
    Platform,
}

/// The libheif of this system: its version, and the decoder of each codec by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Library {
    /// The version, such as `1.15.1`.
    pub version: String,
    /// The decoder of HEVC, for HEIC.
    pub hevc: Option<String>,
    /// The decoder of AV1, for AVIF.
    pub av1: Option<String>,
}
