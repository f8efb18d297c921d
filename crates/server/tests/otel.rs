//! Requests as traces: what a collector on this machine gets, and that a collector that is gone is nobody's trouble.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};

use likeness_server::{Server, Traces};
use likeness_testing::{Outcome, Suite, ensure};
use support::{KEY, Models, TestServer, credentials, form};

const BIOMETRIC: &str = "/v0.2/biometric-verification";
/// A caller's trace and span, and what W3C's header makes of them.
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
/// Set for the process that the last tests start: this one again.
const CHILD: &str = "LIKENESS_TEST_CHILD";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let mut suite = Suite::new();
    suite.test("a_request_is_a_span_with_its_stages", spans);
    suite.test("unsampled_parents_are_not_exported", not_sampled);
    suite.test("a_collector_that_is_gone_changes_no_response", gone);
    suite.test("a_silent_collector_changes_no_response", silent);
    suite.test("the_standard_variables_name_the_collector", variables);
    suite.test("without_a_collector_nothing_is_sent", no_variables);
    suite.run()
}

/// Takes what is posted, and thanks for it.
struct Collector {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
}

struct Posted {
    head: String,
    body: Vec<u8>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let posted: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let kept = Arc::clone(&posted);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || take(&stream.unwrap(), &kept));
            }
        });
        Self { address, posted }
    }

    fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// All bodies, one after the other.
    fn bytes(&self) -> Vec<u8> {
        let posted = self.posted.lock().unwrap();
        posted.iter().flat_map(|posted| posted.body.clone()).collect()
    }

    fn heads(&self) -> Vec<String> {
        let posted = self.posted.lock().unwrap();
        posted.iter().map(|posted| posted.head.clone()).collect()
    }
}

fn take(stream: &TcpStream, kept: &Mutex<Vec<Posted>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        kept.lock().unwrap().push(Posted { head, body });
        let mut stream = stream;
        let response =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(response).unwrap();
    }
}

fn server(traces: Option<Traces>) -> TestServer {
    let models = Models::new(1);
    TestServer::launch(
        |_| {},
        async |config, apps| {
            let engine = models.engine(config.image_limits.into());
            let server = Server::bind(config, apps, engine).await?;
            Ok(match traces {
                Some(traces) => server.with_traces(traces),
                None => server,
            })
        },
    )
}

fn verify(server: &TestServer, more: &str) {
    let mut client = server.client();
    client.send(&form::pair().request(BIOMETRIC, &format!("{}{more}", credentials())));
    assert_eq!(client.response().status, 200);
}

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE:032x}-{SPAN:016x}-{flags}\r\n")
}

fn end(mut server: TestServer) {
    server.shut_down();
    server.wait_for_end();
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn spans() -> Outcome {
    let collector = Collector::start();
    let server = server(Some(Traces::to_collector(&collector.url())?));
    verify(&server, &traceparent("01"));
    assert_eq!(server.get("/healthz").status, 200);
    end(server);
    let heads = collector.heads();
    ensure!(
        heads.len() == 1 && heads[0].starts_with("post /v1/traces http/1.1"),
        "{heads:?}"
    );
    ensure!(
        heads[0].contains("content-type: application/x-protobuf"),
        "{heads:?}"
    );
    let bytes = collector.bytes();
    for text in [
        "likeness",
        "biometric-verification",
        "body",
        "queue",
        "decode",
        "detect",
        "embed",
        "liveness",
        "likeness.request_id",
        "likeness.app",
        "http.response.status_code",
    ] {
        ensure!(has(&bytes, text.as_bytes()), "no {text}");
    }
    ensure!(has(&bytes, &TRACE.to_be_bytes()), "not in the caller's trace");
    ensure!(has(&bytes, &SPAN.to_be_bytes()), "not below the caller's span");
    for text in [KEY, "healthz", "face_match"] {
        ensure!(!has(&bytes, text.as_bytes()), "{text} was sent");
    }
    Ok(())
}

fn not_sampled() -> Outcome {
    let collector = Collector::start();
    let server = server(Some(Traces::to_collector(&collector.url())?));
    verify(&server, &traceparent("00"));
    end(server);
    ensure!(collector.heads().is_empty(), "{:?}", collector.heads());
    Ok(())
}

fn gone() -> Outcome {
    let free = TcpListener::bind("127.0.0.1:0")?;
    let address = free.local_addr()?;
    drop(free);
    let server = server(Some(Traces::to_collector(&format!(
        "http://{address}/v1/traces"
    ))?));
    // More than are ever kept, with the stages of each.
    for _ in 0..400 {
        verify(&server, "");
    }
    end(server);
    Ok(())
}

fn silent() -> Outcome {
    // It accepts by its backlog, and never reads.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = server(Some(Traces::to_collector(&format!(
        "http://{address}/v1/traces"
    ))?));
    for _ in 0..400 {
        verify(&server, "");
    }
    end(server);
    Ok(())
}

/// A service that is set up by variables alone, in a process of its own.
fn child() -> ExitCode {
    let server = server(Traces::from_environment().unwrap());
    verify(&server, "");
    end(server);
    ExitCode::SUCCESS
}

fn run_child(variables: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(std::env::current_exe()?);
    for name in [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
    ] {
        command.env_remove(name);
    }
    let output = command.env(CHILD, "1").envs(variables.iter().copied()).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn variables() -> Outcome {
    let collector = Collector::start();
    let base = format!("http://{}", collector.address);
    run_child(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &base),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=bank"),
        ("OTEL_SERVICE_NAME", "onboarding-faces"),
    ])?;
    let heads = collector.heads();
    ensure!(
        heads.len() == 1 && heads[0].starts_with("post /v1/traces ") && heads[0].contains("x-tenant: bank"),
        "{heads:?}"
    );
    ensure!(has(&collector.bytes(), b"onboarding-faces"), "another name");
    Ok(())
}

fn no_variables() -> Outcome {
    let collector = Collector::start();
    let base = format!("http://{}", collector.address);
    run_child(&[])?;
    run_child(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &base),
        ("OTEL_SDK_DISABLED", "true"),
    ])?;
    ensure!(collector.heads().is_empty(), "{:?}", collector.heads());
    Ok(())
}
