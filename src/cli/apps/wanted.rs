//! What an app is to be allowed, on the command line.

use clap::{Args, ValueEnum};
use likeness::server::storage::apps::{AppEndpoint, AppSettings};

/// What is to be set. What is not named stays as it is.
#[derive(Debug, Clone, Args)]
pub(super) struct Wanted {
    /// The profile of requests that name none.
    #[arg(long, value_name = "NAME")]
    default_profile: Option<String>,
    /// The profiles that requests may name besides, separated by commas [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    profiles: Option<Vec<String>>,
    /// What it may call: biometric, liveness [default: both].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    endpoints: Option<Vec<AppEndpoint>>,
    /// The lowest `threshold` that a liveness verification may ask for, 0 to 1.
    #[arg(long, value_name = "NUMBER")]
    liveness_threshold_floor: Option<f64>,
    /// Requests a second in the long run.
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<f64>,
    /// Requests that may come at once after a pause.
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Requests at the same time.
    #[arg(long, value_name = "N")]
    concurrent_requests: Option<u32>,
    /// Requests a day, in UTC.
    #[arg(long, value_name = "N")]
    daily_quota: Option<u64>,
    /// Requests a calendar month, in UTC.
    #[arg(long, value_name = "N")]
    monthly_quota: Option<u64>,
    /// Whose app it is, for instance.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A setting that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Unset {
    DefaultProfile,
    Profiles,
    Endpoints,
    LivenessThresholdFloor,
    RequestsPerSecond,
    Burst,
    ConcurrentRequests,
    DailyQuota,
    MonthlyQuota,
    Note,
}

impl Wanted {
    pub(super) fn apply(&self, settings: &mut AppSettings) {
        fn set<T: Clone>(setting: &mut Option<T>, wanted: Option<&T>) {
            if let Some(wanted) = wanted {
                *setting = Some(wanted.clone());
            }
        }
        set(&mut settings.default_profile, self.default_profile.as_ref());
        set(&mut settings.profiles, self.profiles.as_ref());
        set(&mut settings.endpoints, self.endpoints.as_ref());
        let limits = &mut settings.limits;
        set(&mut limits.requests_per_second, self.requests_per_second.as_ref());
        set(&mut limits.burst, self.burst.as_ref());
        set(&mut limits.concurrent_requests, self.concurrent_requests.as_ref());
        set(&mut limits.daily_quota, self.daily_quota.as_ref());
        set(&mut limits.monthly_quota, self.monthly_quota.as_ref());
        if let Some(floor) = self.liveness_threshold_floor {
            settings.liveness_threshold_floor = floor;
        }
        if let Some(note) = &self.note {
            settings.note.clone_from(note);
        }
    }
}

impl Unset {
    pub(super) fn apply(self, settings: &mut AppSettings) {
        let limits = &mut settings.limits;
        match self {
            Self::DefaultProfile => settings.default_profile = None,
            Self::Profiles => settings.profiles = None,
            Self::Endpoints => settings.endpoints = None,
            Self::LivenessThresholdFloor => settings.liveness_threshold_floor = 0.0,
            Self::RequestsPerSecond => limits.requests_per_second = None,
            Self::Burst => limits.burst = None,
            Self::ConcurrentRequests => limits.concurrent_requests = None,
            Self::DailyQuota => limits.daily_quota = None,
            Self::MonthlyQuota => limits.monthly_quota = None,
            Self::Note => settings.note.clear(),
        }
    }
}
