//! `likeness batch`.

mod local;
mod order;
mod pairs;
mod progress;
mod remote;
mod reply;
mod results;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use likeness::decision::Profile;
use sha2::{Digest, Sha256};

use self::local::Local;
use self::order::in_order;
use self::pairs::{Pair, Pairs};
use self::progress::{Progress, Warnings};
use self::remote::{Info, Remote, RemoteArguments};
use self::results::{Counts, Judged, Results, brief};
use super::eval::root;
use super::{EngineArguments, Failure, exit, say, say_table};

/// The code of a row that names no pair.
const INVALID_ROW: &str = "INVALID_ROW";

#[derive(Debug, Args)]
pub(crate) struct BatchArguments {
    /// CSV list with selfie and photo, optionally profile and id; or folder with a folder for each pair
    pairs: PathBuf,
    /// Results to write (CSV); the same command resumes an interrupted run
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Root of the paths in the list [default: the folder of the list]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Decision profile of pairs that name none [default: optimal-v0, with --url that of the app]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Match the best of all faces in each photo
    #[arg(long)]
    multiface: bool,
    /// Mildest outcome with a nonzero exit code
    #[arg(long, value_enum, value_name = "OUTCOME", default_value_t = FailOn::Review)]
    fail_on: FailOn,
    #[command(flatten)]
    service: RemoteArguments,
    #[command(flatten)]
    engine: EngineArguments,
}

/// The outcomes that the exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum FailOn {
    /// Review, reject or error.
    Review,
    /// Reject or error.
    Reject,
    /// Error.
    Error,
    /// None.
    Never,
}

impl FailOn {
    /// Returns the exit code of the worst outcome: an error is worse than a reject, and that than a review.
    fn code(self, counts: &Counts) -> u8 {
        let worst_first = [
            (Self::Error, counts.errors(), exit::ERROR),
            (Self::Reject, counts.of("reject"), exit::REJECT),
            (Self::Review, counts.of("review"), exit::REVIEW),
        ];
        let told = worst_first
            .iter()
            .find(|(level, pairs, _)| *level >= self && *pairs > 0);
        told.map_or(exit::PASS, |(_, _, code)| *code)
    }
}

/// What verifies the pairs.
enum Verifier {
    Local(Box<Local>),
    Remote(Box<Remote>),
}

impl Verifier {
    /// Returns the name of the engine in the results, and the number of threads.
    fn engine(&self, arguments: &BatchArguments) -> Result<(String, usize), Failure> {
        let multiface = if arguments.multiface { "multiface" } else { "" };
        Ok(match self {
            Self::Local(local) => {
                let profiles = match local.profiles.as_slice() {
                    [] => String::new(),
                    profiles => serde_json::to_string(profiles)?,
                };
                let name = engine_name(&local.engine.labels().into(), &[multiface, &profiles]);
                (name, local.engine.workers())
            }
            Self::Remote(remote) => {
                let info = remote.info()?;
                let named = |info: &Info| engine_name(info, &[multiface]);
                let name = info.as_ref().map_or_else(|| "unknown".to_owned(), named);
                (name, usize::from(arguments.service.concurrent_requests))
            }
        })
    }

    fn verify(&self, pair: &Pair, warnings: &Warnings) -> Result<Judged, Failure> {
        if let Some(fault) = &pair.fault {
            return Ok(Judged::refused(INVALID_ROW, fault));
        }
        match self {
            Self::Local(local) => Ok(local.verify(pair)),
            Self::Remote(remote) => remote.verify(pair, warnings),
        }
    }
}

impl BatchArguments {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        // Before the models are loaded, so that errors in the list are reported at once.
        let total = Pairs::count(&self.pairs)?;
        if total == 0 {
            return Err(format!("{}: there is no pair", self.pairs.display()).into());
        }
        let mut results = Results::open(&self.out)?;
        let (verifier, profile) = self.verifier()?;
        let (engine, threads) = verifier.engine(self)?;
        let mut pairs = Pairs::open(&self.pairs)?.with_default_profile(profile);
        let mut counts = results.resume(&mut pairs, &engine)?;
        let before = counts.total();
        let mut progress = Progress::new(total, before);
        let warnings = progress.warnings();
        let verified = in_order(
            threads,
            pairs,
            |pair| {
                let judged = verifier.verify(&pair, &warnings)?;
                Ok((judged.line(&pair, &engine)?, judged))
            },
            |(line, judged)| {
                results.append(&line)?;
                counts.add_judged(&judged);
                progress.advance();
                Ok(())
            },
        );
        progress.end();
        if let Err(failure) = verified {
            let (done, out) = (counts.total(), self.out.display());
            return Err(format!(
                "{failure}; {done} of {total} pairs are in {out}: the same command resumes there"
            )
            .into());
        }
        self.summarize(&counts, before, &progress)?;
        Ok(self.fail_on.code(&counts))
    }

    /// Returns what verifies, and the profile of pairs that name none.
    fn verifier(&self) -> Result<(Verifier, String), Failure> {
        let root = match self.pairs.is_dir() {
            true if self.root.is_some() => return Err("--root is for lists; a folder is its own root".into()),
            true => self.pairs.clone(),
            false => root(self.root.as_deref(), &self.pairs).to_owned(),
        };
        let profile = self.profile.clone();
        if let Some(url) = &self.service.url {
            if let Some(flag) = self.engine.first_flag() {
                return Err(
                    format!("{flag} has no effect with --url: the service has its own settings").into(),
                );
            }
            let remote = Remote::new(&self.service, url, root, self.multiface)?;
            return Ok((Verifier::Remote(Box::new(remote)), profile.unwrap_or_default()));
        }
        let config = self.engine.load_for_engine()?;
        let profile = profile.unwrap_or_else(|| Profile::default().name().to_owned());
        let local = Local {
            engine: config.engine_builder().build()?,
            profiles: config.profiles,
            root,
            multiface: self.multiface,
        };
        if local.profile(&profile).is_none() {
            return Err(format!("--profile: there is no profile {profile:?}").into());
        }
        Ok((Verifier::Local(Box::new(local)), profile))
    }

    fn summarize(&self, counts: &Counts, before: u64, progress: &Progress) -> Result<(), Failure> {
        let of = |outcome| format!("{} {outcome}", counts.of(outcome));
        let outcomes = ["pass", "warning", "review", "reject", "error"].map(of);
        say(format_args!("{} pairs: {}", counts.total(), outcomes.join(", ")))?;
        let (done, rate) = progress.rate();
        let seconds = progress.elapsed().as_secs_f64();
        let earlier = if before > 0 {
            format!("; {before} by an earlier run")
        } else {
            String::new()
        };
        say(format_args!("{done} in {seconds:.1} s, {rate:.2}/s{earlier}"))?;
        let codes = counts.codes();
        if !codes.is_empty() {
            let rows: Vec<_> = codes
                .iter()
                .map(|(code, pairs)| [(*code).to_owned(), pairs.to_string()])
                .collect();
            say_table(["code", ">pairs"], &rows)?;
        }
        say(format_args!("wrote {}", self.out.display()))
    }
}

/// Names an engine in the results: pack, version, and the first digits of a digest of all that its scores depend on, and of what
/// else the results do, where that is not empty. The same engine has the same name here and in a service.
fn engine_name(info: &Info, more: &[&str]) -> String {
    let parts = [
        info.pack.as_str(),
        &info.pack_version,
        &info.match_calibration,
        &info.liveness_calibration,
        &info.cohort,
        &info.provider,
        &info.version,
    ];
    let more = more.iter().copied().filter(|part| !part.is_empty());
    let digest = Sha256::digest(Vec::from_iter(parts.into_iter().chain(more)).join("\n"));
    let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    brief(&format!("{} {} {digits}", info.pack, info.pack_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst_outcome_that_counts() {
        let counts = |outcomes: &[&str]| {
            let mut counts = Counts::default();
            for outcome in outcomes {
                counts.add(outcome, "");
            }
            counts
        };
        for (outcomes, codes) in [
            (&["pass", "warning"][..], [0, 0, 0, 0]),
            (&["pass", "review"], [3, 0, 0, 0]),
            (&["reject", "review"], [4, 4, 0, 0]),
            (&["reject", "error", "review"], [1, 1, 1, 0]),
            (&["error"], [1, 1, 1, 0]),
        ] {
            let counts = counts(outcomes);
            let found = FailOn::value_variants().iter().map(|level| level.code(&counts));
            assert_eq!(found.collect::<Vec<_>>(), codes, "{outcomes:?}");
        }
    }
}
