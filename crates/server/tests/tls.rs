//! TLS: who is served, and by which certificate.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use likeness_server::{ClientCertificates, Config, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Models, TIMEOUT, TestServer, log};
use tempfile::TempDir;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, PEM.
fn issue(authority: &Authority, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    edit(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// The files of a server's certificate.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: authority("servers"),
        };
        files.issue("first");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, (certificate, key): (String, String)) {
        std::fs::write(self.path("key.pem"), key).unwrap();
        std::fs::write(self.path("certificate.pem"), certificate).unwrap();
    }

    fn issue(&self, name: &str) {
        self.write(issue(&self.authority, name, |_| {}));
    }

    fn configure(&self, config: &mut Config) {
        config.tls.certificate = Some(self.path("certificate.pem"));
        config.tls.key = Some(self.path("key.pem"));
        config.tls.check = Duration::from_millis(10);
    }

    fn serve(&self, more: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::start(&Models::new(1), |config| {
            self.configure(config);
            more(config);
        })
    }

    fn client(&self) -> Caller {
        Caller {
            roots: self.authority.as_ref().der().clone(),
            protocols: Vec::new(),
            identity: None,
        }
    }
}

/// Who calls, and whom they believe.
#[derive(Clone)]
struct Caller {
    roots: CertificateDer<'static>,
    protocols: Vec<Vec<u8>>,
    identity: Option<(String, String)>,
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Caller {
    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.roots.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = self.protocols.clone();
        config
    }

    fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let config = self.config();
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    fn healthy(&self, address: SocketAddr) -> io::Result<()> {
        healthy(&mut self.connect(address)?)
    }
}

/// Asks for `/healthz` on a connection.
fn healthy(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut response = Vec::new();
    let mut byte = [0];
    while !response.ends_with(b"\"ok\"}") {
        stream.read_exact(&mut byte)?;
        response.push(byte[0]);
    }
    assert!(
        response.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&response)
    );
    Ok(())
}

/// The subject's name in the certificate that a connection was shown.
fn shown(stream: &Stream) -> String {
    let certificate = &stream.conn.peer_certificates().unwrap()[0];
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let name = parsed.subject().iter_common_name().last().unwrap();
    name.as_str().unwrap().to_owned()
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIMEOUT, "it never becomes so");
        std::thread::yield_now();
    }
}

#[test]
fn http_1_and_2_are_negotiated() {
    let files = Files::new();
    let server = files.serve(|_| {});
    files.client().healthy(server.address).unwrap();
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut caller = files.client();
        caller.protocols = vec![protocol.to_vec()];
        let stream = caller.connect(server.address).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(protocol));
    }
}

#[test]
fn a_client_with_other_roots_harms_no_other() {
    let files = Files::new();
    let server = files.serve(|_| {});
    let mut stranger = files.client();
    stranger.roots = authority("others").as_ref().der().clone();
    assert!(stranger.connect(server.address).is_err());

    // Who does not speak TLS at all is let go.
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.set_read_timeout(Some(TIMEOUT)).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut response = Vec::new();
    let _ = plain.read_to_end(&mut response);
    assert!(
        !response.starts_with(b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&response)
    );

    files.client().healthy(server.address).unwrap();
}

#[test]
fn a_stalled_handshake_is_aborted() {
    let files = Files::new();
    let server = files.serve(|config| config.tls.handshake = Duration::from_millis(50));
    let mut stalled = TcpStream::connect(server.address).unwrap();
    stalled.set_read_timeout(Some(TIMEOUT)).unwrap();
    // The begin of a record that never comes.
    stalled.write_all(&[22, 3, 1]).unwrap();
    assert_eq!(stalled.read(&mut [0]).unwrap_or(0), 0);
    files.client().healthy(server.address).unwrap();
}

/// A stalled handshake is nothing that is under way.
#[test]
fn shutdown_does_not_wait_for_handshakes() {
    let files = Files::new();
    let mut server = files.serve(|config| {
        config.tls.handshake = TIMEOUT * 2;
        config.request_limits.deadline = TIMEOUT * 2;
    });
    let mut stalled = TcpStream::connect(server.address).unwrap();
    stalled.set_read_timeout(Some(TIMEOUT)).unwrap();
    stalled.write_all(&[22, 3, 1]).unwrap();
    // Accepted in turn: when this one is served, the other is in its handshake.
    files.client().healthy(server.address).unwrap();
    server.shut_down();
    server.wait_for_end();
    assert_eq!(stalled.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn unknown_protocols_are_refused_in_the_handshake() {
    let files = Files::new();
    let server = files.serve(|_| {});
    let mut caller = files.client();
    caller.protocols = vec![b"spdy/3".to_vec()];
    assert!(caller.connect(server.address).is_err());
}

/// In flight over HTTP/2 when the service is asked to stop: answered; the client is told (GOAWAY) to ask nothing more.
#[test]
fn shutdown_drains_in_flight_requests_over_http2() {
    let files = Files::new();
    let models = Models::new(1);
    let mut server = TestServer::start(&models, |config| files.configure(config));
    let address = server.address;
    let mut caller = files.client();
    caller.protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(caller.config()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = hyper::Request::post("https://localhost/v0.2/liveness-verification")
            .header("app_id", support::APP)
            .header("app_key", support::KEY)
            .header("content-type", "multipart/form-data; boundary=BOUNDARY")
            .body(())
            .unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        let form = support::form::selfie(support::models::BLOCKING, 500).body();
        body.send_data(form.into(), true).unwrap();
        models.wait_until_blocked();
        server.shut_down();
        // Refused from now on, whether the port is closed or the connection told so.
        let refused = loop {
            match client.clone().ready().await {
                Err(error) => break error,
                Ok(_) => tokio::task::yield_now().await,
            }
        };
        assert!(refused.is_go_away() && refused.is_remote(), "{refused:?}");
        while tokio::net::TcpStream::connect(address).await.is_ok() {}
        assert!(!server.has_ended());
        models.release();
        assert_eq!(response.await.unwrap().status(), 200);
        drop(client);
        let _ = connection.await;
    });
    server.wait_for_end();
}

#[test]
fn client_certificates_are_required_if_configured() {
    let files = Files::new();
    let (clients, others) = (authority("clients"), authority("others"));
    std::fs::write(files.path("clients.pem"), clients.as_ref().pem()).unwrap();
    let ours = issue(&clients, "branch-7", |_| {});
    let theirs = issue(&others, "branch-7", |_| {});
    for (asked, none, own, other) in [
        (ClientCertificates::Optional, true, true, false),
        (ClientCertificates::Required, false, true, false),
    ] {
        let server = files.serve(|config| {
            config.tls.client_ca = Some(files.path("clients.pem"));
            config.tls.client_certificates = asked;
        });
        for (identity, expected) in [(None, none), (Some(&ours), own), (Some(&theirs), other)] {
            let mut caller = files.client();
            caller.identity = identity.cloned();
            let served = caller.healthy(server.address).is_ok();
            assert_eq!(served, expected, "{asked:?} {}", identity.is_some());
        }
    }
}

#[test]
fn a_new_certificate_is_served_and_old_connections_stay() {
    let files = Files::new();
    let server = files.serve(|_| {});
    let mut before = files.client().connect(server.address).unwrap();
    assert_eq!(shown(&before), "first");

    files.issue("second");
    eventually(|| shown(&files.client().connect(server.address).unwrap()) == "second");
    healthy(&mut before).unwrap();
}

#[test]
fn an_unusable_certificate_is_logged_once_and_the_current_one_stays() {
    let files = Files::new();
    let server = files.serve(|_| {});
    let said = |words: &str| log::all().lines().filter(|line| line.contains(words)).count();
    let folder = files.folder.path().display().to_string();

    // Of another key: in between the two files never belong together.
    let (certificate, _) = issue(&files.authority, "torn", |_| {});
    std::fs::write(files.path("certificate.pem"), certificate).unwrap();
    let torn = format!("the TLS certificate {folder}");
    eventually(|| said(&torn) == 1);
    files.client().healthy(server.address).unwrap();
    assert_eq!(said(&torn), 1, "it is logged once, not at every check");

    // Over since yesterday.
    files.write(issue(&files.authority, "late", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 2);
    }));
    eventually(|| said("has expired") >= 1);

    // Not before next century.
    files.write(issue(&files.authority, "early", |params| {
        params.not_before = rcgen::date_time_ymd(2101, 1, 1);
        params.not_after = rcgen::date_time_ymd(2102, 1, 1);
    }));
    eventually(|| said("is not valid yet") >= 1);

    std::fs::remove_file(files.path("key.pem")).unwrap();
    let gone = format!("cannot read the TLS file {folder}/key.pem");
    eventually(|| said(&gone) == 1);
    assert_eq!(shown(&files.client().connect(server.address).unwrap()), "first");

    files.issue("second");
    eventually(|| shown(&files.client().connect(server.address).unwrap()) == "second");
    assert_eq!(said(&gone), 1);
}

/// Why there is no service with this configuration.
fn start_error(config: Config) -> String {
    let engine = Models::new(1).engine(config.image_limits.into());
    let apps = config.apps().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let started = runtime.block_on(Server::bind(config, apps, engine));
    started.map(|_| "it starts").unwrap_err().to_string()
}

#[test]
fn without_its_files_the_service_does_not_start() {
    let files = Files::new();
    let start = |break_it: &dyn Fn()| {
        files.issue("first");
        break_it();
        let mut config = support::config();
        files.configure(&mut config);
        start_error(config)
    };
    let path = |name: &str| files.path(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(files.path(name), text).unwrap();
    for (break_it, named, why) in [
        (
            &(|| std::fs::remove_file(files.path("certificate.pem")).unwrap()) as &dyn Fn(),
            "certificate.pem",
            "cannot read the TLS file",
        ),
        (
            &|| std::fs::remove_file(files.path("key.pem")).unwrap(),
            "key.pem",
            "cannot read the TLS file",
        ),
        (
            &|| write("certificate.pem", "nothing"),
            "certificate.pem",
            "no PEM certificate",
        ),
        (
            &|| write("key.pem", "nothing"),
            "key.pem",
            "no usable private key",
        ),
        (
            &|| write("key.pem", &KeyPair::generate().unwrap().serialize_pem()),
            "key.pem",
            "with the key",
        ),
    ] {
        let error = start(break_it);
        assert!(error.contains(&path(named)) && error.contains(why), "{error}");
    }
}

#[test]
fn the_admin_listener_speaks_tls_if_configured() {
    let files = Files::new();
    let server = files.serve(|config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
        config.tls.admin = true;
    });
    files.client().healthy(server.admin_address.unwrap()).unwrap();
}
