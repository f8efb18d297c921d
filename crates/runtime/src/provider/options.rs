//! What can be said of how a provider executes.

use std::path::PathBuf;
use std::str::FromStr;

use super::Provider;
use crate::RuntimeError;

/// With which numbers a provider computes what the models say in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::F16];

    /// The name in configuration and in `/info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Precision {
    type Err = RuntimeError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.as_str() == name)
            .ok_or_else(|| RuntimeError::UnknownPrecision {
                name: name.to_owned(),
            })
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
    /// the workspace while it compiles, default 1 GiB. The default pack has four sessions, and each worker has its own unless
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

/// One of the fields of [`ProviderOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderOption {
    /// [`ProviderOptions::device_id`].
    DeviceId,
    /// [`ProviderOptions::device_type`].
    DeviceType,
    /// [`ProviderOptions::memory_limit_mib`].
    MemoryLimit,
    /// [`ProviderOptions::precision`].
    Precision,
    /// [`ProviderOptions::threads`].
    Threads,
    /// [`ProviderOptions::streams`].
    Streams,
    /// [`ProviderOptions::cache_folder`].
    CacheFolder,
    /// [`ProviderOptions::cpu_nodes`].
    CpuNodes,
    /// [`ProviderOptions::shared_sessions`].
    SharedSessions,
}

impl ProviderOption {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::DeviceId,
        Self::DeviceType,
        Self::MemoryLimit,
        Self::Precision,
        Self::Threads,
        Self::Streams,
        Self::CacheFolder,
        Self::CpuNodes,
        Self::SharedSessions,
    ];

    /// The name on the command line and in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeviceId => "device_id",
            Self::DeviceType => "device_type",
            Self::MemoryLimit => "memory_limit_mib",
            Self::Precision => "precision",
            Self::Threads => "threads",
            Self::Streams => "streams",
            Self::CacheFolder => "cache_folder",
            Self::CpuNodes => "cpu_nodes",
            Self::SharedSessions => "shared_sessions",
        }
    }

    /// Which providers have it.
    #[must_use]
    pub fn providers(self) -> &'static [Provider] {
        use Provider::{CoreMl, Cuda, DirectMl, OpenVino, TensorRt};
        match self {
            Self::DeviceId => &[Cuda, TensorRt, DirectMl],
            Self::DeviceType => &[OpenVino, CoreMl],
            Self::MemoryLimit => &[Cuda, TensorRt],
            Self::Precision | Self::SharedSessions => &Provider::ALL,
            Self::Threads | Self::Streams => &[OpenVino],
            Self::CacheFolder => &[OpenVino, TensorRt, CoreMl],
            Self::CpuNodes => &[OpenVino, Cuda, TensorRt, CoreMl, DirectMl],
        }
    }
}

impl std::fmt::Display for ProviderOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ProviderOptions {
    /// Those that are set.
    pub(super) fn set(&self) -> impl Iterator<Item = ProviderOption> {
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
        [
            (ProviderOption::DeviceId, device_id.is_some()),
            (ProviderOption::DeviceType, device_type.is_some()),
            (ProviderOption::MemoryLimit, memory_limit_mib.is_some()),
            (ProviderOption::Precision, precision.is_some()),
            (ProviderOption::Threads, threads.is_some()),
            (ProviderOption::Streams, streams.is_some()),
            (ProviderOption::CacheFolder, cache_folder.is_some()),
            (ProviderOption::CpuNodes, cpu_nodes.is_some()),
            (ProviderOption::SharedSessions, shared_sessions.is_some()),
        ]
        .into_iter()
        .filter_map(|(option, is_set)| is_set.then_some(option))
    }
}
