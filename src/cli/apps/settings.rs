//! The settings of an app on the command line.

use clap::{Args, ValueEnum};
use likeness::server::storage::apps::{AppEndpoint, AppSettings};

/// Settings to change; the others stay as they are.
#[derive(Debug, Clone, Args)]
pub(super) struct Changes {
    /// Profile of requests that name none.
    #[arg(long, value_name = "NAME")]
    default_profile: Option<String>,
    /// Profiles that requests may name besides, comma-separated [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    profiles: Option<Vec<String>>,
    /// Endpoints that the app may use: biometric, liveness [default: both].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    endpoints: Option<Vec<AppEndpoint>>,
    /// Lowest `threshold` of a liveness verification, 0 to 1.
    #[arg(long, value_name = "NUMBER")]
    liveness_threshold_floor: Option<f64>,
    /// Rate limit: average requests a second.
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<f64>,
    /// Requests at once after a pause.
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Concurrency limit: in-flight requests.
    #[arg(long, value_name = "N")]
    concurrent_requests: Option<u32>,
    /// Quota: requests a day, in UTC.
    #[arg(long, value_name = "N")]
    daily_quota: Option<u64>,
    /// Quota: requests a calendar month, in UTC.
    #[arg(long, value_name = "N")]
    monthly_quota: Option<u64>,
    /// Note, such as the app's owner.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// A setting that can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Setting {
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

impl Changes {
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

impl Setting {
    pub(super) fn remove(self, settings: &mut AppSettings) {
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
