//! The search for the ONNX Runtime shared library.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use crate::{Provider, RuntimeError};

/// Environment variable that names the library file.
pub const ENV_LIBRARY: &str = "ORT_DYLIB_PATH";

/// The oldest ONNX Runtime that works is 1.24: the API level that this crate compiles against.
pub const OLDEST_MINOR_VERSION: u32 = 24;

/// Folder that `make setup` unpacks the library into, below the root of a checkout; `-openvino` and so on follows for those
/// with other providers.
const SETUP_FOLDER: &str = ".setup/onnxruntime";

/// From `target/release/deps/<test>` to the root of a checkout.
const LEVELS_ABOVE_EXECUTABLE: usize = 4;

/// The places to search for the ONNX Runtime library, in this order: the file given to [`with_file`](Self::with_file) or the
/// folder given to [`with_folder`](Self::with_folder), the file named by [`ORT_DYLIB_PATH`](ENV_LIBRARY), the folder that `make setup` unpacks into above the running
/// executable, `lib/` beside the executable and `../lib/likeness/`, the system's library path. Where a provider is asked for
/// that a library of its own has, its folders come before: what `make setup-openvino` or `make setup-cuda` unpacks,
/// `lib/openvino/` and so on.
///
/// With one of the first three, no other place is searched: a named file that does not load is an error. The working directory
/// is never searched, since a library is code.
#[derive(Debug, Clone, Default)]
pub struct LibrarySearch {
    pub(crate) file: Option<PathBuf>,
    pub(crate) folder: Option<PathBuf>,
}

/// A library that was found and loaded, and its version.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

impl LibrarySearch {
    /// Returns the usual places.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the file; no other place is searched.
    #[must_use]
    pub fn with_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Sets the folder that has the library, by its usual name on this platform; no other place is searched.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Returns the file that was set, or that of the folder that was set.
    pub(crate) fn given(&self) -> Option<PathBuf> {
        let in_folder = |folder: &PathBuf| library_in(folder).unwrap_or_else(|| folder.join(library_name()));
        self.file.clone().or_else(|| self.folder.as_ref().map(in_folder))
    }

    pub(crate) fn find(&self, provider: Provider) -> Result<Library, RuntimeError> {
        let of_environment = || std::env::var_os(ENV_LIBRARY).filter(|value| !value.is_empty());
        if let Some(path) = self.given().or_else(|| of_environment().map(PathBuf::from)) {
            return Library::at(&path).map_err(|reason| RuntimeError::LibraryUnusable { path, reason });
        }
        let mut looked_for = vec![
            "--ort-lib: not given".to_owned(),
            format!("{ENV_LIBRARY}: not set"),
        ];
        for folder in folders(provider) {
            let Some(path) = library_in(&folder) else {
                let path = folder.join(library_name());
                looked_for.push(format!("{}: nothing there", path.display()));
                continue;
            };
            match Library::at(&path) {
                Ok(library) => return Ok(library),
                Err(reason) => looked_for.push(format!("{}: {reason}", path.display())),
            }
        }
        let name = library_name();
        match inspect(Path::new(&name)) {
            Ok(version) => Ok(Library {
                path: name.into(),
                version,
            }),
            Err(reason) => {
                looked_for.push(format!("{name} in the system's library path: {reason}"));
                Err(RuntimeError::LibraryNotFound { looked_for })
            }
        }
    }
}

impl Library {
    fn at(path: &Path) -> Result<Self, String> {
        let version = inspect(path)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, version })
    }
}

fn library_name() -> String {
    format!(
        "{}onnxruntime{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    )
}

/// Where set-up and packages put libraries: those with the provider first, then those with the CPU provider only.
fn folders(provider: Provider) -> Vec<PathBuf> {
    let Ok(executable) = std::env::current_exe() else {
        return Vec::new();
    };
    let above: Vec<&Path> = executable.ancestors().skip(1).collect();
    let setup = |kind: &str| {
        above
            .iter()
            .take(LEVELS_ABOVE_EXECUTABLE)
            .map(|folder| folder.join(format!("{SETUP_FOLDER}{kind}")))
            .find(|folder| folder.is_dir())
    };
    let beside = above.first().map(|folder| folder.join("lib"));
    let packaged = above.get(1).map(|folder| folder.join("lib").join("likeness"));
    let kind = folder_of(provider);
    let of_kind = kind.into_iter().flat_map(|kind| {
        let packaged = [&beside, &packaged].into_iter().flatten();
        setup(&format!("-{kind}"))
            .into_iter()
            .chain(packaged.map(move |folder| folder.join(kind)))
    });
    let of_all = [setup(""), beside.clone(), packaged.clone()];
    of_kind.chain(of_all.into_iter().flatten()).collect()
}

/// Which library has the provider: the name of its folder, where it is not the library of all.
fn folder_of(provider: Provider) -> Option<&'static str> {
    match provider {
        Provider::Cpu | Provider::CoreMl => None,
        Provider::OpenVino => Some("openvino"),
        Provider::Cuda | Provider::TensorRt => Some("cuda"),
        Provider::DirectMl => Some("directml"),
    }
}

/// The library in a folder, with or without a version behind its name (`libonnxruntime.so.1.32.0`).
fn library_in(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join(library_name());
    if plain.is_file() {
        return Some(plain);
    }
    let prefix = format!("{}.", library_name());
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    files
        .filter(|file| {
            file.file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&prefix))
        })
        .map(|file| file.path())
        .max()
}

/// Loads the library and asks for its version. ort would do the same later but panics where a library is too old for
/// its API level, so the version is looked at first.
fn inspect(path: &Path) -> Result<String, String> {
    if path.components().count() > 1 && !path.is_file() {
        return Err("no such file".to_owned());
    }
    let version = version_of(path)?;
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) < (1, OLDEST_MINOR_VERSION) {
        return Err(format!(
            "it is version {version}, at least 1.{OLDEST_MINOR_VERSION} is needed"
        ));
    }
    Ok(version)
}

#[allow(unsafe_code)]
fn version_of(path: &Path) -> Result<String, String> {
    // SAFETY: the file is one that the operator named or installed as the ONNX Runtime; running its initialisers is
    // what they asked for. `OrtGetApiBase` is the library's documented entry point and returns a pointer to a static.
    unsafe {
        let library = libloading::Library::new(path).map_err(|error| error.to_string())?;
        let entry: libloading::Symbol<'_, unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> = library
            .get(b"OrtGetApiBase")
            .map_err(|_| "it is not an ONNX Runtime library".to_owned())?;
        let base = entry();
        if base.is_null() {
            return Err("it is not an ONNX Runtime library".to_owned());
        }
        let version = ((*base).GetVersionString)();
        if version.is_null() {
            return Err("it does not tell its version".to_owned());
        }
        let version = CStr::from_ptr(version).to_string_lossy().into_owned();
        // Unloading and loading again would run the initialisers of a large C++ library twice.
        std::mem::forget(library);
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_nothing_else_is_tried() {
        let error = LibrarySearch::new()
            .with_file("/nowhere/libonnxruntime.so")
            .find(Provider::Cpu)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot load ONNX Runtime from /nowhere/libonnxruntime.so: no such file"
        );
    }

    #[test]
    fn a_named_folder_without_the_library_is_an_error_and_nothing_else_is_tried() {
        let error = LibrarySearch::new()
            .with_folder("/nowhere")
            .find(Provider::Cpu)
            .unwrap_err();
        let expected = format!(
            "cannot load ONNX Runtime from {}: no such file",
            Path::new("/nowhere").join(library_name()).display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_named_file_that_is_no_library_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libonnxruntime.so");
        std::fs::write(&file, b"not a library").unwrap();
        let error = LibrarySearch::new()
            .with_file(&file)
            .find(Provider::Cpu)
            .unwrap_err();
        assert!(matches!(error, RuntimeError::LibraryUnusable { .. }), "{error}");
    }

    #[test]
    fn a_versioned_library_is_found_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(library_in(folder.path()), None);
        let versioned = folder.path().join(format!("{}.1.32.0", library_name()));
        std::fs::write(&versioned, b"").unwrap();
        assert_eq!(library_in(folder.path()), Some(versioned));
        let plain = folder.path().join(library_name());
        std::fs::write(&plain, b"").unwrap();
        assert_eq!(library_in(folder.path()), Some(plain));
    }
}
