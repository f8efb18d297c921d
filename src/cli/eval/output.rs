//! The output of `likeness eval`: files in a folder, and a progress bar.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use likeness::Engine;
use likeness_evaluation::{Journal, JournalContent, Progress, Setup};
use serde::Serialize;

use crate::cli::{Failure, complain};

/// The folder for the results, where there is one.
pub(crate) struct Output(Option<PathBuf>);

impl Output {
    /// Creates the folder, before work that may take hours.
    pub(crate) fn create(folder: Option<&Path>) -> Result<Self, Failure> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        }
        Ok(Self(folder.map(Path::to_owned)))
    }

    /// Returns the journal to resume, or warns of one that an interrupted run has left: it may hold biometric data.
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
            complain(format_args!(
                "found {} of an interrupted run: resume it with --resume, or delete the file",
                path.display()
            ));
        }
        Ok(None)
    }

    /// Creates a file in the folder, where there is one.
    pub(crate) fn open(&self, name: &str) -> Result<Option<BufWriter<File>>, Failure> {
        let Some(folder) = &self.0 else { return Ok(None) };
        let path = folder.join(name);
        let file =
            File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Some(BufWriter::new(file)))
    }

    /// Writes report.json and report.html, and deletes the journal, which is no longer needed.
    pub(crate) fn finish(
        &self,
        report: &impl Serialize,
        html: &str,
        journal: Option<Journal>,
    ) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(report)? + "\n";
        for (name, text) in [("report.json", json.as_str()), ("report.html", html)] {
            if let Some(mut file) = self.open(name)? {
                file.write_all(text.as_bytes())?;
                file.flush()?;
            }
        }
        Ok(journal.map_or(Ok(()), Journal::delete)?)
    }
}

/// A progress bar on standard error, hidden where that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let template = "{bar:40} {human_pos}/{human_len} images, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn begin(&self, images: usize) {
        self.0.reset();
        self.0.set_length(images as u64);
    }

    fn advance(&self) {
        self.0.inc(1);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
