//! The path that the service is mounted below.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use tower::{ServiceExt, service_fn};

/// Serves `below` for paths below the base path, without it, and `outside` for all others. An empty base path is none.
pub(super) fn mount(base_path: &str, below: Router, outside: Router) -> Router {
    if base_path.is_empty() {
        return below;
    }
    let base_path: Arc<str> = base_path.into();
    let service = service_fn(move |mut request: Request| {
        let router = match without(&base_path, request.uri()) {
            Some(uri) => {
                *request.uri_mut() = uri;
                below.clone()
            }
            None => outside.clone(),
        };
        router.oneshot(request)
    });
    // The fallback alone: no route of this router may take a path apart before.
    Router::new().fallback_service(service)
}

/// Returns a URI without the base path; `None` if it is not below that.
fn without(base_path: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(base_path)?;
    let slash = match rest.as_bytes() {
        [] => "/",
        [b'/', ..] => "",
        _ => return None,
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = PathAndQuery::try_from(format!("{slash}{rest}{query}")).ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_are_taken_off() {
        for (uri, expected) in [
            ("/idv/v0.2/x?y=1&z", Some("/v0.2/x?y=1&z")),
            ("/idv", Some("/")),
            ("/idv/", Some("/")),
            ("/idv?x", Some("/?x")),
            ("/idv//healthz", Some("//healthz")),
            ("/idv/idv/x", Some("/idv/x")),
            ("http://host:1/idv/x", Some("http://host:1/x")),
            ("/idvx/v0.2", None),
            ("/IDV/x", None),
            ("/%69dv/x", None),
            ("//idv/x", None),
            ("/x/idv/y", None),
            ("/", None),
            ("*", None),
        ] {
            let found = without("/idv", &uri.parse().unwrap());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), expected, "{uri}");
        }
    }
}
