//! The decoder as the program uses it.

use std::path::PathBuf;
use std::process::ExitCode;

use likeness_imaging::{Format, HeifDecoder, HeifFile, ImagingError, Interrupt};

use crate::protocol::{COMMAND, Order};
use crate::report::{HeifError, Library};

/// Decodes HEIC and AVIF by the system's libheif, each image in a process of its own.
#[derive(Debug, Clone)]
pub struct SystemHeif {
    program: PathBuf,
    library: Library,
}

impl SystemHeif {
    /// Returns the decoder, after it has started the process once: that must find the library and be able to confine itself.
    ///
    /// `program` must call [`serve`] when its first argument is [`COMMAND`], as `likeness` does. `None`: this program.
    ///
    /// # Errors
    ///
    /// [`HeifError`], by cause.
    pub fn start(program: Option<PathBuf>) -> Result<Self, HeifError> {
        // A program that forgets to call `serve` would start itself without end.
        if std::env::args_os().nth(1).is_some_and(|first| first == COMMAND) {
            let reason = format!("this program does not call `serve` when its first argument is {COMMAND}");
            return Err(HeifError::Process(reason));
        }
        // This very file, even if another has taken its name since.
        let program = program.unwrap_or_else(|| "/proc/self/exe".into());
        let library = report(&program)?;
        if library.hevc.is_none() && library.av1.is_none() {
            return Err(HeifError::NoDecoder(library.version));
        }
        Ok(Self { program, library })
    }

    /// Returns the library that was found.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }

    fn check_codec(&self, format: Format) -> Result<(), ImagingError> {
        let (codec, name, plugin) = match format {
            Format::Avif => (&self.library.av1, "AV1", "dav1d"),
            _ => (&self.library.hevc, "HEVC", "libde265"),
        };
        if codec.is_some() {
            return Ok(());
        }
        let version = &self.library.version;
        Err(format.unsupported(format!(
            "libheif {version} has no {name} decoder, libheif-plugin-{plugin}"
        )))
    }
}

impl HeifDecoder for SystemHeif {
    fn decode(
        &self,
        file: &HeifFile<'_>,
        factor: u32,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<u8>, ImagingError> {
        self.check_codec(file.format)?;
        decode(&self.program, file, &Order::of(file, factor), interrupt)
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use crate::linux::{
    child,
    process::{decode, report},
};

/// Decodes one image from standard input to standard output, as the confined process. The program must end afterwards.
///
/// `arguments` are those after [`COMMAND`]. Call it at the program's start, before there are threads: it confines this process.
#[must_use]
pub fn serve(arguments: &[String]) -> ExitCode {
    child::serve(arguments)
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod elsewhere {
    use std::path::Path;

    use super::*;

    pub(super) fn report(_: &Path) -> Result<Library, HeifError> {
        Err(HeifError::Platform)
    }

    pub(super) fn decode(
        _: &Path,
        file: &HeifFile<'_>,
        _: &Order,
        _: Interrupt<'_>,
    ) -> Result<Vec<u8>, ImagingError> {
        let (format, reason) = (file.format, HeifError::Platform.to_string());
        Err(ImagingError::Decoder { format, reason })
    }

    pub(super) mod child {
        pub(crate) fn serve(_: &[String]) -> std::process::ExitCode {
            std::process::ExitCode::FAILURE
        }
    }
}
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
use elsewhere::{child, decode, report};
