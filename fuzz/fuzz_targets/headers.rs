//! The headers of a request: credentials, admin token, client address, correlation id.
//!
//! An input is header lines.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use likeness_fuzz::Bound;
use likeness_fuzz::headers::header_map;
use likeness_server::fuzzing::http::HeaderMap;
use likeness_server::fuzzing::{authenticate, client_address, correlation_id, operator_admits};
use likeness_server::{Apps, Config, Explained, Overrides};

likeness_fuzz::target!(seeds, run);

const ID: &str = "acme";
const KEY: &str = "key-of-the-fuzzer-0123456789";
const TOKEN: &str = "token-of-the-fuzzer-0123456789";

static SERVICE: LazyLock<(Config, Apps)> = LazyLock::new(|| {
    let env = [
        ("LIKENESS_APPS", format!("{ID}:{KEY}")),
        ("LIKENESS_ADMIN_TOKEN", TOKEN.to_owned()),
        (
            "LIKENESS__PROXIES__TRUSTED",
            "[\"10.0.0.0/8\", \"fd00::/8\"]".to_owned(),
        ),
    ]
    .map(|(name, value)| (name.into(), value.into()));
    let config = Explained::load(None, env, &Overrides::default(), Config::validate)
        .expect("a configuration")
        .config;
    let apps = config.apps().expect("its apps");
    (config, apps)
});

fn seeds() -> Vec<Vec<u8>> {
    likeness_fuzz::seeds::texts(&[
        &format!(
            "app_id: {ID}\napp_key: {KEY}\nX-Request-Id: abc-1\nX-Forwarded-For: 1.2.3.4, [2001:db8::1]:47, 10.0.0.2:80"
        ),
        &format!(
            "app-id: {ID}\napp-key: {KEY}\nForwarded: proto=https;For=198.51.100.7, for=\"[fd00::1]:47\""
        ),
        &format!(
            "Authorization: Bearer {TOKEN}\nOrigin: null\nX-Forwarded-For: ::ffff:10.0.0.1, unknown, _hidden"
        ),
    ])
}

fn run(input: &[u8]) {
    let (config, apps) = &*SERVICE;
    let mut headers = header_map(input);
    let bound = Bound {
        memory: 100_000 + 4 * input.len(),
        time: Duration::from_secs(1),
    };
    // The values of these headers.
    let said = |names: &[&str]| -> Vec<Vec<u8>> {
        let values = names.iter().flat_map(|&name| headers.get_all(name));
        values.map(|value| value.as_bytes().to_vec()).collect()
    };
    if let Some(id) = bound.keep(|| authenticate(apps, &headers)) {
        let [ids, keys] = [said(&["app_id", "app-id"]), said(&["app_key", "app-key"])];
        assert!(id == ID && !ids.is_empty() && !keys.is_empty());
        assert!(ids.iter().all(|value| value == ID.as_bytes()), "{ids:?}");
        assert!(keys.iter().all(|value| value == KEY.as_bytes()), "another key");
    }
    if bound.keep(|| operator_admits(&config.admin, &headers)) {
        let tokens = said(&["authorization"]);
        assert!(
            tokens.len() == 1 && tokens[0].ends_with(TOKEN.as_bytes()),
            "another token"
        );
    }
    if let Some(id) = bound.keep(|| correlation_id(&headers)) {
        assert!(
            (1..=128).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{id:?}"
        );
    }
    let stranger: IpAddr = "192.0.2.1".parse().expect("an address");
    let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
    let client = |peer, headers: &HeaderMap| bound.keep(|| client_address(&config.proxies, peer, headers));
    assert_eq!(
        client(stranger, &headers),
        stranger,
        "an untrusted peer names another client"
    );
    client(proxy, &headers);
    // What a trusted proxy appends wins over what its client sent.
    headers.append("x-forwarded-for", "198.51.100.7".parse().expect("a value"));
    assert_eq!(client(proxy, &headers).to_string(), "198.51.100.7");
}
