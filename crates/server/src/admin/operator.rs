//! Authorization on the admin listener.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{Admin, failure};
use crate::config::AdminConfig;

/// Paths that the metrics token may read.
const READABLE: [&str; 2] = ["/metrics", "/info"];

/// Holds the digests of the tokens, never a token.
pub(crate) struct Operator {
    /// `None` if no token is configured.
    token_digest: Option<[u8; 32]>,
    /// Of the token that may only read.
    metrics_digest: Option<[u8; 32]>,
}

/// The reason why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token, a wrong one, or several.
    Unauthorized,
    /// The request comes from a page in a browser.
    Browser,
}

impl Operator {
    pub(crate) fn new(config: &AdminConfig) -> Self {
        let digest = |token: &SecretString| Sha256::digest(token.expose_secret()).into();
        Self {
            token_digest: config.token.as_ref().map(digest),
            metrics_digest: config.metrics_token.as_ref().map(digest),
        }
    }

    /// `reads`: whether the request changes nothing.
    pub(crate) fn check(&self, headers: &HeaderMap, reads: bool) -> Result<(), Refusal> {
        let Some(expected) = &self.token_digest else {
            // Without a token every local process is an operator, but not the pages that are open in a browser there: browsers
            // send this header with cross-origin requests.
            return if headers.contains_key(header::ORIGIN) {
                Err(Refusal::Browser)
            } else {
                Ok(())
            };
        };
        let (token, usable) = bearer(headers);
        // In constant time, for an absent token as well.
        let found = Sha256::digest(token);
        let metrics = self
            .metrics_digest
            .filter(|_| reads)
            .map_or(Choice::from(0), |expected| expected.ct_eq(&found));
        let matches = (expected.ct_eq(&found) | metrics) & Choice::from(u8::from(usable));
        bool::from(matches).then_some(()).ok_or(Refusal::Unauthorized)
    }
}

/// Returns the token of `Authorization: Bearer …` (RFC 6750), and whether it is usable: there must be one such header.
fn bearer(headers: &HeaderMap) -> (&[u8], bool) {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let only = values.next().filter(|_| values.next().is_none());
    let token = only.map(HeaderValue::as_bytes).and_then(|value| {
        let (scheme, token) = value.split_at_checked("Bearer ".len())?;
        scheme
            .eq_ignore_ascii_case(b"Bearer ")
            .then(|| token.trim_ascii_start())
    });
    (token.unwrap_or_default(), token.is_some())
}

/// Admits authorized requests.
pub(super) async fn admit(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let reads = request.method().is_safe() && READABLE.contains(&request.uri().path());
    match admin.operator.check(request.headers(), reads) {
        Ok(()) => next.run(request).await,
        Err(Refusal::Browser) => failure(
            StatusCode::FORBIDDEN,
            "requests from pages in a browser need a token: set admin.token",
        ),
        Err(Refusal::Unauthorized) => {
            let mut response = failure(
                StatusCode::UNAUTHORIZED,
                "the admin token is required: `Authorization: Bearer …`",
            );
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(token: Option<&str>) -> AdminConfig {
        AdminConfig {
            token: token.map(SecretString::from),
            ..AdminConfig::default()
        }
    }

    fn check(token: Option<&str>, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Operator::new(&config(token)).check(&map, false)
    }

    #[test]
    fn only_the_token_is_admitted() {
        let check = |values: &[&str]| {
            let headers: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
            check(Some("s3cret"), &headers)
        };
        for right in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            assert_eq!(check(&[right]), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer S3CRET",
            "Bearer  s3cret x",
            "Basic s3cret",
            "s3cret",
            "Bearers3cret",
            "Bearer s\u{e9}cret",
        ] {
            assert_eq!(check(&[wrong]), Err(Refusal::Unauthorized), "{wrong}");
        }
        assert_eq!(check(&[]), Err(Refusal::Unauthorized));
        assert_eq!(
            check(&["Bearer s3cret", "Bearer s3cret"]),
            Err(Refusal::Unauthorized)
        );
    }

    #[test]
    fn without_a_token_all_but_browsers_are_admitted() {
        assert_eq!(check(None, &[]), Ok(()));
        assert_eq!(check(None, &[("authorization", "Bearer x")]), Ok(()));
        for origin in ["http://127.0.0.1:9090", "https://example.org", "null"] {
            assert_eq!(check(None, &[("origin", origin)]), Err(Refusal::Browser));
        }
        let with_both = [("origin", "null"), ("authorization", "Bearer s3cret")];
        assert_eq!(check(Some("s3cret"), &with_both), Ok(()));
    }

    #[test]
    fn the_metrics_token_may_only_read() {
        let mut config = config(Some("s3cret"));
        config.metrics_token = Some("l00k".into());
        let operator = Operator::new(&config);
        for (token, reads, expected) in [
            ("s3cret", false, Ok(())),
            ("s3cret", true, Ok(())),
            ("l00k", true, Ok(())),
            ("l00k", false, Err(Refusal::Unauthorized)),
            ("other", true, Err(Refusal::Unauthorized)),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            headers.insert(header::AUTHORIZATION, value);
            assert_eq!(operator.check(&headers, reads), expected, "{token} {reads}");
        }
    }
}
