//! The health check of the image, `likeness healthcheck`: it tells who is well, over TLS too.

use std::path::{Path, PathBuf};

use likeness_testing::{Failed, Outcome, Suite, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::support::process::{Ended, Process, likeness};
use super::support::server::Server;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models("healthcheck::reports_health_and_readiness", plain);
    suite.with_any_models("healthcheck::authenticates_by_a_certificate", tls);
}

fn plain() -> Outcome {
    let server = Server::start(|command| {
        command
            .args(["--workers", "1"])
            .env("LIKENESS__SHUTDOWN__DELAY_SECONDS", "3600");
    })?;
    let url = format!("http://{}", server.address);
    let ask = |more: &[&str]| Process::run(likeness().args(["healthcheck", "--url", &url]).args(more));
    ensure!(
        ask(&[])?.code == Some(0) && ask(&["--ready"])?.code == Some(0),
        "it is well"
    );
    server.terminate()?;
    server
        .log
        .wait_for("its end", |line| line.contains("shutting down"))?;
    ensure!(ask(&[])?.code == Some(0), "it is alive");
    let ready = ask(&["--ready"])?;
    ensure!(ready.code == Some(1) && ready.stderr.contains("503"), "{ready:?}");
    server.kill();
    ensure!(ask(&[])?.code == Some(1), "it is gone");
    Ok(())
}

/// What the certificates of a test are of.
const NAME: &str = "likeness.example";

/// An authority, and a certificate of it with its key, as files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![NAME.to_owned()])?.signed_by(&key, &authority)?;
        std::fs::write(folder.path().join("ca.pem"), authority.pem())?;
        std::fs::write(folder.path().join("certificate.pem"), certificate.pem())?;
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem())?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A service that asks for certificates, and where it listens.
fn serve(servers: &Files, clients: &Files, storage: &Path) -> Result<(Process, String), Failed> {
    let process = Process::start(
        likeness()
            .args(["serve", "--workers", "1", "--listen", "127.0.0.1:0"])
            .env("LIKENESS_APPS", "app:0123456789abcdef")
            .env("LIKENESS__DATA_FOLDER", storage)
            .env("LIKENESS__TLS__CERTIFICATE", servers.path("certificate.pem"))
            .env("LIKENESS__TLS__KEY", servers.path("key.pem"))
            .env("LIKENESS__TLS__CLIENT_CA", clients.path("ca.pem"))
            .env("LIKENESS__TLS__CLIENT_CERTIFICATES", "required"),
    )?;
    let ready = process
        .stdout
        .wait_for("`is ready on`", |line| line.contains(" is ready on https://"))?;
    let address = ready
        .split_once("https://")
        .and_then(|(_, rest)| rest.split(' ').next())
        .ok_or("no address")?
        .to_owned();
    Ok((process, address))
}

fn tls() -> Outcome {
    let (servers, clients) = (Files::new()?, Files::new()?);
    let storage = tempfile::tempdir()?;
    let (_server, address) = serve(&servers, &clients, storage.path())?;
    let ask = |without: &str, other: Option<(&str, PathBuf)>| -> Result<Ended, Failed> {
        let mut command = likeness();
        command.arg("healthcheck").arg("--ready");
        // As the image's health check gets them, which has no arguments.
        let settings = [
            ("URL", format!("https://{NAME}").into()),
            ("CONNECT", address.clone().into()),
            ("CA", servers.path("ca.pem")),
            ("CERTIFICATE", clients.path("certificate.pem")),
            ("KEY", clients.path("key.pem")),
        ];
        for (name, value) in settings.into_iter().chain(other) {
            if !without.split(' ').any(|left_out| left_out == name) {
                command.env(format!("LIKENESS_HEALTHCHECK_{name}"), value);
            }
        }
        Process::run(&mut command)
    };
    let well = ask("", None)?;
    ensure!(well.code == Some(0), "{well:?}");
    for (why, without, other) in [
        ("no certificate is shown", "CERTIFICATE KEY", None),
        ("the service's authority is not believed", "CA", None),
        (
            "the service has another name",
            "",
            Some(("URL", format!("https://{address}").into())),
        ),
        (
            "the key is another certificate's",
            "",
            Some(("KEY", servers.path("key.pem"))),
        ),
        (
            "the file has no certificate",
            "",
            Some(("CA", servers.path("key.pem"))),
        ),
        ("the file is not there", "", Some(("KEY", "nowhere.pem".into()))),
    ] {
        let ended = ask(without, other)?;
        ensure!(
            ended.code == Some(1) && !ended.stderr.is_empty(),
            "{why}: {ended:?}"
        );
    }
    let other = Process::run(
        likeness()
            .args([
                "healthcheck",
                "--url",
                &format!("https://{NAME}"),
                "--connect",
                &address,
            ])
            .arg("--ca")
            .arg(servers.path("ca.pem"))
            .arg("--certificate")
            .arg(servers.path("certificate.pem"))
            .arg("--key")
            .arg(servers.path("key.pem")),
    )?;
    ensure!(
        other.code == Some(1),
        "another authority's certificate is shown: {other:?}"
    );
    let half = ask("KEY", None)?;
    ensure!(
        half.code == Some(2) && half.stderr.contains("--key"),
        "a certificate without its key: {half:?}"
    );
    Ok(())
}
