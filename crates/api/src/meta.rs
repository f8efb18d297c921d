//! What every body says of its request.

use jiff::Timestamp;
use uuid::Uuid;

/// Who a request is and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// `api_req_uid` of the body and `X-Request-ID` of the answer: a random UUID (version 4).
    pub id: Uuid,
    /// When the request came in.
    pub requested_at: Timestamp,
}

impl Meta {
    /// A new id, and the time now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            id: Uuid::new_v4(),
            requested_at: Timestamp::now(),
        }
    }
}

/// Times as the HTTP contract writes them: `YYYY-MM-DD HH:MM:SS`, UTC, to the second that has begun.
pub(crate) mod timestamp {
    use jiff::Timestamp;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;
    use serde::{Deserialize, Deserializer, Serializer, de};

    const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.strftime(FORMAT))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::strptime(FORMAT, &text).and_then(|time| TimeZone::UTC.to_timestamp(time));
        time.map_err(de::Error::custom)
    }
}
