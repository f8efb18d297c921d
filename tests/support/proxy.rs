//! nginx with the documented configuration.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use likeness_testing::http::{Connection, Response};
use likeness_testing::{Failed, ensure, workspace};

use super::TIMEOUT;
use super::process::Process;

/// A running nginx. It ends when this is dropped.
pub(crate) struct Proxy {
    process: Process,
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
}

/// A request as nginx has handled it.
#[derive(Debug, Clone)]
pub(crate) struct Proxied {
    /// The client's own id of the request.
    pub(crate) id: String,
    /// The replicas that it was given to, one after the other, each with the status of its response; 502 if it had none.
    pub(crate) attempts: Vec<(String, String)>,
}

impl Proxy {
    /// nginx with `deploy/nginx/likeness.conf` before these replicas, edited.
    pub(crate) fn before(
        nginx: &Path,
        replicas: &[SocketAddr],
        edit: impl FnOnce(String) -> String,
    ) -> Result<Self, Failed> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let site = std::fs::read_to_string(workspace().join("deploy/nginx/likeness.conf"))?;
        let line = site
            .lines()
            .find(|line| line.contains("server 127.0.0.1:8080"))
            .ok_or("no line for a replica")?;
        let lines = replicas
            .iter()
            .map(|replica| line.replace("127.0.0.1:8080", &replica.to_string()));
        let site = site
            .replace(line, &lines.collect::<Vec<_>>().join("\n"))
            .replace("127.0.0.1:8443", &address.to_string());
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("site.conf"), edit(site))?;
        let here = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
            .collect();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log stderr;\n\
             events {{ worker_connections 256; }}\nhttp {{\n\
             log_format attempts '$http_x_request_id|$upstream_addr|$upstream_status';\n\
             access_log {here}/access.log attempts;\n{temporary}include {here}/site.conf;\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let process = Process::start(Command::new(nginx).arg("-e").arg("stderr").arg("-c").arg(&file))?;
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                begun.elapsed() < TIMEOUT,
                "nginx does not listen:\n{}",
                process.stderr.text()
            );
            std::thread::yield_now();
        }
        Ok(Self {
            process,
            folder,
            address,
        })
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<Response, Failed> {
        let mut connection = Connection::open(self.address)?;
        connection.send(bytes)?;
        connection.response()
    }

    /// Returns the requests that have ended so far.
    pub(crate) fn requests(&self) -> Result<Vec<Proxied>, Failed> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log"))?;
        log.lines()
            .map(|line| {
                let fields: Vec<&str> = line.split('|').collect();
                let [id, addresses, statuses] = fields[..] else {
                    return Err(format!("another line: {line}").into());
                };
                let each = |list: &str| list.split(", ").map(str::to_owned).collect::<Vec<_>>();
                Ok(Proxied {
                    id: id.to_owned(),
                    attempts: each(addresses).into_iter().zip(each(statuses)).collect(),
                })
            })
            .collect()
    }

    /// Returns what nginx has reported.
    pub(crate) fn log(&self) -> String {
        self.process.stderr.text()
    }
}
