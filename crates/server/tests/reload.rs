//! Other models while serving: who is answered by which, and what happens where the new ones are of no use.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use likeness_engine::Engine;
use likeness_engine::imaging::ImageLimits;
use likeness_server::{EngineSource, Server, SourceError};
use serde_json::Value;
use support::models::BLOCKING;
use support::{Client, Form, Models, Response, TIMEOUT, TestServer, credentials, form, log};

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

type Build = Box<dyn FnOnce() -> Result<Engine, SourceError> + Send>;

/// A source whose files are what a test puts there.
#[derive(Clone)]
struct Disk(Arc<Mutex<State>>);

struct State {
    fingerprint: Result<String, String>,
    builds: VecDeque<Build>,
}

impl Disk {
    fn with(models: &Models) -> Self {
        let state = State {
            fingerprint: Ok("first".to_owned()),
            builds: VecDeque::new(),
        };
        let disk = Self(Arc::new(Mutex::new(state)));
        disk.build(models);
        disk
    }

    /// What is told of the files.
    fn say(&self, fingerprint: Result<&str, &str>) {
        let fingerprint = fingerprint.map(str::to_owned).map_err(str::to_owned);
        self.0.lock().unwrap().fingerprint = fingerprint;
    }

    fn build(&self, models: &Models) {
        let engine = models.engine(ImageLimits::default());
        self.build_by(move || Ok(engine));
    }

    /// What is done where the next engine is asked for.
    fn build_by(&self, build: impl FnOnce() -> Result<Engine, SourceError> + Send + 'static) {
        self.0.lock().unwrap().builds.push_back(Box::new(build));
    }

    fn is_used_up(&self) -> bool {
        self.0.lock().unwrap().builds.is_empty()
    }
}

impl EngineSource for Disk {
    fn fingerprint(&self) -> Result<String, SourceError> {
        Ok(self.0.lock().unwrap().fingerprint.clone()?)
    }

    fn build(&self) -> Result<Engine, SourceError> {
        let next = self.0.lock().unwrap().builds.pop_front();
        next.ok_or("nothing is prepared")?()
    }
}

/// A server that looks at no file by itself, with an operator's port.
fn start(disk: &Disk) -> TestServer {
    TestServer::start_reloadable(disk.clone(), |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
        config.reload.check = Duration::ZERO;
    })
}

fn request(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes()
}

fn ask(server: &TestServer, method: &str, path: &str, headers: &str) -> Response {
    let mut operator = server.operator();
    operator.send(&request(method, path, headers));
    operator.admin_response()
}

fn reload(server: &TestServer) -> Response {
    ask(server, "POST", "/admin/reload", "")
}

fn said(response: &Response) -> String {
    response.json()["error"].as_str().unwrap_or("no error").to_owned()
}

#[track_caller]
fn expect(response: &Response, status: u16) -> Value {
    assert_eq!(response.status, status, "{}", response.json());
    response.json()
}

/// The liveness that a server responses with now.
fn liveness(server: &TestServer) -> f64 {
    liveness_of(&server.post(LIVENESS, &form::selfie(600, 500)))
}

#[track_caller]
fn liveness_of(response: &Response) -> f64 {
    let json = expect(response, 200);
    let data = &json["response_data"];
    let selfie = data.get("faces_liveness");
    let value = selfie.or_else(|| data["biometric"]["selfie"].get("faces_liveness"));
    value.and_then(Value::as_f64).unwrap()
}

#[test]
fn in_flight_requests_keep_their_models() {
    let (old, new) = (Models::new(2), Models::new(2).with_liveness(0.5));
    let disk = Disk::with(&old);
    let server = start(&disk);
    // Both workers of the old engine are busy, with requests of both kinds; two more requests wait for a thread, and one
    // has only begun to send its body.
    let send = |form: &Form, path: &str| -> Client {
        let mut client = server.client();
        client.send(&form.request(path, &credentials()));
        client
    };
    let blocking = form::selfie(BLOCKING, 500);
    let pair = Form::new()
        .file("selfie", &support::form::png(BLOCKING, 500))
        .file("image", &support::form::png(2_000, 1_500));
    let mut busy = [send(&pair, BIOMETRIC), send(&blocking, LIVENESS)];
    old.wait_until_blocked();
    old.wait_until_blocked();
    let mut waiting = [
        send(&form::pair(), BIOMETRIC),
        send(&form::selfie(1_000, 800), LIVENESS),
    ];
    let form = form::selfie(700, 600);
    let mut arriving = server.client();
    let head = form.head(LIVENESS, &format!("{}expect: 100-continue\r\n", credentials()));
    arriving.send(head.as_bytes());
    arriving.wait_for_continue();

    disk.build(&new);
    disk.say(Ok("second"));
    let done = expect(&reload(&server), 200);
    assert_eq!(done["reloaded"], true);
    assert_eq!(
        new.liveness_calls(),
        2,
        "the new models were run before they serve"
    );
    arriving.send(&form.body());

    old.release();
    old.release();
    for client in &mut busy {
        assert_eq!(liveness_of(&client.response()), 0.75, "begun before");
    }
    for client in waiting.iter_mut().chain([&mut arriving]) {
        assert_eq!(liveness_of(&client.response()), 0.5, "begun after");
    }
    assert_eq!(liveness(&server), 0.5);
}

#[test]
fn no_request_fails_during_repeated_reloads() {
    let models: Vec<Models> = [0.125, 0.25, 0.375, 0.5, 0.625]
        .into_iter()
        .map(|liveness| Models::new(2).with_liveness(liveness))
        .collect();
    let disk = Disk::with(&models[0]);
    let server = start(&disk);
    let answered = Mutex::new(0_usize);
    std::thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let stopped = Arc::new(Mutex::new(stopped));
        for number in 0..4 {
            let (stopped, answered, address) = (Arc::clone(&stopped), &answered, server.address);
            let requests = [
                form::pair().request(BIOMETRIC, &credentials()),
                form::selfie(600 + 100 * number, 500).request(LIVENESS, &credentials()),
            ];
            scope.spawn(move || {
                let mut client = Client::connect(address);
                let mut latest = 0.0;
                while stopped.lock().unwrap().try_recv() == Err(TryRecvError::Empty) {
                    for request in &requests {
                        client.send(request);
                        let found = liveness_of(&client.response());
                        assert!(
                            found >= latest,
                            "{found} after {latest}: older models response again"
                        );
                        latest = found;
                        *answered.lock().unwrap() += 1;
                    }
                }
                // What came after the last swap is answered by the last models.
                client.send(&requests[0]);
                assert_eq!(liveness_of(&client.response()), 0.625);
            });
        }
        for (number, models) in models.iter().enumerate().skip(1) {
            // Some requests between two swaps.
            let before = *answered.lock().unwrap();
            let start = Instant::now();
            while *answered.lock().unwrap() < before + 20 {
                assert!(start.elapsed() < TIMEOUT);
                std::thread::yield_now();
            }
            disk.build(models);
            disk.say(Ok(&number.to_string()));
            assert_eq!(expect(&reload(&server), 200)["reloaded"], true);
        }
        drop(stop);
    });
}

#[test]
fn unchanged_models_are_not_built_again() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    let response = expect(&reload(&server), 200);
    assert_eq!(response["reloaded"], false);
    assert!(response.get("previous").is_none());
    for key in [
        "pack",
        "version",
        "digest",
        "match_calibration",
        "liveness_calibration",
        "cohort",
    ] {
        assert!(response[key].is_string(), "{key} of {response}");
    }
    assert!(response["took_ms"].is_u64());
}

#[test]
fn the_response_names_the_models_before_and_after() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    disk.build(&Models::new(1));
    disk.say(Ok("second"));
    let response = expect(&reload(&server), 200);
    assert_eq!(
        (&response["reloaded"], &response["pack"]),
        (&true.into(), &"custom".into())
    );
    assert_eq!(response["previous"]["pack"], "custom");
}

#[test]
fn unusable_models_are_refused_with_their_cause() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    let before = expect(&reload(&server), 200);
    disk.build_by(|| Err("model.onnx is not the file of this pack".into()));
    disk.build(&Models::new(2));
    disk.build(&Models::new(1).with_liveness(f64::NAN));
    disk.build_by(|| panic!("the source panics"));
    disk.say(Ok("second"));
    for (status, why) in [
        (422, "model.onnx is not the file of this pack"),
        (422, "the new engine has 2 workers instead of 1"),
        (422, "the models failed their warm-up"),
        (500, "the source panics"),
    ] {
        let response = reload(&server);
        let json = expect(&response, status);
        assert!(said(&response).contains(why), "{json}");
        assert_eq!(json["serving"]["pack"], before["pack"]);
        assert_eq!(liveness(&server), 0.75);
        let logged = log::all();
        assert!(logged.contains(why), "{why} is not in the log");
    }
    disk.say(Err("pack.toml: expected a value"));
    let response = reload(&server);
    expect(&response, 422);
    assert_eq!(said(&response), "pack.toml: expected a value");
    assert_eq!(liveness(&server), 0.75);
    // What failed is tried again by whoever asks, at once.
    disk.say(Ok("second"));
    disk.build(&Models::new(1).with_liveness(0.5));
    assert_eq!(expect(&reload(&server), 200)["reloaded"], true);
    assert_eq!(liveness(&server), 0.5);
}

/// Has the next build wait; gives what tells that it has begun, and what lets it go on.
fn hold_build(disk: &Disk, models: &Models) -> (Receiver<()>, Sender<()>) {
    let (begin, begun) = channel();
    let (release, released) = channel();
    let engine = models.engine(ImageLimits::default());
    disk.build_by(move || {
        begin.send(())?;
        let _ = released.recv_timeout(TIMEOUT);
        Ok(engine)
    });
    (begun, release)
}

#[test]
fn there_is_one_reload_at_a_time() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    let (begun, release) = hold_build(&disk, &Models::new(1).with_liveness(0.5));
    disk.say(Ok("second"));
    let mut first = server.operator();
    first.send(&request("POST", "/admin/reload", ""));
    begun.recv_timeout(TIMEOUT).unwrap();
    let second = reload(&server);
    assert_eq!(expect(&second, 409)["serving"]["pack"], "custom");
    assert!(said(&second).contains("another reload is running"));
    // Nobody else notices anything.
    assert_eq!(liveness(&server), 0.75);
    assert_eq!(server.get("/readyz").status, 200);
    release.send(()).unwrap();
    assert_eq!(expect(&first.admin_response(), 200)["reloaded"], true);
    assert_eq!(expect(&reload(&server), 200)["reloaded"], false);
    assert!(disk.is_used_up());
}

#[test]
fn a_reload_continues_without_its_client() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    let (begun, release) = hold_build(&disk, &Models::new(1).with_liveness(0.5));
    disk.say(Ok("second"));
    let mut gone = server.operator();
    gone.send(&request(
        "POST",
        "/admin/reload",
        "x-request-id: corr-reload-gone\r\n",
    ));
    begun.recv_timeout(TIMEOUT).unwrap();
    drop(gone);
    assert_eq!(log::wait_for("corr-reload-gone")["status"], 499);
    release.send(()).unwrap();
    wait_for_liveness(&server, 0.5);
}

#[test]
fn shutdown_aborts_a_reload_before_its_next_step() {
    let models = Models::new(1);
    let disk = Disk::with(&Models::new(1));
    let mut server = start(&disk);
    let (begun, release) = hold_build(&disk, &models);
    disk.say(Ok("second"));
    let mut operator = server.operator();
    operator.send(&request("POST", "/admin/reload", ""));
    begun.recv_timeout(TIMEOUT).unwrap();
    server.shut_down();
    for address in [server.address, server.admin_address.unwrap()] {
        let start = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(start.elapsed() < TIMEOUT);
        }
    }
    release.send(()).unwrap();
    let response = operator.admin_response();
    expect(&response, 503);
    assert!(said(&response).contains("shutting down"));
    server.wait_for_end();
    assert_eq!(models.liveness_calls(), 0, "the new models are not even run");
}

/// Asks until the responses come from these models.
fn wait_for_liveness(server: &TestServer, expected: f64) {
    let start = Instant::now();
    while liveness(server) != expected {
        assert!(start.elapsed() < TIMEOUT);
    }
}

#[test]
fn changed_models_are_detected() {
    let disk = Disk::with(&Models::new(1));
    let server = TestServer::start_reloadable(disk.clone(), |config| {
        config.reload.check = Duration::from_millis(10);
    });
    assert!(
        server.admin_address.is_none(),
        "there is no operator's port by default"
    );
    disk.build(&Models::new(1).with_liveness(0.5));
    disk.say(Ok("second"));
    wait_for_liveness(&server, 0.5);
    disk.build_by(|| Err("half of it is missing".into()));
    disk.say(Ok("third"));
    disk.build(&Models::new(1).with_liveness(0.25));
    let start = Instant::now();
    while !log::all().contains("half of it is missing") {
        assert!(start.elapsed() < TIMEOUT);
        assert_eq!(liveness(&server), 0.5);
    }
    disk.say(Ok("fourth"));
    wait_for_liveness(&server, 0.25);
}

#[test]
fn the_admin_listener_has_probes_and_no_verifications() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    for path in ["/healthz", "/readyz"] {
        let (callers, operators) = (server.get(path), ask(&server, "GET", path, ""));
        assert_eq!((callers.status, operators.status), (200, 200));
        assert_eq!(callers.json(), operators.json(), "{path}");
    }
    for (method, path, status) in [
        ("POST", LIVENESS, 404),
        ("GET", "/", 404),
        ("GET", "/admin", 404),
        ("GET", "/admin/reload", 405),
        ("POST", "/info", 405),
    ] {
        let response = ask(&server, method, path, "");
        assert_eq!(response.status, status, "{method} {path}");
        assert!(!said(&response).is_empty());
        assert!(response.header("x-request-id").is_some());
    }
    // Nor have the callers anything of the operator's.
    let mut client = server.client();
    client.send(&request("POST", "/admin/reload", &credentials()));
    client.response().expect(404, "NOT_FOUND");
}

#[test]
fn the_admin_token_is_required() {
    let disk = Disk::with(&Models::new(1));
    let server = TestServer::start_reloadable(disk.clone(), |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
        config.admin.token = Some("0perator".into());
    });
    disk.build(&Models::new(1).with_liveness(0.5));
    disk.say(Ok("second"));
    let apps = credentials();
    for headers in [
        "",
        "authorization: Bearer wrong\r\n",
        "authorization: Basic 0perator\r\n",
        apps.as_str(),
    ] {
        // Who is no operator is not told which paths there are.
        for (method, path) in [
            ("POST", "/admin/reload"),
            ("GET", "/admin/reload"),
            ("GET", "/nowhere"),
            ("GET", "/info"),
        ] {
            let response = ask(&server, method, path, headers);
            assert_eq!(response.status, 401, "{method} {path} {headers}");
            assert_eq!(response.header("www-authenticate"), Some("Bearer"));
            assert!(said(&response).contains("token") && !said(&response).contains("0perator"));
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(ask(&server, "GET", path, headers).status, 200);
        }
    }
    assert_eq!(liveness(&server), 0.75);
    let headers = "authorization: Bearer 0perator\r\nx-request-id: corr-operator\r\n";
    let response = ask(&server, "POST", "/admin/reload", headers);
    assert_eq!(expect(&response, 200)["reloaded"], true);
    let text = ask(&server, "GET", "/metrics", headers).text();
    assert!(
        text.contains("likeness_reloads_total{what=\"models\",outcome=\"changed\"} 1\n"),
        "{text}"
    );
    assert_eq!(log::wait_for("corr-operator")["endpoint"], "/admin/reload");
    assert!(!log::all().contains("0perator"));
}

#[test]
fn pages_in_browsers_are_refused_on_the_admin_listener() {
    let disk = Disk::with(&Models::new(1));
    let server = start(&disk);
    let response = ask(
        &server,
        "POST",
        "/admin/reload",
        "origin: https://example.org\r\ncontent-length: 0\r\n",
    );
    expect(&response, 403);
}

#[test]
fn an_engine_without_a_source_stays() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.admin.listen = Some("127.0.0.1:0".parse().unwrap());
    });
    let response = reload(&server);
    expect(&response, 501);
    assert!(said(&response).contains("cannot be reloaded"));
    assert_eq!(ask(&server, "GET", "/readyz", "").status, 200);
}

#[test]
fn a_source_without_an_engine_does_not_start() {
    for (fingerprint, build) in [
        (Err("pack.toml is missing"), None),
        (Ok("first"), Some("pack.toml is missing")),
    ] {
        let disk = Disk(Arc::new(Mutex::new(State {
            fingerprint: Ok(String::new()),
            builds: VecDeque::new(),
        })));
        disk.say(fingerprint);
        if let Some(build) = build {
            disk.build_by(move || Err(build.into()));
        }
        let config = support::config();
        let apps = config.apps().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let error = runtime
            .block_on(Server::bind_reloadable(config, apps, disk))
            .unwrap_err();
        assert_eq!(error.to_string(), "pack.toml is missing");
    }
}
