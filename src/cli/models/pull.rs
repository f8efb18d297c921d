//! `likeness models pull`.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness::packs::Manifest;
use likeness_packs::fetch::{Mirror, Pull, Pulled};

use super::count;
use super::show::Show;
use crate::cli::{EngineArguments, Failure, exit, say};

/// Where the files come from, in this order: the archive of --from; the mirror of --mirror or LIKENESS_MODEL_MIRROR;
/// files beside a manifest that is named by its path; the addresses in the manifest. An archive or a mirror is an order:
/// nothing else is asked.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Behind a proxy set HTTPS_PROXY, and NO_PROXY for hosts that are reached without it. If your \
network has certificates of its own, name a file of them with SSL_CERT_FILE. What has arrived when a pull ends early is \
kept, and the next one goes on from there. docs/packs.md has more."
)]
pub(crate) struct PullArguments {
    /// A built-in or installed pack by its name, or another by the path of its pack.toml or of the folder that holds it
    /// [default: the archive's, else that of --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
    /// Take everything from this archive of `likeness models export`; no network is used.
    #[arg(long, value_name = "FILE.tar")]
    from: Option<PathBuf>,
    /// Take the files from this folder or http(s) server of yours, which has them by their names [default:
    /// LIKENESS_MODEL_MIRROR, else the manifest's addresses].
    #[arg(long, value_name = "DIR|URL", conflicts_with = "from")]
    mirror: Option<Mirror>,
    /// How many files are fetched at the same time.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Accept the licences of a pack that is not free for commercial use.
    #[arg(long)]
    accept_license: bool,
    /// Delete the files as published when the models are made of them. They are kept otherwise, so that an export carries
    /// them and a later version can make its models without fetching them again.
    #[arg(long)]
    drop_sources: bool,
    /// Copy the manifest of a pack that is named by its path into the store, so that its name suffices from then on.
    #[arg(long, conflicts_with = "from")]
    install: bool,
    /// End with an error, rather than wait, while another process pulls into the same store.
    #[arg(long)]
    no_wait: bool,
    /// Print nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

impl PullArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let store = engine.store().place();
        let jobs = NonZero::new(usize::from(self.jobs)).unwrap_or(NonZero::<usize>::MIN);
        let mut pull = Pull::new()
            .with_jobs(jobs)
            .with_accepted_license(self.accept_license)
            .with_kept_sources(!self.drop_sources)
            .with_install(self.install)
            .with_wait(!self.no_wait);
        let mut name = self.name.as_deref();
        if let Some(archive) = &self.from {
            pull = pull.with_archive(archive);
        } else {
            name = name.or(Some(engine.pack_name()));
            if let Some(mirror) = self.mirror.clone().or_else(Mirror::from_environment) {
                pull = pull.with_mirror(mirror);
            }
        }
        let show = Show::new(self.quiet);
        let pulled = pull.run(&store, name, &|event| show.event(&event));
        show.end();
        let pulled = pulled?;
        if !self.quiet {
            say(summary(&pulled, &store.folder().display().to_string()))?;
        }
        Ok(exit::PASS.into())
    }
}

fn summary(pulled: &Pulled, folder: &str) -> String {
    let Manifest {
        name,
        version,
        models,
        ..
    } = &pulled.manifest;
    let models = count(models.len(), "model");
    let what = if pulled.made.is_empty() && pulled.fetched.is_empty() {
        "there".to_owned()
    } else if pulled.fetched.is_empty() {
        "made".to_owned()
    } else {
        format!("{} brought", count(pulled.fetched.len(), "file"))
    };
    let installed = if pulled.installed {
        ", manifest installed"
    } else {
        ""
    };
    format!("model pack {name} {version}: {what}{installed}; {models} in {folder}, checksums right")
}
