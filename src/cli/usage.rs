//! `likeness usage`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use likeness::server::storage::usage::{Period, UsageDay, Used};
use serde_json::json;

use super::config::ConfigArguments;
use super::csv_cell::cell;
use super::{Failure, block_on, exit, say};

#[derive(Debug, Args)]
pub(crate) struct UsageArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only this app.
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// From this day on, UTC [default: the first of this month].
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Date>,
    /// To this day, UTC [default: today].
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    /// How it is written. A table also says what is used of the quotas now.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

impl UsageArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let now = Timestamp::now();
        let today = TimeZone::UTC.to_datetime(now).date();
        let since = self.since.unwrap_or_else(|| today.first_of_month());
        let until = self.until.unwrap_or(today);
        let (days, used) = block_on(async {
            let database = config.storage.open().await?;
            let days = database
                .usage(self.app.as_deref(), number(since)?, number(until)?)
                .await?;
            let mut used = database.used_units(Period::at(now)).await?;
            used.retain(|(app, _)| self.app.as_ref().is_none_or(|wanted| wanted == app));
            database.close().await;
            Ok((days, used))
        })?;
        match self.format {
            Format::Table => table(&days, &used)?,
            Format::Json => list(&days)?,
            Format::Csv => csv(&days)?,
        }
        Ok(exit::PASS.into())
    }
}

/// Days since 1970.
fn number(date: Date) -> Result<i64, Failure> {
    Ok(Period::at(TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))?).day)
}

fn date(day: i64) -> String {
    Date::constant(1970, 1, 1)
        .checked_add(day.days())
        .map_or_else(|_| day.to_string(), |date| date.to_string())
}

fn table(days: &[UsageDay], used: &[(String, Used)]) -> Result<(), Failure> {
    let mut sums: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for day in days {
        let sum = sums.entry(&day.app).or_default();
        sum.0 += day.biometric;
        sum.1 += day.liveness;
        sum.2 += day.refused;
    }
    say(format_args!(
        "{:<24} {:>10} {:>10} {:>10} {:>12} {:>12}",
        "app", "biometric", "liveness", "refused", "used today", "this month"
    ))?;
    for (app, _) in used {
        sums.entry(app).or_default();
    }
    for (app, (biometric, liveness, refused)) in sums {
        let now = used
            .iter()
            .find(|(id, _)| id == app)
            .map(|(_, used)| *used)
            .unwrap_or_default();
        say(format_args!(
            "{app:<24} {biometric:>10} {liveness:>10} {refused:>10} {:>12} {:>12}",
            now.day, now.month
        ))?;
    }
    Ok(())
}

fn list(days: &[UsageDay]) -> Result<(), Failure> {
    let days: Vec<_> = days
        .iter()
        .map(|day| {
            json!({
                "app": day.app, "day": date(day.day), "biometric": day.biometric, "liveness": day.liveness,
                "refused": day.refused,
            })
        })
        .collect();
    say(serde_json::to_string_pretty(&days)?)
}

fn csv(days: &[UsageDay]) -> Result<(), Failure> {
    say("app,day,biometric,liveness,refused")?;
    for day in days {
        say(format_args!(
            "{},{},{},{},{}",
            cell(&day.app),
            date(day.day),
            day.biometric,
            day.liveness,
            day.refused
        ))?;
    }
    Ok(())
}
