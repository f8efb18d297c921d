//! What is counted, and what is refused, with a clock that a test sets.

use std::sync::atomic::AtomicI64;

use likeness_engine::decision::Profile;
use likeness_storage::apps::AppLimits;
use likeness_storage::{Place, Settings};

use super::*;

struct Fixture {
    database: Database,
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

impl Fixture {
    async fn at(time: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(Place::File(folder.path().join("likeness.db")));
        Self {
            database: Database::open(&settings).await.unwrap(),
            folder,
            now: Arc::new(AtomicI64::new(seconds(time))),
        }
    }

    fn set(&self, time: &str) {
        self.now.store(seconds(time), Ordering::Relaxed);
    }

    /// A service that starts now.
    async fn limits(&self) -> Limits {
        self.limits_that(WhenUnavailable::Serve).await
    }

    async fn limits_that(&self, when_unavailable: WhenUnavailable) -> Limits {
        let now = Arc::clone(&self.now);
        let clock = Box::new(move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap());
        let config = QuotasConfig { when_unavailable };
        Limits::open_with_clock(self.database.clone(), self.folder.path(), &config, clock)
            .await
            .unwrap()
    }
}

fn app(edit: impl FnOnce(&mut AppLimits)) -> App {
    let mut limits = AppLimits::none();
    edit(&mut limits);
    App::with_limits("acme", Profile::default(), limits)
}

async fn take(limits: &Limits, app: &App) -> Result<(Taken, Slot), ApiError> {
    limits
        .take(app, AppEndpoint::Liveness, &RequestLog::begin())
        .await
}

/// How many of so many requests are let in, and how the last refused one was told.
async fn ask(limits: &Limits, app: &App, times: usize) -> (usize, Option<ApiError>) {
    let (mut let_in, mut refused) = (0, None);
    for _ in 0..times {
        match take(limits, app).await {
            Ok(_) => let_in += 1,
            Err(error) => refused = Some(error),
        }
    }
    (let_in, refused)
}

#[tokio::test]
async fn a_day_has_its_quota_and_the_next_one_too() {
    let fixture = Fixture::at("2028-02-28T23:59:00Z").await;
    let limits = fixture.limits().await;
    let app = app(|limits| limits.daily_quota = Some(100));
    let (let_in, refused) = ask(&limits, &app, 130).await;
    assert_eq!(let_in, 100);
    let refused = refused.unwrap();
    assert_eq!(refused.retry_after_seconds(), Some(60));
    assert_eq!(
        refused.to_string(),
        "LIMIT_EXCEEDED: This app has used up its 100 requests of this day, which ends at 2028-02-29 00:00:00 UTC."
    );
    fixture.set("2028-02-29T00:00:00Z");
    assert_eq!(ask(&limits, &app, 130).await.0, 100);
}

#[tokio::test]
async fn a_month_has_its_quota_over_its_days() {
    let fixture = Fixture::at("2026-12-30T12:00:00Z").await;
    let limits = fixture.limits().await;
    let app = app(|limits| {
        limits.daily_quota = Some(40);
        limits.monthly_quota = Some(60);
    });
    assert_eq!(ask(&limits, &app, 50).await.0, 40);
    limits.settle().await;
    fixture.set("2026-12-31T12:00:00Z");
    let (let_in, refused) = ask(&limits, &app, 50).await;
    assert_eq!(
        (let_in, refused.unwrap().retry_after_seconds()),
        (20, Some(12 * 3_600))
    );
    fixture.set("2027-01-01T00:00:00Z");
    assert_eq!(ask(&limits, &app, 50).await.0, 40);
}

#[tokio::test]
async fn a_rate_and_a_number_at_the_same_time_are_kept() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let limits = fixture.limits().await;
    let slow = app(|limits| {
        limits.requests_per_second = Some(0.001);
        limits.burst = Some(3);
    });
    let (let_in, refused) = ask(&limits, &slow, 5).await;
    assert_eq!(let_in, 3);
    assert!((990..=1_000).contains(&refused.unwrap().retry_after_seconds().unwrap()));

    let narrow = app(|limits| limits.concurrent_requests = Some(2));
    let first = take(&limits, &narrow).await.unwrap();
    let _second = take(&limits, &narrow).await.unwrap();
    let refused = take(&limits, &narrow).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.retry_after_seconds()),
        (ErrorCode::LimitExceeded, Some(1))
    );
    drop(first);
    assert!(take(&limits, &narrow).await.is_ok());
}

#[tokio::test]
async fn what_is_given_back_can_be_had_again() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let limits = fixture.limits().await;
    let app = app(|limits| limits.daily_quota = Some(3));
    for _ in 0..10 {
        take(&limits, &app).await.unwrap().0.give_back();
    }
    assert_eq!(ask(&limits, &app, 5).await.0, 3);
    limits.settle().await;
    let days = fixture.database.usage(Some("acme"), 0, i64::MAX).await.unwrap();
    assert_eq!((days.len(), days[0].liveness, days[0].refused), (1, 3, 2));
}

#[tokio::test]
async fn services_share_a_quota_and_a_restart_grants_no_new_one() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let app = app(|limits| limits.daily_quota = Some(200));
    let (one, other) = (fixture.limits().await, fixture.limits().await);
    let mut let_in = 0;
    // Each settles as it does every second; in between, one may sit on units that the other would want.
    for _ in 0..20 {
        let_in += ask(&one, &app, 12).await.0 + ask(&other, &app, 7).await.0;
        one.settle().await;
        other.settle().await;
    }
    assert_eq!(let_in, 200);
    // Dropped without settling, as by `kill -9`.
    drop((one, other));
    assert_eq!(ask(&fixture.limits().await, &app, 10).await.0, 0);
}

#[tokio::test]
async fn who_is_killed_loses_units_and_wins_none() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let app = app(|limits| limits.daily_quota = Some(100));
    let mut let_in = 0;
    for _ in 0..40 {
        let limits = fixture.limits().await;
        let_in += ask(&limits, &app, 4).await.0;
        drop(limits);
    }
    assert!((60..=100).contains(&let_in), "{let_in}");
}

#[tokio::test]
async fn without_the_storage_the_quota_holds_and_is_settled_later() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let limited = app(|limits| limits.daily_quota = Some(30));
    let free = app(|_| {});
    let (serves, refuses) = (
        fixture.limits().await,
        fixture.limits_that(WhenUnavailable::Refuse).await,
    );
    assert_eq!(ask(&serves, &limited, 10).await.0, 10);
    serves.settle().await;

    fixture.database.close().await;
    let (let_in, refused) = ask(&serves, &limited, 40).await;
    assert_eq!(let_in, 20);
    assert_eq!(refused.unwrap().code(), ErrorCode::LimitExceeded);
    let (let_in, refused) = ask(&refuses, &limited, 3).await;
    assert_eq!((let_in, refused.unwrap().code()), (0, ErrorCode::NotReady));
    // Nothing is looked up for those without a quota.
    assert_eq!(ask(&refuses, &free, 3).await.0, 3);

    // What cannot be written down is on disk for the process that comes next.
    serves.settle().await;
    drop(serves);
    let settings = Settings::new(Place::File(fixture.folder.path().join("likeness.db")));
    let database = Database::open(&settings).await.unwrap();
    let fixture = Fixture { database, ..fixture };
    let next = fixture.limits().await;
    assert_eq!(ask(&next, &limited, 5).await.0, 0);
    let used = fixture.database.used_units(next.period()).await.unwrap();
    assert_eq!((used.len(), used[0].1.day), (1, 30));
}
