use std::time::Instant;

use likeness_api::{ApiError, ErrorCode};
use likeness_engine::Timings;
use likeness_engine::decision::Code;

use super::*;
use crate::endpoint::Endpoint;

/// Returns the context of a verification that was completed.
fn verified() -> RequestContext {
    let mut timings = Timings::default();
    timings.queue = Duration::from_millis(1);
    timings.decode = Duration::from_millis(14);
    timings.detect = Duration::from_millis(4);
    timings.embed = Duration::from_millis(7);
    timings.liveness = Duration::from_millis(2);
    timings.quality = Duration::from_millis(1);
    let mut request = RequestContext {
        app: Some("a".to_owned()),
        body_read: Some(Duration::from_millis(1)),
        work_begun: Some(Duration::from_millis(1)),
        timings: Some(timings),
        face_match: Some(0.9),
        liveness: Some(0.8),
        outcome: Some("review"),
        codes: vec![Code::ALL[1].as_str()],
        ..RequestContext::ended(Endpoint::Biometric, 200)
    };
    request.selfie.bytes = Some(400_000);
    request.selfie.faces = Some(1);
    request.photo = request.selfie;
    request
}

fn render(metrics: &Metrics) -> String {
    metrics.render(|| {})
}

#[track_caller]
fn expect(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
}

#[test]
fn abandoned_and_limited_requests_are_counted() {
    let metrics = Metrics::new();
    metrics.add(&RequestContext::ended(Endpoint::Biometric, 499));
    for limit in [
        Some("daily"),
        Some("daily"),
        Some("rate"),
        Some("unheard of"),
        None,
    ] {
        metrics.add(&RequestContext {
            error: Some(ApiError::from(ErrorCode::LimitExceeded)),
            refused_by: limit,
            ..RequestContext::ended(Endpoint::Biometric, 403)
        });
    }
    let text = render(&metrics);
    expect(
        &text,
        r#"likeness_requests_total{endpoint="biometric-verification",status="499"} 1"#,
    );
    for (limit, count) in [("daily", 2), ("rate", 1), ("monthly", 0), ("other", 2)] {
        expect(
            &text,
            &format!("likeness_quota_refusals_total{{limit=\"{limit}\"}} {count}"),
        );
    }
}

#[test]
fn stages_add_up_to_the_whole_time() {
    let metrics = Metrics::new();
    metrics.add(&verified());
    let text = render(&metrics);
    let sum: f64 = text
        .lines()
        .filter(|line| line.starts_with("likeness_stage_duration_seconds_sum"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!((sum - 0.030).abs() < 1e-9, "{sum}");
    let code = Code::ALL[1];
    expect(
        &text,
        &format!("likeness_decision_codes_total{{code=\"{code}\"}} 1"),
    );
    expect(
        &text,
        r#"likeness_decisions_total{endpoint="biometric-verification",outcome="review"} 1"#,
    );
}

#[tokio::test(start_paused = true)]
async fn samples_are_drained_without_a_collector() {
    let metrics = Metrics::new();
    let keeping_up = metrics.keep_up();
    let adding = async {
        for _ in 0..100 {
            metrics.add(&verified());
            tokio::time::sleep(UPKEEP).await;
        }
    };
    tokio::select! {
        () = keeping_up => {}
        () = adding => {}
    }
    expect(&render(&metrics), "likeness_face_match_score_count 100");
}

/// It also prints the cost:
/// `cargo test --release -p likeness-server --lib -- --nocapture metrics::tests::many_requests`
#[test]
#[allow(clippy::print_stderr, reason = "it prints the cost")]
fn many_requests_are_all_counted() {
    const REQUESTS: u32 = 100_000;
    let metrics = Metrics::new();
    let request = verified();
    let begun = Instant::now();
    for number in 1..=REQUESTS {
        metrics.add(&request);
        // As the service does every five seconds.
        if number % 1_000 == 0 {
            metrics.handle.run_upkeep();
        }
    }
    let each = begun.elapsed() / REQUESTS;
    let begun = Instant::now();
    let text = render(&metrics);
    let collected = begun.elapsed();
    expect(
        &text,
        &format!("likeness_requests_total{{endpoint=\"biometric-verification\",status=\"200\"}} {REQUESTS}"),
    );
    expect(&text, &format!("likeness_face_match_score_count {REQUESTS}"));
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    eprintln!(
        "{each:?} for a request; {collected:?} for collecting {lines} lines, {} bytes",
        text.len()
    );
}
