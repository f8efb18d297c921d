//! Arguments, and what each command shares: the engine's settings, reading files, exit codes.

mod apps;
mod audit;
mod calibrate;
mod config;
mod csv_cell;
mod doctor;
mod eval;
mod exit;
mod healthcheck;
mod http;
mod liveness;
mod models;
mod openapi;
mod process;
mod serve;
mod usage;
mod verify;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use likeness::imaging::Limits;
use likeness::models::rewrite::Passes;
use likeness::models::{DEFAULT_PACK, StoreSearch};
use likeness::runtime::{Execution, LibrarySearch, Provider, ProviderOption};
use likeness::server::{EngineConfig, Overrides};
use likeness::{Engine, EngineBuilder, default_rewriting};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// On-premise face matching and passive liveness with a Kairos-compatible HTTP API.
#[derive(Debug, Parser)]
#[command(name = "likeness", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    engine: EngineArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the Kairos-compatible HTTP API until SIGTERM or Ctrl-C.
    Serve(serve::ServeArguments),
    /// Is the selfie a live person, and is it the person in the photo? Exit code: 0 pass (warnings allowed), 1 error,
    /// 2 usage, 3 review, 4 reject.
    Verify(verify::VerifyArguments),
    /// Is the selfie a live person? Exit code: 0 live, 1 error, 2 usage, 4 not live.
    Liveness(liveness::LivenessArguments),
    /// Measure error rates on your own pictures: FMR and FNMR, APCER and BPCER. Exit code: 0 measured, 1 error, 2 usage.
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Measure what a score means and write it to a file for --calibration and the service's configuration. Exit code: 0
    /// written, 1 error, 2 usage.
    #[command(subcommand)]
    Calibrate(Box<calibrate::CalibrateCommand>),
    /// Get model packs, move them to closed networks, see what there is. Exit code: 0 done, 1 error, 2 usage.
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Make, change and list the apps that may call `likeness serve`, and their keys. Exit code: 0 done, 1 error, 2 usage.
    #[command(subcommand)]
    Apps(Box<apps::AppsCommand>),
    /// See, export and check what is recorded of every verification.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Ask a running service whether it is well, for containers. Exit code: 0 it is, 1 it is not.
    Healthcheck(healthcheck::HealthcheckArguments),
    /// How much each app has asked for, by day, and what is used of its quotas. Exit code: 0 done, 1 error, 2 usage.
    Usage(usage::UsageArguments),
    /// See and check the settings of `likeness serve`. Exit code: 0 done, 1 the settings cannot be used, 2 usage.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Write the OpenAPI document of the HTTP API. Exit code: 0 written, 1 error, 2 usage.
    Openapi(openapi::OpenapiArguments),
    /// Check processor, ONNX Runtime, provider and models, and say what to do about what is wrong. Exit code: 0 all
    /// well, 1 something is wrong.
    Doctor(doctor::DoctorArguments),
}

/// Which library, provider and models to use.
#[derive(Debug, Args)]
pub(crate) struct EngineArguments {
    /// The ONNX Runtime library [default: ORT_DYLIB_PATH, else what `make setup` unpacked, else the system's].
    #[arg(long, value_name = "FILE", global = true)]
    ort_lib: Option<PathBuf>,
    /// What executes the models: cpu, openvino, cuda, tensorrt, coreml or directml; one that cannot be had is an error
    /// [default: LIKENESS__ENGINE__PROVIDER, else the configuration's, else cpu].
    #[arg(long, value_name = "NAME", global = true, value_parser = parse_provider)]
    provider: Option<Provider>,
    /// An option of the provider, such as device_id=1; may be given for several. The names are those of the section [engine]
    /// of the configuration (`likeness config reference`).
    #[arg(long, value_name = "NAME=VALUE", global = true, value_parser = parse_provider_option)]
    provider_option: Vec<(String, String)>,
    /// Folder with model packs [default: LIKENESS_MODELS, else ./models/store].
    #[arg(long, value_name = "DIR", global = true)]
    models: Option<PathBuf>,
    /// The model pack: a built-in or installed one by its name, or another by the path of its pack.toml.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PACK, global = true)]
    pack: String,
    /// A file of `likeness calibrate` that replaces the pack's calibration; may be given for the match confidence and for
    /// the liveness.
    #[arg(long, value_name = "FILE", global = true)]
    calibration: Vec<PathBuf>,
    /// Rewrites of the models that are not made: names as `likeness models inspect` lists them, separated by commas, or
    /// `all` to run the models as their publishers made them. Unless this is given, those that only ONNX Runtime's CPU
    /// kernels gain by are left out with other providers.
    #[arg(long, value_name = "PASSES", global = true, value_parser = parse_passes)]
    no_rewrite: Option<Passes>,
    /// How many verifications run at the same time [default: one for each processor the process may use].
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// The passes that are left.
fn parse_passes(names: &str) -> Result<Passes, String> {
    if names == "all" {
        return Ok(Passes::none());
    }
    names
        .split(',')
        .try_fold(Passes::all(), |passes, name| {
            name.trim().parse().map(|pass| passes.without(pass))
        })
        .map_err(|error| error.to_string())
}

fn parse_provider(name: &str) -> Result<Provider, String> {
    name.parse()
        .map_err(|error: likeness::runtime::RuntimeError| error.to_string())
}

fn parse_provider_option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be written NAME=VALUE")?;
    if ProviderOption::ALL.iter().any(|option| option.as_str() == name) {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let names = ProviderOption::ALL.map(ProviderOption::as_str).join(", ");
    Err(format!("there is no option '{name}': it must be one of {names}"))
}

impl EngineArguments {
    /// What these arguments set of the service's settings.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides::default()
            .with_provider(self.provider)
            .with_provider_options(self.provider_option.clone())
    }

    /// What executes the models, as arguments and environment say.
    pub(crate) fn execution(&self) -> Result<Execution, Failure> {
        Ok(EngineConfig::load_with_env(std::env::vars_os(), &self.overrides())?.execution())
    }

    pub(crate) fn library(&self) -> LibrarySearch {
        self.ort_lib
            .iter()
            .fold(LibrarySearch::new(), LibrarySearch::with_file)
    }

    pub(crate) fn store(&self) -> StoreSearch {
        self.models
            .iter()
            .fold(StoreSearch::new(), StoreSearch::with_folder)
    }

    pub(crate) fn pack_name(&self) -> &str {
        &self.pack
    }

    /// Which rewrites are made of the models for this provider.
    pub(crate) fn passes(&self, provider: Provider) -> Passes {
        self.no_rewrite.unwrap_or_else(|| default_rewriting(provider))
    }

    /// An engine of these arguments, executed as arguments and environment say.
    pub(crate) fn builder(&self) -> Result<EngineBuilder, Failure> {
        Ok(self.builder_on_cpu().provider(self.execution()?))
    }

    /// An engine of these arguments whose provider is for the caller to say.
    pub(crate) fn builder_on_cpu(&self) -> EngineBuilder {
        let builder = Engine::builder()
            .library(self.library())
            .store(self.store())
            .pack(&self.pack);
        let builder = match self.no_rewrite {
            Some(passes) => builder.rewriting(passes),
            None => builder,
        };
        let builder = self
            .calibration
            .iter()
            .fold(builder, EngineBuilder::calibration_file);
        match self.workers {
            Some(workers) => builder.workers(workers.into()),
            None => builder,
        }
    }

    /// Files that replace the pack's calibrations.
    pub(crate) fn calibrations(&self) -> &[PathBuf] {
        &self.calibration
    }

    /// An engine for one call.
    pub(crate) fn single(&self) -> Result<Engine, Failure> {
        Ok(self.builder()?.workers(1).build()?)
    }
}

/// Runs the command that the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Serve(serve) => serve.run(&arguments.engine),
        Command::Verify(verify) => verify.run(&arguments.engine),
        Command::Liveness(liveness) => liveness.run(&arguments.engine),
        Command::Eval(eval) => eval.run(&arguments.engine),
        Command::Calibrate(calibrate) => calibrate.run(&arguments.engine),
        Command::Models(models) => models.run(&arguments.engine),
        Command::Apps(apps) => apps.run(),
        Command::Audit(audit) => audit.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run(),
        Command::Usage(usage) => usage.run(),
        Command::Config(config) => config.run(),
        Command::Openapi(openapi) => openapi.run(),
        Command::Doctor(doctor) => doctor.run(&arguments.engine),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            complain(&*error);
            exit::ERROR.into()
        }
    }
}

/// Runs what waits for a database, on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

/// Says on standard error what went wrong.
pub(crate) fn complain(error: &(dyn std::error::Error + 'static)) {
    // Nothing is left to do where even standard error is closed.
    let _ = writeln!(std::io::stderr(), "likeness: {error}");
}

/// Writes a line to standard output.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Reads a picture's file, no more of it than the engine would take: one byte beyond the limit is enough for the engine
/// to say that there are too many.
pub(crate) fn read_picture(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limits.max_bytes as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(bytes)
}
