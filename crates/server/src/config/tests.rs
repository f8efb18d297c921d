//! What the layers and checks make of what they are given.

use std::io::Write;

use likeness_engine::decision::QualityChecks;
use secrecy::ExposeSecret;

use super::*;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut toml = tempfile::NamedTempFile::new().unwrap();
    toml.write_all(file.as_bytes()).unwrap();
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    Config::load_with_env(Some(toml.path()), env, &Overrides::default())
}

fn error(file: &str, env: &[(&str, &str)]) -> String {
    load(file, env).unwrap_err().to_string()
}

#[test]
fn defaults_are_the_contracts() {
    let config = Config::load_with_env(None, [], &Overrides::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        config.limits.v0_1.selfie,
        SideLimits {
            min_side: 480,
            max_side: 10_000
        }
    );
    assert_eq!(
        config.limits.v0_2.image,
        SideLimits {
            min_side: 300,
            max_side: 5_000
        }
    );
    assert_eq!(config.limits.file_bytes, 15 << 20);
    assert_eq!(config.limits.body_bytes, 32 << 20);
    assert_eq!(config.limits.deadline, Duration::from_secs(10));
    assert_eq!(config.imaging_limits(), imaging::ImageLimits::default());
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
            let found = table[section].get(key).is_some() || REFERENCE.contains(&format!("# {key} ="));
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
    let file =
        "listen = '127.0.0.1:1'\n[limits]\ndeadline_seconds = 2.5\n[limits.v0_2.selfie]\nmin_side = 10\n";
    let config = load(file, &[]).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.limits.deadline, Duration::from_millis(2_500));
    assert_eq!(config.limits.v0_2.selfie.min_side, 10);
    assert_eq!(config.limits.v0_2.selfie.max_side, 5_000);
    assert_eq!(config.limits.v0_2.image.min_side, 300);

    let mut env = vec![
        ("LIKENESS__LISTEN", "127.0.0.1:2"),
        ("LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE", "20"),
    ];
    let config = load(file, &env).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.limits.v0_2.selfie.min_side, 20);

    env.push(("LIKENESS_LISTEN", "127.0.0.1:3"));
    assert_eq!(load(file, &env).unwrap().listen.port(), 3);

    let overrides = Overrides::default().with_listen(Some("127.0.0.1:4".parse().unwrap()));
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    assert_eq!(
        Config::load_with_env(None, env, &overrides)
            .unwrap()
            .listen
            .port(),
        4
    );
}

#[test]
fn the_operators_port_is_off_until_it_has_an_address() {
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

    let overrides = Overrides::default().with_admin_listen(Some("127.0.0.1:4".parse().unwrap()));
    let env = env.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(port(&Config::load_with_env(None, env, &overrides).unwrap()), 4);
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
    assert!(error(file, &[]).contains("apps[0].key: is empty (app `one`)"));
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
            "[limits.v0_1.selfie]\nmin_side = 'x'",
            &[],
            "limits.v0_1.selfie.min_side",
        ),
        ("[limits.v0_1.selfie]\nmin_side = 0", &[], "limits.v0_1.selfie"),
        ("[limits.v0_1.selfie]\nmin_size = 1", &[], "min_size"),
        ("[limits]\ndeadline_seconds = 0", &[], "limits.deadline_seconds"),
        ("[limits]\ndeadline_seconds = nan", &[], "limits.deadline_seconds"),
        ("[limits]\ndeadline_seconds = -1", &[], "limits.deadline_seconds"),
        (
            "[limits]\ndeadline_seconds = 1e300",
            &[],
            "limits.deadline_seconds",
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
            &[("LIKENESS__LIMITS__FILE_BYTES", "many")],
            "limits.file_bytes (set by LIKENESS__LIMITS__FILE_BYTES)",
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
            .settings()
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
    assert_eq!(config.safety.min_face_score, None);
    let shown = explained("").to_string();
    assert!(
        shown.contains("\n# min_face_score  # unset: the threshold of the model pack\n"),
        "{shown}"
    );
    let shown = explained("[safety]\nmin_face_score = 0.7").to_string();
    assert!(
        shown.contains("\nmin_face_score = 0.7  # ") && !shown.contains("# min_face_score"),
        "{shown}"
    );
    for wrong in ["nan", "-0.1", "1.1"] {
        let said = error(&format!("[safety]\nmin_face_score = {wrong}"), &[]);
        assert!(said.contains("safety.min_face_score"), "{said}");
    }
}

/// What is in a file of this name, explained.
fn explained(text: &str) -> Explained {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("likeness.toml");
    std::fs::write(&file, text).unwrap();
    Explained::load(Some(&file), [], &Overrides::default()).unwrap()
}

#[test]
fn debug_shows_no_key() {
    let config = load("", &[("LIKENESS_APPS", "one:s3cret-0123456789")]).unwrap();
    let debug = format!("{config:?}");
    assert!(debug.contains("one") && !debug.contains("s3cret"), "{debug}");
}

#[test]
fn the_storages_url_is_a_secret_that_a_variable_brings() {
    const URL: &str = "postgres://likeness:s3cret@db.example/likeness";
    let config = load("[storage]\nfolder = 'data'\n", &[("LIKENESS_STORAGE_URL", URL)]).unwrap();
    assert_eq!(config.storage.url.as_ref().unwrap().expose_secret(), URL);
    let env = [("LIKENESS_STORAGE_URL".into(), URL.into())];
    let explained = Explained::load(None, env, &Overrides::default()).unwrap();
    let shown = explained.to_string();
    assert!(
        shown.contains("url = \"<redacted>\"  # LIKENESS_STORAGE_URL") && !shown.contains("s3cret"),
        "{shown}"
    );
    assert!(!format!("{config:?}").contains("s3cret"));
    let other = load("[storage]\nfolder = 'data'\nurl = 'sqlite::memory:'\n", &[]).unwrap();
    assert_eq!(config.differences(&other).unwrap(), ["storage.url"]);
    let misplaced = [
        (
            "LIKENESS_STORAGE_URL",
            "postgres:likeness:s3cret@db.example/likeness",
        ),
        ("LIKENESS__STORAGE", URL),
        ("LIKENESS__AUDIT", URL),
        ("LIKENESS__LIMITS__FILE_BYTES", URL),
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
        "[storage]\nurl = 12345678\n",
        "storage = 's3cret'\n",
        "[storage]\nfolder = 'postgres://likeness:s3cret@db.example/likeness'\n",
        "[storage]\nurl = 'postgres:likeness:s3cret@db.example/likeness'\n",
        "[storage]\nurl = 'postgres://likeness:12/s3cret@db.example/likeness'\n",
        "[storage]\nurl = 'postgres://likeness@db.example/likeness?passwd=s3cret'\n",
        "[storage]\nurl = postgres://likeness:s3cret@db.example/likeness\n",
        "[storage]\ntimeout_seconds = 'postgres://likeness:s3cret@db.example/likeness'\n",
        "[storage]\nurl = 'mysql://u:s3cret@h/d'\n",
    ] {
        let error = error(wrong, &[]);
        assert!(
            (error.contains("storage") || error.contains("is not valid TOML"))
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
