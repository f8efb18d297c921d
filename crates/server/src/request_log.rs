//! What is known of a request, gathered as it is worked on. Ids, scores and decisions; never a picture, an embedding or a
//! key.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use likeness_api::{ApiError, Meta};
use likeness_engine::decision::Score;
use likeness_engine::{Engine, LivenessCheck, Verification};
use tokio::time::Instant;

use crate::handlers::Endpoint;
use crate::limits::Taken;
use crate::locked::locked;
use crate::record::{Facts, Models};

/// What is known of a request so far. It travels with the request, and the handler adds to it.
#[derive(Debug, Clone)]
pub(crate) struct RequestLog {
    pub(crate) meta: Meta,
    pub(crate) started: Instant,
    facts: Arc<Mutex<Facts>>,
    /// What it has cost its app.
    taken: Arc<Mutex<Option<Taken>>>,
}

impl RequestLog {
    pub(crate) fn begin() -> Self {
        Self {
            meta: Meta::now(),
            started: Instant::now(),
            facts: Arc::default(),
            taken: Arc::default(),
        }
    }

    pub(crate) fn endpoint(&self, endpoint: Endpoint) {
        self.facts().endpoint = Some(endpoint);
    }

    pub(crate) fn client(&self, address: IpAddr) {
        self.facts().client = Some(address);
    }

    pub(crate) fn app(&self, id: &str) {
        self.facts().app = Some(id.to_owned());
    }

    pub(crate) fn profile(&self, name: &str) {
        self.facts().profile = Some(name.to_owned());
    }

    pub(crate) fn body_read(&self) {
        self.facts().body_read = Some(self.started.elapsed());
    }

    /// The engine's work begins, with this one.
    pub(crate) fn work_begun(&self, engine: &Engine) {
        let models = Models::of(engine.labels());
        let mut facts = self.facts();
        facts.work_begun = Some(self.started.elapsed());
        facts.models = Some(models);
    }

    /// The files of the form, in bytes.
    pub(crate) fn files(&self, selfie: usize, photo: Option<usize>) {
        let mut facts = self.facts();
        facts.selfie.bytes = Some(selfie as u64);
        facts.photo.bytes = photo.map(|bytes| bytes as u64);
    }

    pub(crate) fn error(&self, error: &ApiError) {
        self.facts().error = Some(error.clone());
    }

    /// The request was let in by this.
    pub(crate) fn took(&self, taken: Taken) {
        *locked(&self.taken) = Some(taken);
    }

    /// The request has ended with this status. What is not the client's fault costs its app nothing.
    pub(crate) fn settle(&self, status: u16) {
        let taken = locked(&self.taken).take();
        if let Some(taken) = taken.filter(|_| status >= 500) {
            taken.give_back();
        }
    }

    /// Which of the app's limits refused the request: `rate`, `concurrent`, `daily` or `monthly`.
    pub(crate) fn refused_by(&self, limit: &'static str) {
        self.facts().refused_by = Some(limit);
    }

    pub(crate) fn verification(&self, verification: &Verification) {
        let mut facts = self.facts();
        facts.selfie.found(&verification.selfie);
        facts.photo.found(&verification.photo);
        facts.codes = verification
            .decision
            .details
            .iter()
            .map(|detail| detail.code.as_str())
            .collect();
        facts.face_match = Some(verification.face_match.map_or(0.0, Score::value));
        facts.liveness = Some(verification.liveness.map_or(0.0, Score::value));
        facts.outcome = Some(verification.decision.outcome().as_str());
        facts.timings = Some(verification.timings);
    }

    pub(crate) fn liveness(&self, check: &LivenessCheck) {
        let mut facts = self.facts();
        facts.selfie.found(&check.selfie);
        facts.threshold = Some(check.threshold);
        facts.liveness = Some(check.liveness.map_or(0.0, Score::value));
        facts.outcome = Some(if check.live { "live" } else { "not live" });
        facts.timings = Some(check.timings);
    }

    /// What was gathered; nothing is left.
    pub(crate) fn take(&self) -> Facts {
        std::mem::take(&mut *self.facts())
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        locked(&self.facts)
    }
}
