//! `likeness serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use likeness::runtime::available_workers;
use likeness::server::storage::apps::NewApp;
use likeness::server::{
    Config, DEMO_APP, Explained, Hangups, LogFormat, Logs, Server, second_shutdown_signal, shutdown_signal,
};

use super::config::ConfigArguments;
use super::{EngineArguments, Failure, exit, process, say};

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Address and port to listen on [default: LIKENESS_LISTEN, else the configuration's, else 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Address and port to listen on for the operator, who may have the models read again there [default:
    /// LIKENESS_ADMIN_LISTEN, else the configuration's, else no such port].
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<SocketAddr>,
    /// Leave core dumps as the system has them. Without this the limit is set to 0: a dump of this process holds pictures.
    #[arg(long)]
    allow_core_dumps: bool,
    /// Add an app `demo` with a new random key, and print the key and a request to paste.
    #[arg(long)]
    demo: bool,
    /// How log lines, on standard error, are written [default: the configuration's, else text]. RUST_LOG sets which there
    /// are.
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}

impl ServeArguments {
    pub(crate) fn run(&self, arguments: &EngineArguments) -> Result<ExitCode, Failure> {
        let overrides = arguments
            .overrides()
            .with_listen(self.listen)
            .with_admin_listen(self.admin_listen)
            .with_log_format(self.log_format.map(Into::into));
        let file = self.config.file().map(Path::to_owned);
        let explained = Explained::load(file.as_deref(), std::env::vars_os(), &overrides)?;
        let read = move || Config::load(file.as_deref(), &overrides);
        let logs = Logs::start(&explained.config.log)?;
        explained.log_warnings();
        let config = explained.config;
        if !self.allow_core_dumps {
            process::forbid_core_dumps();
        }
        process::allow_open_files(config.connections.max)?;
        let mut apps = config.apps()?;
        let demo_key = if self.demo { apps.add_demo()? } else { None };
        let workers = arguments.workers.map_or_else(available_workers, usize::from);
        let engines = config.configure(arguments.builder_on_cpu()).workers(workers);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let hangups = Hangups::listen();
            let server = Server::bind_reloadable(config, apps, engines)
                .await?
                .with_settings(read)
                .with_logs(logs)
                .with_hangups(hangups);
            #[cfg(feature = "otel")]
            let server = match likeness::server::Traces::from_environment()? {
                Some(traces) => server.with_traces(traces),
                None => server,
            };
            // Whoever has read that it is ready may stop it.
            let shutdown = shutdown_signal();
            let at_once = second_shutdown_signal();
            let mut server = server;
            announce_first_app(server.take_first_app())?;
            self.announce(&server, demo_key.as_deref())?;
            tokio::select! {
                () = server.run(shutdown) => Ok(exit::PASS.into()),
                () = at_once => Err("told twice to stop: what was under way was not finished".into()),
            }
        })
    }

    fn announce(&self, server: &Server, demo_key: Option<&str>) -> Result<(), Failure> {
        let address = server.local_addr();
        let engine = server.engine();
        let info = engine.info();
        let scheme = server.scheme();
        say(format_args!(
            "Likeness {} is ready on {scheme}://{address} (pack {} {}, provider {} on {}, ONNX Runtime {}, {} workers)",
            env!("CARGO_PKG_VERSION"),
            info.pack,
            info.pack_version,
            info.provider,
            info.device,
            info.runtime_version,
            info.workers,
        ))?;
        if let Some(address) = server.admin_addr() {
            say(format_args!(
                "The operator's port is on {}://{address}",
                server.admin_scheme()
            ))?;
        }
        if !self.demo {
            return Ok(());
        }
        let key = match demo_key {
            Some(key) => {
                say(format_args!("\n  app_id:  {DEMO_APP}\n  app_key: {key}\n"))?;
                key
            }
            // The configuration has such an app already, and its key stays a secret.
            None => "$DEMO_KEY",
        };
        say(format_args!(
            "Try it with two pictures of yours:\n\n  curl -sS {scheme}://{address}/v0.2/biometric-verification \
             -H 'app_id: {DEMO_APP}' -H \"app_key: {key}\" -F selfie=@selfie.jpg -F image=@photo.jpg\n"
        ))?;
        if scheme == "https" {
            say("Where this machine does not trust the certificate, name its root with --cacert FILE.\n")?;
        }
        say("Ctrl-C ends it.")
    }
}

/// Shows the app that a first start has made.
fn announce_first_app(app: Option<NewApp>) -> Result<(), Failure> {
    let Some(app) = app else {
        return Ok(());
    };
    say(format_args!(
        "This is the first start with this storage: it has an app now. Its key is shown this once.\n\n  \
         app_id:  {}\n  app_key: {}\n\n`likeness apps` makes others.\n",
        app.id,
        app.key.expose()
    ))
}
