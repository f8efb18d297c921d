//! A server with models that do as the test says, and a client that sends exactly the bytes it is told.
#![allow(dead_code, reason = "no test file uses all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test"
)]

pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod log;
pub(crate) mod models;

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};

use likeness_server::{AppConfig, Apps, Config, EngineSource, ServeError, Server};
pub(crate) use likeness_testing::http::TIMEOUT;
use tokio::sync::oneshot;

pub(crate) use client::{Client, Response};
pub(crate) use form::Form;
pub(crate) use models::Models;

/// What servers of this process keep, which all of them share.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

pub(crate) const APP: &str = "app-1";
pub(crate) const KEY: &str = "s3cret:with-colon";
pub(crate) const DISABLED_APP: &str = "app-off";

/// A server on a port of its own, with a runtime of its own.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    /// The operator's port.
    pub(crate) admin_address: Option<SocketAddr>,
    shutdown: Option<oneshot::Sender<()>>,
    ended: Receiver<()>,
    runtime: Option<tokio::runtime::Runtime>,
    _folder: tempfile::TempDir,
}

/// The settings of a service on a port of its own: two apps, and a storage that goes with it.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.database.url = Some("sqlite::memory:".into());
    config.audit.enabled = false;
    config.data_folder = FOLDER.path().to_owned();
    let mut disabled = AppConfig::new(DISABLED_APP, KEY);
    disabled.disabled = true;
    config.apps = vec![AppConfig::new(APP, KEY), disabled];
    config
}

impl TestServer {
    pub(crate) fn start(models: &Models, configure: impl FnOnce(&mut Config)) -> Self {
        Self::launch(configure, async |config, apps| {
            let engine = models.engine(config.image_limits.into());
            Server::bind(config, apps, engine).await
        })
    }

    /// A server whose engines come from this source.
    pub(crate) fn start_reloadable(source: impl EngineSource, configure: impl FnOnce(&mut Config)) -> Self {
        Self::launch(configure, async |config, apps| {
            Server::bind_reloadable(config, apps, source).await
        })
    }

    pub(crate) fn launch(
        configure: impl FnOnce(&mut Config),
        bind: impl AsyncFnOnce(Config, Apps) -> Result<Server, ServeError>,
    ) -> Self {
        log::capture();
        let mut config = config();
        // Where something has to be on a disk.
        let folder = tempfile::tempdir().unwrap();
        config.data_folder = folder.path().to_owned();
        configure(&mut config);
        let apps = config.apps().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(bind(config, apps)).unwrap();
        let address = server.local_addr();
        let admin_address = server.admin_addr();
        let (shutdown, asked) = oneshot::channel::<()>();
        let (tell, ended) = channel();
        runtime.spawn(async move {
            let asked = async {
                if asked.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            server.run(asked).await;
            let _ = tell.send(());
        });
        Self {
            address,
            admin_address,
            shutdown: Some(shutdown),
            ended,
            runtime: Some(runtime),
            _folder: folder,
        }
    }

    pub(crate) fn shut_down(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    pub(crate) fn wait_for_end(&self) {
        self.ended.recv_timeout(TIMEOUT).unwrap();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.try_recv().is_ok()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A connection to the operator's port.
    pub(crate) fn operator(&self) -> Client {
        Client::connect(self.admin_address.expect("an operator's port"))
    }

    /// Sends a form with the right credentials on a connection of its own.
    pub(crate) fn post(&self, path: &str, form: &Form) -> Response {
        let mut client = self.client();
        client.send(&form.request(path, &credentials()));
        client.response()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        let mut client = self.client();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        client.response()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn credentials() -> String {
    format!("app_id: {APP}\r\napp_key: {KEY}\r\n")
}
