//! `likeness eval`.

mod liveness;
mod matching;

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use likeness_evaluation::{FaceChoice, Progress};
use serde::Serialize;

use super::{EngineArguments, Failure};

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// False match and false non-match rates (ISO/IEC 19795-1).
    Match(Box<matching::MatchArguments>),
    /// Attack and bona fide presentation classification error rates (ISO/IEC 30107-3).
    Liveness(liveness::LivenessArguments),
}

impl EvalCommand {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        match self {
            Self::Match(arguments) => arguments.run(engine),
            Self::Liveness(arguments) => arguments.run(engine),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Face {
    /// The largest, as the engine judges.
    Largest,
    /// The one nearest the picture's centre, as LFW has it.
    Centre,
}

impl Face {
    pub(crate) fn choice(self) -> FaceChoice {
        match self {
            Self::Largest => FaceChoice::Largest,
            Self::Centre => FaceChoice::Centre,
        }
    }

    /// What is measured on, for reports: the pairs of a list, or `all` pairs of its pictures or of a folder's.
    pub(crate) fn describe(self, source: &Path, all: bool) -> String {
        let name = source.file_name().unwrap_or(source.as_os_str()).to_string_lossy();
        let pairs = if all {
            "all pairs of the pictures of"
        } else {
            "the pairs of"
        };
        let face = match self {
            Self::Largest => "largest face",
            Self::Centre => "face nearest the centre",
        };
        format!("{pairs} {name}, {face}")
    }
}

/// What is measured on, for reports.
pub(crate) fn describe_labels(list: &Path) -> String {
    let name = list.file_name().unwrap_or_default().to_string_lossy();
    format!("the presentations of {name}")
}

/// The folder that the results go to, where they go to one. It is made before the work begins: whoever has no right to
/// write there should not learn it hours later.
pub(crate) struct Output(Option<PathBuf>);

impl Output {
    pub(crate) fn create(folder: Option<&Path>) -> Result<Self, Failure> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        }
        Ok(Self(folder.map(Path::to_owned)))
    }

    /// A file of the folder, if there is one.
    pub(crate) fn open(&self, name: &str) -> Result<Option<BufWriter<File>>, Failure> {
        let Some(folder) = &self.0 else { return Ok(None) };
        let path = folder.join(name);
        let file =
            File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Some(BufWriter::new(file)))
    }

    pub(crate) fn text(&self, name: &str, text: &str) -> Result<(), Failure> {
        if let Some(mut file) = self.open(name)? {
            file.write_all(text.as_bytes())?;
            file.flush()?;
        }
        Ok(())
    }

    pub(crate) fn json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        if let Some(mut file) = self.open(name)? {
            serde_json::to_writer_pretty(&mut file, value)?;
            file.write_all(b"\n")?;
            file.flush()?;
        }
        Ok(())
    }
}

/// A bar on standard error, where that is a terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} pictures, {per_sec}, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn begin(&self, pictures: usize) {
        self.0.reset();
        self.0.set_length(pictures as u64);
    }

    fn advance(&self) {
        self.0.inc(1);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// As many threads for comparing and resampling as the engine has workers.
pub(crate) fn threads(engine: &likeness::Engine) -> NonZero<usize> {
    NonZero::new(engine.workers()).unwrap_or(NonZero::<usize>::MIN)
}
