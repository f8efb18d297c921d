//! The console: pages on the admin listener, under `/console`, for people who try, operate and audit the service.
//!
//! Pages are `maud` templates that work without a script wherever they can; scripts are plain ES modules and styles one file,
//! all embedded ([`assets`]), since the Content-Security-Policy allows nothing inline and no other host.
//!
//! # To add a page
//!
//! 1. Add a row to [`PAGES`]: the navigation is made of it.
//! 2. Write a module with `pub(super) fn routes() -> Router<Arc<Console>>`, its paths below `/console/`, and merge it in
//!    [`pages`]. Handlers take `State<Arc<Console>>` and `Extension<Session>`, and return [`layout::page`].
//! 3. Put its texts into [`texts`], those of scripts into `assets/console/texts.js`; list a new script in [`assets`] and name
//!    it by [`layout::script`].
//!
//! A handler behind [`pages`] is only reached with a session, an allowed `Host`, and, for a method that changes something, an
//! `Origin` of the same host and the session's CSRF token: the field `csrf` of a urlencoded form ([`layout::csrf`]), or the
//! header `X-CSRF-Token`, which `assets/console/console.js` takes from the page (`request`). Bodies other than urlencoded
//! forms are for the handler to bound. Changes are recorded with [`Console::record`].

mod apps;
mod assets;
mod form;
mod guard;
mod layout;
mod login;
mod records;
mod sessions;
mod system;
mod texts;
mod throttle;
mod try_page;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use maud::html;

use crate::admin::Admin;
use crate::audit::ConsoleAction;
use crate::config::ConsoleConfig;
use crate::telemetry::SharedContext;
use sessions::{Session, Sessions};
use throttle::Throttle;

/// A page in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    path: &'static str,
    name: &'static str,
}

const TRY: Page = Page {
    path: "/console/try",
    name: texts::TRY,
};
const VERIFICATIONS: Page = Page {
    path: "/console/verifications",
    name: texts::records::VERIFICATIONS,
};
const WHAT_IF: Page = Page {
    path: "/console/what-if",
    name: texts::records::WHAT_IF,
};
const APPS: Page = Page {
    path: "/console/apps",
    name: texts::APPS,
};
const SYSTEM: Page = Page {
    path: "/console/system",
    name: texts::SYSTEM,
};

/// Where a session is ended.
const LOGOUT: &str = "/console/logout";

/// The pages in the order of the navigation.
const PAGES: &[Page] = &[TRY, VERIFICATIONS, WHAT_IF, APPS, SYSTEM];

/// Returns the routes of all pages. All need a session.
fn pages() -> Router<Arc<Console>> {
    Router::new()
        .merge(try_page::routes())
        .merge(records::routes())
        .merge(apps::routes())
        .merge(system::routes())
}

/// The state that the handlers share.
pub(crate) struct Console {
    /// The service, its settings and its models.
    admin: Arc<Admin>,
    config: ConsoleConfig,
    /// Whether browsers reach it by TLS of this listener.
    is_tls: bool,
    /// The URL of the public listener, as far as it is known: `http://127.0.0.1:8080`.
    public_url: String,
    sessions: Sessions,
    throttle: Throttle,
}

impl Console {
    pub(crate) fn new(admin: Arc<Admin>, config: &ConsoleConfig, is_tls: bool, public_url: String) -> Self {
        Self {
            admin,
            config: config.clone(),
            is_tls,
            public_url,
            sessions: Sessions::default(),
            throttle: Throttle::default(),
        }
    }

    /// Records what a session has done, in the audit log and in the log. `detail` must have no secret.
    fn record(&self, context: &SharedContext, session: Option<&Session>, done: Done<'_>) {
        let client = context.lock().client;
        let session = session.map(|session| session.label.as_str());
        tracing::info!(
            action = done.action,
            outcome = done.outcome,
            client = client.map(tracing::field::display),
            session,
            app = done.app,
            detail = done.detail,
            "console action"
        );
        if let Some(audit) = &self.admin.service.observers.audit {
            audit.console(&ConsoleAction {
                action: done.action,
                outcome: done.outcome,
                client,
                session,
                app: done.app,
                detail: done.detail,
            });
        }
    }
}

/// Something that was done in the console.
#[derive(Debug, Clone, Copy, Default)]
struct Done<'a> {
    /// Such as `login` or `app.create`.
    action: &'static str,
    /// `done`, `refused` or `failed`.
    outcome: &'static str,
    /// The app that was changed.
    app: Option<&'a str>,
    /// Why it was refused or failed, or what was changed.
    detail: Option<&'a str>,
}

/// Returns the routes of the console, for the admin listener.
pub(crate) fn router(console: Console) -> Router {
    let console = Arc::new(console);
    let guarded = pages()
        .route("/console", get(home))
        .route("/console/", get(home))
        .route(LOGOUT, post(login::logout))
        .route("/console/{*path}", any(not_found))
        .layer(from_fn_with_state(Arc::clone(&console), guard::require_session));
    Router::new()
        .route("/console/login", get(login::show).post(login::login))
        .merge(assets::routes())
        .merge(guarded)
        .layer(from_fn_with_state(Arc::clone(&console), guard::check_site))
        .with_state(console)
}

async fn home() -> Redirect {
    Redirect::to(TRY.path)
}

async fn not_found() -> Response {
    let content = html! { p { (texts::NO_PAGE) } p { a href=(TRY.path) { (texts::TRY) } } };
    (StatusCode::NOT_FOUND, layout::bare(texts::NOT_FOUND, content)).into_response()
}
