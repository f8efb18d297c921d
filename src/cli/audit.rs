//! `likeness audit`.

use std::fmt::Display;
use std::io::{BufWriter, Write};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use likeness::server::Config;
use likeness::server::audit::{
    AuditReport, ChainCheckpoint, ChainKey, audit_folder, audit_row, csv_cells, csv_columns, file_records,
    verify_database, verify_files,
};
use likeness::server::storage::audit::AuditFilter;

use super::settings::ConfigArguments;
use super::{Failure, block_on, exit, say, warn_renamed};

/// Records that are read at a time.
const PAGE: i64 = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify the hash chains: find records that were changed, removed, added or moved
    ///
    /// Exit code: 0 intact, 1 not verifiable or empty, 2 usage, 4 not intact.
    Verify(VerifyArguments),
    /// Export audit records as JSON lines or CSV
    Export(ExportArguments),
    /// Count audit records in files and database
    Status(ConfigArguments),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Records to verify
    #[arg(long, value_enum, default_value_t = Place::Database)]
    from: Place,
    /// Verify every chain in the database and in the files here, with a line for each and a summary
    #[arg(long, conflicts_with = "from")]
    all: bool,
    /// Checkpoint that must be in its chain; the only way to notice records missing at the end
    #[arg(long, value_name = "INSTANCE:NUMBER:HASH")]
    expect_checkpoint: Vec<ChainCheckpoint>,
    #[command(flatten)]
    config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Earliest day or time, UTC, such as 2026-11-25 or 2026-11-25T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Timestamp,
    /// Day or time to stop before [default: no end]
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only this app
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Records to export
    #[arg(long, value_enum, default_value_t = Place::Database)]
    from: Place,
    #[command(flatten)]
    config: ConfigArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Database,
    Files,
    /// The old name of `database`.
    #[value(hide = true)]
    Store,
}

impl Place {
    fn is_files(self) -> bool {
        if self == Self::Store {
            warn_renamed("--from store", "--from database", None);
        }
        self == Self::Files
    }
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

impl AuditCommand {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        block_on(async {
            match self {
                Self::Verify(arguments) if arguments.all => {
                    verify_all(&arguments.expect_checkpoint, &arguments.config.load()?).await
                }
                Self::Verify(arguments) => verify(arguments, &arguments.config.load()?).await,
                Self::Export(arguments) => export(arguments, &arguments.config.load()?).await,
                Self::Status(arguments) => status(&arguments.load()?).await,
            }
        })
    }
}

async fn verify(arguments: &VerifyArguments, config: &Config) -> Result<u8, Failure> {
    let key = ChainKey::new(config.audit.chain_key.clone());
    let expected = &arguments.expect_checkpoint;
    let folder = audit_folder(&config.data_folder);
    let (report, place) = if arguments.from.is_files() {
        let report = verify_files(&folder, &key, expected)?;
        (report, folder.display().to_string())
    } else {
        let database = config.open_database().await?;
        let report = verify_database(&database, &key, expected, &folder).await?;
        (report, database.name().to_owned())
    };
    for chain in &report.chains {
        let end = &chain.end;
        if end.checkpoint.seq == 0 {
            say_line(format_args!("no records of {}", end.instance))?;
        } else {
            say_line(format_args!("{} records verified, up to {end}", chain.records))?;
        }
    }
    let faults = report.faults.iter().map(ToString::to_string);
    let missed = report.missed.iter().map(missed);
    let faults: Vec<String> = faults.chain(missed).collect();
    for fault in &faults {
        say_line(format_args!("FAULT {fault}"))?;
    }
    let is_empty = report.chains.iter().all(|chain| chain.records == 0);
    if !faults.is_empty() {
        say("The audit log is NOT intact.")?;
        return Ok(exit::REJECT);
    }
    if is_empty {
        say(format_args!("No audit records in {place}."))?;
        return Ok(exit::ERROR);
    }
    say("The audit log is intact.")?;
    Ok(exit::PASS)
}

/// Prints one line, whatever the names of instances in a database are.
fn say_line(text: impl Display) -> Result<(), Failure> {
    say(text.to_string().replace(char::is_control, " "))
}

/// Describes a checkpoint that no chain contains.
fn missed(checkpoint: &ChainCheckpoint) -> String {
    format!(
        "no chain contains the checkpoint {checkpoint}: records are missing at its end, it was forged, or the record has \
         expired"
    )
}

/// Verifies the chains in the files first: they can be verified while the database is down.
async fn verify_all(expected: &[ChainCheckpoint], config: &Config) -> Result<u8, Failure> {
    let key = ChainKey::new(config.audit.chain_key.clone());
    let folder = audit_folder(&config.data_folder);
    let mut chains = Chains::default();
    let files = verify_files(&folder, &key, expected)?;
    chains.add("files", &files)?;
    let database = async {
        let database = config.open_database().await?;
        let report = verify_database(&database, &key, expected, &folder).await?;
        Ok::<_, Failure>((report, database.name().to_owned()))
    };
    let database = match database.await {
        Ok((report, name)) => {
            chains.add("database", &report)?;
            Ok((report, name))
        }
        Err(error) => {
            say(format_args!("database: not verified: {error}"))?;
            Err(error)
        }
    };
    let missing = expected.iter().filter(|checkpoint| {
        let is_missed = |report: &AuditReport| report.missed.contains(checkpoint);
        is_missed(&files) && database.as_ref().map_or(true, |(report, _)| is_missed(report))
    });
    let missing: Vec<_> = missing.collect();
    for checkpoint in &missing {
        say(format_args!("FAULT {}", missed(checkpoint)))?;
    }
    let Chains { all, intact, records } = chains;
    say(format_args!(
        "{intact} of {all} chains are intact, {records} records."
    ))?;
    if intact < all || (!missing.is_empty() && database.is_ok()) {
        say("The audit log is NOT intact.")?;
        return Ok(exit::REJECT);
    }
    let (_, name) = database?;
    if records == 0 {
        say(format_args!(
            "No audit records in {} and {name}.",
            folder.display()
        ))?;
        return Ok(exit::ERROR);
    }
    say("The audit log is intact.")?;
    Ok(exit::PASS)
}

/// The sums of what was verified.
#[derive(Debug, Default)]
struct Chains {
    all: usize,
    intact: usize,
    records: u64,
}

impl Chains {
    /// Prints a line for each chain of a place, and counts it.
    fn add(&mut self, place: &str, report: &AuditReport) -> Result<(), Failure> {
        for chain in &report.chains {
            let (end, records) = (&chain.end, chain.records);
            let fault = report.faults.iter().find(|fault| fault.instance == end.instance);
            self.all += 1;
            self.intact += usize::from(fault.is_none());
            self.records += records;
            match fault {
                Some(fault) => say_line(format_args!(
                    "{place}: {}: NOT intact after {records} records: {}",
                    end.instance, fault.kind
                )),
                None if end.checkpoint.seq == 0 => {
                    say_line(format_args!("{place}: {}: no records", end.instance))
                }
                None => say_line(format_args!(
                    "{place}: {}: intact, {records} records, up to {end}",
                    end.instance
                )),
            }?;
        }
        // Of instances without a record in this place.
        for fault in &report.faults {
            if !report
                .chains
                .iter()
                .any(|chain| chain.end.instance == fault.instance)
            {
                self.all += 1;
                say_line(format_args!(
                    "{place}: {}: NOT intact: {}",
                    fault.instance, fault.kind
                ))?;
            }
        }
        Ok(())
    }
}

async fn export(arguments: &ExportArguments, config: &Config) -> Result<u8, Failure> {
    let filter = AuditFilter {
        since: Some(arguments.since.as_microsecond()),
        until: arguments.until.map(Timestamp::as_microsecond),
        app: arguments.app.clone(),
    };
    let mut lines = BufWriter::new(std::io::stdout().lock());
    let is_csv = arguments.format == Format::Csv;
    let mut rows = is_csv.then(|| csv::Writer::from_writer(std::io::stdout()));
    if let Some(rows) = &mut rows {
        rows.write_record(csv_columns())?;
    }
    let mut write = |record: &str| match &mut rows {
        Some(rows) => Ok(rows.write_record(csv_cells(record)?)?),
        None => writeln!(lines, "{record}"),
    };
    if arguments.from.is_files() {
        file_records(&audit_folder(&config.data_folder), |record| {
            let is_selected = filter.selects(&audit_row(record)?);
            if is_selected { write(record) } else { Ok(()) }
        })?;
    } else {
        let database = config.open_database().await?;
        let (mut time, mut instance, mut seq) = (i64::MIN, String::new(), 0);
        loop {
            let page = database.find_audit(&filter, (time, &instance, seq), PAGE).await?;
            let Some(last) = page.last() else { break };
            (time, instance, seq) = (last.time, last.instance.clone(), last.seq);
            page.iter().try_for_each(|row| write(&row.line))?;
        }
    }
    lines.flush()?;
    if let Some(mut rows) = rows {
        rows.flush()?;
    }
    Ok(exit::PASS)
}

async fn status(config: &Config) -> Result<u8, Failure> {
    let folder = audit_folder(&config.data_folder);
    let mut records = 0_u64;
    file_records(&folder, |_| {
        records += 1;
        Ok(())
    })?;
    say(format_args!("files in {}: {records} records", folder.display()))?;
    let database = config.open_database().await?;
    let (rows, latest) = database.audit_size().await?;
    let shown =
        |time| Timestamp::from_microsecond(time).map_or_else(|_| time.to_string(), |time| time.to_string());
    let latest = latest.map_or_else(|| "none".to_owned(), shown);
    say(format_args!(
        "database {}: {rows} records, the latest of {latest}",
        database.name()
    ))?;
    Ok(exit::PASS)
}
