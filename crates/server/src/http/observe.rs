//! The outermost layer of every request: its context, the common headers of its response, and the observers of its end.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use likeness_api::{ApiError, ErrorCode};
use parking_lot::Mutex;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::client_address::{Peer, Proxies};
use super::response;
use crate::audit::{Audit, CLIENT_GONE};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{RefusalLines, RequestContext, SharedContext, write_request};
use crate::work::describe_panic;

/// The observers of every request that has ended. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Observers {
    pub(crate) audit: Option<Audit>,
    pub(crate) proxies: Proxies,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refusal_lines: Arc<RefusalLines>,
    /// Set if traces are exported.
    #[cfg(feature = "otel")]
    pub(crate) traces: Arc<std::sync::OnceLock<crate::telemetry::Traces>>,
}

impl Observers {
    fn ended(&self, request: &RequestContext) {
        self.metrics.add(request);
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces.get() {
            traces.add(request);
        }
        if self.refusal_lines.admit(request) {
            write_request(request);
        }
    }
}

/// Adds the layer to a router.
pub(crate) fn observed(router: Router, observers: Observers) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(observers, observe))
}

async fn observe(State(observers): State<Observers>, mut request: Request, next: Next) -> Response {
    let mut context = RequestContext::new(&request);
    if let Some(Peer(peer)) = request.extensions().get() {
        context.client = Some(observers.proxies.client(*peer, request.headers()));
    }
    let (meta, correlation_id) = (context.meta, context.correlation_id.clone());
    let context = Arc::new(Mutex::new(context));
    request.extensions_mut().insert(Arc::clone(&context));
    let observation = Observation {
        observers,
        context: Arc::clone(&context),
        stage: Stage::Handling,
    };
    // At the level that no filter disables: it is not a line, but the fields of all lines of the request.
    let span = tracing::error_span!(target: "likeness::request", "request", request_id = %meta.id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(Panicked(error)) = response.extensions().get() {
        response = response::failure(&context, error);
    }
    if !observation.finish(response.status()).await {
        response = response::failure(&context, &ApiError::from(ErrorCode::NotReady));
    }
    response::add_headers(response.headers_mut(), &meta, correlation_id.as_deref());
    response
}

/// Tells the observers of a request when it has its response, or when it is dropped because its client has gone.
struct Observation {
    observers: Observers,
    context: SharedContext,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handling,
    /// The response waits for its audit record.
    Recording,
    Ended,
}

impl Observation {
    /// Records the response in the audit and tells the observers. Returns whether the response may be sent: not if it has
    /// to be recorded first, and cannot be.
    async fn finish(mut self, status: StatusCode) -> bool {
        let pending = {
            let mut request = self.context.lock();
            request.status = status.as_u16();
            request.total = request.started.elapsed();
            let audit = self.observers.audit.as_ref();
            audit.map(|audit| audit.submit(&request.audit_event()))
        };
        self.stage = Stage::Recording;
        let may_be_sent = match (&self.observers.audit, pending) {
            (Some(audit), Some(pending)) => audit.wait(pending).await,
            _ => true,
        };
        self.stage = Stage::Ended;
        let mut request = self.context.lock();
        if !may_be_sent {
            let error = ApiError::from(ErrorCode::NotReady);
            request.status = error.code().status();
            request.error = Some(error.with_cause("the audit record could not be written"));
        }
        // A failure of the service costs its app no unit; neither does a result that is withheld.
        if request.status >= 500
            && let Some(usage) = request.usage.take()
        {
            usage.give_back();
        }
        self.observers.ended(&request);
        may_be_sent
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if self.stage == Stage::Ended {
            return;
        }
        let mut request = self.context.lock();
        request.status = CLIENT_GONE;
        if self.stage == Stage::Handling {
            request.total = request.started.elapsed();
            if let Some(audit) = &self.observers.audit {
                audit.record(&request.audit_event());
            }
        }
        self.observers.ended(&request);
    }
}

/// Marks the response of a handler that panicked; the envelope needs the request's id, which is unknown there.
#[derive(Clone)]
struct Panicked(ApiError);

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let error = ApiError::internal(describe_panic(&*panic));
    response.extensions_mut().insert(Panicked(error));
    response
}
