//! Login and logout.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::sessions::{COOKIE, LONGEST, Session, session_id};
use super::{Console, Done, TRY, form, layout, texts};
use crate::telemetry::SharedContext;

pub(super) const PATH: &str = "/console/login";
const LOGIN: &str = "login";

pub(super) async fn show(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    let token = console.admin.service.console_token.current();
    let session = session_id(&headers).and_then(|id| console.sessions.find(id, token));
    if session.is_some() {
        return Redirect::to(TRY.path).into_response();
    }
    page(StatusCode::OK, None)
}

/// Begins a session if the form has the token.
pub(super) async fn login(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    body: Body,
) -> Response {
    let address = context.lock().client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if let Err(wait) = console.throttle.attempt(address) {
        let mut response = page(StatusCode::TOO_MANY_REQUESTS, Some(texts::TOO_MANY_LOGINS));
        let seconds = wait.as_secs().saturating_add(1);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        return response;
    }
    let sent = match form::read_login(&console, body).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let given = form_urlencoded::parse(&sent).find(|(name, _)| name == "token");
    let given = given
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default();
    let Some(digest) = console.admin.service.console_token.check(given.as_bytes()) else {
        let refused = Done {
            action: LOGIN,
            outcome: "refused",
            ..Done::default()
        };
        console.record(&context, None, refused);
        return page(StatusCode::UNAUTHORIZED, Some(texts::WRONG_TOKEN));
    };
    console.throttle.succeeded(address);
    let (id, session) = match console.sessions.begin(digest) {
        Ok(begun) => begun,
        Err(error) => {
            tracing::error!(%error, "cannot begin a console session: no random bytes");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let done = Done {
        action: LOGIN,
        outcome: "done",
        ..Done::default()
    };
    console.record(&context, Some(&session), done);
    with_cookie(
        &console,
        Redirect::to(TRY.path).into_response(),
        &id,
        LONGEST.as_secs(),
    )
}

/// Ends the session.
pub(super) async fn logout(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
) -> Response {
    if let Some(id) = session_id(&headers) {
        console.sessions.end(id);
    }
    let done = Done {
        action: "logout",
        outcome: "done",
        ..Done::default()
    };
    console.record(&context, Some(&session), done);
    with_cookie(&console, Redirect::to(PATH).into_response(), "", 0)
}

fn with_cookie(console: &Console, mut response: Response, id: &str, seconds: u64) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(&cookie(id, seconds, console.is_tls)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Returns the cookie of a session that lasts for so many seconds at most.
fn cookie(id: &str, seconds: u64, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    format!("{COOKIE}={id}; HttpOnly; SameSite=Strict; Path=/console; Max-Age={seconds}{secure}")
}

fn page(status: StatusCode, error: Option<&str>) -> Response {
    let content = html! {
        form class="login" method="post" action=(PATH) {
            label for="token" { (texts::TOKEN) }
            // For password managers.
            input type="text" name="username" value=(texts::USERNAME) autocomplete="username" hidden;
            input #token type="password" name="token" autocomplete="current-password" required autofocus
                aria-describedby="token-help token-error" aria-invalid=(error.is_some());
            p #token-help class="help" { (texts::TOKEN_HELP) }
            p #token-error class="error" role="alert" { @if let Some(error) = error { (error) } }
            button type="submit" class="primary" { (texts::LOG_IN) }
        }
    };
    (status, layout::bare(texts::LOG_IN, content)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_for_the_console_alone_and_secure_under_tls() {
        let plain = "likeness_console=ab; HttpOnly; SameSite=Strict; Path=/console; Max-Age=60";
        assert_eq!(cookie("ab", 60, false), plain);
        assert_eq!(cookie("ab", 60, true), format!("{plain}; Secure"));
    }
}
