//! Execution providers.

mod execution;
mod options;
mod register;

use ort::ep::{self, ExecutionProvider};
use strum::VariantArray;

pub use execution::Execution;
pub use options::{ExecutionError, Precision, ProviderOptions};

/// An execution provider. Which are available depends on the ONNX Runtime library alone: nothing but Rust is compiled in for
/// any.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = ExecutionError, parse_err_fn = ExecutionError::unknown_provider)]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime's own CPU kernels.
    #[default]
    Cpu,
    /// Intel's OpenVINO, on processors (of AMD too), Intel's GPUs and NPUs.
    OpenVino,
    /// NVIDIA's GPUs by CUDA and cuDNN.
    Cuda,
    /// NVIDIA's GPUs by TensorRT, which compiles each model for the GPU.
    TensorRt,
    /// Apple's Core ML.
    CoreMl,
    /// DirectX 12 GPUs on Windows.
    DirectMl,
}

impl Provider {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name on the command line, in configuration and in `/info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the names of all, for messages.
    #[must_use]
    pub fn names() -> String {
        listed(Self::ALL)
    }

    /// Returns whether the loaded library was built with it, whatever the machine has.
    pub(crate) fn is_in_library(self) -> bool {
        let is_there = match self {
            Self::Cpu => ep::CPU::is_available(),
            Self::OpenVino => ep::OpenVINO::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::TensorRt => ep::TensorRT::is_available(),
            Self::CoreMl => ep::CoreML::is_available(),
            Self::DirectMl => ep::DirectML::is_available(),
        };
        is_there.unwrap_or(false)
    }

    /// Lists the providers that the loaded library was built with.
    pub(crate) fn of_library() -> String {
        listed(Self::ALL.iter().filter(|provider| provider.is_in_library()))
    }

    /// Returns whether it is faster with a model compiled for each shape of its input. Measured for OpenVINO only
    /// (docs/performance.md).
    pub(crate) fn prefers_fixed_shapes(self) -> bool {
        self == Self::OpenVino
    }

    /// Returns the advice for a library without it, or where it does not start.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Cpu => "name another library with --ort-lib FILE or ORT_DYLIB_PATH=FILE",
            Self::OpenVino => {
                "run `make setup-openvino` and name no other library, or name the one of the wheel onnxruntime-openvino with \
                 --ort-lib FILE or ORT_DYLIB_PATH=FILE"
            }
            Self::Cuda => {
                "run `make setup-cuda` on a machine with NVIDIA's driver and name no other library, or name the one of the \
                 wheel onnxruntime-gpu with --ort-lib FILE or ORT_DYLIB_PATH=FILE"
            }
            Self::TensorRt => {
                "run `make setup-cuda` on a machine with NVIDIA's driver, install TensorRT where the system's loader finds it, \
                 and name no other library"
            }
            Self::CoreMl => {
                "it is part of the wheel onnxruntime for macOS: run `make setup` there and name no other library"
            }
            Self::DirectMl => {
                "it is part of the wheel onnxruntime-directml for Windows: name its onnxruntime.dll with --ort-lib FILE or \
                 ORT_DYLIB_PATH=FILE"
            }
        }
    }
}

/// Lists the names of providers, for messages.
fn listed<'a>(providers: impl IntoIterator<Item = &'a Provider>) -> String {
    let names: Vec<&str> = providers.into_iter().map(Into::into).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_parsed_from_its_name() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse::<Provider>().unwrap(), *provider);
        }
    }

    #[test]
    fn an_unknown_provider_is_an_error_that_names_the_known_ones() {
        for name in ["", "CPU", "cpu ", "rocm"] {
            assert_eq!(
                name.parse::<Provider>().unwrap_err().to_string(),
                format!(
                    "there is no execution provider '{name}': it must be one of cpu, openvino, cuda, tensorrt, coreml, directml"
                )
            );
        }
    }
}
