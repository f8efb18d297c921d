//! Two replicas on one database, and nginx in front of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use likeness_testing::http::App;
use likeness_testing::postgres::own_port;
use likeness_testing::{Failed, Outcome, Postgres, ensure};
use serde_json::Value;

use crate::support::process::{Ended, Process, likeness};
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::storage::Storage;

/// Clients that send at the same time.
pub(crate) const CLIENTS: usize = 4;

/// The app of the load, which has a quota.
pub(crate) const PARTNER: App = App {
    id: "partner",
    key: "key-partner-Hs3fX9wBn5",
};

pub(crate) struct Cluster {
    pub(crate) replicas: [Replica; 2],
    pub(crate) proxy: Proxy,
}

/// A place for a service: it keeps its address and its data folder.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    storage: Storage,
    server: Option<Server>,
}

/// A granted request in the audit.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) instance: String,
    /// The client's own id of the request.
    pub(crate) id: String,
    pub(crate) time: Timestamp,
}

/// What the database knows of the app's usage.
#[derive(Debug)]
pub(crate) struct Usage {
    /// Units of the quota of the day.
    pub(crate) used: u64,
    pub(crate) quota: u64,
    /// Requests in the counts of days.
    pub(crate) counted: u64,
}

impl Cluster {
    pub(crate) fn start(postgres: &Postgres, nginx: &Path) -> Result<Self, Failed> {
        let url = postgres.new_database()?;
        let mut replicas = [Replica::new(&url)?, Replica::new(&url)?];
        let created = replicas[0].storage.apps_with_input(
            &[
                "create",
                PARTNER.id,
                "--key-stdin",
                "--daily-quota",
                "1000000",
                "--no-wait",
            ],
            PARTNER.key,
        )?;
        ensure!(created.code == Some(0), "{created:?}");
        for replica in &mut replicas {
            replica.start(likeness())?;
        }
        let proxy = Proxy::before(nginx, &[replicas[0].address, replicas[1].address], |site| site)?;
        Ok(Self { replicas, proxy })
    }

    /// Stops the replicas, which flush what they know.
    pub(crate) fn stop(&mut self) -> Outcome {
        self.replicas.iter_mut().try_for_each(|replica| {
            replica.server()?.terminate()?;
            replica.wait_for_end()
        })
    }

    /// Runs `likeness apps`.
    pub(crate) fn apps(&self, arguments: &[&str]) -> Outcome {
        let ended = self.replicas[0].storage.apps(arguments)?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(())
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failed> {
        let shown: Value = serde_json::from_str(
            &self.replicas[0]
                .run(&["usage", "--app", PARTNER.id, "--json"])?
                .stdout,
        )?;
        let number = |value: &Value| value.as_u64().ok_or_else(|| format!("another report: {shown}"));
        let app = &shown["apps"][0];
        Ok(Usage {
            used: number(&app["today"]["used"])?,
            quota: number(&app["today"]["quota"])?,
            counted: number(&app["biometric"])?,
        })
    }

    /// Returns the granted requests in the database.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Failed> {
        self.replicas[0].exported("database")
    }

    /// Verifies all chains of the database.
    pub(crate) fn verify_audit(&self, chains: usize) -> Outcome {
        for replica in &self.replicas {
            let verified = replica.run(&["audit", "verify", "--all"])?;
            let summary = format!("{} of {} chains are intact", chains + 1, chains + 1);
            ensure!(
                verified.code == Some(0) && verified.stdout.contains(&summary),
                "{verified:?}"
            );
        }
        Ok(())
    }
}

impl Replica {
    fn new(url: &str) -> Result<Self, Failed> {
        Ok(Self {
            address: (Ipv4Addr::LOCALHOST, own_port()?).into(),
            storage: Storage::at(url)?,
            server: None,
        })
    }

    /// Starts a build of the program here.
    pub(crate) fn start(&mut self, mut command: Command) -> Outcome {
        command
            .args(["serve", "--workers", "1", "--listen", &self.address.to_string()])
            .env("LIKENESS__SHUTDOWN__DELAY_SECONDS", "2")
            .env("LIKENESS__PROXIES__TRUSTED", "[\"127.0.0.0/8\"]");
        self.storage.set_for(&mut command);
        self.server = Some(Server::start_command(&mut command)?);
        Ok(())
    }

    pub(crate) fn server(&self) -> Result<&Server, Failed> {
        self.server.as_ref().ok_or_else(|| "it is not running".into())
    }

    /// Kills the process, as a machine ends that loses its power, but for the files.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Waits until the process has ended after what it was asked to finish.
    pub(crate) fn wait_for_end(&mut self) -> Outcome {
        let server = self.server.take().ok_or("it is not running")?;
        let status = server.wait()?;
        ensure!(status.code() == Some(0), "{status}\n{}", server.log.text());
        Ok(())
    }

    /// Drains the process, and starts a build in its place.
    pub(crate) fn restart(&mut self, command: Command) -> Outcome {
        self.server()?.terminate()?;
        self.wait_for_end()?;
        self.start(command)
    }

    /// Waits until the process has served a request of the load.
    pub(crate) fn wait_until_it_serves(&self) -> Outcome {
        let log = &self.server()?.log;
        log.wait_for("a request of the load", |line| line.contains("load-"))
            .map(drop)
    }

    /// Returns the granted requests in the files.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Failed> {
        self.exported("files")
    }

    fn exported(&self, from: &str) -> Result<Vec<Record>, Failed> {
        let exported = self.run(&["audit", "export", "--since", "2020-01-01", "--from", from])?;
        let mut records = Vec::new();
        for line in exported.stdout.lines() {
            let record: Value = serde_json::from_str(line)?;
            let event = &record["event"];
            if event["app"] != PARTNER.id || event["status"] != 200 {
                continue;
            }
            let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("no text");
            records.push(Record {
                instance: text(&record["instance"])?,
                id: text(&event["correlation_id"])?,
                time: text(&event["time"])?.parse()?,
            });
        }
        Ok(records)
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended, Failed> {
        let ended = Process::run(&mut self.storage.command(arguments))?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(ended)
    }
}
