//! `likeness doctor`.

use std::fmt::Display;

use clap::Args;
use likeness::heif::SystemHeif;
use likeness::packs::{CalibrationFile, Pack};
use likeness::runtime::{Runtime, RuntimeError, available_workers};
use likeness::self_test;
use likeness::server::audit::{audit_folder, nearly_full};
use likeness::server::config::Heif;
use likeness::server::{Check, CheckState, Config};

use super::healthcheck::{agent, service_url};
use super::settings::Settings;
use super::{EngineArguments, Failure, exit, say};

/// Prints each finding, or lists it, and remembers whether there was a problem.
struct Report {
    well: bool,
    /// Where findings are not printed: those so far.
    listed: Option<Vec<Check>>,
}

impl Report {
    fn printed() -> Self {
        Self {
            well: true,
            listed: None,
        }
    }

    fn good(&mut self, what: &str, found: impl Display) -> Result<(), Failure> {
        self.add(CheckState::Good, what, &found.to_string())
    }

    fn note(&mut self, what: &str, found: impl Display) -> Result<(), Failure> {
        self.add(CheckState::Note, what, &found.to_string())
    }

    fn bad(&mut self, what: &str, problem: impl Display) -> Result<(), Failure> {
        self.well = false;
        self.add(CheckState::Bad, what, &problem.to_string())
    }

    fn add(&mut self, state: CheckState, what: &str, text: &str) -> Result<(), Failure> {
        if let Some(listed) = &mut self.listed {
            let (name, text) = (what.to_owned(), text.to_owned());
            listed.push(Check { state, name, text });
            return Ok(());
        }
        match state {
            CheckState::Good => say(format_args!("  ok    {what}: {text}")),
            CheckState::Note => say(format_args!("  note  {what}: {text}")),
            CheckState::Bad => {
                let text = text.replace('\n', "\n        ");
                say(format_args!("  FAIL  {what}: {text}"))
            }
        }
    }

    fn end(&self) -> Result<u8, Failure> {
        let (code, summary) = if self.well {
            (exit::PASS, "No problem found.")
        } else {
            (exit::ERROR, "Problems found: see FAIL above.")
        };
        say(summary).map(|()| code)
    }
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Check instead that the credentials reach the service at this URL, in both spellings of their headers
    #[arg(long, value_name = "URL", requires = "app_id")]
    url: Option<String>,
    /// App to send requests as; its key is read from LIKENESS_APP_KEY
    #[arg(long, value_name = "ID", requires = "url")]
    app_id: Option<String>,
    #[command(flatten)]
    engine: EngineArguments,
}

impl DoctorArguments {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        match (&self.url, &self.app_id) {
            (Some(url), Some(app_id)) => service(url, app_id),
            _ => machine(&self.engine),
        }
    }
}

/// Checks that the credentials reach a service, whatever proxies are before it.
fn service(url: &str, app_id: &str) -> Result<u8, Failure> {
    let key =
        std::env::var("LIKENESS_APP_KEY").map_err(|_| "LIKENESS_APP_KEY must hold the key of the app")?;
    let url = service_url(url)?;
    let mut report = Report::printed();
    let underscores = probe(url, [("app_id", app_id), ("app_key", &key)])?;
    let dashes = probe(url, [("app-id", app_id), ("app-key", &key)])?;
    let problem = match (underscores, dashes) {
        (true, true) => {
            let reach = "app_id, app_key and app-id, app-key both reach the service";
            report.good("credentials", reach)?;
            return report.end();
        }
        (false, true) => {
            "only app-id and app-key reach the service: a proxy drops header names with underscores\nset \
             `underscores_in_headers on;` in nginx, or have clients send the names with dashes"
        }
        (true, false) => {
            "only app_id and app_key reach the service: a proxy drops or renames app-id and app-key"
        }
        (false, false) => {
            "neither spelling is accepted: the app or its key is wrong, or a proxy drops all of these headers"
        }
    };
    report.bad("credentials", problem)?;
    report.end()
}

/// Whether the service accepts the credentials: it then reports that the request has no form.
fn probe(url: &str, headers: [(&str, &str); 2]) -> Result<bool, Failure> {
    let url = format!("{url}/v0.2/liveness-verification");
    let mut request = agent(None, None, None)?.post(&url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send_empty().map_err(|error| format!("{url}: {error}"))?;
    match response.status().as_u16() {
        401 => Ok(false),
        400 | 403 | 415 => Ok(true),
        status => {
            let unlike = "which Likeness does not send to this request";
            Err(format!("{url} responds with status {status}, {unlike}").into())
        }
    }
}

fn machine(arguments: &EngineArguments) -> Result<u8, Failure> {
    let mut report = Report::printed();
    say(format_args!("likeness {}", env!("CARGO_PKG_VERSION")))?;
    check_machine(arguments, &mut report)?;
    report.end()
}

/// Returns the findings about this machine, for the console of a service with these settings.
pub(crate) fn checks<const SCOPE: usize>(arguments: &Settings<SCOPE>) -> Vec<Check> {
    let mut report = Report {
        well: true,
        listed: Some(Vec::new()),
    };
    // Nothing is printed, so nothing fails.
    let _ = check_machine(arguments, &mut report);
    report.listed.unwrap_or_default()
}

fn check_machine<const SCOPE: usize>(
    arguments: &Settings<SCOPE>,
    report: &mut Report,
) -> Result<(), Failure> {
    let loaded = arguments.load_for_engine();
    let config = loaded.as_ref().ok().cloned().unwrap_or_default();
    processor(report)?;
    let workers = available_workers();
    report.good(
        "workers",
        format_args!("{workers} (processors and CPU quota of this process)"),
    )?;
    let runtime = match &loaded {
        Ok(_) => library(&config, report)?,
        Err(_) => None,
    };
    let pack = pack(&config, runtime.as_ref(), report)?;
    calibrations(&config, pack.as_ref(), report)?;
    match (runtime, pack) {
        (Some(runtime), Some(pack)) => models(&runtime, &pack, report)?,
        _ => report.note("self-test", "not run: it needs the library and the models")?,
    }
    heif(&config, report)?;
    match arguments.explained() {
        Ok(_) => {
            let workers = config.engine.workers();
            let mib = config.memory_bytes(workers).div_ceil(1024 * 1024);
            report.good(
                "memory",
                format_args!("at most {mib} MiB with {workers} workers: the limit for a container"),
            )?;
            // Too little room for audit records that never expire.
            if let Some(found) = nearly_full(&config.audit, &audit_folder(&config.data_folder)) {
                report.note("disk", found)?;
            }
        }
        Err(error) => report.bad("settings", error)?,
    }
    Ok(())
}

/// Says whether HEIC and AVIF are decoded, and by which library.
fn heif(config: &Config, report: &mut Report) -> Result<(), Failure> {
    const WHAT: &str = "HEIC and AVIF";
    let is_on = config.imaging.heif == Heif::System;
    let system = match SystemHeif::start(None) {
        Ok(system) => system,
        Err(error) if is_on => return report.bad(WHAT, error),
        Err(error) => return report.good(WHAT, format_args!("refused, imaging.heif = \"off\" ({error})")),
    };
    let library = system.library();
    let decoder = |name: &Option<String>| name.clone().unwrap_or_else(|| "not decoded".to_owned());
    let (hevc, av1) = (decoder(&library.hevc), decoder(&library.av1));
    let found = format!("libheif {} (HEIC: {hevc}; AVIF: {av1})", library.version);
    match (is_on, &library.hevc, &library.av1) {
        (false, ..) => report.good(
            WHAT,
            format_args!("refused, imaging.heif = \"off\"; there is {found}"),
        ),
        (true, Some(_), Some(_)) => report.good(WHAT, format_args!("decoded by {found}")),
        (true, ..) => report.note(WHAT, format_args!("decoded in part by {found}")),
    }
}

/// Checks the calibration files.
fn calibrations(config: &Config, pack: Option<&Pack>, report: &mut Report) -> Result<(), Failure> {
    for path in &config.calibration_files {
        let place = path.display().to_string();
        let check = |file: CalibrationFile| match pack {
            Some(pack) => file.check_pack(&place, pack.manifest()),
            None => Ok(()),
        };
        match CalibrationFile::read(path).and_then(check) {
            Ok(()) => report.good("calibration", place)?,
            Err(error) => report.bad("calibration", error)?,
        }
    }
    Ok(())
}

fn processor(report: &mut Report) -> Result<(), Failure> {
    let features = processor_features();
    let found = features.iter().filter(|(_, there)| *there);
    let listed: Vec<_> = std::iter::once(std::env::consts::ARCH)
        .chain(found.map(|(name, _)| *name))
        .collect();
    report.good("processor", listed.join(" "))?;
    if features.contains(&("avx2", false)) {
        report.note(
            "processor",
            "no AVX2: several times slower; use a newer host or virtual CPU type",
        )?;
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn processor_features() -> Vec<(&'static str, bool)> {
    use std::arch::is_x86_feature_detected as has;
    vec![
        ("sse4.1", has!("sse4.1")),
        ("avx", has!("avx")),
        ("avx2", has!("avx2")),
        ("fma", has!("fma")),
        ("avx512f", has!("avx512f")),
        ("avx512vnni", has!("avx512vnni")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn processor_features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![
        ("neon", has!("neon")),
        ("fp16", has!("fp16")),
        ("dotprod", has!("dotprod")),
        ("i8mm", has!("i8mm")),
        ("bf16", has!("bf16")),
        ("sve", has!("sve")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn processor_features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

fn library(config: &Config, report: &mut Report) -> Result<Option<Runtime>, Failure> {
    let runtime = match Runtime::load(&config.engine.library(), config.engine.execution()) {
        Ok(runtime) => runtime,
        Err(error) => {
            let what = match error {
                RuntimeError::ProviderMissing { .. }
                | RuntimeError::ProviderUnusable { .. }
                | RuntimeError::Execution(_) => "provider",
                _ => "ONNX Runtime",
            };
            let remedy = match error {
                RuntimeError::LibraryUnusable { .. } => {
                    "\nname another file with --ort-lib FILE or ORT_DYLIB_PATH=FILE, or name none and run `make setup`"
                }
                _ => "",
            };
            report.bad(what, format_args!("{error}{remedy}"))?;
            return Ok(None);
        }
    };
    let path = runtime.library().map(|path| path.display().to_string());
    let (version, path) = (runtime.version(), path.unwrap_or_default());
    report.good("ONNX Runtime", format_args!("{version} from {path}"))?;
    let execution = runtime.execution();
    let (provider, device, precision) = (execution.provider, execution.device(), execution.precision());
    report.good("provider", format_args!("{provider} on {device}, {precision}"))?;
    Ok(Some(runtime))
}

fn pack(config: &Config, runtime: Option<&Runtime>, report: &mut Report) -> Result<Option<Pack>, Failure> {
    let engine = &config.engine;
    let passes = engine.passes(runtime.map(Runtime::provider).unwrap_or_default());
    let found = engine.store().find();
    let found = found.and_then(|store| Ok((store.load(engine.pack_name())?.optimized(&passes), store)));
    let (pack, store) = match found {
        Ok(found) => found,
        Err(error) => {
            report.bad("models", error)?;
            return Ok(None);
        }
    };
    let manifest = pack.manifest();
    report.good(
        "models",
        format_args!(
            "pack {} {} in {}, {} models, checksums match",
            manifest.name,
            manifest.version,
            store.folder().display(),
            manifest.models.len()
        ),
    )?;
    Ok(Some(pack))
}

fn models(runtime: &Runtime, pack: &Pack, report: &mut Report) -> Result<(), Failure> {
    for test in self_test(runtime, pack) {
        let what = format!("self-test of {}", test.model);
        match test.outcome {
            Ok(took) => report.good(&what, format_args!("passed, {:.1} ms", took.as_secs_f64() * 1e3))?,
            Err(problem) => report.bad(
                &what,
                format_args!(
                    "{problem}\nthe library or the processor computes other values than the model should: try another ONNX \
                     Runtime with --ort-lib, or another provider"
                ),
            )?,
        }
    }
    Ok(())
}
