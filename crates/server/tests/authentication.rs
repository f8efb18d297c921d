//! Who is let in, over real HTTP: every endpoint and every way to be wrong, in one table; and what changes while the
//! service runs.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use std::time::{Duration, Instant};

use likeness_server::storage::Database;
use likeness_server::storage::apps::{AppEndpoint, AppKey, AppSettings, Rotation};
use likeness_server::{Config, FIRST_APP, Server};
use support::{APP, DISABLED_APP, Form, KEY, Models, Response, TIMEOUT, TestServer, form, log};

/// Every path that asks for credentials.
const ENDPOINTS: [&str; 8] = [
    "/v0.1/biometric-verification",
    "/v0.1/biometric-verification/",
    "/v0.1/liveness-verification",
    "/v0.1/liveness-verification/",
    "/v0.2/biometric-verification",
    "/v0.2/biometric-verification/",
    "/v0.2/liveness-verification",
    "/v0.2/liveness-verification/",
];
const LIVENESS: &str = "/v0.2/liveness-verification";
const BIOMETRIC: &str = "/v0.2/biometric-verification";

const HOUR: Duration = Duration::from_secs(3_600);
const NOW: Duration = Duration::ZERO;

/// An SQLite database that the test and its server share.
struct Stored {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    database: Database,
}

impl Stored {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut config = Config::default();
        config.data_folder = folder.path().to_owned();
        let database = runtime.block_on(config.open_database()).unwrap();
        Self {
            folder,
            runtime,
            database,
        }
    }

    fn create(&self, id: &str, configure: impl FnOnce(&mut AppSettings)) -> AppKey {
        let mut settings = AppSettings::default();
        configure(&mut settings);
        let key = AppKey::generate().unwrap();
        let made = self.database.create_app(id, &settings, key.clone());
        self.runtime.block_on(made).unwrap();
        key
    }

    fn rotate(&self, id: &str, grace: Duration) -> AppKey {
        let key = AppKey::generate().unwrap();
        let rotated = self
            .database
            .rotate_key(id, &key, Rotation { grace, force: false });
        self.runtime.block_on(rotated).unwrap();
        key
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut AppSettings) + Send + 'static) {
        self.runtime
            .block_on(self.database.change_app(id, change))
            .unwrap();
    }

    fn server(&self, configure: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::start(&Models::new(1), |config| {
            config.database.url = None;
            config.data_folder = self.folder.path().to_owned();
            config.database.refresh = Duration::from_millis(50);
            configure(config);
        })
    }
}

fn send(server: &TestServer, path: &str, headers: &str) -> Response {
    let mut client = server.client();
    client.send(&form::pair().request(path, headers));
    client.response()
}

fn pair(id: &str, key: &str) -> String {
    format!("app_id: {id}\r\napp_key: {key}\r\n")
}

/// Asks until it is answered so, which another thread of the service brings about.
#[track_caller]
fn wait_for_status(server: &TestServer, headers: &str, status: u16) {
    let deadline = Instant::now() + TIMEOUT;
    while send(server, LIVENESS, headers).status != status {
        assert!(Instant::now() < deadline, "{status} never comes");
    }
}

#[test]
fn the_matrix() {
    let stored = Stored::new();
    let plain = stored.create("stored", |_| {});
    let other = stored.create("other", |_| {});
    let off = stored.create("off", |settings| settings.disabled = true);
    let in_grace = stored.create("in-grace", |_| {});
    let in_grace_new = stored.rotate("in-grace", HOUR);
    let over = stored.create("over", |_| {});
    let over_new = stored.rotate("over", NOW);
    // Still in its grace when the next rotation, which has none, ends it.
    let twice = stored.create("twice", |_| {});
    let twice_next = stored.rotate("twice", HOUR);
    let twice_new = stored.rotate("twice", NOW);
    let gone = stored.create("gone", |_| {});
    stored
        .runtime
        .block_on(stored.database.delete_app("gone"))
        .unwrap();
    let both = stored.create(APP, |_| {});
    let server = stored.server(|_| {});

    let (plain, off) = (plain.expose(), off.expose());
    let right = (200, "none");
    let unknown = (401, "INVALID_CREDENTIALS");
    let disabled = (403, "APP_DISABLED");
    let long = "k".repeat(257);
    let table = [
        ("both empty", pair("", ""), unknown),
        ("an unknown app", pair("nobody", plain), unknown),
        ("an unknown app without a key", pair("nobody", ""), unknown),
        ("a removed app", pair("gone", gone.expose()), unknown),
        ("the id in capitals", pair("STORED", plain), unknown),
        ("a wrong key", pair("stored", "wrong"), unknown),
        ("no key", pair("stored", ""), unknown),
        ("the key without its end", pair("stored", &plain[..66]), unknown),
        (
            "the key in capitals",
            pair("stored", &plain.to_uppercase()),
            unknown,
        ),
        ("a key that is too long", pair("stored", &long), unknown),
        ("another app's key", pair("stored", other.expose()), unknown),
        ("a disabled app", pair("off", off), disabled),
        ("a disabled app with a wrong key", pair("off", "wrong"), unknown),
        (
            "a disabled app of the configuration",
            pair(DISABLED_APP, KEY),
            disabled,
        ),
        ("that with a wrong key", pair(DISABLED_APP, "wrong"), unknown),
        (
            "the key before, within its grace",
            pair("in-grace", in_grace.expose()),
            right,
        ),
        ("the key after it", pair("in-grace", in_grace_new.expose()), right),
        (
            "the key before, after its grace",
            pair("over", over.expose()),
            unknown,
        ),
        ("the key after that", pair("over", over_new.expose()), right),
        ("the first of three keys", pair("twice", twice.expose()), unknown),
        ("the second of them", pair("twice", twice_next.expose()), unknown),
        ("the last of them", pair("twice", twice_new.expose()), right),
        ("an app of the storage", pair("stored", plain), right),
        ("an app of the configuration", pair(APP, KEY), right),
        (
            "the key that the storage has for it",
            pair(APP, both.expose()),
            unknown,
        ),
    ];
    let mut refusals = Vec::new();
    for path in ENDPOINTS {
        for (case, headers, expected) in &table {
            let response = send(&server, path, headers);
            assert_eq!(
                (response.status, response.code().as_str()),
                *expected,
                "{path}: {case}"
            );
            if *expected == unknown {
                refusals.push((response.headers.len(), response.lasting()));
            }
        }
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "who is refused can tell why");
    // The operator's probes ask for nothing, and mind nothing.
    for path in ["/healthz", "/readyz", "/info"] {
        let mut client = server.client();
        client.send(
            format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\n{}\r\n",
                pair("stored", "wrong")
            )
            .as_bytes(),
        );
        assert_eq!(client.response().status, 200, "{path}");
    }
    for key in [plain, off, in_grace.expose(), over_new.expose()] {
        assert!(!log::all().contains(key), "a key is in the log");
    }
}

#[test]
fn changes_of_apps_apply_while_the_service_runs() {
    let stored = Stored::new();
    let server = stored.server(|_| {});
    let key = stored.create("branch", |_| {});
    let headers = pair("branch", key.expose());
    wait_for_status(&server, &headers, 200);
    stored.change("branch", |settings| settings.disabled = true);
    wait_for_status(&server, &headers, 403);
    stored.change("branch", |settings| settings.disabled = false);
    wait_for_status(&server, &headers, 200);
    let next = stored.rotate("branch", NOW);
    wait_for_status(&server, &headers, 401);
    let headers = pair("branch", next.expose());
    wait_for_status(&server, &headers, 200);
    stored
        .runtime
        .block_on(stored.database.delete_app("branch"))
        .unwrap();
    wait_for_status(&server, &headers, 401);
}

#[test]
fn an_app_may_use_only_its_endpoints() {
    let stored = Stored::new();
    let live = stored.create("live", |settings| {
        settings.endpoints = Some(vec![AppEndpoint::Liveness]);
    });
    let match_only = stored.create("match", |settings| {
        settings.endpoints = Some(vec![AppEndpoint::Biometric]);
    });
    let server = stored.server(|_| {});
    let (live, match_only) = (pair("live", live.expose()), pair("match", match_only.expose()));
    assert_eq!(send(&server, LIVENESS, &live).status, 200);
    assert_eq!(send(&server, BIOMETRIC, &match_only).status, 200);
    for (path, headers, name) in [
        (BIOMETRIC, &live, "biometric-verification"),
        (LIVENESS, &match_only, "liveness-verification"),
    ] {
        let refused = send(&server, path, headers).expect(400, "INVALID_PARAMETER");
        assert!(refused.message().contains(name), "{}", refused.message());
    }
}

#[test]
fn the_settings_of_a_stored_app_apply() {
    let stored = Stored::new();
    let key = stored.create("branch", |settings| {
        settings.default_profile = Some("strict-v0".to_owned());
        settings.profiles = Some(vec!["optimal-v0".to_owned()]);
        settings.liveness_threshold_floor = 0.45;
    });
    // Its profile is not one of this service's: nothing else may take its place.
    let lost = stored.create("lost", |settings| {
        settings.default_profile = Some("gone-v1".to_owned());
    });
    let server = stored.server(|_| {});
    let ask = |path: &str, form: Form| {
        let mut client = server.client();
        client.send(&form.request(path, &pair("branch", key.expose())));
        client.response()
    };
    assert_eq!(
        ask(BIOMETRIC, form::pair().text("profile", "optimal-v0")).status,
        200
    );
    let refused = ask(BIOMETRIC, form::pair().text("profile", "permissive-v0"));
    refused.expect(400, "INVALID_PARAMETER");
    assert_eq!(ask(LIVENESS, form::pair().text("threshold", "0.45")).status, 200);
    ask(LIVENESS, form::pair().text("threshold", "0.44")).expect(400, "INVALID_PARAMETER");
    send(&server, LIVENESS, &pair("lost", lost.expose())).expect(403, "APP_DISABLED");
    assert!(log::all().contains("gone-v1"), "the operator is not told");
}

#[test]
fn only_the_first_start_creates_an_app() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let start = |configured: bool| {
        let mut config = support::config();
        config.database.url = None;
        config.data_folder = folder.path().to_owned();
        if !configured {
            config.apps.clear();
        }
        let engine = Models::new(1).engine(config.image_limits.into());
        let apps = config.apps().unwrap();
        let mut server = runtime.block_on(Server::bind(config, apps, engine)).unwrap();
        server.take_first_app()
    };
    assert!(start(true).is_none(), "who has apps needs none");
    let made = start(false).unwrap();
    assert_eq!(made.id, FIRST_APP);
    assert!(start(false).is_none() && start(true).is_none());

    let stored = Stored::new();
    let server = stored.server(|config| config.apps.clear());
    drop(server);
    let apps = stored.runtime.block_on(stored.database.apps()).unwrap().1;
    assert_eq!(apps.len(), 1);
}
