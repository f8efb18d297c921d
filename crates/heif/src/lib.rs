//! HEIC and AVIF by the system's `libheif.so.1`, in a confined process for each image.
//!
//! libheif and its codecs are C and C++ over hostile input. They are never loaded into the program that serves: [`SystemHeif`]
//! starts the program once more for each image, with an empty environment, and [`serve`] in that process loads the library,
//! gives up files, network and other processes, limits its memory, and decodes. A crash, an endless loop or an exploit affects one
//! image only.
//!
//! `likeness-imaging` has read the boxes of the file before: what they declare is within the limits, and the process must
//! return exactly the size that they declare.
//!
//! Linux on x86-64 and arm64 only: elsewhere [`SystemHeif::start`] fails.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    pub(crate) mod child;
    mod confine;
    mod library;
    pub(crate) mod process;

    #[cfg(test)]
    mod tests;
}
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    allow(dead_code, reason = "elsewhere there is no process")
)]
mod protocol;
mod report;
mod system;

pub use protocol::COMMAND;
pub use report::{HeifError, Library};
pub use system::{SystemHeif, serve};
