//! A provider with its options, checked.

use super::{Precision, Provider, ProviderOption, ProviderOptions, listed};
use crate::RuntimeError;

/// Most threads and streams of a session: more than any machine has processors to give to one worker.
const MAX_THREADS: u16 = 256;

/// An execution provider with its options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Execution {
    provider: Provider,
    options: ProviderOptions,
}

impl From<Provider> for Execution {
    /// With the provider's defaults.
    fn from(provider: Provider) -> Self {
        Self {
            provider,
            options: ProviderOptions::default(),
        }
    }
}

impl Execution {
    /// A provider with these options. Whether they go together is [checked](Self::check) where they are used, at the
    /// latest.
    #[must_use]
    pub fn new(provider: Provider, options: ProviderOptions) -> Self {
        Self { provider, options }
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// What was said of how it executes.
    #[must_use]
    pub fn options(&self) -> &ProviderOptions {
        &self.options
    }

    /// The device that it executes on, in the provider's words: `CPU`, `GPU.1`, `GPU 0`.
    #[must_use]
    pub fn device(&self) -> String {
        match self.provider {
            Provider::Cpu => "CPU".to_owned(),
            Provider::OpenVino => self.device_type("CPU").to_owned(),
            Provider::CoreMl => self.device_type("ALL").to_owned(),
            Provider::Cuda | Provider::TensorRt | Provider::DirectMl => format!("GPU {}", self.device_id()),
        }
    }

    /// With which numbers it computes.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.options.precision.unwrap_or_default()
    }

    pub(super) fn device_id(&self) -> u16 {
        self.options.device_id.unwrap_or(0)
    }

    pub(super) fn device_type<'a>(&'a self, default: &'a str) -> &'a str {
        self.options.device_type.as_deref().unwrap_or(default)
    }

    /// Whether a model that the provider cannot execute whole is refused.
    pub(crate) fn refuses_cpu_nodes(&self) -> bool {
        self.provider != Provider::Cpu && self.options.cpu_nodes != Some(true)
    }

    /// Whether all workers use the same sessions: as the option says, else on devices other than the processor, whose memory
    /// would hold the models once for each worker, and which compute many images at once sooner than one after the other.
    #[must_use]
    pub fn shares_sessions(&self) -> bool {
        let is_device = match self.provider {
            Provider::Cpu => false,
            Provider::OpenVino => self.device_type("CPU") != "CPU",
            Provider::Cuda | Provider::TensorRt | Provider::CoreMl | Provider::DirectMl => true,
        };
        self.options.shared_sessions.unwrap_or(is_device)
    }

    /// Whether a batch of a size that was not met before costs nothing: TensorRT, OpenVINO and Core ML compile a model for
    /// what it is given.
    pub(crate) fn takes_any_batch(&self) -> bool {
        matches!(self.provider, Provider::Cpu | Provider::Cuda | Provider::DirectMl)
    }

    /// Whether the provider has the options and takes their values. Neither library nor device is asked.
    ///
    /// # Errors
    /// [`RuntimeError::ProviderOption`].
    pub fn check(&self) -> Result<(), RuntimeError> {
        let provider = self.provider;
        for option in self.options.set() {
            if !option.providers().contains(&provider) {
                let others = listed(option.providers().iter().copied());
                return Err(self.wrong(option, format!("it is an option of {others}")));
            }
        }
        self.check_device_type()?;
        self.check_precision()?;
        let threads = [
            (ProviderOption::Threads, self.options.threads),
            (ProviderOption::Streams, self.options.streams.map(u16::from)),
        ];
        for (option, number) in threads {
            if number.is_some_and(|number| !(1..=MAX_THREADS).contains(&number)) {
                return Err(self.wrong(option, format!("it must be between 1 and {MAX_THREADS}")));
            }
        }
        if self.options.threads.is_some() && self.device_type("CPU") != "CPU" {
            return Err(self.wrong(ProviderOption::Threads, "it is for device_type CPU".to_owned()));
        }
        if self.options.memory_limit_mib == Some(0) {
            return Err(self.wrong(ProviderOption::MemoryLimit, "it must be at least 1".to_owned()));
        }
        let folder = self.options.cache_folder.as_deref();
        // ONNX Runtime takes the options as C strings.
        if folder.is_some_and(|folder| {
            folder
                .to_str()
                .is_none_or(|text| text.is_empty() || text.contains('\0'))
        }) {
            return Err(self.wrong(
                ProviderOption::CacheFolder,
                "it must be the path of a folder, in UTF-8".to_owned(),
            ));
        }
        Ok(())
    }

    fn check_device_type(&self) -> Result<(), RuntimeError> {
        let Some(device) = self.options.device_type.as_deref() else {
            return Ok(());
        };
        let (is_known, known) = match self.provider {
            // AUTO, MULTI and HETERO would choose by themselves: a silent fall-back.
            Provider::OpenVino => (
                is_openvino_device(device),
                "it must be one device: CPU, GPU, GPU.0, GPU.1 and so on, or NPU",
            ),
            _ => (
                super::register::compute_units(device).is_some(),
                "it must be ALL, CPUAndNeuralEngine, CPUAndGPU or CPUOnly",
            ),
        };
        if is_known {
            Ok(())
        } else {
            Err(self.wrong(ProviderOption::DeviceType, format!("'{device}': {known}")))
        }
    }

    fn check_precision(&self) -> Result<(), RuntimeError> {
        let precision = self.precision();
        let has_it = match (self.provider, precision) {
            (_, Precision::F32) => true,
            (provider, Precision::Tf32) => provider == Provider::Cuda,
            (Provider::OpenVino, Precision::F16) => self.device_type("CPU") != "CPU",
            (provider, Precision::F16) => matches!(provider, Provider::TensorRt | Provider::CoreMl),
        };
        if has_it {
            return Ok(());
        }
        let reason = match (self.provider, precision) {
            (Provider::OpenVino, Precision::F16) => "f16 is for device_type GPU or NPU".to_owned(),
            (Provider::Cuda, Precision::F16) => {
                "cuda computes as the model's file says, which is f32: tf32 is what it can do with fewer bits, and tensorrt \
                 has f16"
                    .to_owned()
            }
            (provider, precision) => format!("{provider} has no {precision}"),
        };
        Err(self.wrong(ProviderOption::Precision, reason))
    }

    fn wrong(&self, option: ProviderOption, reason: String) -> RuntimeError {
        RuntimeError::ProviderOption {
            option,
            provider: self.provider,
            reason,
        }
    }
}

/// `CPU`, `NPU`, `GPU`, or `GPU.` and a number.
fn is_openvino_device(device: &str) -> bool {
    match device.split_once('.') {
        None => matches!(device, "CPU" | "NPU" | "GPU"),
        Some((kind, number)) => {
            kind == "GPU"
                && number.len() <= 2
                && !number.is_empty()
                && number.bytes().all(|it| it.is_ascii_digit())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(provider: Provider, options: ProviderOptions) -> String {
        Execution::new(provider, options).check().unwrap_err().to_string()
    }

    #[test]
    fn an_option_of_another_provider_is_refused() {
        let threads = ProviderOptions {
            threads: Some(2),
            ..ProviderOptions::default()
        };
        assert_eq!(
            refused(Provider::Cpu, threads.clone()),
            "provider cpu: option threads: it is an option of openvino"
        );
        assert!(Execution::new(Provider::OpenVino, threads).check().is_ok());
        let folder = ProviderOptions {
            cache_folder: Some("cache".into()),
            ..ProviderOptions::default()
        };
        assert_eq!(
            refused(Provider::Cuda, folder),
            "provider cuda: option cache_folder: it is an option of openvino, tensorrt, coreml"
        );
    }

    #[test]
    fn every_option_is_of_the_providers_that_it_says() {
        let values = ProviderOptions {
            device_id: Some(0),
            device_type: None,
            memory_limit_mib: Some(512),
            precision: Some(Precision::F32),
            threads: Some(1),
            streams: Some(1),
            cache_folder: Some("cache".into()),
            cpu_nodes: Some(true),
            shared_sessions: Some(true),
        };
        for provider in Provider::ALL {
            for option in ProviderOption::ALL {
                let mut one = ProviderOptions::default();
                match option {
                    ProviderOption::DeviceId => one.device_id = values.device_id,
                    ProviderOption::DeviceType => {
                        let device = if provider == Provider::CoreMl {
                            "ALL"
                        } else {
                            "CPU"
                        };
                        one.device_type = Some(device.to_owned());
                    }
                    ProviderOption::MemoryLimit => one.memory_limit_mib = values.memory_limit_mib,
                    ProviderOption::Precision => one.precision = values.precision,
                    ProviderOption::Threads => one.threads = values.threads,
                    ProviderOption::Streams => one.streams = values.streams,
                    ProviderOption::CacheFolder => one.cache_folder.clone_from(&values.cache_folder),
                    ProviderOption::CpuNodes => one.cpu_nodes = values.cpu_nodes,
                    ProviderOption::SharedSessions => one.shared_sessions = values.shared_sessions,
                }
                assert_eq!(
                    Execution::new(provider, one).check().is_ok(),
                    option.providers().contains(&provider),
                    "{option} of {provider}"
                );
            }
        }
    }

    #[test]
    fn a_device_that_chooses_by_itself_is_refused() {
        let on = |device: &str| {
            let options = ProviderOptions {
                device_type: Some(device.to_owned()),
                ..ProviderOptions::default()
            };
            Execution::new(Provider::OpenVino, options)
        };
        for device in ["CPU", "GPU", "GPU.0", "GPU.12", "NPU"] {
            assert!(on(device).check().is_ok());
            assert_eq!(on(device).device(), device);
        }
        for device in [
            "",
            "cpu",
            "AUTO",
            "AUTO:GPU,CPU",
            "HETERO:GPU,CPU",
            "GPU.",
            "GPU.x",
            "CPU.0",
        ] {
            let said = on(device).check().unwrap_err().to_string();
            assert_eq!(
                said,
                format!(
                    "provider openvino: option device_type: '{device}': it must be one device: CPU, GPU, GPU.0, GPU.1 and so \
                     on, or NPU"
                )
            );
        }
    }

    #[test]
    fn fewer_bits_are_for_providers_that_have_them() {
        let with = |provider, precision, device_type: Option<&str>| {
            let options = ProviderOptions {
                precision: Some(precision),
                device_type: device_type.map(ToOwned::to_owned),
                ..ProviderOptions::default()
            };
            Execution::new(provider, options).check()
        };
        assert!(with(Provider::Cuda, Precision::Tf32, None).is_ok());
        assert!(with(Provider::TensorRt, Precision::F16, None).is_ok());
        assert!(with(Provider::OpenVino, Precision::F16, Some("GPU")).is_ok());
        let said = |provider, precision| with(provider, precision, None).unwrap_err().to_string();
        assert!(said(Provider::Cuda, Precision::F16).contains("tensorrt has f16"));
        assert!(said(Provider::OpenVino, Precision::F16).ends_with("f16 is for device_type GPU or NPU"));
        assert!(said(Provider::Cpu, Precision::F16).ends_with("cpu has no f16"));
        assert_eq!(
            "f64".parse::<Precision>().unwrap_err().to_string(),
            "there is no precision 'f64': it must be f32, tf32 or f16"
        );
    }

    #[test]
    fn devices_share_sessions_unless_told_otherwise_and_the_processor_only_then() {
        let shares = |provider, shared_sessions, device_type: Option<&str>| {
            let options = ProviderOptions {
                shared_sessions,
                device_type: device_type.map(ToOwned::to_owned),
                ..ProviderOptions::default()
            };
            Execution::new(provider, options).shares_sessions()
        };
        for provider in Provider::ALL {
            let is_device = !matches!(provider, Provider::Cpu | Provider::OpenVino);
            assert_eq!(shares(provider, None, None), is_device, "{provider}");
            assert!(shares(provider, Some(true), None));
            assert!(!shares(provider, Some(false), None));
        }
        assert!(shares(Provider::OpenVino, None, Some("GPU")));
    }

    #[test]
    fn numbers_are_bounded() {
        let threads = |threads| {
            let options = ProviderOptions {
                threads: Some(threads),
                ..ProviderOptions::default()
            };
            Execution::new(Provider::OpenVino, options).check().is_ok()
        };
        assert!(threads(1) && threads(MAX_THREADS));
        assert!(!threads(0) && !threads(MAX_THREADS + 1));
        let no_memory = ProviderOptions {
            memory_limit_mib: Some(0),
            ..ProviderOptions::default()
        };
        assert_eq!(
            refused(Provider::Cuda, no_memory),
            "provider cuda: option memory_limit_mib: it must be at least 1"
        );
    }
}
