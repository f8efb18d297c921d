//! `likeness models pull`.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness_packs::fetch::{Mirror, Pull, Pulled};

use super::count;
use super::progress::Progress;
use crate::cli::{Failure, StoreArguments, exit, say};

#[derive(Debug, Args)]
#[command(
    after_long_help = "Sources, in this order: the archive of --from; the mirror of --mirror or LIKENESS_MODEL_MIRROR; \
files beside a manifest given by its path; the addresses in the manifest. With --from or --mirror no other source is tried.\n\n\
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
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let engine = self.store.load_for_engine()?.engine;
        let store = engine.store().place();
        let mut pull = Pull::default();
        pull.jobs = NonZero::new(usize::from(self.jobs)).unwrap_or(NonZero::<usize>::MIN);
        pull.accept_license = self.accept_license;
        pull.keep_sources = !self.drop_sources;
        pull.install = self.install;
        pull.wait = !self.no_wait;
        let mut name = self.name.as_deref();
        pull.archive.clone_from(&self.from);
        if pull.archive.is_none() {
            name = name.or(Some(engine.pack_name()));
            pull.mirror = self.mirror.clone().or_else(Mirror::from_environment);
        }
        let progress = Progress::new(self.quiet);
        let pulled = pull.run(&store, name, &|event| progress.event(&event));
        progress.end();
        let pulled = pulled?;
        if !self.quiet {
            say(summary(&pulled, &store.folder().display().to_string()))?;
        }
        Ok(exit::PASS.into())
    }
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
    format!(
        "model pack {} {}: {done}{}; {} in {folder}, checksums verified",
        manifest.name,
        manifest.version,
        if pulled.installed {
            ", manifest installed"
        } else {
            ""
        },
        count(manifest.models.len(), "model")
    )
}
