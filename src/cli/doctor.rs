//! `likeness doctor`.

use std::process::ExitCode;

use clap::Args;
use likeness::packs::{CalibrationFile, Pack};
use likeness::runtime::{Provider, Runtime, RuntimeError, available_workers};
use likeness::self_test;
use likeness::server::Config;
use likeness::server::audit::{audit_folder, nearly_full};

use super::config::ConfigArguments;
use super::http::{Peer, service_url};
use super::{EngineArguments, Failure, exit, say};

/// Prints what was looked at and remembers whether all was well.
struct Report {
    well: bool,
}

impl Report {
    fn good(&self, what: &str, found: impl std::fmt::Display) -> Result<(), Failure> {
        say(format_args!("  ok    {what}: {found}"))
    }

    fn note(&self, what: &str, found: impl std::fmt::Display) -> Result<(), Failure> {
        say(format_args!("  note  {what}: {found}"))
    }

    fn bad(&mut self, what: &str, problem: impl std::fmt::Display) -> Result<(), Failure> {
        self.well = false;
        let problem = problem.to_string().replace('\n', "\n        ");
        say(format_args!("  FAIL  {what}: {problem}"))
    }

    fn end(&self) -> Result<ExitCode, Failure> {
        if self.well {
            say("All well.")?;
            Ok(exit::PASS.into())
        } else {
            say("Something is wrong: see FAIL above.")?;
            Ok(exit::ERROR.into())
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Ask a running service, by the URL that clients use, whether the credentials reach it in both spellings, instead of
    /// looking at this machine. Needs --app-id and LIKENESS_APP_KEY.
    #[arg(long, value_name = "URL", requires = "app_id")]
    url: Option<String>,
    /// The app to ask as; its key is read from LIKENESS_APP_KEY.
    #[arg(long, value_name = "ID", requires = "url")]
    app_id: Option<String>,
    #[command(flatten)]
    config: ConfigArguments,
}

impl DoctorArguments {
    pub(crate) fn run(&self, arguments: &EngineArguments) -> Result<ExitCode, Failure> {
        match (&self.url, &self.app_id) {
            (Some(url), Some(app_id)) => service(url, app_id),
            _ => machine(arguments, &self.config),
        }
    }
}

/// Whether a service, by what lies before it, gets the credentials.
fn service(url: &str, app_id: &str) -> Result<ExitCode, Failure> {
    let key =
        std::env::var("LIKENESS_APP_KEY").map_err(|_| "LIKENESS_APP_KEY must hold the key of the app")?;
    let url = service_url(url)?;
    let mut report = Report { well: true };
    let underscores = probe(url, [("app_id", app_id), ("app_key", &key)])?;
    let dashes = probe(url, [("app-id", app_id), ("app-key", &key)])?;
    let what = "credentials";
    match (underscores, dashes) {
        (true, true) => report.good(what, "app_id, app_key and app-id, app-key both reach the service")?,
        (false, true) => report.bad(
            what,
            "only app-id and app-key reach the service: a proxy drops header names with underscores\nset \
             `underscores_in_headers on;` in nginx, or have clients send the names with dashes",
        )?,
        (true, false) => report.bad(
            what,
            "only app_id and app_key reach the service: something before it drops or renames app-id and app-key",
        )?,
        (false, false) => report.bad(
            what,
            "neither spelling is let in: the app or its key is wrong, or a proxy drops all of these headers",
        )?,
    }
    report.end()
}

/// Whether the service knows the caller: it then says that there is no form in the request.
fn probe(url: &str, headers: [(&str, &str); 2]) -> Result<bool, Failure> {
    let url = format!("{url}/v0.2/liveness-verification");
    let request = headers
        .into_iter()
        .fold(Peer::default().agent()?.post(&url), |request, (name, value)| {
            request.header(name, value)
        });
    let answer = request.send_empty().map_err(|error| format!("{url}: {error}"))?;
    match answer.status().as_u16() {
        401 => Ok(false),
        400 | 403 | 415 => Ok(true),
        status => Err(format!(
            "{url} answers with status {status}, which is none of Likeness's to this request"
        )
        .into()),
    }
}

fn machine(arguments: &EngineArguments, config: &ConfigArguments) -> Result<ExitCode, Failure> {
    let mut report = Report { well: true };
    say(format_args!("likeness {}", env!("CARGO_PKG_VERSION")))?;
    processor(&report)?;
    report.good(
        "workers",
        format_args!(
            "{} (processors and CPU quota of this process)",
            available_workers()
        ),
    )?;
    let runtime = library(arguments, &mut report)?;
    let pack = pack(arguments, runtime.as_ref(), &mut report)?;
    calibrations(arguments, pack.as_ref(), &mut report)?;
    match (runtime, pack) {
        (Some(runtime), Some(pack)) => models(&runtime, &pack, &mut report)?,
        _ => report.note("self-test", "not run: it needs the library and the models")?,
    }
    match config.load() {
        Ok(config) => {
            memory(&config, &report)?;
            disk(&config, &report)?;
        }
        Err(failure) => report.bad("configuration", failure)?,
    }
    report.end()
}

/// How much memory the service takes at most.
fn memory(config: &Config, report: &Report) -> Result<(), Failure> {
    let workers = available_workers();
    let mib = config.memory_bytes(workers).div_ceil(1024 * 1024);
    report.good(
        "memory",
        format_args!("at most {mib} MiB with {workers} workers: the limit for a container"),
    )
}

/// Whether there is room for audit records that nothing removes.
fn disk(config: &Config, report: &Report) -> Result<(), Failure> {
    match nearly_full(&config.audit, &audit_folder(&config.storage.folder)) {
        Some(found) => report.note("disk", found),
        None => Ok(()),
    }
}

/// Files that were named with `--calibration`.
fn calibrations(
    arguments: &EngineArguments,
    pack: Option<&Pack>,
    report: &mut Report,
) -> Result<(), Failure> {
    for path in arguments.calibrations() {
        let place = path.display().to_string();
        let checked = CalibrationFile::read(path).and_then(|file| match pack {
            Some(pack) => file.check_pack(&place, pack.manifest()).map(|()| file),
            None => Ok(file),
        });
        match checked {
            Ok(_) => report.good("calibration", place)?,
            Err(error) => report.bad("calibration", error)?,
        }
    }
    Ok(())
}

fn processor(report: &Report) -> Result<(), Failure> {
    let features = processor_features();
    let listed = features
        .iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(" ");
    report.good("processor", format_args!("{} {listed}", std::env::consts::ARCH))?;
    if features.iter().any(|(name, there)| *name == "avx2" && !there) {
        report.note(
            "processor",
            "without AVX2 everything is several times slower; use a newer host or virtual CPU type",
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

#[cfg(not(target_arch = "x86_64"))]
fn processor_features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

fn library(arguments: &EngineArguments, report: &mut Report) -> Result<Option<Runtime>, Failure> {
    let execution = match arguments.execution() {
        Ok(execution) => execution,
        Err(error) => {
            report.bad("provider", error)?;
            return Ok(None);
        }
    };
    match Runtime::load(&arguments.library(), execution) {
        Ok(runtime) => {
            let path = runtime
                .library()
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            report.good("ONNX Runtime", format_args!("{} from {path}", runtime.version()))?;
            let execution = runtime.execution();
            report.good(
                "provider",
                format_args!(
                    "{} on {}, {}",
                    execution.provider(),
                    execution.device(),
                    execution.precision()
                ),
            )?;
            Ok(Some(runtime))
        }
        Err(error @ RuntimeError::LibraryUnusable { .. }) => {
            report.bad(
                "ONNX Runtime",
                format_args!(
                    "{error}\nname another file with --ort-lib FILE or ORT_DYLIB_PATH=FILE, or name none and run \
                     `make setup`"
                ),
            )?;
            Ok(None)
        }
        Err(
            error @ (RuntimeError::ProviderMissing { .. }
            | RuntimeError::ProviderUnusable { .. }
            | RuntimeError::ProviderOption { .. }),
        ) => {
            report.bad("provider", error)?;
            Ok(None)
        }
        Err(error) => {
            report.bad("ONNX Runtime", error)?;
            Ok(None)
        }
    }
}

fn pack(
    arguments: &EngineArguments,
    runtime: Option<&Runtime>,
    report: &mut Report,
) -> Result<Option<Pack>, Failure> {
    let passes = arguments.passes(runtime.map_or_else(Provider::default, Runtime::provider));
    match arguments.store().find().and_then(|store| {
        store
            .load(&arguments.pack)
            .map(|pack| (store, pack.optimized(&passes)))
    }) {
        Ok((store, pack)) => {
            let manifest = pack.manifest();
            let (name, version, files) = (&manifest.name, &manifest.version, manifest.models.len());
            let folder = store.folder();
            report.good(
                "models",
                format_args!(
                    "pack {name} {version} in {}, {files} models, checksums right",
                    folder.display()
                ),
            )?;
            Ok(Some(pack))
        }
        Err(error) => {
            report.bad("models", error)?;
            Ok(None)
        }
    }
}

fn models(runtime: &Runtime, pack: &Pack, report: &mut Report) -> Result<(), Failure> {
    for test in self_test(runtime, pack) {
        let what = format!("self-test of {}", test.model);
        match test.outcome {
            Ok(took) => report.good(&what, format_args!("right, {:.1} ms", took.as_secs_f64() * 1e3))?,
            Err(problem) => report.bad(
                &what,
                format_args!(
                    "{problem}\nthe library or the processor does not compute what the model should: try another ONNX \
                     Runtime with --ort-lib, or another provider"
                ),
            )?,
        }
    }
    Ok(())
}
