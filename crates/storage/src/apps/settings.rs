//! The settings of an app.

use serde::{Deserialize, Serialize};

/// The settings of an app.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AppSettings {
    /// Whether every request of the app is rejected.
    pub disabled: bool,
    /// The profile of requests that name none. Absent: the service's default.
    pub default_profile: Option<String>,
    /// The profiles that requests may name, besides the default one. Absent: all.
    pub profiles: Option<Vec<String>>,
    /// The endpoints that the app may use. Absent: all.
    pub endpoints: Option<Vec<AppEndpoint>>,
    /// The lowest `threshold` of a liveness verification, 0..=1.
    pub liveness_threshold_floor: f64,
    /// Its rate limit, concurrency limit and quotas.
    pub limits: AppLimits,
    /// A note for operators, such as the app's owner.
    pub note: String,
}

/// Rate limit, concurrency limit and quotas of an app. Absent: unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AppLimits {
    /// Average requests a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Requests at once after a pause. Absent: as many as in a second, at least one. Requires `requests_per_second`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// In-flight requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Requests a day, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_quota: Option<u64>,
    /// Requests a calendar month, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_quota: Option<u64>,
}

/// The largest limit: a `BIGINT` and a JSON number hold it exactly.
const MAX_LIMIT: u64 = 1 << 53;

impl AppLimits {
    /// Returns whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the limits; an error has the name of a limit and a clause such as `must be more than 0`. To reject all
    /// requests, disable the app.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let in_range = |limit: Option<u64>| limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit));
        // NaN is in no range.
        let rates = f64::MIN_POSITIVE..=1e6;
        if self
            .requests_per_second
            .is_some_and(|rate| !rates.contains(&rate))
        {
            return Err(("requests_per_second", "must be more than 0 and at most 1,000,000"));
        }
        if self.burst.is_some() && self.requests_per_second.is_none() {
            return Err(("burst", "requires requests_per_second"));
        }
        let limits = [
            ("burst", self.burst.map(u64::from)),
            ("concurrent_requests", self.concurrent_requests.map(u64::from)),
            ("daily_quota", self.daily_quota),
            ("monthly_quota", self.monthly_quota),
        ];
        match limits.into_iter().find(|(_, limit)| !in_range(*limit)) {
            Some((name, _)) => Err((name, "must be more than 0 and at most 2^53")),
            None => Ok(()),
        }
    }
}

/// An endpoint that an app may use, in each version of the API. Its text is its name in settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownEndpoint, parse_err_fn = unknown_endpoint)]
pub enum AppEndpoint {
    /// `biometric-verification`.
    Biometric,
    /// `liveness-verification`.
    Liveness,
}

fn unknown_endpoint(_: &str) -> UnknownEndpoint {
    UnknownEndpoint
}

/// An unknown endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `biometric` or `liveness`")]
pub struct UnknownEndpoint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_positive_or_absent() {
        assert_eq!(AppLimits::default().check(), Ok(()));
        let fault = |change: fn(&mut AppLimits)| {
            let mut limits = AppLimits::default();
            change(&mut limits);
            limits.check().err().map(|(name, _)| name)
        };
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let limits = AppLimits {
                requests_per_second: Some(rate),
                ..AppLimits::default()
            };
            assert!(limits.check().is_err(), "{rate}");
        }
        assert_eq!(fault(|limits| limits.burst = Some(3)), Some("burst"));
        assert_eq!(
            fault(|limits| limits.concurrent_requests = Some(0)),
            Some("concurrent_requests")
        );
        assert_eq!(fault(|limits| limits.daily_quota = Some(0)), Some("daily_quota"));
        assert_eq!(
            fault(|limits| limits.monthly_quota = Some(u64::MAX)),
            Some("monthly_quota")
        );
        assert_eq!(fault(|limits| limits.monthly_quota = Some(1)), None);
    }
}
