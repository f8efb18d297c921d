//! What the responses say beyond their documented bodies.

use likeness_api::ResponseCodes;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::{ConfigError, ensure};

/// The responses of verifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiConfig {
    /// Whether responses name the codes of what was found in a header, `X-Likeness-Findings`. Default: yes.
    #[default(true)]
    pub findings_header: bool,
    /// The numbers of `response_code`.
    pub response_codes: ResponseCodes,
}

impl ApiConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let codes = self.response_codes;
        let same = "is the number of api.response_codes.pass: clients could not tell a selfie that is not live from a live one";
        ensure([(codes.not_live != codes.pass, "api.response_codes.not_live", same)])
    }
}
