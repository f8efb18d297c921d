//! Registration of a provider and its options with ONNX Runtime.

use ort::ep::{self, ExecutionProviderDispatch};

use super::{Execution, Precision, Provider};

const MIB: usize = 1024 * 1024;

impl Execution {
    /// Returns the provider for registration, which must not fail; `None` for `cpu`, which is always there.
    pub(crate) fn dispatch(&self) -> Option<ExecutionProviderDispatch> {
        let dispatch = match self.provider {
            Provider::Cpu => return None,
            Provider::OpenVino => self.openvino().build(),
            Provider::Cuda => self.cuda().build(),
            Provider::TensorRt => self.tensorrt().build(),
            Provider::CoreMl => self.coreml().build(),
            Provider::DirectMl => ep::DirectML::default()
                .with_device_id(self.device_id().into())
                .build(),
        };
        Some(dispatch.error_on_failure())
    }

    fn cache_folder(&self) -> Option<&str> {
        // That it is UTF-8 was checked.
        self.options.cache_folder.as_deref()?.to_str()
    }

    fn memory_limit(&self) -> Option<usize> {
        let mib = usize::try_from(self.options.memory_limit_mib?).ok()?;
        Some(mib.saturating_mul(MIB))
    }

    fn openvino(&self) -> ep::OpenVINO {
        // Without it OpenVINO computes with fewer bits on processors that have BF16, and scores move.
        let precision = match self.precision() {
            Precision::F16 => "FP16",
            _ => "FP32",
        };
        let device = self.device_type();
        let mut provider = ep::OpenVINO::default()
            .with_device_type(device)
            .with_precision(precision)
            .with_num_streams(self.options.streams.unwrap_or(1));
        if device == "CPU" {
            provider = provider.with_num_threads(self.options.threads.unwrap_or(1).into());
        }
        match self.cache_folder() {
            Some(folder) => provider.with_cache_dir(folder),
            None => provider,
        }
    }

    fn cuda(&self) -> ep::CUDA {
        let provider = ep::CUDA::default()
            .with_device_id(self.device_id().into())
            // It is on by default.
            .with_tf32(self.precision() == Precision::Tf32);
        match self.memory_limit() {
            Some(limit) => provider.with_memory_limit(limit),
            None => provider,
        }
    }

    fn tensorrt(&self) -> ep::TensorRT {
        let mut provider = ep::TensorRT::default()
            .with_device_id(self.device_id().into())
            .with_fp16(self.precision() == Precision::F16);
        if let Some(limit) = self.memory_limit() {
            provider = provider.with_max_workspace_size(limit);
        }
        match self.cache_folder() {
            Some(folder) => provider
                .with_engine_cache(true)
                .with_engine_cache_path(folder)
                .with_timing_cache(true)
                .with_timing_cache_path(folder),
            None => provider,
        }
    }

    fn coreml(&self) -> ep::CoreML {
        let units =
            super::execution::compute_units(self.device_type()).unwrap_or(ep::coreml::ComputeUnits::All);
        let provider = ep::CoreML::default()
            .with_compute_units(units)
            .with_model_format(ep::coreml::ModelFormat::MLProgram)
            .with_low_precision_accumulation_on_gpu(self.precision() == Precision::F16);
        match self.cache_folder() {
            Some(folder) => provider.with_model_cache_dir(folder),
            None => provider,
        }
    }
}
