//! What cannot be seen from outside, or only in parts that are built elsewhere.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::{Method, Version};
use likeness_api::{ApiError, ErrorCode, Meta};
use likeness_engine::Timings;
use likeness_engine::decision::Code;

use super::*;
use crate::apps::AppDirectory;
use crate::config::{AppConfig, Config};
use crate::engine_slot::EngineSlot;
use crate::handlers::Endpoint;
use crate::limits::Limits;
use crate::plain::plain_engine;
use crate::record::Facts;

fn service() -> Service {
    let engine = plain_engine();
    let mut config = Config {
        apps: vec![AppConfig::new("a", "0123456789abcdef")],
        ..Config::default()
    };
    config.database.url = Some("sqlite::memory:".into());
    let apps = config.apps().unwrap();
    let storage = async {
        let database = config.open_database().await.unwrap();
        let apps = AppDirectory::open(apps, database.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits::open(database.clone(), folder.path(), &config.quotas)
            .await
            .unwrap();
        (apps, limits, database)
    };
    // On a thread of its own: one of the tests is within a runtime already.
    let (apps, limits, database) = std::thread::scope(|scope| {
        let opened = scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(storage));
        opened.join().unwrap()
    });
    Service::new(&config, apps, limits, EngineSlot::new(engine), database, None).unwrap()
}

fn record(status: u16, facts: Facts) -> Record {
    Record {
        meta: Meta::now(),
        correlation_id: None,
        method: Method::POST,
        path: "/v0.2/biometric-verification".to_owned(),
        version: Version::HTTP_11,
        status,
        total: Duration::from_millis(30),
        facts,
        #[cfg(feature = "otel")]
        parent: crate::traces::Parent::of(&axum::http::HeaderMap::new()),
    }
}

/// What is known of a verification that went all the way.
fn verified() -> Facts {
    let mut timings = Timings::default();
    timings.queue = Duration::from_millis(1);
    timings.decode = Duration::from_millis(14);
    timings.detect = Duration::from_millis(4);
    timings.embed = Duration::from_millis(7);
    timings.liveness = Duration::from_millis(2);
    timings.quality = Duration::from_millis(1);
    let mut facts = Facts {
        endpoint: Some(Endpoint::Biometric),
        app: Some("a".to_owned()),
        body_read: Some(Duration::from_millis(1)),
        work_begun: Some(Duration::from_millis(1)),
        timings: Some(timings),
        face_match: Some(0.9),
        liveness: Some(0.8),
        outcome: Some("review"),
        codes: vec![Code::ALL[1].as_str()],
        ..Facts::default()
    };
    facts.selfie.bytes = Some(400_000);
    facts.selfie.faces = Some(1);
    facts.photo = facts.selfie;
    facts
}

#[track_caller]
fn expect(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
}

#[test]
fn who_hung_up_and_who_is_over_a_limit_is_counted() {
    let service = service();
    let metrics = &service.metrics;
    let gone = Facts {
        endpoint: Some(Endpoint::Biometric),
        ..Facts::default()
    };
    metrics.add(&record(499, gone));
    for limit in [
        Some("daily"),
        Some("daily"),
        Some("rate"),
        Some("unheard of"),
        None,
    ] {
        let facts = Facts {
            endpoint: Some(Endpoint::Biometric),
            error: Some(ApiError::from(ErrorCode::LimitExceeded)),
            refused_by: limit,
            ..Facts::default()
        };
        metrics.add(&record(403, facts));
    }
    let text = metrics.render(&service);
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
fn stages_and_the_rest_are_the_whole_time() {
    let service = service();
    service.metrics.add(&record(200, verified()));
    let text = service.metrics.render(&service);
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

struct Fake;

impl AuditGauges for Fake {
    fn lag(&self) -> Duration {
        Duration::from_millis(2_500)
    }
    fn pending(&self) -> u64 {
        7
    }
    fn lost(&self) -> u64 {
        3
    }
}

impl CertificateGauges for Fake {
    fn not_after(&self) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(2_000_000_000))
    }
}

#[test]
fn what_other_parts_know_is_asked_for() {
    let service = service();
    let before = service.metrics.render(&service);
    service.metrics.sources.set_audit(Fake);
    service.metrics.sources.set_certificate(Fake);
    let after = service.metrics.render(&service);
    for line in [
        "likeness_audit_lag_seconds 2.5",
        "likeness_audit_pending_rows 7",
        "likeness_audit_lost_rows_total 3",
        "likeness_tls_certificate_not_after_timestamp_seconds 2000000000",
    ] {
        let name = line.split(' ').next().unwrap();
        assert!(!before.contains(name), "{name} before anybody knows it");
        expect(&after, line);
    }
    // Every metric of the table but what needs connections.
    for metric in ALL {
        let needs_more = [
            catalog::CONNECTIONS,
            catalog::CONNECTIONS_MAX,
            catalog::APP_REQUESTS,
            catalog::RUNTIME_TASKS,
            catalog::RUNTIME_QUEUE,
        ];
        assert!(
            needs_more.contains(&metric.name) || after.contains(&format!("# TYPE {} ", metric.name)),
            "{}",
            metric.name
        );
    }
}

#[test]
fn a_replaced_model_leaves_nothing_behind() {
    let service = service();
    let lines = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("likeness_model_info{"))
            .count()
    };
    for _ in 0..3 {
        let other = self::service().engine.current();
        drop(service.engine.replace(other));
        assert_eq!(lines(&service.metrics.render(&service)), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_collects_is_put_away() {
    let service = service();
    let keeping_up = service.metrics.keep_up();
    let adding = async {
        for _ in 0..100 {
            service.metrics.add(&record(200, verified()));
            tokio::time::sleep(UPKEEP).await;
        }
    };
    tokio::select! {
        () = keeping_up => {}
        () = adding => {}
    }
    expect(
        &service.metrics.render(&service),
        "likeness_face_match_score_count 100",
    );
}

/// It also says what that cost:
/// `cargo test --release -p likeness-server --lib -- --nocapture metrics::tests::many_requests`
#[test]
#[allow(clippy::print_stderr, reason = "it says what it cost")]
fn many_requests_are_all_counted() {
    const REQUESTS: u32 = 100_000;
    let service = service();
    let record = record(200, verified());
    let begun = Instant::now();
    for number in 1..=REQUESTS {
        service.metrics.add(&record);
        // As the service does every five seconds.
        if number % 1_000 == 0 {
            service.metrics.handle.run_upkeep();
        }
    }
    let each = begun.elapsed() / REQUESTS;
    let begun = Instant::now();
    let text = service.metrics.render(&service);
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
