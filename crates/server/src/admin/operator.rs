//! Who may use the operator's port.

use std::fmt;
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

/// Paths on which the token of the metrics is good.
const LOOKS: [&str; 2] = ["/metrics", "/info"];

/// Holds the digest of the operator's token, never the token; `None` where none is asked for.
pub(super) struct Operator {
    token_digest: Option<[u8; 32]>,
    /// Of the token that is good for looking only.
    metrics_digest: Option<[u8; 32]>,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token, a wrong one, or several.
    Unknown,
    /// It comes from a page in a browser.
    Browser,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator")
            .field("asks_for_token", &self.token_digest.is_some())
            .field("has_metrics_token", &self.metrics_digest.is_some())
            .finish()
    }
}

impl Operator {
    pub(super) fn new(config: &AdminConfig) -> Self {
        let digest = |token: &SecretString| Sha256::digest(token.expose_secret()).into();
        Self {
            token_digest: config.token.as_ref().map(digest),
            metrics_digest: config.metrics_token.as_ref().map(digest),
        }
    }

    /// `looks`: whether the request changes nothing.
    pub(super) fn check(&self, headers: &HeaderMap, looks: bool) -> Result<(), Refusal> {
        let Some(expected) = &self.token_digest else {
            // Without a token whoever is on this machine is the operator, but not the pages that somebody reads there:
            // browsers send this header with whatever a page posts to another host.
            return if headers.contains_key(header::ORIGIN) {
                Err(Refusal::Browser)
            } else {
                Ok(())
            };
        };
        let (token, usable) = bearer(headers);
        // As long for an absent token as for a wrong one, and no comparison ends early.
        let found = Sha256::digest(token);
        let metrics = self
            .metrics_digest
            .filter(|_| looks)
            .map_or(Choice::from(0), |expected| expected.ct_eq(&found));
        let matches = (expected.ct_eq(&found) | metrics) & Choice::from(u8::from(usable));
        if bool::from(matches) {
            Ok(())
        } else {
            Err(Refusal::Unknown)
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750), and whether it can be used: not where there is none or more than
/// one such header.
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

/// Lets the operator through and nobody else.
pub(super) async fn admit(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let looks = request.method().is_safe() && LOOKS.contains(&request.uri().path());
    match admin.operator.check(request.headers(), looks) {
        Ok(()) => next.run(request).await,
        Err(Refusal::Browser) => failure(
            StatusCode::FORBIDDEN,
            "a request of a page in a browser is not answered here while no token is asked for",
        ),
        Err(Refusal::Unknown) => {
            let mut response = failure(
                StatusCode::UNAUTHORIZED,
                "the operator's token is needed: `Authorization: Bearer …`",
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
    fn only_the_token_is_let_in() {
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
            assert_eq!(check(&[wrong]), Err(Refusal::Unknown), "{wrong}");
        }
        assert_eq!(check(&[]), Err(Refusal::Unknown));
        assert_eq!(check(&["Bearer s3cret", "Bearer s3cret"]), Err(Refusal::Unknown));
    }

    #[test]
    fn without_a_token_all_but_browsers_are_let_in() {
        assert_eq!(check(None, &[]), Ok(()));
        assert_eq!(check(None, &[("authorization", "Bearer x")]), Ok(()));
        for origin in ["http://127.0.0.1:9090", "https://example.org", "null"] {
            assert_eq!(check(None, &[("origin", origin)]), Err(Refusal::Browser));
        }
        let with_both = [("origin", "null"), ("authorization", "Bearer s3cret")];
        assert_eq!(check(Some("s3cret"), &with_both), Ok(()));
    }

    #[test]
    fn debug_shows_neither_token_nor_digest() {
        let operator = Operator::new(&config(Some("s3cret")));
        assert_eq!(
            format!("{operator:?}"),
            "Operator { asks_for_token: true, has_metrics_token: false }"
        );
    }

    #[test]
    fn the_token_of_the_metrics_is_good_for_looking_only() {
        let mut config = config(Some("s3cret"));
        config.metrics_token = Some("l00k".into());
        let operator = Operator::new(&config);
        for (token, looks, expected) in [
            ("s3cret", false, Ok(())),
            ("s3cret", true, Ok(())),
            ("l00k", true, Ok(())),
            ("l00k", false, Err(Refusal::Unknown)),
            ("other", true, Err(Refusal::Unknown)),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            headers.insert(header::AUTHORIZATION, value);
            assert_eq!(operator.check(&headers, looks), expected, "{token} {looks}");
        }
    }
}
