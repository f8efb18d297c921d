//! A word to the operator where a proxy seems to drop the credentials.

use std::time::Duration;

use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
use crate::sampling::Throttle;
use axum::http::{HeaderMap, HeaderName, header};

/// Time between two such lines: they say the same.
const PAUSE: Duration = Duration::from_secs(60);

/// What proxies add.
const PROXIES: [HeaderName; 4] = [
    header::VIA,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Logs, once in a while, that requests come by a proxy and without any credentials.
#[derive(Debug)]
pub(crate) struct ProxyHint {
    said: Throttle,
}

impl Default for ProxyHint {
    fn default() -> Self {
        Self {
            said: Throttle::new(PAUSE),
        }
    }
}

impl ProxyHint {
    /// Looks at a request whose credentials were refused.
    pub(crate) fn look_at(&self, headers: &HeaderMap) {
        if seems_dropped(headers) && self.said.admit().is_some() {
            tracing::warn!(
                "a request came by a proxy with neither app_id nor app_key: nginx drops header names with underscores \
                 unless `underscores_in_headers on;` is set; or have clients send app-id and app-key"
            );
        }
    }
}

fn seems_dropped(headers: &HeaderMap) -> bool {
    let has = |name: &str| headers.contains_key(name);
    PROXIES.iter().any(|name| headers.contains_key(name))
        && !ID_HEADERS.into_iter().chain(KEY_HEADERS).any(has)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_came_by_a_proxy_without_any_of_them_is_suspicious() {
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
