//! Options of execution providers.

use std::path::PathBuf;

use strum::VariantArray;

use super::Provider;

/// Execution settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// The name of the provider is unknown.
    #[error(
        "there is no execution provider '{name}': it must be one of {}",
        Provider::names()
    )]
    UnknownProvider {
        /// The name.
        name: String,
    },
    /// The name of the precision is unknown.
    #[error("there is no precision '{name}': it must be f32, tf32 or f16")]
    UnknownPrecision {
        /// The name.
        name: String,
    },
    /// The provider does not have this option, or does not take this value.
    #[error("provider {provider}: option {option}: {reason}")]
    Option {
        /// Its name on the command line and in configuration.
        option: &'static str,
        /// Which provider.
        provider: Provider,
        /// Why.
        reason: String,
    },
}

impl ExecutionError {
    pub(super) fn unknown_provider(name: &str) -> Self {
        let name = name.to_owned();
        Self::UnknownProvider { name }
    }

    fn unknown_precision(name: &str) -> Self {
        let name = name.to_owned();
        Self::UnknownPrecision { name }
    }
}

/// The numbers with which a provider computes what the models define in `f32`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = ExecutionError, parse_err_fn = ExecutionError::unknown_precision)]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits throughout, also where the provider would choose fewer by itself: scores are those of the CPU provider
    /// but for rounding.
    #[default]
    F32,
    /// NVIDIA's TensorFloat-32: products of numbers with 10 bits of mantissa, summed in 32 bits.
    Tf32,
    /// 16 bits.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name in configuration and in `/info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Options of execution providers; `None` leaves each at the provider's default, which is said here. An option that the
/// provider in use does not have is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderOptions {
    /// Number of the GPU, from 0, for `cuda`, `tensorrt` and `directml`. Default: 0.
    pub device_id: Option<u16>,
    /// Kind of device. For `openvino`: `CPU` (default), `GPU`, `GPU.1` and so on, `NPU`. For `coreml`: `ALL` (default),
    /// `CPUAndNeuralEngine`, `CPUAndGPU`, `CPUOnly`.
    pub device_type: Option<String>,
    /// How much of the GPU's memory a session may take, in MiB: for `cuda` its arena, default all there is; for `tensorrt`
    /// the workspace while it compiles, default 1 GiB. The default pack has seven sessions, and each worker has its own unless
    /// they [share](Self::shared_sessions) them.
    pub memory_limit_mib: Option<u32>,
    /// With which numbers it computes: `f32` (default); `tf32` for `cuda`; `f16` for `openvino` on a GPU or NPU, `tensorrt`
    /// and `coreml`. Others than `f32` move scores.
    pub precision: Option<Precision>,
    /// Threads that compute for one session of `openvino` on `CPU`. Default: 1, since each worker has sessions of its own.
    pub threads: Option<u16>,
    /// Calls of one session that `openvino` can compute at the same time. Default: 1; a worker makes one at a time.
    pub streams: Option<u8>,
    /// Folder in which `openvino`, `tensorrt` and `coreml` keep compiled models for the next start. Default: none.
    pub cache_folder: Option<PathBuf>,
    /// Whether parts of a model that the provider cannot execute may run on ONNX Runtime's CPU kernels. Default: no, such
    /// a model is then refused. For all but `cpu`.
    pub cpu_nodes: Option<bool>,
    /// Whether all workers use the same sessions: one set of weights, one run at a time. With `cpu`, `cuda` and `directml`
    /// what waited during a run is computed in one batch, up to 32 images. Default: on GPUs and NPUs and with `coreml`, not
    /// on processors, where each core computes for a worker of its own.
    pub shared_sessions: Option<bool>,
}

impl ProviderOptions {
    /// Returns each option: its name on the command line and in configuration, the providers that have it, and whether it is
    /// set.
    #[must_use]
    pub fn table(&self) -> [(&'static str, &'static [Provider], bool); 9] {
        use Provider::{CoreMl, Cuda, DirectMl, OpenVino, TensorRt};
        // By name, so that a new field is not forgotten here.
        let Self {
            device_id,
            device_type,
            memory_limit_mib,
            precision,
            threads,
            streams,
            cache_folder,
            cpu_nodes,
            shared_sessions,
        } = self;
        let all_but_cpu = &[OpenVino, Cuda, TensorRt, CoreMl, DirectMl];
        [
            ("device_id", &[Cuda, TensorRt, DirectMl], device_id.is_some()),
            ("device_type", &[OpenVino, CoreMl], device_type.is_some()),
            ("memory_limit_mib", &[Cuda, TensorRt], memory_limit_mib.is_some()),
            ("precision", Provider::ALL, precision.is_some()),
            ("threads", &[OpenVino], threads.is_some()),
            ("streams", &[OpenVino], streams.is_some()),
            (
                "cache_folder",
                &[OpenVino, TensorRt, CoreMl],
                cache_folder.is_some(),
            ),
            ("cpu_nodes", all_but_cpu, cpu_nodes.is_some()),
            ("shared_sessions", Provider::ALL, shared_sessions.is_some()),
        ]
    }
}
