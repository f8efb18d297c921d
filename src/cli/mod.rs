//! The command line: arguments, and what commands share.

mod annotate;
mod apps;
mod audit;
mod batch;
mod calibrate;
mod completions;
mod config;
mod doctor;
mod embed;
mod eval;
mod healthcheck;
mod models;
mod out_file;
mod serve;
mod settings;
mod usage;
mod verify;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use likeness::server::config::RENAMED;
use likeness::server::openapi;

pub(crate) use settings::{EngineArguments, StoreArguments};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// On-premise face matching and passive liveness with a Kairos-compatible HTTP API
#[derive(Debug, Parser)]
#[command(name = "likeness", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Kairos-compatible HTTP API until SIGTERM or Ctrl-C
    Serve(serve::ServeArguments),
    /// Verify a selfie against a photo
    ///
    /// Exit code: 0 pass (warnings allowed), 1 error, 2 usage, 3 review, 4 reject.
    Verify(verify::VerifyArguments),
    /// Score the liveness of a selfie
    ///
    /// Exit code: 0 live, 1 error, 2 usage, 4 not live.
    Liveness(verify::LivenessArguments),
    /// Verify many pairs of selfie and photo, with an engine or through a running service
    ///
    /// Exit code, of the worst outcome: 0 pass, 1 error, 2 usage, 3 review, 4 reject; see --fail-on.
    Batch(Box<batch::BatchArguments>),
    /// Write the template of a face, to verify selfies against it later without its photo
    Embed(embed::EmbedArguments),
    /// Measure error rates on your own images: FMR and FNMR, APCER and BPCER
    Eval(Group<eval::EvalCommand>),
    /// Fit a calibration to your own images
    Calibrate(Box<Group<calibrate::CalibrateCommand>>),
    /// Pull, export, check and list model packs
    #[command(subcommand)]
    Models(Box<models::ModelsCommand>),
    /// Manage apps and their API keys
    #[command(subcommand)]
    Apps(Box<apps::AppsCommand>),
    /// Verify, export and summarize the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Probe a running service, for containers
    ///
    /// Exit code: 0 healthy, 1 unhealthy, 2 usage.
    Healthcheck(healthcheck::HealthcheckArguments),
    /// Report usage and remaining quotas of apps
    Usage(usage::UsageArguments),
    /// Show and check the settings of `likeness serve`
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Write the OpenAPI document of the HTTP API
    Openapi,
    /// Diagnose processor, ONNX Runtime, execution provider, models and settings
    ///
    /// Exit code: 0 no problem, 1 a problem, 2 usage.
    Doctor(Box<doctor::DoctorArguments>),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArguments),
    /// Write the man pages
    Man(completions::ManArguments),
}

/// The exit codes of the commands. 2 is clap's, for wrong usage.
pub(crate) mod exit {
    use likeness::decision::Outcome;

    /// The verification passes; it may have warnings.
    pub(crate) const PASS: u8 = 0;
    /// An error.
    pub(crate) const ERROR: u8 = 1;
    /// The verification needs a review.
    pub(crate) const REVIEW: u8 = 3;
    /// The verification fails.
    pub(crate) const REJECT: u8 = 4;

    /// The code of an outcome. One that is unknown here is no pass.
    pub(crate) fn of(outcome: Outcome) -> u8 {
        match outcome {
            Outcome::Pass | Outcome::Warning => PASS,
            Outcome::Review => REVIEW,
            _ => REJECT,
        }
    }
}

/// A group of commands that open an engine.
#[derive(Debug, Args)]
struct Group<C: Subcommand> {
    #[command(flatten)]
    engine: EngineArguments,
    #[command(subcommand)]
    command: C,
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse_from(with_current_flags(std::env::args_os()));
    let pass = |()| exit::PASS;
    let result = match &arguments.command {
        Command::Serve(serve) => serve.run().map(pass),
        Command::Verify(verify) => verify.run(),
        Command::Liveness(liveness) => liveness.run(),
        Command::Batch(batch) => batch.run(),
        Command::Embed(embed) => embed.run().map(pass),
        Command::Eval(eval) => eval.command.run(&eval.engine).map(pass),
        Command::Calibrate(calibrate) => calibrate.command.run(&calibrate.engine).map(pass),
        Command::Models(models) => models.run(),
        Command::Apps(apps) => apps.run().map(pass),
        Command::Audit(audit) => audit.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run().map(pass),
        Command::Usage(usage) => usage.run().map(pass),
        Command::Config(config) => config.run().map(pass),
        Command::Openapi => say(format_args!("{:#}", openapi::document())).map(pass),
        Command::Doctor(doctor) => doctor.run(),
        Command::Completions(completions) => completions.run().map(pass),
        Command::Man(man) => man.run().map(pass),
    };
    let code = result.unwrap_or_else(|error| {
        complain(error);
        exit::ERROR
    });
    code.into()
}

/// Replaces flags that have been renamed, with a warning.
fn with_current_flags(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut current = Vec::new();
    // What the value of the flag before begins with.
    let mut prefix = "";
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let mut flags = RENAMED.iter().filter(|(old, _)| old.starts_with("--"));
        let Some((old, new)) = flags.find(|(old, _)| *old == name) else {
            let mut with_prefix = OsString::from(std::mem::take(&mut prefix));
            with_prefix.push(argument);
            current.push(with_prefix);
            continue;
        };
        let (flag, of_value) = new.split_once(' ').unwrap_or((new, ""));
        let rest = if of_value.is_empty() { "" } else { "NAME=VALUE" };
        warn_renamed(old, &format!("{new}{rest}"), None);
        match value {
            Some(value) => current.push(format!("{flag}={of_value}{value}").into()),
            None => {
                current.push(flag.into());
                prefix = of_value;
            }
        }
    }
    current
}

/// Runs what waits for a database, on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(work)
}

/// Prints an error to standard error.
pub(crate) fn complain(error: impl Display) {
    // Nothing is left to do where even standard error is closed.
    let _ = writeln!(std::io::stderr(), "likeness: {error}");
}

/// Prints a warning to standard error.
pub(crate) fn warn(warning: impl Display) {
    complain(format_args!("warning: {warning}"));
}

/// Warns of a name that has been renamed.
pub(crate) fn warn_renamed(old: &str, new: &str, origin: Option<&str>) {
    let origin = origin.filter(|origin| *origin != old);
    let origin = origin.map(|origin| format!(" (in {origin})")).unwrap_or_default();
    warn(format_args!(
        "`{old}` has been renamed to `{new}`{origin}; the next minor version ignores the old name"
    ));
}

/// Prints a line to standard output. One that nobody reads any more, as behind `head`, is no failure.
pub(crate) fn say(line: impl Display) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Returns a value as text, or what stands for an absent one.
pub(crate) fn or<T: ToString>(value: Option<T>, absent: &str) -> String {
    value.map_or_else(|| absent.to_owned(), |value| value.to_string())
}

/// Prints rows in columns as wide as their cells. Columns whose names begin with `>` are aligned to the right.
pub(crate) fn say_table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let names = header.map(|name| name.trim_start_matches('>').to_owned());
    let rows: Vec<_> = std::iter::once(&names).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    });
    for row in &rows {
        let cells: [String; N] = std::array::from_fn(|column| {
            let (cell, width) = (&row[column], widths[column]);
            if header[column].starts_with('>') {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        say(cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Reads a file, and no more than one byte beyond the limit, by which the reader sees that it is too long.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn renamed_flags_become_the_new_ones() {
        let current = |arguments: &[&str]| -> Vec<String> {
            let arguments = arguments.iter().map(OsString::from);
            with_current_flags(arguments)
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect()
        };
        assert_eq!(
            current(&[
                "serve",
                "--no-rewrite",
                "all",
                "--provider-option",
                "threads=2",
                "--pack=x"
            ]),
            [
                "serve",
                "--skip-optimizations",
                "all",
                "--set",
                "engine.threads=2",
                "--pack=x"
            ]
        );
        assert_eq!(
            current(&["--provider-option=a=1", "--expect-head=i:1:h"]),
            ["--set=engine.a=1", "--expect-checkpoint=i:1:h"]
        );
    }
}
