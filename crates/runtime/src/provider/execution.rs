//! A provider with its options, checked.

use ort::ep::coreml::ComputeUnits;

use super::{ExecutionError, Precision, Provider, ProviderOptions, listed};

/// Most threads and streams of a session: more than any machine has processors to give to one worker.
const MAX_THREADS: u16 = 256;

/// An execution provider with its options. Whether they go together is [checked](Self::check) where they are used, at the
/// latest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Execution {
    /// The provider.
    pub provider: Provider,
    /// How it executes.
    pub options: ProviderOptions,
}

impl From<Provider> for Execution {
    /// With the provider's defaults.
    fn from(provider: Provider) -> Self {
        Self::new(provider, ProviderOptions::default())
    }
}

impl Execution {
    /// Returns a provider with these options.
    #[must_use]
    pub fn new(provider: Provider, options: ProviderOptions) -> Self {
        Self { provider, options }
    }

    /// Returns the device that it executes on, in the provider's words: `CPU`, `GPU.1`, `GPU 0`.
    #[must_use]
    pub fn device(&self) -> String {
        match self.provider {
            Provider::Cpu => "CPU".to_owned(),
            Provider::OpenVino | Provider::CoreMl => self.device_type().to_owned(),
            Provider::Cuda | Provider::TensorRt | Provider::DirectMl => format!("GPU {}", self.device_id()),
        }
    }

    /// Returns the numbers with which it computes.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.options.precision.unwrap_or_default()
    }

    pub(super) fn device_id(&self) -> u16 {
        self.options.device_id.unwrap_or(0)
    }

    pub(super) fn device_type(&self) -> &str {
        let default = if self.provider == Provider::CoreMl {
            "ALL"
        } else {
            "CPU"
        };
        self.options.device_type.as_deref().unwrap_or(default)
    }

    /// Returns whether a model that the provider cannot execute whole is refused.
    pub(crate) fn refuses_cpu_nodes(&self) -> bool {
        self.provider != Provider::Cpu && self.options.cpu_nodes != Some(true)
    }

    /// Returns whether all workers use the same sessions: as the option says, else on devices other than the processor, whose
    /// memory would hold the models once for each worker, and which compute many images at once sooner than one after the
    /// other.
    #[must_use]
    pub fn shares_sessions(&self) -> bool {
        self.options.shared_sessions.unwrap_or(match self.provider {
            Provider::Cpu => false,
            Provider::OpenVino => self.device_type() != "CPU",
            Provider::Cuda | Provider::TensorRt | Provider::CoreMl | Provider::DirectMl => true,
        })
    }

    /// Returns whether a batch of a size that was not met before costs nothing: TensorRT, OpenVINO and Core ML compile a model
    /// for what it is given.
    pub(crate) fn takes_any_batch(&self) -> bool {
        matches!(self.provider, Provider::Cpu | Provider::Cuda | Provider::DirectMl)
    }

    /// Checks that the provider has the options and takes their values. Neither library nor device is asked.
    ///
    /// # Errors
    /// [`ExecutionError::Option`].
    pub fn check(&self) -> Result<(), ExecutionError> {
        match self.fault() {
            None => Ok(()),
            Some((option, reason)) => Err(ExecutionError::Option {
                option,
                provider: self.provider,
                reason,
            }),
        }
    }

    /// Returns the first option that is wrong, and why.
    fn fault(&self) -> Option<(&'static str, String)> {
        let Self { provider, options } = self;
        for (option, providers, is_set) in options.table() {
            if is_set && !providers.contains(provider) {
                return Some((option, format!("it is an option of {}", listed(providers))));
            }
        }
        let is_outside =
            |number: Option<u16>| number.is_some_and(|number| !(1..=MAX_THREADS).contains(&number));
        let bounds = format!("it must be between 1 and {MAX_THREADS}");
        // ONNX Runtime takes the options as C strings.
        let is_folder = options.cache_folder.as_deref().is_none_or(|folder| {
            let text = folder.to_str();
            text.is_some_and(|text| !text.is_empty() && !text.contains('\0'))
        });
        let checks = [
            ("device_type", self.device_type_fault()),
            ("precision", self.precision_fault()),
            ("threads", is_outside(options.threads).then(|| bounds.clone())),
            (
                "streams",
                is_outside(options.streams.map(u16::from)).then_some(bounds),
            ),
            (
                "threads",
                (options.threads.is_some() && self.device_type() != "CPU")
                    .then(|| "it is for device_type CPU".to_owned()),
            ),
            (
                "memory_limit_mib",
                (options.memory_limit_mib == Some(0)).then(|| "it must be at least 1".to_owned()),
            ),
            (
                "cache_folder",
                (!is_folder).then(|| "it must be the path of a folder, in UTF-8".to_owned()),
            ),
        ];
        checks
            .into_iter()
            .find_map(|(option, fault)| Some((option, fault?)))
    }

    fn device_type_fault(&self) -> Option<String> {
        let device = self.options.device_type.as_deref()?;
        let (is_known, known) = match self.provider {
            // AUTO, MULTI and HETERO would choose by themselves: a silent fall-back.
            Provider::OpenVino => (
                is_openvino_device(device),
                "it must be one device: CPU, GPU, GPU.0, GPU.1 and so on, or NPU",
            ),
            _ => (
                compute_units(device).is_some(),
                "it must be ALL, CPUAndNeuralEngine, CPUAndGPU or CPUOnly",
            ),
        };
        (!is_known).then(|| format!("'{device}': {known}"))
    }

    fn precision_fault(&self) -> Option<String> {
        match (self.provider, self.precision()) {
            (_, Precision::F32)
            | (Provider::Cuda, Precision::Tf32)
            | (Provider::TensorRt | Provider::CoreMl, Precision::F16) => None,
            (Provider::OpenVino, Precision::F16) => (self.device_type() == "CPU")
                .then(|| "f16 is for device_type GPU or NPU".to_owned()),
            (Provider::Cuda, Precision::F16) => Some(
                "cuda computes as the model's file says, which is f32: tf32 is what it can do with fewer bits, and tensorrt \
                 has f16"
                    .to_owned(),
            ),
            (provider, precision) => Some(format!("{provider} has no {precision}")),
        }
    }
}

/// Returns the devices that Core ML may use.
pub(super) fn compute_units(name: &str) -> Option<ComputeUnits> {
    Some(match name {
        "ALL" => ComputeUnits::All,
        "CPUAndNeuralEngine" => ComputeUnits::CPUAndNeuralEngine,
        "CPUAndGPU" => ComputeUnits::CPUAndGPU,
        "CPUOnly" => ComputeUnits::CPUOnly,
        _ => return None,
    })
}

/// `CPU`, `NPU`, `GPU`, or `GPU.` and a number.
fn is_openvino_device(device: &str) -> bool {
    matches!(device, "CPU" | "NPU" | "GPU")
        || device.strip_prefix("GPU.").is_some_and(|number| {
            (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        })
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
        for &provider in Provider::ALL {
            for (option, providers, _) in ProviderOptions::default().table() {
                let mut one = ProviderOptions::default();
                match option {
                    "device_id" => one.device_id = values.device_id,
                    "device_type" => {
                        let device = if provider == Provider::CoreMl {
                            "ALL"
                        } else {
                            "CPU"
                        };
                        one.device_type = Some(device.to_owned());
                    }
                    "memory_limit_mib" => one.memory_limit_mib = values.memory_limit_mib,
                    "precision" => one.precision = values.precision,
                    "threads" => one.threads = values.threads,
                    "streams" => one.streams = values.streams,
                    "cache_folder" => one.cache_folder.clone_from(&values.cache_folder),
                    "cpu_nodes" => one.cpu_nodes = values.cpu_nodes,
                    "shared_sessions" => one.shared_sessions = values.shared_sessions,
                    other => panic!("{other} has no value"),
                }
                let set: Vec<&str> = one.table().iter().filter(|row| row.2).map(|row| row.0).collect();
                assert_eq!(set, [option]);
                assert_eq!(
                    Execution::new(provider, one).check().is_ok(),
                    providers.contains(&provider),
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
        for &provider in Provider::ALL {
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
