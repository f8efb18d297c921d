//! The program behind nginx with the documented configuration.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use likeness_testing::http::{Connection, Form, Response, flat};
use likeness_testing::{Failed, Outcome, Suite, ensure, workspace};

use support::TIMEOUT;
use support::process::{Process, likeness};
use support::server::{APP, Server};

mod support;

const LIVENESS: &str = "/v0.2/liveness-verification";
const NGINX: &str = "nginx";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_any_models_and_program(
        "the_documented_proxy_passes_credentials_and_addresses",
        NGINX,
        documented,
    );
    suite.with_any_models_and_program(
        "the_log_hints_at_a_proxy_that_drops_the_credentials",
        NGINX,
        dropping,
    );
    suite.run()
}

struct Proxy {
    _process: Process,
    _folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Proxy {
    /// nginx with `deploy/nginx/likeness.conf` before this server, edited.
    fn before(server: &Server, nginx: &Path, edit: impl FnOnce(String) -> String) -> Result<Self, Failed> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let site = std::fs::read_to_string(workspace().join("deploy/nginx/likeness.conf"))?;
        let site = site
            .replace("127.0.0.1:8080", &server.address.to_string())
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
             events {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n{temporary}include {here}/site.conf;\n}}\n"
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
            _process: process,
            _folder: folder,
            address,
        })
    }

    fn send(&self, bytes: &[u8]) -> Result<Response, Failed> {
        let mut connection = Connection::open(self.address)?;
        connection.send(bytes)?;
        connection.response()
    }
}

fn serve() -> Result<Server, Failed> {
    Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__PROXIES__TRUSTED", "[\"127.0.0.0/8\"]");
    })
}

fn doctor(proxy: &Proxy) -> Result<(Option<i32>, String), Failed> {
    let ended = Process::run(
        likeness()
            .args(["doctor", "--app-id", APP.id, "--url"])
            .arg(format!("http://{}", proxy.address))
            .env("LIKENESS_APP_KEY", APP.key),
    )?;
    Ok((ended.code, format!("{}{}", ended.stdout, ended.stderr)))
}

fn documented(nginx: &Path) -> Outcome {
    let server = serve()?;
    let proxy = Proxy::before(&server, nginx, |site| site)?;
    let form = Form::new().file("selfie", &flat(400, 400)?);
    let headers = format!(
        "{}X-Forwarded-For: 198.51.100.7, 203.0.113.5\r\nX-Request-ID: proxied-1\r\n",
        APP.headers()
    );
    let response = proxy.send(&form.request(LIVENESS, &headers))?;
    ensure!(response.status == 200, "{response:?}");
    // The nearest that is no trusted proxy: nginx appends where the connection came from, which is trusted.
    server.log.wait_for("the client's address", |line| {
        line.contains("proxied-1") && line.contains("client=203.0.113.5")
    })?;
    let (code, said) = doctor(&proxy)?;
    ensure!(
        code == Some(0) && said.contains("both reach the service"),
        "{said}"
    );
    Ok(())
}

fn dropping(nginx: &Path) -> Outcome {
    let server = serve()?;
    let proxy = Proxy::before(&server, nginx, |site| {
        site.replace("underscores_in_headers on;", "")
    })?;
    let form = Form::new().file("selfie", &flat(400, 400)?);
    let response = proxy.send(&form.request(LIVENESS, &APP.headers()))?;
    ensure!(response.status == 401, "{response:?}");
    server
        .log
        .wait_for("a hint", |line| line.contains("underscores_in_headers on;"))?;
    let dashed = format!("app-id: {}\r\napp-key: {}\r\n", APP.id, APP.key);
    ensure!(
        proxy.send(&form.request(LIVENESS, &dashed))?.status == 200,
        "dashes do not pass"
    );
    let (code, said) = doctor(&proxy)?;
    ensure!(
        code == Some(1) && said.contains("underscores_in_headers on;"),
        "{said}"
    );
    Ok(())
}
