//! `likeness eval`.

mod liveness;
mod matching;
mod source;

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use likeness::Engine;
use likeness_evaluation::{Journal, JournalContent, Progress, Setup};
use serde::Serialize;

pub(crate) use self::source::{Comparisons, LivenessSource, MatchSource};
use super::{EngineArguments, Failure, complain};

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

    /// The journal of the folder, where one is asked for. One that is left from an evaluation that was broken off holds
    /// what should not lie about: whoever does not ask for it is told.
    pub(crate) fn journal(
        &self,
        resume: bool,
        content: JournalContent,
        engine: &Engine,
    ) -> Result<Option<Journal>, Failure> {
        let Some(folder) = &self.0 else { return Ok(None) };
        if resume {
            return Ok(Some(Journal::open(folder, content, &Setup::of(engine))?));
        }
        let path = folder.join(content.file_name());
        if path.exists() {
            let left: Failure = format!(
                "{} is left from an evaluation that was broken off: --resume goes on with it, else delete it",
                path.display()
            )
            .into();
            complain(&*left);
        }
        Ok(None)
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
pub(crate) fn threads(engine: &Engine) -> NonZero<usize> {
    NonZero::new(engine.workers()).unwrap_or(NonZero::<usize>::MIN)
}
