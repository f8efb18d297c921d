//! Accepted and rejected credentials.

use axum::http::HeaderValue;

use super::credentials::{ID_HEADERS, KEY_HEADERS};
use super::*;

const KEY: &str = "key:1-0123456789abcdef";
const OTHER_KEY: &str = "key2-0123456789abcdef";

fn with(apps: Vec<AppConfig>) -> Apps {
    let config = Config {
        apps,
        ..Config::default()
    };
    config.apps().unwrap()
}

fn apps() -> Apps {
    with(vec![AppConfig::new("one", KEY), AppConfig::new("two", OTHER_KEY)])
}

fn who(headers: &[(&'static str, &str)]) -> Option<String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    apps().authenticate(&map).map(|app| app.id.clone())
}

#[test]
fn only_the_right_pair_in_any_spelling_is_let_in() {
    for id in ID_HEADERS {
        for key in KEY_HEADERS {
            assert_eq!(who(&[(id, "one"), (key, KEY)]).as_deref(), Some("one"));
            assert_eq!(who(&[(id, "two"), (key, OTHER_KEY)]).as_deref(), Some("two"));
            assert_eq!(who(&[(id, "one"), (key, OTHER_KEY)]), None);
            assert_eq!(who(&[(id, "ONE"), (key, KEY)]), None);
            assert_eq!(who(&[(id, "none"), (key, KEY)]), None);
            assert_eq!(who(&[(id, ""), (key, "")]), None);
            assert_eq!(who(&[(id, "one")]), None);
            assert_eq!(who(&[(key, KEY)]), None);
        }
    }
    assert_eq!(who(&[]), None);
}

#[test]
fn repeated_or_conflicting_headers_are_refused() {
    let key = ("app_key", KEY);
    assert_eq!(who(&[("app_id", "one"), ("app_id", "one"), key]), None);
    assert_eq!(who(&[("app_id", "one"), ("app-id", "two"), key]), None);
    assert_eq!(who(&[("app_id", "two"), ("app-id", "one"), key]), None);
    assert_eq!(who(&[("app_id", "one"), key, ("app-key", OTHER_KEY)]), None);
    assert_eq!(
        who(&[("app_id", "one"), ("app-id", "one"), key]).as_deref(),
        Some("one")
    );
}

#[test]
fn the_demo_app_has_a_new_key_each_time() {
    let key = || {
        Apps::new(&Config::default())
            .unwrap()
            .add_demo()
            .unwrap()
            .unwrap()
    };
    let first = key();
    assert_eq!(first.len(), 32);
    assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(first, key());

    let mut apps = with(vec![AppConfig::new(DEMO_APP, KEY)]);
    assert_eq!(apps.add_demo().unwrap(), None);
    assert_eq!(apps.len(), 1);
}

#[test]
fn an_app_may_use_what_is_listed_and_its_default() {
    let mut app = AppConfig::new("one", KEY);
    app.default_profile = Some("strict-v0".to_owned());
    app.profiles = Some(vec!["optimal-v0".to_owned()]);
    let apps = with(vec![app]);
    let app = &apps.entries["one"].app;
    assert_eq!(app.profile_names(), "strict-v0, optimal-v0");
    assert!(app.profile("permissive-v0").is_none());
    assert_eq!(app.default_profile.name(), "strict-v0");
}

#[test]
fn debug_shows_neither_keys_nor_digests() {
    let debug = format!("{:?}", apps());
    assert!(
        debug.contains("one") && !debug.contains(KEY) && !debug.contains("digest"),
        "{debug}"
    );
}
