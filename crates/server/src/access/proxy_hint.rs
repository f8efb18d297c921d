//! A hint for the operator when a proxy seems to drop the credentials.

use std::time::Duration;

use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
use crate::sampling::Throttle;
use axum::http::{HeaderMap, HeaderName, header};

/// Time between two hints.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);

/// Headers that proxies add.
const PROXY_HEADERS: [HeaderName; 4] = [
    header::VIA,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Checks a request without valid credentials. Logs if requests come through a proxy without any.
pub(crate) fn check(hints: &Throttle, headers: &HeaderMap) {
    if seems_dropped(headers) && hints.admit().is_some() {
        tracing::warn!(
            "credentials missing behind a proxy: nginx drops header names with underscores (app_id, app_key) unless \
             `underscores_in_headers on;` is set; or let clients send app-id and app-key"
        );
    }
}

fn seems_dropped(headers: &HeaderMap) -> bool {
    let has = |name: &str| headers.contains_key(name);
    PROXY_HEADERS.iter().any(|name| headers.contains_key(name))
        && !ID_HEADERS.into_iter().chain(KEY_HEADERS).any(has)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_proxied_requests_without_any_credentials_get_a_hint() {
        let of = |names: &[&'static str]| {
            let pairs = names
                .iter()
                .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")));
            seems_dropped(&pairs.collect())
        };
        assert!(of(&["x-forwarded-for"]) && of(&["via", "host"]));
        assert!(!of(&[]) && !of(&["host"]));
        assert!(!of(&["via", "app_id"]) && !of(&["via", "app-key"]));
    }
}
