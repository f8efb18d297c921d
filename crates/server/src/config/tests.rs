//! What the layers and checks make of what they are given.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use likeness_engine::decision::QualityChecks;
use likeness_engine::imaging;
use secrecy::ExposeSecret;

use super::*;
use likeness_storage::Place;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut toml = tempfile::NamedTempFile::new().unwrap();
    toml.write_all(file.as_bytes()).unwrap();
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    with_env(Some(toml.path()), env, &Overrides::default())
}

fn with_env(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    Explained::load(file, env, overrides, Config::validate).map(|explained| explained.config)
}

fn error(file: &str, env: &[(&str, &str)]) -> String {
    load(file, env).unwrap_err().to_string()
}

#[test]
fn defaults_are_the_contracts() {
    let config = with_env(None, [], &Overrides::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        config.request_limits.v0_1.selfie,
        SideLimits {
            min_side: 480,
            max_side: 10_000
        }
    );
    assert_eq!(
        config.request_limits.v0_2.image,
        SideLimits {
            min_side: 300,
            max_side: 5_000
        }
    );
    assert_eq!(config.request_limits.file_bytes, 15 << 20);
    assert_eq!(config.request_limits.body_bytes, 32 << 20);
    assert_eq!(config.request_limits.deadline, Duration::from_secs(10));
    assert_eq!(
        imaging::ImageLimits::from(config.image_limits),
        imaging::ImageLimits::default()
    );
    assert!(config.apps.is_empty());
    assert_eq!(config.admission.max_requests, None);
}

#[test]
fn the_reference_file_has_every_setting_at_its_default() {
    let config = load(REFERENCE, &[]).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    let every_key = |config: &Config| serde_json::to_value(config).unwrap();
    let table: toml::Table = toml::from_str(REFERENCE).unwrap();
    for (section, settings) in every_key(&config).as_object().unwrap() {
        for key in settings.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let found = table[section].get(key).is_some()
                || REFERENCE.contains(&format!("# {key} ="))
                || REFERENCE.contains(&format!("#   {key} "));
            assert!(found, "{section}.{key}");
        }
    }
    // What is commented out is valid too.
    let uncommented: Vec<&str> = REFERENCE
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                .unwrap_or(line)
        })
        .collect();
    let uncommented = uncommented.join("\n");
    let (top, sections) = uncommented.split_once("[[apps]]").unwrap();
    let config = load(&format!("{top}[[apps]]{sections}"), &[]).unwrap();
    assert_eq!(
        (
            config.apps.len(),
            config.profiles.len(),
            config.admission.max_requests
        ),
        (1, 1, Some(64))
    );
    // The checks that it shows are those that hold without them.
    assert_eq!(*config.profiles[0].quality(), QualityChecks::default());
}

#[test]
fn each_layer_overrides_the_one_before() {
    let file = "listen = '127.0.0.1:1'\n[request_limits]\ndeadline_seconds = 2.5\n[request_limits.v0_2.selfie]\nmin_side = 10\n";
    let config = load(file, &[]).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.request_limits.deadline, Duration::from_millis(2_500));
    assert_eq!(config.request_limits.v0_2.selfie.min_side, 10);
    assert_eq!(config.request_limits.v0_2.selfie.max_side, 5_000);
    assert_eq!(config.request_limits.v0_2.image.min_side, 300);

    let mut env = vec![
        ("LIKENESS__LISTEN", "127.0.0.1:2"),
        ("LIKENESS__REQUEST_LIMITS__V0_2__SELFIE__MIN_SIDE", "20"),
    ];
    let config = load(file, &env).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.request_limits.v0_2.selfie.min_side, 20);

    env.push(("LIKENESS_LISTEN", "127.0.0.1:3"));
    assert_eq!(load(file, &env).unwrap().listen.port(), 3);

    let overrides = Overrides::default().with("--listen", "listen", "127.0.0.1:4");
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    assert_eq!(with_env(None, env, &overrides).unwrap().listen.port(), 4);
}

#[test]
fn the_admin_listener_is_off_until_it_has_an_address() {
    let config = load("", &[]).unwrap();
    assert!(config.admin.listen.is_none() && config.admin.token.is_none());
    assert_eq!(config.reload.check, Duration::from_secs(10));

    let file = "[admin]\nlisten = '127.0.0.1:1'\ntoken = 'file'\n[reload]\ncheck_seconds = 0\n";
    let port = |config: &Config| config.admin.listen.unwrap().port();
    let token = |config: &Config| config.admin.token.as_ref().unwrap().expose_secret().to_owned();
    let config = load(file, &[]).unwrap();
    assert_eq!((port(&config), token(&config).as_str()), (1, "file"));
    assert!(config.reload.check.is_zero());

    let env = [
        ("LIKENESS__ADMIN__LISTEN", "127.0.0.1:2"),
        ("LIKENESS_ADMIN_LISTEN", "127.0.0.1:3"),
        ("LIKENESS_ADMIN_TOKEN", "73310"),
    ];
    assert_eq!(port(&load(file, &env[..1]).unwrap()), 2);
    let config = load(file, &env).unwrap();
    assert_eq!((port(&config), token(&config).as_str()), (3, "73310"));
    assert!(!format!("{config:?}").contains("73310"));
    let config = load(
        file,
        &[("LIKENESS_ADMIN_LISTEN", " "), ("LIKENESS_ADMIN_TOKEN", "")],
    )
    .unwrap();
    assert_eq!((port(&config), token(&config).as_str()), (1, "file"));

    let overrides = Overrides::default().with("--admin-listen", "admin.listen", "127.0.0.1:4");
    let env = env.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(port(&with_env(None, env, &overrides).unwrap()), 4);
}

#[test]
fn apps_from_the_environment() {
    let config = load(
        "",
        &[("LIKENESS_APPS", "one:k:e:y:0123456789, two:key2-0123456789a")],
    )
    .unwrap();
    let apps: Vec<_> = config
        .apps
        .iter()
        .map(|app| (app.id.as_str(), app.key.expose_secret()))
        .collect();
    assert_eq!(apps, [("one", "k:e:y:0123456789"), ("two", "key2-0123456789a")]);
    assert!(load("", &[("LIKENESS_APPS", " ")]).unwrap().apps.is_empty());
    let config = load(
        "",
        &[("LIKENESS__APPS", "[{id = \"a\", key = \"0123456789abcdef\"}]")],
    )
    .unwrap();
    assert_eq!(config.apps[0].key.expose_secret(), "0123456789abcdef");
}

#[test]
fn the_environment_brings_the_key_of_an_app_in_the_file() {
    let file = "[[apps]]\nid = 'one'\ndefault_profile = 'strict-v0'\n";
    assert!(error(file, &[]).ends_with(":1): is empty (app `one`)"));
    let config = load(file, &[("LIKENESS_APPS", "one:0123456789abcdef")]).unwrap();
    assert_eq!(config.apps.len(), 1);
    assert_eq!(config.apps[0].key.expose_secret(), "0123456789abcdef");
    assert_eq!(config.apps[0].default_profile.as_deref(), Some("strict-v0"));
}

#[test]
fn errors_name_the_key_and_hide_secrets() {
    for (file, env, named) in [
        ("lisen = 1", &[][..], "lisen"),
        ("listen = 'here'", &[], "listen"),
        (
            "[request_limits.v0_1.selfie]\nmin_side = 'x'",
            &[],
            "request_limits.v0_1.selfie.min_side",
        ),
        (
            "[request_limits.v0_1.selfie]\nmin_side = 0",
            &[],
            "request_limits.v0_1.selfie",
        ),
        ("[request_limits.v0_1.selfie]\nmin_size = 1", &[], "min_size"),
        (
            "[request_limits]\ndeadline_seconds = 0",
            &[],
            "request_limits.deadline_seconds",
        ),
        (
            "[request_limits]\ndeadline_seconds = nan",
            &[],
            "request_limits.deadline_seconds",
        ),
        (
            "[request_limits]\ndeadline_seconds = -1",
            &[],
            "request_limits.deadline_seconds",
        ),
        (
            "[request_limits]\ndeadline_seconds = 1e300",
            &[],
            "request_limits.deadline_seconds",
        ),
        ("[connections]\nmax = 0", &[], "connections.max"),
        ("[reload]\ncheck_seconds = -1", &[], "reload.check_seconds"),
        ("[reload]\ncheck_seconds = 0.001", &[], "reload.check_seconds"),
        ("[reload]\ncheck_seconds = 86401", &[], "reload.check_seconds"),
        ("[admin]\nlisten = 'here'", &[], "admin.listen"),
        ("[admin]\nlisten = '127.0.0.1:8080'", &[], "admin.listen"),
        ("[admin]\nlisten = '0.0.0.0:9090'", &[], "admin.token"),
        ("[admin]\ntoken = 73310", &[], "admin.token"),
        ("[admin]\ntoken = ['s3cret']", &[], "admin.token"),
        ("[admin]\ntoken = ''", &[], "admin.token"),
        ("[admin]\ntocken = 's3cret'", &[], "tocken"),
        ("[console]\ntoken = ['s3cret']", &[], "console.token"),
        (
            "",
            &[("LIKENESS_CONSOLE_TOKEN", "s3cret s3cret")],
            "console.token",
        ),
        ("admin = 's3cret'", &[], "admin"),
        ("", &[("LIKENESS_ADMIN_TOKEN", "s3cret s3cret")], "admin.token"),
        (
            "",
            &[("LIKENESS_ADMIN_LISTEN", "nowhere")],
            "admin.listen (set by LIKENESS_ADMIN_LISTEN)",
        ),
        ("[admission]\nmax_requests = 0", &[], "admission.max_requests"),
        (
            "[[profiles]]\nname = 'strict-v0'\nface_match = { reject_below = 0, review_below = 1 }\nliveness = { reject_below = 0, review_below = 1 }",
            &[],
            "profiles[0].name",
        ),
        (
            "[[apps]]\nid = 'a'\nkey = 's3cret-0123456789'\ndefault_profile = 'p'",
            &[],
            "apps[0].default_profile",
        ),
        (
            "[[apps]]\nid = 'a'\nkey = 's3cret-0123456789'\nprofiles = ['p']",
            &[],
            "apps[0].profiles",
        ),
        (
            "[[apps]]\nid = 'a'\nkey = 's3cret-0123456789'\nliveness_threshold_floor = nan",
            &[],
            "apps[0].liveness_threshold_floor",
        ),
        (
            "[[apps]]\nid = 'a'\nkey = 's3cret-0123456789'\n[[apps]]\nid = 'a'\nkey = 's3cret-0123456789'",
            &[],
            "apps[1].id",
        ),
        (
            "[[apps]]\nid = 'a b'\nkey = 's3cret-0123456789'",
            &[],
            "apps[0].id",
        ),
        ("[[apps]]\nid = ''\nkey = 's3cret-0123456789'", &[], "apps[0].id"),
        (
            "[[apps]]\nid = 'a'\nkey = ' s3cret-0123456789'",
            &[],
            "apps[0].key",
        ),
        ("[[apps]]\nid = 'a'\nkey = 73310", &[], "apps.0.key"),
        ("apps = 's3cret'", &[], "apps"),
        ("[[apps]]\nkey = 's3cret-0123456789'\nkey = ", &[], "line 3"),
        ("", &[("LIKENESS_APPS", "s3cret")], "LIKENESS_APPS: entry 1"),
        (
            "",
            &[("LIKENESS_APPS", "a:s3cret-0123456789,")],
            "LIKENESS_APPS: entry 2",
        ),
        (
            "",
            &[("LIKENESS_APPS", "a:s3cret-0123456789,a:s3cret-0123456789")],
            "LIKENESS_APPS: entry 2",
        ),
        ("", &[("LIKENESS_APPS", ":s3cret")], "LIKENESS_APPS: entry 1"),
        ("", &[("LIKENESS_APPS", "a:")], "LIKENESS_APPS: entry 1"),
        ("", &[("LIKENESS__APPS", "a:s3cret")], "LIKENESS__APPS"),
        (
            "",
            &[("LIKENESS__REQUEST_LIMITS__FILE_BYTES", "many")],
            "request_limits.file_bytes (set by LIKENESS__REQUEST_LIMITS__FILE_BYTES)",
        ),
        ("", &[("LIKENESS__LIMIT__FILE_BYTES", "1")], "limit"),
        ("", &[("LIKENESS__", "1")], "LIKENESS__"),
        (
            "",
            &[("LIKENESS_LISTEN", "nowhere")],
            "listen (set by LIKENESS_LISTEN)",
        ),
    ] {
        let message = error(file, env);
        assert!(message.contains(named), "{file:?} {env:?}: {message}");
        assert!(
            !message.contains("s3cret") && !message.contains("73310"),
            "{message}"
        );
    }
}

#[test]
fn every_way_in_asks_for_the_same_keys_of_apps() {
    const WEAK: &str = "s3cret-of-15-ch";
    let file = |key: &str| format!("[[apps]]\nid = 'a'\nkey = '{key}'\n");
    let list = format!("a:{WEAK}");
    let inline = format!("[{{id = \"a\", key = \"{WEAK}\"}}]");
    let weak = |allow: &'static str| {
        [
            load(&format!("{allow}\n{}", file(WEAK)), &[]),
            load(allow, &[("LIKENESS_APPS", &list)]),
            load(allow, &[("LIKENESS__APPS", &inline)]),
            load(
                &format!("{allow}\n{}", file("0123456789abcdef")),
                &[("LIKENESS_APPS", &list)],
            ),
        ]
    };
    for refused in weak("") {
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("has fewer than 16 characters") && said.contains("allow_weak_keys"),
            "{said}"
        );
        assert!(!said.contains(WEAK), "{said}");
    }
    for allowed in weak("allow_weak_keys = true") {
        let config = allowed.unwrap();
        assert_eq!(config.apps[0].key.expose_secret(), WEAK);
        assert_eq!(config.apps_with_weak_keys(), ["a"]);
    }
    let strong = load(
        &file("0123456789abcdef"),
        &[("LIKENESS__ALLOW_WEAK_KEYS", "true")],
    )
    .unwrap();
    assert_eq!(strong.apps_with_weak_keys(), [""; 0]);
    // A program that makes its configuration by hand has no other rule.
    let mut config = Config {
        apps: vec![AppConfig::new("a", WEAK)],
        ..Config::default()
    };
    assert!(config.apps().is_err());
    config.allow_weak_keys = true;
    assert!(config.apps().is_ok());
}

#[test]
fn one_address_cannot_hold_all_connections_where_clients_come_directly() {
    let effective = |text: &str| {
        let explained = explained(text);
        let key = "connections.max_per_address";
        let setting = explained
            .settings
            .iter()
            .find(|setting| setting.key == key)
            .unwrap();
        assert_eq!(
            setting.value.as_integer().unwrap(),
            explained.config.max_per_address() as i64,
            "{text}"
        );
        let shown = explained.to_string();
        let line = shown
            .lines()
            .find(|line| line.starts_with("max_per_address"))
            .unwrap();
        (explained.config.max_per_address(), line.to_owned())
    };
    for (text, max, why) in [
        ("", 0, "listen is a loopback address"),
        ("listen = '[::1]:8080'", 0, "listen is a loopback address"),
        ("listen = '0.0.0.0:8080'", 512, "half of connections.max"),
        ("listen = '[::]:8080'", 512, "half of connections.max"),
        (
            "listen = '192.0.2.1:8080'\n[connections]\nmax = 100",
            50,
            "half of connections.max",
        ),
        (
            "listen = '0.0.0.0:8080'\n[connections]\nmax = 1",
            1,
            "half of connections.max",
        ),
        (
            "listen = '0.0.0.0:8080'\n[proxies]\ntrusted = ['10.0.0.0/8']",
            0,
            "proxies are trusted",
        ),
    ] {
        let (found, line) = effective(text);
        assert!(
            found == max && line.starts_with(&format!("max_per_address = {max}  # ")) && line.contains(why),
            "{text}: {line}"
        );
    }
    // What is set holds, and is shown with what set it.
    for max in [0, 7] {
        let (found, line) = effective(&format!(
            "listen = '0.0.0.0:8080'\n[connections]\nmax_per_address = {max}"
        ));
        assert!(
            found == max && line.contains("likeness.toml") && !line.contains("half"),
            "{line}"
        );
    }
}

#[test]
fn without_a_setting_the_threshold_of_faces_is_the_packs() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.engine.min_face_score, None);
    let shown = explained("").to_string();
    assert!(
        shown.contains("\n# min_face_score  # unset: the threshold of the model pack\n"),
        "{shown}"
    );
    let shown = explained("[engine]\nmin_face_score = 0.7").to_string();
    assert!(
        shown.contains("\nmin_face_score = 0.7  # ") && !shown.contains("# min_face_score"),
        "{shown}"
    );
    for wrong in ["nan", "-0.1", "1.1"] {
        let said = error(&format!("[engine]\nmin_face_score = {wrong}"), &[]);
        assert!(said.contains("engine.min_face_score"), "{said}");
    }
}

/// What is in a file of this name, explained.
fn explained(text: &str) -> Explained {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("likeness.toml");
    std::fs::write(&file, text).unwrap();
    Explained::load(Some(&file), [], &Overrides::default(), Config::validate).unwrap()
}

#[test]
fn debug_shows_no_key() {
    let config = load("", &[("LIKENESS_APPS", "one:s3cret-0123456789")]).unwrap();
    let debug = format!("{config:?}");
    assert!(debug.contains("one") && !debug.contains("s3cret"), "{debug}");
}

#[test]
fn the_url_of_the_database_is_a_secret_that_a_variable_brings() {
    const URL: &str = "postgres://likeness:s3cret@db.example/likeness";
    let config = load("data_folder = 'data'\n", &[("LIKENESS_DATABASE_URL", URL)]).unwrap();
    assert_eq!(config.database.url.as_ref().unwrap().expose_secret(), URL);
    let env = [("LIKENESS_DATABASE_URL".into(), URL.into())];
    let explained = Explained::load(None, env, &Overrides::default(), Config::validate).unwrap();
    let shown = explained.to_string();
    assert!(
        shown.contains("url = \"<redacted>\"  # LIKENESS_DATABASE_URL") && !shown.contains("s3cret"),
        "{shown}"
    );
    assert!(!format!("{config:?}").contains("s3cret"));
    let other = load("data_folder = 'data'\n[database]\nurl = 'sqlite::memory:'\n", &[]).unwrap();
    assert_eq!(config.differences(&other).unwrap(), ["database.url"]);
    let misplaced = [
        (
            "LIKENESS_DATABASE_URL",
            "postgres:likeness:s3cret@db.example/likeness",
        ),
        ("LIKENESS__DATABASE", URL),
        ("LIKENESS__AUDIT", URL),
        ("LIKENESS__REQUEST_LIMITS__FILE_BYTES", URL),
        ("LIKENESS__LOG__FORMAT", URL),
        ("LIKENESS__LISTEN", URL),
        ("LIKENESS_LISTEN", URL),
        ("LIKENESS__PROXIES__TRUSTED", URL),
        ("LIKENESS__ENGINE__DEVICE_ID", URL),
    ];
    for (name, value) in misplaced {
        let error = error("", &[(name, value)]);
        assert!(
            !error.contains("s3cret") && !error.contains("db.example"),
            "{name}: {error}"
        );
    }
    for wrong in [
        "[database]\nurl = 12345678\n",
        "database = 's3cret'\n",
        "data_folder = 'postgres://likeness:s3cret@db.example/likeness'\n",
        "[database]\nurl = 'postgres:likeness:s3cret@db.example/likeness'\n",
        "[database]\nurl = 'postgres://likeness:12/s3cret@db.example/likeness'\n",
        "[database]\nurl = 'postgres://likeness@db.example/likeness?passwd=s3cret'\n",
        "[database]\nurl = postgres://likeness:s3cret@db.example/likeness\n",
        "[database]\ntimeout_seconds = 'postgres://likeness:s3cret@db.example/likeness'\n",
        "[database]\nurl = 'mysql://u:s3cret@h/d'\n",
    ] {
        let error = error(wrong, &[]);
        assert!(
            (error.contains("data") || error.contains("is not valid TOML"))
                && !error.contains("s3cret")
                && !error.contains("12345678"),
            "{error}"
        );
    }
}

#[test]
fn apps_have_endpoints_and_limits() {
    let app = |settings: &str| format!("[[apps]]\nid = 'a'\nkey = '0123456789abcdef'\n{settings}\n");
    let file =
        app("endpoints = ['liveness']\nlimits = { requests_per_second = 0.5, burst = 2, daily_quota = 10 }");
    let apps = load(&file, &[]).unwrap().apps;
    assert_eq!(
        apps[0].endpoints.as_deref(),
        Some(&[likeness_storage::apps::AppEndpoint::Liveness][..])
    );
    assert_eq!(apps[0].limits.requests_per_second, Some(0.5));
    assert_eq!(apps[0].limits.daily_quota, Some(10));
    for (wrong, named) in [
        ("endpoints = ['face']", "endpoints"),
        ("endpoints = []", "apps[0].endpoints"),
        ("limits = { daily_quota = 0 }", "apps[0].limits.daily_quota"),
        ("limits = { hourly_quota = 1 }", "hourly_quota"),
    ] {
        let error = error(&app(wrong), &[]);
        assert!(error.contains(named), "{error}");
    }
}

const DATABASE_URL: &str = "postgres://likeness:s3cret@db.example/likeness";

fn load_with_credentials(folder: &Path, more: &[(&str, &str)]) -> Result<Explained, ConfigError> {
    let env = more.iter().map(|(name, value)| (name.into(), value.into()));
    let env = env.chain([(ENV_CREDENTIALS.into(), folder.into())]);
    Explained::load(None, env, &Overrides::default(), Config::validate)
}

#[test]
fn each_file_is_a_secret_and_what_is_not_there_sets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        load_with_credentials(folder.path(), &[])
            .unwrap()
            .config
            .database
            .url
            .is_none()
    );
    assert!(load_with_credentials(&folder.path().join("nowhere"), &[]).is_ok());
    let secrets = [
        ("likeness.database-url", DATABASE_URL),
        ("likeness.admin-token", "s3cret-of-the-operator"),
        ("likeness.admin-metrics-token", "s3cret-of-prometheus"),
        ("likeness.audit-chain-key", "s3cret-of-the-chain"),
        ("likeness.console-token", "s3cret-of-the-console"),
        ("somebody.elses", "s3cret"),
    ];
    for (name, secret) in secrets {
        std::fs::write(folder.path().join(name), format!("{secret}\n")).unwrap();
    }
    let explained = load_with_credentials(folder.path(), &[]).unwrap();
    let config = &explained.config;
    let found = [
        &config.database.url,
        &config.admin.token,
        &config.admin.metrics_token,
        &config.audit.chain_key,
        &config.console.token,
    ];
    for (found, (_, secret)) in found.into_iter().zip(secrets) {
        assert_eq!(found.as_ref().unwrap().expose_secret(), secret);
    }
    let shown = explained.to_string();
    let origin = folder.path().join("likeness.database-url");
    assert!(
        shown.contains(&*origin.to_string_lossy()) && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn a_variable_overrides_a_credential() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("likeness.database-url"), DATABASE_URL).unwrap();
    let other = "sqlite::memory:";
    let config = load_with_credentials(folder.path(), &[("LIKENESS_DATABASE_URL", other)])
        .unwrap()
        .config;
    assert_eq!(config.database.url.unwrap().expose_secret(), other);
}

#[test]
fn a_file_that_brings_no_secret_is_named_and_not_shown() {
    let long = "s3cret".repeat(11_000);
    for (bytes, reason) in [
        (&b" \n"[..], "is empty"),
        (&b"s3cret\xff"[..], "is not UTF-8"),
        (long.as_bytes(), "is longer than 64 KiB"),
        (&b"s3cret of two words"[..], "has spaces"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("likeness.admin-token");
        std::fs::write(&file, bytes).unwrap();
        let error = load_with_credentials(folder.path(), &[]).unwrap_err().to_string();
        let named = error.contains("likeness.admin-token") || error.contains("admin.token");
        assert!(
            named && error.contains(reason) && !error.contains("s3cret"),
            "{error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("likeness.admin-token")).unwrap();
    let error = load_with_credentials(folder.path(), &[]).unwrap_err().to_string();
    assert!(error.contains("likeness.admin-token cannot be read"), "{error}");
}

#[test]
fn without_a_url_the_database_is_in_the_data_folder() {
    let settings = DatabaseConfig::default().settings(Path::new("data")).unwrap();
    assert!(matches!(&settings.place, Place::File(path) if path.as_path() == Path::new("data/likeness.db")));
    assert_eq!(settings.timeout, Duration::from_secs(5));
}

#[test]
fn numbers_out_of_range_are_rejected_with_the_range() {
    for (file, expected) in [
        (
            "[database]\ntimeout_seconds = 0",
            "database.timeout_seconds (set by *:2): 0.0 is out of range: must be from 0.05 to 86400",
        ),
        (
            "[database]\nconnections = 0",
            "database.connections (set by *:2): 0 is out of range: must be from 1 to 1000",
        ),
        (
            "[database]\nrefresh_seconds = 0",
            "database.refresh_seconds (set by *:2): 0.0 is out of range: must be from 0.05 to 86400",
        ),
        (
            "[engine]\nworkers = 0",
            "engine.workers (set by *:2): 0 is out of range: must be from 1 to 1024",
        ),
        (
            "[tls]\n\ncheck_seconds = 0.001",
            "tls.check_seconds (set by *:3): 0.001 is out of range: must be 0, or from 0.01 to 86400",
        ),
        (
            "[audit]\nrotate_mib = 0",
            "audit.rotate_mib (set by *:2): 0 is out of range: must be at least 1",
        ),
        (
            "[image_limits]\nmax_decode_bytes = 1",
            "image_limits.max_decode_bytes (set by *:2): 1 is out of range: must be at least 16777216",
        ),
    ] {
        let message = error(file, &[]);
        let (before, after) = expected.split_once('*').unwrap();
        assert!(message.contains(before) && message.ends_with(after), "{message}");
    }
    assert!(load("[tls]\ncheck_seconds = 0", &[]).is_ok());
    assert!(
        Config {
            data_folder: "".into(),
            ..Config::default()
        }
        .validate()
        .is_err()
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
    for (file, expected) in [
        (
            "[request_limits]\ndeadlin_seconds = 1",
            ":2): unknown key; did you mean `deadline_seconds`?",
        ),
        (
            "\nlisten_on = '127.0.0.1:1'",
            ":2): unknown key; did you mean `listen`?",
        ),
        (
            "[[apps]]\nid = 'a'\nkee = 'b'",
            ":3): unknown key; did you mean `key`?",
        ),
        ("[docs]\nxyz = 1", ":2): unknown key; must be one of enabled"),
    ] {
        let message = error(file, &[]);
        assert!(message.ends_with(expected), "{message}");
    }
    let message = error("", &[("LIKENESS__ENGINE__WORKER", "1")]);
    assert_eq!(
        message,
        "configuration: engine.worker (set by LIKENESS__ENGINE__WORKER): unknown key; did you mean `workers`?"
    );
    let overrides = Overrides::default()
        .with_assignment("--set", "engine.worker=1")
        .unwrap();
    let error = with_env(None, [], &overrides).unwrap_err();
    assert!(
        error.to_string().contains("engine.worker (set by --set)"),
        "{error}"
    );
    assert!(overrides.check().is_err());
    assert!(
        Overrides::default()
            .with_assignment("--set", "engine.workers")
            .is_err()
    );
}

#[test]
fn a_section_that_does_not_exist_is_an_error_even_where_it_is_empty() {
    let message = error("[tsl]\n", &[]);
    assert!(
        message.contains("tsl (set by") && message.ends_with("did you mean `tls`?"),
        "{message}"
    );
}

/// Old names work until the next minor version; each use of one is noted for a warning.
#[test]
fn old_names_work_and_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("likeness.toml");
    std::fs::write(
        &file,
        "[limits]\nfile_bytes = 1\n[limits.v0_2.selfie]\nmin_side = 7\n[safety]\nmax_faces = 2\nmin_face_score = 0.7\n\
         max_side = 900\n[storage]\nfolder = 'old'\nconnections = 3\n[tls]\noperators = false\n",
    )
    .unwrap();
    let env = [
        ("LIKENESS_STORAGE_URL", "sqlite::memory:"),
        ("LIKENESS__STORAGE__TIMEOUT_SECONDS", "2"),
        ("LIKENESS__LIMITS__BODY_BYTES", "3"),
    ];
    let env = env.map(|(name, value)| (name.into(), value.into()));
    let overrides = Overrides::default()
        .with_assignment("--set", "safety.max_pixels=5")
        .unwrap();
    let explained = Explained::load(Some(&file), env, &overrides, Config::validate).unwrap();
    let config = &explained.config;
    assert_eq!(
        (config.request_limits.file_bytes, config.request_limits.body_bytes),
        (1, 3)
    );
    assert_eq!(config.request_limits.v0_2.selfie.min_side, 7);
    assert_eq!(
        (config.engine.max_faces, config.engine.min_face_score),
        (Some(2), Some(0.7))
    );
    assert_eq!(
        (config.image_limits.max_side, config.image_limits.max_pixels),
        (900, 5)
    );
    assert_eq!(
        (config.data_folder.to_str(), config.database.connections),
        (Some("old"), 3)
    );
    assert_eq!(config.database.timeout, Duration::from_secs(2));
    assert_eq!(
        config.database.url.as_ref().unwrap().expose_secret(),
        "sqlite::memory:"
    );
    let noted: Vec<(&str, &str)> = explained
        .renamed
        .iter()
        .map(|renamed| (renamed.old.as_str(), renamed.new.as_str()))
        .collect();
    for expected in [
        ("limits.file_bytes", "request_limits.file_bytes"),
        ("safety.max_faces", "engine.max_faces"),
        ("safety.max_side", "image_limits.max_side"),
        ("storage.folder", "data_folder"),
        ("storage.connections", "database.connections"),
        ("tls.operators", "tls.admin"),
        ("LIKENESS_STORAGE_URL", "LIKENESS_DATABASE_URL"),
        (
            "LIKENESS__STORAGE__TIMEOUT_SECONDS",
            "LIKENESS__DATABASE__TIMEOUT_SECONDS",
        ),
        ("safety.max_pixels", "image_limits.max_pixels"),
    ] {
        assert!(noted.contains(&expected), "{expected:?} is not in {noted:?}");
    }
    // Errors and explanations name the key as it is now, with the line that it is in.
    let shown = explained.to_string();
    let line = format!("data_folder = \"old\"  # {}:10", file.display());
    assert!(shown.contains(&line), "{shown}");
    assert!(
        Explained::load(None, [], &Overrides::default(), Config::validate)
            .unwrap()
            .renamed
            .is_empty()
    );
}

#[test]
fn the_new_name_overrides_the_old_one_in_every_layer() {
    let config = load(
        "[storage]\nconnections = 1\n[database]\nconnections = 2\n",
        &[
            ("LIKENESS_STORAGE_URL", "sqlite:old"),
            ("LIKENESS_DATABASE_URL", "sqlite::memory:"),
            ("LIKENESS__DATABASE__TIMEOUT_SECONDS", "2"),
            ("LIKENESS__STORAGE__TIMEOUT_SECONDS", "3"),
        ],
    )
    .unwrap();
    assert_eq!(config.database.connections, 2);
    assert_eq!(config.database.timeout, Duration::from_secs(2));
    assert_eq!(config.database.url.unwrap().expose_secret(), "sqlite::memory:");
}

#[test]
fn a_credential_by_its_old_name_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("likeness.storage-url"), "sqlite::memory:").unwrap();
    let explained = load_with_credentials(folder.path(), &[]).unwrap();
    assert_eq!(
        explained.config.database.url.as_ref().unwrap().expose_secret(),
        "sqlite::memory:"
    );
    assert_eq!(explained.renamed[0].new, "likeness.database-url");
}

#[test]
fn an_engine_needs_no_secrets_of_the_service() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[apps]]\nid = 'a'\n[engine]\npack = 'own'\n")
        .unwrap();
    assert!(Explained::load(Some(file.path()), [], &Overrides::default(), Config::validate).is_err());
    let explained = Explained::load(
        Some(file.path()),
        [],
        &Overrides::default(),
        Config::validate_engine,
    )
    .unwrap();
    assert_eq!(explained.config.engine.pack.as_deref(), Some("own"));
}
