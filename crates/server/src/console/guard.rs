//! What every request to the console has to pass: an allowed host, the same origin, a session and its CSRF token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use subtle::ConstantTimeEq;

use super::sessions::{Session, session_id};
use super::{Console, LOGOUT, TRY, form, layout, login, texts};
use crate::audit::Audit;

const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const CSRF_FIELD: &[u8] = b"csrf";

/// Nothing inline, nothing of another host, no frame. Images of a page are its own files (`blob:`).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The headers of every response. `same-origin`: with `no-referrer` browsers send forms with the origin `null`.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(), geolocation=()",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Refuses hosts that are not allowed and requests of other origins, and adds the headers of every response.
pub(super) async fn check_site(
    State(console): State<Arc<Console>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match site_fault(&console, &request) {
        None => next.run(request).await,
        Some(fault) => refusal(StatusCode::FORBIDDEN, fault),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn site_fault(console: &Console, request: &Request) -> Option<&'static str> {
    let Some(authority) = authority(request.uri(), request.headers()) else {
        return Some(texts::WRONG_HOST);
    };
    if !console.config.allows_host(host_of(authority)) {
        return Some(texts::WRONG_HOST);
    }
    if request.method().is_safe() {
        return None;
    }
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none());
    let of_origin = origin.and_then(|origin| origin.to_str().ok()).and_then(|origin| {
        // A proxy before this service may have ended the TLS: the scheme says nothing.
        origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"))
    });
    let is_same = of_origin.is_some_and(|origin| origin.eq_ignore_ascii_case(authority));
    (!is_same).then_some(texts::WRONG_ORIGIN)
}

/// Returns the one host, with its port, that the request is for.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    host.to_str().ok()
}

/// Returns the host without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_cut(host) => host,
        _ => authority,
    }
}

/// Whether this is the beginning of an IPv6 address in brackets.
fn is_cut(host: &str) -> bool {
    host.starts_with('[') && !host.ends_with(']')
}

/// Lets requests with a session pass, changes only with its CSRF token.
pub(super) async fn require_session(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = console.admin.service.console_token.current();
    let session = session_id(request.headers()).and_then(|id| console.sessions.find(id, token));
    let Some(session) = session else {
        return no_session(&request);
    };
    if !request.method().is_safe() {
        request = match check_csrf(&console, &session, request).await {
            Ok(request) => request,
            Err(response) => return response,
        };
        // A try says so itself, and a logout makes nothing less safe.
        let audit = console.admin.service.observers.audit.as_ref();
        let is_change = ![TRY.path, LOGOUT].contains(&request.uri().path());
        if is_change && audit.is_some_and(Audit::refuses) {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, texts::NO_AUDIT);
        }
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// Returns the request if it has the session's token, in the header or in its form.
async fn check_csrf(console: &Console, session: &Session, request: Request) -> Result<Request, Response> {
    let matches = |found: &[u8]| bool::from(session.csrf.as_bytes().ct_eq(found));
    if let Some(found) = request.headers().get(CSRF_HEADER) {
        return if matches(found.as_bytes()) {
            Ok(request)
        } else {
            Err(refusal(StatusCode::FORBIDDEN, texts::NO_CSRF))
        };
    }
    if !is_urlencoded(request.headers()) {
        return Err(refusal(StatusCode::FORBIDDEN, texts::NO_CSRF));
    }
    let (parts, body) = request.into_parts();
    let body = form::read(console, body).await?;
    let mut fields = form_urlencoded::parse(&body);
    let found = fields.find(|(name, _)| name.as_bytes() == CSRF_FIELD);
    if found.is_some_and(|(_, value)| matches(value.as_bytes())) {
        Ok(Request::from_parts(parts, Body::from(body)))
    } else {
        Err(refusal(StatusCode::FORBIDDEN, texts::NO_CSRF))
    }
}

fn is_urlencoded(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| {
        kind.trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

/// People are sent to the login, scripts receive 401.
fn no_session(request: &Request) -> Response {
    let is_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if is_page {
        Redirect::to(login::PATH).into_response()
    } else {
        (StatusCode::UNAUTHORIZED, texts::SESSION_ENDED).into_response()
    }
}

fn refusal(status: StatusCode, why: &'static str) -> Response {
    let content = html! { p { (why) } };
    (status, layout::bare(texts::REFUSED, content)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_without_its_port() {
        for (authority, host) in [
            ("localhost:9090", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:9090", "[::1]"),
            ("[::1]", "[::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("a:b", "a:b"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
