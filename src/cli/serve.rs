//! `likeness serve`.

use clap::Args;
use likeness::server::{DEMO_APP, Hangups, Logs, Server, second_shutdown_signal, shutdown_signal};
#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::settings::ServiceArguments;
use super::{Failure, doctor, say};

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    settings: ServiceArguments,
}

impl ServeArguments {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let explained = self.settings.explained()?;
        let logs = Logs::start(&explained.config.log)?;
        explained.log_warnings();
        let config = explained.config;
        #[cfg(unix)]
        if !config.allow_core_dumps {
            forbid_core_dumps();
        }
        #[cfg(unix)]
        allow_open_files(config.connections.max)?;
        let is_demo = config.demo;
        let mut apps = config.apps()?;
        let demo_key = if is_demo { apps.add_demo()? } else { None };
        let engines = config.engine_builder();
        let settings = self.settings.clone();
        let read = move || Ok(settings.explained()?.config);
        let settings = self.settings.clone();
        let checks = move || doctor::checks(&settings);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let hangups = Hangups::listen();
            let mut server = Server::bind_reloadable(config, apps, engines)
                .await?
                .with_settings(read)
                .with_checks(checks)
                .with_logs(logs)
                .with_hangups(hangups);
            #[cfg(feature = "otel")]
            if let Some(traces) = likeness::server::Traces::from_environment()? {
                server = server.with_traces(traces);
            }
            // Listening for signals before the service is announced: it may be stopped from then on.
            let shutdown = shutdown_signal();
            let at_once = second_shutdown_signal();
            announce_first_app(&mut server)?;
            announce(&server)?;
            if is_demo {
                announce_demo(&server, demo_key.as_deref())?;
            }
            tokio::select! {
                () = server.run(shutdown) => Ok(()),
                () = at_once => Err("second shutdown signal: in-flight requests aborted".into()),
            }
        })
    }
}

fn announce(server: &Server) -> Result<(), Failure> {
    let engine = server.engine();
    let info = engine.labels();
    say(format_args!(
        "Likeness {} is ready on {} (pack {} {}, provider {} on {}, ONNX Runtime {}, {} workers)",
        env!("CARGO_PKG_VERSION"),
        server.url(),
        info.pack,
        info.pack_version,
        info.provider,
        info.device,
        info.runtime_version,
        engine.workers(),
    ))?;
    if let (scheme, Some(address)) = (server.admin_scheme(), server.admin_addr()) {
        say(format_args!("Admin listener: {scheme}://{address}"))?;
    }
    match server.console_url() {
        Some(url) => say(format_args!("Console: {url}")),
        None => Ok(()),
    }
}

/// Prints the demo app's key, unless the configuration has such an app already, and a request to paste.
fn announce_demo(server: &Server, key: Option<&str>) -> Result<(), Failure> {
    if let Some(key) = key {
        say(format_args!("\n  app_id:  {DEMO_APP}\n  app_key: {key}\n"))?;
    }
    let key = key.unwrap_or("$DEMO_KEY");
    say(format_args!(
        "Try it with two images of yours:\n\n  curl -sS {}/v0.2/biometric-verification \
         -H 'app_id: {DEMO_APP}' -H \"app_key: {key}\" -F selfie=@selfie.jpg -F image=@photo.jpg\n",
        server.url()
    ))?;
    if server.scheme() == "https" {
        say("If this machine does not trust the certificate, name its root with --cacert FILE.\n")?;
    }
    say("Press Ctrl-C to stop.")
}

/// Prints the app that a first start has created.
fn announce_first_app(server: &mut Server) -> Result<(), Failure> {
    let Some(app) = server.take_first_app() else {
        return Ok(());
    };
    say(format_args!(
        "First start with this database: created an app. Its key is shown only once.\n\n  \
         app_id:  {}\n  app_key: {}\n\nCreate more with `likeness apps create`.\n",
        app.id,
        app.key.expose()
    ))
}

/// Files that the service has open besides the connections of clients: libraries, models, database, audit and log, the 64
/// connections of the admin listener, those to PostgreSQL; and room.
#[cfg(unix)]
const OTHER_FILES: u64 = 256;

/// Turns core dumps off: no image may get onto a disk by a crash.
#[cfg(unix)]
fn forbid_core_dumps() {
    let (current, maximum) = (Some(0), Some(0));
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current, maximum }) {
        super::complain(error);
    }
}

/// Raises the limit of open files for so many connections. That the hard limit is not enough is an error: with all
/// connections open the audit log and the admin listener would fail.
#[cfg(unix)]
fn allow_open_files(connections: usize) -> Result<(), Failure> {
    let needed = (connections as u64).saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    // None: there is no limit.
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < needed) {
        return Err(format!(
            "configuration: connections.max: {connections} connections take up to {needed} open files, and this process may \
             have {maximum} (`ulimit -Hn`): raise that, or lower connections.max"
        )
        .into());
    }
    let (current, maximum) = (Some(needed), limit.maximum);
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}
