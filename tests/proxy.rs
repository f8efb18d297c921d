//! The program behind nginx with the documented configuration.

use std::path::Path;
use std::process::ExitCode;

use likeness_testing::http::{Form, flat};
use likeness_testing::{Failed, Outcome, Suite, ensure};

use support::process::{Process, likeness};
use support::proxy::Proxy;
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
    let proxy = Proxy::before(nginx, &[server.address], |site| site)?;
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
    let proxy = Proxy::before(nginx, &[server.address], |site| {
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
