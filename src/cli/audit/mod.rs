//! `likeness audit`.

mod table;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use likeness::server::Config;
use likeness::server::audit::{
    ChainCheckpoint, ChainKey, audit_folder, audit_row, file_records, verify_database, verify_files,
};
use likeness::server::storage::audit::AuditFilter;

use super::config::ConfigArguments;
use super::{Failure, block_on, exit, say};

/// Rows that are read at a time.
const PAGE: i64 = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify the hash chains of the audit log. Exit code: 0 valid, 1 nothing to verify or an error, 2 usage, 4 not valid.
    ///
    /// Reports the first record of each chain that was changed, removed, added or moved.
    Verify(VerifyArguments),
    /// Export audit records as lines of JSON or as CSV.
    Export(ExportArguments),
    /// Show the number of audit records in the files and in the database.
    Status(ConfigArguments),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Copy of the audit log to verify.
    #[arg(long, value_enum, default_value_t = Source::Database)]
    from: Source,
    /// Checkpoint that a chain must contain, as printed by an earlier run; nothing else detects records missing at the end.
    #[arg(long, value_name = "INSTANCE:NUMBER:HASH")]
    expect_checkpoint: Vec<ChainCheckpoint>,
    /// Former name of --expect-checkpoint.
    #[arg(long, hide = true)]
    expect_head: Vec<ChainCheckpoint>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// First day or time to export, UTC: 2026-11-25 or 2026-11-25T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Timestamp,
    /// Day or time before which to export, UTC [default: no end].
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only records of this app.
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Copy of the audit log to export.
    #[arg(long, value_enum, default_value_t = Source::Database)]
    from: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    Database,
    Files,
    /// Former name of `database`.
    #[value(hide = true)]
    Store,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

fn time(text: &str) -> Result<Timestamp, String> {
    let midnight = |date: Date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0));
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Date>().and_then(midnight))
        .map_err(|_| "must be a day such as 2026-11-25 or a time such as 2026-11-25T08:00:00Z".to_owned())
}

/// Warns of a former name that is still accepted.
fn warn_renamed(former: &str, name: &str) -> Result<(), Failure> {
    let mut out = std::io::stderr();
    Ok(writeln!(
        out,
        "likeness: warning: {former} is deprecated; use {name}"
    )?)
}

impl Source {
    fn is_files(self) -> Result<bool, Failure> {
        if self == Self::Store {
            warn_renamed("--from store", "--from database")?;
        }
        Ok(self == Self::Files)
    }
}

impl AuditCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let (Self::Verify(VerifyArguments { config, .. })
        | Self::Export(ExportArguments { config, .. })
        | Self::Status(config)) = self;
        let config = config.load()?;
        block_on(async {
            match self {
                Self::Verify(arguments) => verify(arguments, &config).await,
                Self::Export(arguments) => export(arguments, &config).await,
                Self::Status(_) => status(&config).await,
            }
        })
    }
}

async fn verify(arguments: &VerifyArguments, config: &Config) -> Result<ExitCode, Failure> {
    let key = ChainKey::new(config.audit.chain_key.clone());
    let mut expected = arguments.expect_checkpoint.clone();
    if !arguments.expect_head.is_empty() {
        warn_renamed("--expect-head", "--expect-checkpoint")?;
        expected.extend(arguments.expect_head.iter().cloned());
    }
    let folder = audit_folder(&config.storage.folder);
    let (report, place) = if arguments.from.is_files()? {
        let report = verify_files(&folder, &key, &expected)?;
        (report, folder.display().to_string())
    } else {
        let database = config.storage.open().await?;
        let report = verify_database(&database, &key, &expected, &folder).await?;
        (report, database.name().to_owned())
    };
    for chain in &report.chains {
        if chain.end.checkpoint.seq == 0 {
            say(format_args!("no records of {}", chain.end.instance))?;
        } else {
            say(format_args!(
                "{} records are valid, up to {}",
                chain.records, chain.end
            ))?;
        }
    }
    for fault in &report.faults {
        say(format_args!("FAULT {fault}"))?;
    }
    for checkpoint in &report.missed {
        say(format_args!(
            "FAULT no chain contains {checkpoint}: records are missing at its end, it was created anew, or retention has \
             removed that record"
        ))?;
    }
    let (verdict, code) = if !report.faults.is_empty() || !report.missed.is_empty() {
        ("The audit is NOT valid.".to_owned(), exit::REJECT)
    } else if report.chains.iter().all(|chain| chain.records == 0) {
        let verdict = format!("No audit records found in {place}: nothing to verify.");
        (verdict, exit::ERROR)
    } else {
        ("The audit is valid.".to_owned(), exit::PASS)
    };
    say(verdict)?;
    Ok(code.into())
}

async fn export(arguments: &ExportArguments, config: &Config) -> Result<ExitCode, Failure> {
    let filter = AuditFilter {
        since: Some(arguments.since.as_microsecond()),
        until: arguments.until.map(Timestamp::as_microsecond),
        app: arguments.app.clone(),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    if arguments.format == Format::Csv {
        table::write_header(&mut out)?;
    }
    let mut write = |line: &str| match arguments.format {
        Format::Jsonl => writeln!(out, "{line}"),
        Format::Csv => table::write_row(&mut out, line),
    };
    if arguments.from.is_files()? {
        file_records(&audit_folder(&config.storage.folder), |line| {
            if filter.selects(&audit_row(line)?) {
                write(line)?;
            }
            Ok(())
        })?;
    } else {
        let database = config.storage.open().await?;
        let (mut time, mut instance, mut seq) = (i64::MIN, String::new(), 0);
        loop {
            let rows = database.find_audit(&filter, (time, &instance, seq), PAGE).await?;
            let Some(last) = rows.last() else { break };
            (time, instance, seq) = (last.time, last.instance.clone(), last.seq);
            for row in &rows {
                write(&row.line)?;
            }
        }
    }
    out.flush()?;
    Ok(exit::PASS.into())
}

async fn status(config: &Config) -> Result<ExitCode, Failure> {
    let folder = audit_folder(&config.storage.folder);
    let mut records = 0_u64;
    file_records(&folder, |_| {
        records += 1;
        Ok(())
    })?;
    say(format_args!("files in {}: {records} records", folder.display()))?;
    let database = config.storage.open().await?;
    let (rows, latest) = database.audit_size().await?;
    let latest = latest.and_then(|time| Timestamp::from_microsecond(time).ok());
    let latest = latest.map_or_else(|| "none".to_owned(), |time| time.to_string());
    say(format_args!(
        "database {}: {rows} records, latest: {latest}",
        database.name()
    ))?;
    Ok(exit::PASS.into())
}
