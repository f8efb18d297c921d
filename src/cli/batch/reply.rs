//! What the responses of a service mean for a batch.

use std::time::Duration;

use likeness::decision::Outcome;
use serde::Deserialize;
use ureq::Body;
use ureq::http::{HeaderMap, Response};

use super::results::{Decided, Judged, brief};

/// Attempts without a response: with doubled pauses about a minute, in which a service restarts.
pub(crate) const CONNECTION_ATTEMPTS: u32 = 8;

/// Attempts at a request that fails in the service: enough for a transient fault.
const SERVER_ATTEMPTS: u32 = 3;

/// Most bytes of a response that are read.
const MAX_RESPONSE_BYTES: u64 = 1024 * 1024;

/// What a batch does after a response, or without one.
pub(crate) enum Reply {
    Judged(Judged),
    /// The service asks to wait.
    Wait(Duration, String),
    /// Retry, up to this number of attempts; if all fail, this is the result, if any.
    Retry(u32, String, Option<Judged>),
    /// No further request makes sense.
    Stop(String),
}

/// The part of a response to a verification that a line of the results has.
#[derive(Deserialize)]
struct Verified {
    #[serde(default)]
    api_req_uid: String,
    response_data: Data,
}

#[derive(Deserialize)]
struct Data {
    biometric: Biometric,
    decision: Decision,
}

#[derive(Deserialize)]
struct Biometric {
    face_match_confidence: f64,
    selfie: Selfie,
}

#[derive(Deserialize)]
struct Selfie {
    faces_liveness: f64,
}

#[derive(Deserialize)]
struct Decision {
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    code: String,
    decision: String,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    api_req_uid: String,
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    message: String,
}

impl Failed {
    /// Some of it is shown on a terminal.
    fn printable(mut self) -> Self {
        let ErrorBody { code, message } = self.error;
        self.error = ErrorBody {
            code: brief(&code),
            message: brief(&message),
        };
        self
    }
}

/// Reads a response's body, where it is not longer than any of a service.
pub(crate) fn body(response: &mut Response<Body>) -> Option<Vec<u8>> {
    let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES);
    body.read_to_vec().ok()
}

pub(crate) fn reply(response: &mut Response<Body>) -> Reply {
    let status = response.status().as_u16();
    let wait = retry_after(response.headers());
    let Some(body) = body(response) else {
        return Reply::Retry(CONNECTION_ATTEMPTS, "the response breaks off".to_owned(), None);
    };
    if response.status().is_success() {
        let verified = serde_json::from_slice::<Verified>(&body);
        let Ok(verified) = verified else {
            return Reply::Stop(format!(
                "status {status} without the body of a biometric verification"
            ));
        };
        return Reply::Judged(judged(verified));
    }
    of_failure(status, wait, serde_json::from_slice(&body).ok())
}

/// Tells from the status and the body of an error what is to be done.
fn of_failure(status: u16, wait: Option<Duration>, failed: Option<Failed>) -> Reply {
    let failed = failed.map(Failed::printable);
    let reason = match &failed {
        Some(failed) => format!("{}: {}", failed.error.code, failed.error.message),
        None => format!("status {status}."),
    };
    let judged = failed.map(|failed| Judged {
        request_id: failed.api_req_uid,
        ..Judged::refused(&failed.error.code, failed.error.message)
    });
    match (status, wait) {
        (403 | 429 | 503, Some(wait)) => Reply::Wait(wait, reason),
        (400 | 413 | 415 | 422, _) => {
            let without_code = || Judged::refused(&format!("HTTP_{status}"), reason);
            Reply::Judged(judged.unwrap_or_else(without_code))
        }
        (408 | 425 | 502 | 503, _) => Reply::Retry(CONNECTION_ATTEMPTS, reason, None),
        (500.., _) => Reply::Retry(SERVER_ATTEMPTS, reason, judged),
        _ => Reply::Stop(reason),
    }
}

fn judged(verified: Verified) -> Judged {
    let Data { biometric, decision } = verified.response_data;
    let outcome = decision
        .details
        .iter()
        .map(|line| match line.decision.as_str() {
            "warning" => Outcome::Warning,
            "review" => Outcome::Review,
            // One that is unknown here is no pass.
            _ => Outcome::Reject,
        })
        .max();
    Judged {
        verdict: Ok(Decided {
            outcome: outcome.unwrap_or(Outcome::Pass),
            face_match: biometric.face_match_confidence,
            liveness: biometric.selfie.faces_liveness,
            codes: decision.details.iter().map(|line| brief(&line.code)).collect(),
        }),
        request_id: verified.api_req_uid,
    }
}

/// Returns the wait of a `Retry-After` header in seconds, as Likeness and proxies write it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).max(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means_for_the_batch() {
        let body = |code: &str| Failed {
            api_req_uid: "id".to_owned(),
            error: ErrorBody {
                code: code.to_owned(),
                message: "Text.".to_owned(),
            },
        };
        let wait = Some(Duration::from_secs(7));
        // About the pair.
        let about_pair = of_failure(422, None, Some(body("CORRUPT_IMAGE")));
        assert!(
            matches!(&about_pair, Reply::Judged(judged) if judged.request_id == "id"
                && judged.verdict.as_ref().unwrap_err().code == "CORRUPT_IMAGE")
        );
        let proxy = of_failure(413, None, None);
        assert!(
            matches!(&proxy, Reply::Judged(judged) if judged.verdict.as_ref().unwrap_err().code == "HTTP_413")
        );
        // About the service, which says when to come back.
        for (status, code) in [(403, "LIMIT_EXCEEDED"), (503, "OVERLOADED"), (429, "TOO_MANY")] {
            let reply = of_failure(status, wait, Some(body(code)));
            assert!(
                matches!(reply, Reply::Wait(time, reason) if Some(time) == wait && reason.contains(code))
            );
        }
        // Passing faults: of the service, whose code is the result in the end, and before it.
        let fault = of_failure(500, None, Some(body("INTERNAL")));
        assert!(matches!(fault, Reply::Retry(SERVER_ATTEMPTS, _, Some(_))));
        assert!(matches!(
            of_failure(502, None, None),
            Reply::Retry(CONNECTION_ATTEMPTS, _, None)
        ));
        // Nothing that another request would change.
        for (status, code) in [
            (401, "INVALID_CREDENTIALS"),
            (403, "APP_DISABLED"),
            (404, "NOT_FOUND"),
        ] {
            let reply = of_failure(status, None, Some(body(code)));
            assert!(matches!(reply, Reply::Stop(reason) if reason.contains(code)));
        }
        assert!(matches!(of_failure(301, None, None), Reply::Stop(_)));
    }

    #[test]
    fn an_unknown_decision_is_no_pass() {
        let text = r#"{"response_data":{"biometric":{"face_match_confidence":0.5,"selfie":{"faces_liveness":1.0}},
            "decision":{"details":[{"code":"A","decision":"warning"},{"code":"B","decision":"later"}]}}}"#;
        let judged = judged(serde_json::from_str(text).unwrap());
        let decided = judged.verdict.unwrap();
        assert_eq!(
            (decided.outcome, decided.codes.join(" ").as_str()),
            (Outcome::Reject, "A B")
        );
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_is_a_second_at_least() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(
            [of("60"), of("0"), of("Wed, 21 Oct 2026 07:28:00 GMT"), of("-1")],
            [Some(60), Some(1), None, None]
        );
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
