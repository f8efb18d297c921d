//! Usage and refusals, with a clock that a test sets.

use std::sync::atomic::AtomicI64;

use likeness_api::ErrorCode;
use likeness_engine::decision::Profile;
use likeness_storage::apps::AppLimits;
use likeness_storage::{Place, Settings};

use likeness_storage::usage::Used;

use super::*;

struct Fixture {
    database: Database,
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// Holds an SQLite database's write lock until it ends: other writers get no response.
struct Hang(Database, likeness_storage::Session);

impl Hang {
    async fn of(folder: &Path) -> Self {
        let database = Database::open(&patient(folder)).await.unwrap();
        let session = database.begin().await.unwrap();
        Self(database, session)
    }

    async fn end(self) {
        self.1.roll_back().await.unwrap();
        self.0.close().await;
    }
}

/// A database whose calls are not given up in the time of a test.
fn patient(folder: &Path) -> Settings {
    let mut settings = Settings::new(Place::File(folder.join("likeness.db")));
    settings.timeout = Duration::from_secs(600);
    settings
}

/// Waits until something is so, in real time.
async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Fixture {
    async fn at(time: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            database: Database::open(&patient(folder.path())).await.unwrap(),
            folder,
            now: Arc::new(AtomicI64::new(seconds(time))),
        }
    }

    fn pending_file(&self) -> std::path::PathBuf {
        self.folder.path().join("usage-pending.json")
    }

    /// Liveness verifications that are on disk, to be written down by the next process.
    fn kept(&self) -> i64 {
        let bytes = std::fs::read(self.pending_file()).unwrap_or_default();
        let batches: Vec<usage::Batch> = serde_json::from_slice(&bytes).unwrap_or_default();
        let usage = batches.iter().flat_map(|batch| &batch.usage);
        usage.map(|item| item.liveness).sum()
    }

    /// What the database knows to be used of the day and of the month of this time.
    async fn used(&self, time: &str) -> (u64, u64) {
        let period = Period::at(time.parse().unwrap());
        let used = self.database.used_units(period).await.unwrap();
        used.first().map_or((0, 0), |(_, used)| (used.day, used.month))
    }

    /// Liveness verifications that were let in, and requests refused, on the day of this time.
    async fn counted(&self, time: &str) -> (u64, u64) {
        let day = Period::at(time.parse().unwrap()).day;
        let days = self.database.usage(Some("acme"), day, day).await.unwrap();
        days.first().map_or((0, 0), |day| (day.liveness, day.refused))
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
        self.limits_by(clock, when_unavailable).await
    }

    async fn limits_by(&self, clock: Clock, when_unavailable: WhenUnavailable) -> Limits {
        let config = QuotasConfig { when_unavailable };
        Limits::open(self.database.clone(), self.folder.path(), &config, clock)
            .await
            .unwrap()
    }
}

fn app(edit: impl FnOnce(&mut AppLimits)) -> App {
    let mut limits = AppLimits::default();
    edit(&mut limits);
    App::with_limits("acme", Profile::default(), limits)
}

async fn take(limits: &Limits, app: &App) -> Result<(Taken, Slot), ApiError> {
    let taken = limits.take(app, AppEndpoint::Liveness).await;
    taken.map_err(|refused| refused.error)
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
    limits.flush().await;
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
    let refused = refused.unwrap();
    let wait = refused.retry_after_seconds().unwrap();
    assert!((990..=1_000).contains(&wait));
    assert_eq!(
        refused.message(),
        format!("This app may send 0.001 requests a second in the long run. Try again in {wait} seconds.")
    );

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
        let (taken, _) = take(&limits, &app).await.unwrap();
        taken.give_back();
    }
    assert_eq!(ask(&limits, &app, 5).await.0, 3);
    limits.flush().await;
    let days = fixture.database.usage(Some("acme"), 0, i64::MAX).await.unwrap();
    assert_eq!((days.len(), days[0].liveness, days[0].refused), (1, 3, 2));
}

/// Whether it is the first look at the clock that has the new day or the twentieth: the request is let in, and counts once,
/// on one of the two days.
#[tokio::test]
async fn a_request_at_midnight_is_accepted_and_counts_once() {
    for (before, after) in [
        ("2026-11-25T23:59:59Z", "2026-11-26T00:00:00Z"),
        ("2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z"),
        ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
    ] {
        let same_month = before[..7] == after[..7];
        let mut days = Vec::new();
        for look in 0..20 {
            let fixture = Fixture::at(before).await;
            let midnight = Arc::new(AtomicI64::new(i64::MAX));
            let left = Arc::clone(&midnight);
            let times = [before, after].map(|time| time.parse::<Timestamp>().unwrap());
            let clock = Box::new(move || times[usize::from(left.fetch_sub(1, Ordering::Relaxed) <= 0)]);
            let limits = fixture.limits_by(clock, WhenUnavailable::Serve).await;
            let app = app(|limits| {
                limits.daily_quota = Some(50);
                limits.monthly_quota = Some(500);
            });
            // Some are reserved ahead on the old day, and stay.
            assert_eq!(ask(&limits, &app, 6).await.0, 6);
            limits.flush().await;
            midnight.store(look, Ordering::Relaxed);
            let (taken, _slot) = take(&limits, &app).await.expect("no 503, and no limit");
            midnight.store(0, Ordering::Relaxed);
            limits.flush().await;
            let used = [fixture.used(before).await, fixture.used(after).await];
            let counted = [
                fixture.counted(before).await.0 - 6,
                fixture.counted(after).await.0,
            ];
            assert_eq!(counted[0] + counted[1], 1, "look {look}");
            assert_eq!([used[0].0 - 6, used[1].0], counted, "look {look}");
            let months = if same_month {
                [7, 7]
            } else {
                [6 + counted[0], counted[1]]
            };
            assert_eq!([used[0].1, used[1].1], months, "look {look}");
            days.push(counted[0]);

            taken.give_back();
            limits.flush().await;
            let months = if same_month { 6 } else { 0 };
            assert_eq!(fixture.used(before).await, (6, 6), "look {look}");
            assert_eq!(fixture.used(after).await, (0, months), "look {look}");
        }
        assert!(days.contains(&0) && days.contains(&1), "both days had their turn");
    }
}

/// A request that was let in before midnight and fails after it: the day and the month before get it back.
#[tokio::test]
async fn what_is_given_back_after_midnight_was_never_used() {
    for (before, after, same_month) in [
        ("2026-11-25T23:59:50Z", "2026-11-26T00:00:05Z", true),
        ("2026-11-30T23:59:50Z", "2026-12-01T00:00:05Z", false),
    ] {
        for flushes_before in [false, true] {
            for has_quota in [false, true] {
                let fixture = Fixture::at(before).await;
                let limits = fixture.limits().await;
                let app = app(|limits| limits.monthly_quota = has_quota.then_some(4));
                assert_eq!(ask(&limits, &app, 2).await.0, 2);
                let (taken, _slot) = take(&limits, &app).await.unwrap();
                if flushes_before {
                    limits.flush().await;
                }
                fixture.set(after);
                // The new day has begun when it comes back, or not.
                if flushes_before {
                    assert_eq!(ask(&limits, &app, 1).await.0, 1);
                }
                taken.give_back();
                limits.flush().await;
                let new = u64::from(flushes_before);
                assert_eq!(fixture.used(before).await.0, 2);
                assert_eq!(fixture.counted(before).await.0, 2);
                let month = if same_month { 2 + new } else { new };
                assert_eq!(fixture.used(after).await, (new, month));
                if has_quota {
                    let left = usize::try_from(4 - month).unwrap();
                    assert_eq!(ask(&limits, &app, 9).await.0, left, "of the month");
                }
            }
        }
    }
}

/// Who is refused in the last moment of a day and hears of it in the next one is not sent away for a day.
#[test]
fn a_refusal_ends_with_the_day_that_it_is_of() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let quotas = Quotas {
        daily: Some(1),
        monthly: Some(1),
    };
    let period = Period::at(at("2026-11-30T23:59:59Z"));
    let refusal = Refusal::of(quotas, Used { day: 1, month: 1 }, period).unwrap();
    let error = refusal.error(at("2026-12-01T00:00:00.1Z"));
    assert_eq!(error.retry_after_seconds(), Some(1));
    assert!(
        error.to_string().contains("ends at 2026-12-01 00:00:00 UTC"),
        "{error}"
    );
}

/// A clock that is set back over midnight grants the earlier day what is left of it, and no more.
#[tokio::test]
async fn a_clock_that_is_set_back_grants_nothing_twice() {
    let fixture = Fixture::at("2026-11-25T23:59:50Z").await;
    let limits = fixture.limits().await;
    let app = app(|limits| limits.daily_quota = Some(5));
    assert_eq!(ask(&limits, &app, 3).await.0, 3);
    fixture.set("2026-11-26T00:00:00Z");
    assert_eq!(ask(&limits, &app, 4).await.0, 4);
    fixture.set("2026-11-25T23:59:59Z");
    assert_eq!(ask(&limits, &app, 9).await.0, 2);
    fixture.set("2026-11-26T00:00:01Z");
    assert_eq!(ask(&limits, &app, 9).await.0, 1);
}

#[tokio::test]
async fn services_share_a_quota_and_a_restart_grants_no_new_one() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let app = app(|limits| limits.daily_quota = Some(200));
    let (one, other) = (fixture.limits().await, fixture.limits().await);
    let mut let_in = 0;
    // Each flushes as it does every second; in between, one may sit on units that the other would want.
    for _ in 0..20 {
        let_in += ask(&one, &app, 12).await.0 + ask(&other, &app, 7).await.0;
        one.flush().await;
        other.flush().await;
    }
    assert_eq!(let_in, 200);
    // Dropped without flushing, as by `kill -9`.
    drop((one, other));
    assert_eq!(ask(&fixture.limits().await, &app, 10).await.0, 0);
}

#[tokio::test]
async fn a_kill_loses_units_and_wins_none() {
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
async fn without_the_database_the_quota_holds_and_usage_is_flushed_later() {
    let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
    let limited = app(|limits| limits.daily_quota = Some(30));
    let free = app(|_| {});
    let (serves, refuses) = (
        fixture.limits().await,
        fixture.limits_that(WhenUnavailable::Refuse).await,
    );
    assert_eq!(ask(&serves, &limited, 10).await.0, 10);
    serves.flush().await;

    fixture.database.close().await;
    let (let_in, refused) = ask(&serves, &limited, 40).await;
    assert_eq!(let_in, 20);
    assert_eq!(refused.unwrap().code(), ErrorCode::LimitExceeded);
    let (let_in, refused) = ask(&refuses, &limited, 3).await;
    assert_eq!((let_in, refused.unwrap().code()), (0, ErrorCode::NotReady));
    // Nothing is looked up for those without a quota.
    assert_eq!(ask(&refuses, &free, 3).await.0, 3);

    // What cannot be written down is on disk for the process that comes next.
    serves.flush().await;
    drop(serves);
    let settings = Settings::new(Place::File(fixture.folder.path().join("likeness.db")));
    let database = Database::open(&settings).await.unwrap();
    let fixture = Fixture { database, ..fixture };
    let next = fixture.limits().await;
    assert_eq!(ask(&next, &limited, 5).await.0, 0);
    let used = fixture.database.used_units(next.period()).await.unwrap();
    assert_eq!((used.len(), used[0].1.day), (1, 30));
}

/// The first ones of an outage wait for a bounded time, together; nobody else waits at all.
#[tokio::test]
async fn a_hanging_database_delays_only_the_first_requests() {
    for (when_unavailable, lets_in) in [(WhenUnavailable::Serve, true), (WhenUnavailable::Refuse, false)] {
        let fixture = Fixture::at("2026-11-25T12:00:00Z").await;
        let limits = Arc::new(fixture.limits_that(when_unavailable).await);
        let app = Arc::new(app(|limits| limits.daily_quota = Some(1_000)));
        assert_eq!(ask(&limits, &app, 1).await.0, 1);
        limits.flush().await;
        let hang = Hang::of(fixture.folder.path()).await;
        // From here on time passes when everybody waits, and only then.
        tokio::time::pause();
        let begun = Instant::now();
        let mut first = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (limits, app) = (Arc::clone(&limits), Arc::clone(&app));
            first.spawn(async move { take(&limits, &app).await.map(drop) });
        }
        let check = |outcome: Result<(), ApiError>| match outcome {
            Ok(()) => assert!(lets_in),
            Err(error) => assert_eq!((error.code(), lets_in), (ErrorCode::NotReady, false)),
        };
        first.join_all().await.into_iter().for_each(check);
        assert!(begun.elapsed() <= RESERVATION_TIMEOUT + Duration::from_millis(10));
        let later = Instant::now();
        for _ in 0..100 {
            check(take(&limits, &app).await.map(drop));
        }
        assert_eq!(later.elapsed(), Duration::ZERO);
        tokio::time::resume();

        hang.end().await;
        limits.flush().await;
        assert!(!limits.is_down(), "it is not noticed that it is back");
        assert_eq!(ask(&limits, &app, 1).await.0, 1);
        limits.flush().await;
        let used = if lets_in { 122 } else { 2 };
        assert_eq!(fixture.counted("2026-11-25T12:00:00Z").await.0, used);
        assert_eq!(fixture.used("2026-11-25T12:00:00Z").await.0, used);
    }
}

/// What was counted is on disk before, and while, a database is waited for; and counts once, whatever was last heard of it.
#[tokio::test]
async fn a_kill_while_the_database_hangs_loses_nothing_and_counts_nothing_twice() {
    const NOW: &str = "2026-11-25T12:00:00Z";
    let fixture = Fixture::at(NOW).await;
    let app = app(|limits| limits.daily_quota = Some(20));
    let limits = Arc::new(fixture.limits().await);
    assert_eq!(ask(&limits, &app, 4).await.0, 4);
    let hang = Hang::of(fixture.folder.path()).await;
    let flushing = {
        let limits = Arc::clone(&limits);
        tokio::spawn(async move { limits.flush().await })
    };
    wait_until("what was counted before is not kept", || fixture.kept() == 4).await;
    assert_eq!(ask(&limits, &app, 3).await.0, 3);
    wait_until("what was counted meanwhile is not kept", || fixture.kept() == 7).await;
    let kept = std::fs::read(fixture.pending_file()).unwrap();
    #[cfg(unix)]
    for file in ["usage-pending.json", "usage-pending.lock"] {
        use std::os::unix::fs::PermissionsExt;
        let file = fixture.folder.path().join(file).metadata().unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    flushing.abort();
    let _ = flushing.await;
    let file = Arc::downgrade(&limits.file);
    drop(limits);
    // A killed process writes no more, and its lock is free.
    wait_until("its last write has not ended", || file.strong_count() == 0).await;
    hang.end().await;

    let next = fixture.limits().await;
    assert_eq!(fixture.counted(NOW).await.0, 7);
    assert!(!fixture.pending_file().exists());
    assert_eq!(ask(&next, &app, 1).await.0, 1);
    next.flush().await;
    drop(next);
    // As of a process that was killed when all was written down and the file not yet gone.
    std::fs::write(fixture.pending_file(), kept).unwrap();
    let next = fixture.limits().await;
    assert_eq!(fixture.counted(NOW).await.0, 8);
    assert_eq!(ask(&next, &app, 20).await.0, 12);
}
