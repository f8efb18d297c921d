//! `likeness audit`.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use likeness::server::Config;
use likeness::server::audit::{
    ChainKey, Head, NotedHead, audit_folder, file_lines, verify_files, verify_storage,
};
use likeness::server::storage::audit::AuditFilter;
use serde_json::Value;

use super::config::ConfigArguments;
use super::{Failure, block_on, exit, say};

mod table;

/// Rows that are read at a time.
const PAGE: i64 = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Is the audit whole? Names the first line of each chain that was changed, removed, added or moved. Exit code: 0 whole,
    /// 1 it could not be checked or there is none, 2 usage, 4 it is not whole.
    Verify(VerifyArguments),
    /// Write the events of a time as lines of JSON or as CSV.
    Export(ExportArguments),
    /// Say how much there is, in the files and in the storage.
    Status(ConfigArguments),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Which of the two.
    #[arg(long, value_enum, default_value_t = Place::Store)]
    from: Place,
    /// An end that was noted down, as `INSTANCE:NUMBER:HASH`: lines that are missing at the end show by nothing else.
    #[arg(long, value_name = "HEAD")]
    expect_head: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// From this day or time on, UTC: 2026-11-25 or 2026-11-25T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Timestamp,
    /// Before this day or time [default: no end].
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only of this app.
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// From which of the two.
    #[arg(long, value_enum, default_value_t = Place::Store)]
    from: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Store,
    Files,
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
        .map_err(|_| "is neither a day such as 2026-11-25 nor a time such as 2026-11-25T08:00:00Z".to_owned())
}

impl AuditCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let arguments = match self {
            Self::Verify(arguments) => &arguments.config,
            Self::Export(arguments) => &arguments.config,
            Self::Status(arguments) => arguments,
        };
        let config = arguments.load()?;
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
    let expected = arguments
        .expect_head
        .iter()
        .map(|head| noted(head))
        .collect::<Result<Vec<_>, _>>()?;
    let folder = audit_folder(&config.storage.folder);
    let (report, place) = match arguments.from {
        Place::Files => (
            verify_files(&folder, &key, &expected)?,
            folder.display().to_string(),
        ),
        Place::Store => {
            let database = config.storage.open().await?;
            (
                verify_storage(&database, &key, &expected, &folder).await?,
                database.name().to_owned(),
            )
        }
    };
    for chain in &report.chains {
        let (instance, Head { seq, hash }) = (&chain.instance, &chain.head);
        if *seq == 0 {
            say(format_args!("no lines of {instance}"))?;
            continue;
        }
        say(format_args!(
            "{} lines are right, up to {instance}:{seq}:{hash}",
            chain.lines
        ))?;
    }
    let is_whole = report.faults.is_empty() && report.missed.is_empty();
    for fault in &report.faults {
        say(format_args!("FAULT {fault}"))?;
    }
    for NotedHead { instance, head } in &report.missed {
        say(format_args!(
            "FAULT no chain goes through {instance}:{}:{}: lines are missing at its end, it was made anew, or retention has \
             removed that line",
            head.seq, head.hash
        ))?;
    }
    let is_empty = report.chains.iter().all(|chain| chain.lines == 0);
    if is_whole && is_empty {
        say(format_args!(
            "Nothing was found in {place}: there is no audit to be checked."
        ))?;
        Ok(exit::ERROR.into())
    } else if is_whole {
        say("The audit is whole.")?;
        Ok(exit::PASS.into())
    } else {
        say("The audit is NOT whole.")?;
        Ok(exit::REJECT.into())
    }
}

/// A head as `verify` writes it.
fn noted(text: &str) -> Result<NotedHead, Failure> {
    let mut parts = text.rsplitn(3, ':');
    let (Some(hash), Some(seq), Some(instance)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("--expect-head: `{text}` is not INSTANCE:NUMBER:HASH").into());
    };
    let seq = seq
        .parse()
        .map_err(|_| format!("--expect-head: `{seq}` is no number"))?;
    Ok(NotedHead {
        instance: instance.to_owned(),
        head: Head {
            seq,
            hash: hash.to_owned(),
        },
    })
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
    match arguments.from {
        Place::Store => {
            let database = config.storage.open().await?;
            let (mut time, mut instance, mut seq) = (i64::MIN, String::new(), 0);
            loop {
                let rows = database.find_audit(&filter, (time, &instance, seq), PAGE).await?;
                let Some(last) = rows.last() else { break };
                (time, instance, seq) = (last.time, last.instance.clone(), last.seq);
                for row in &rows {
                    write_line(&mut out, &row.line, arguments.format)?;
                }
            }
        }
        Place::Files => file_lines(&audit_folder(&config.storage.folder), |line| {
            if is_wanted(line, &filter)? {
                write_line(&mut out, line, arguments.format)?;
            }
            Ok(())
        })?,
    }
    out.flush()?;
    Ok(exit::PASS.into())
}

fn is_wanted(line: &str, filter: &AuditFilter) -> std::io::Result<bool> {
    let line: Value = serde_json::from_str(line)?;
    let event = &line["event"];
    let time = event["time"]
        .as_str()
        .and_then(|time| time.parse::<Timestamp>().ok())
        .map(Timestamp::as_microsecond);
    Ok(time.is_some_and(|time| {
        filter.since.is_none_or(|since| time >= since) && filter.until.is_none_or(|until| time < until)
    }) && filter.app.as_deref().is_none_or(|app| event["app"] == app))
}

fn write_line(out: &mut impl Write, line: &str, format: Format) -> std::io::Result<()> {
    match format {
        Format::Jsonl => writeln!(out, "{line}"),
        Format::Csv => table::write_row(out, line),
    }
}

async fn status(config: &Config) -> Result<ExitCode, Failure> {
    let folder = audit_folder(&config.storage.folder);
    let mut lines = 0_u64;
    file_lines(&folder, |_| {
        lines += 1;
        Ok(())
    })?;
    say(format_args!("files in {}: {lines} lines", folder.display()))?;
    let database = config.storage.open().await?;
    let (rows, latest) = database.audit_size().await?;
    let latest = latest.map_or_else(
        || "none".to_owned(),
        |time| Timestamp::from_microsecond(time).map_or_else(|_| time.to_string(), |time| time.to_string()),
    );
    say(format_args!(
        "storage {}: {rows} rows, the latest of {latest}",
        database.name()
    ))?;
    Ok(exit::PASS.into())
}
