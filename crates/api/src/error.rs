//! Errors as a client sees them.

use std::fmt;
use std::time::Duration;

/// A row of the table.
struct Row {
    name: &'static str,
    status: u16,
    when: &'static str,
    message: Message,
    retry_after: Option<Duration>,
}

/// The source of an error's message.
enum Message {
    /// The place of the error; this one is the default.
    Free(&'static str),
    /// Always this one: more would reveal what the client should not learn.
    Fixed(&'static str),
}

/// Makes the enum, the list and the lookup from one table, so that none misses a code.
macro_rules! error_codes {
    ($($variant:ident $name:literal $status:literal {
        when: $when:literal, message: $message:expr $(, retry_after_seconds: $seconds:literal)? $(,)?
    })+) => {
        /// Why a request failed. The table in this file is the only place that names codes and statuses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $name, "`, status ", $status, ": ", $when, ".")] $variant,)+
        }

        impl ErrorCode {
            /// Every code, by status and then as the HTTP contract lists them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            const fn row(self) -> Row {
                match self {
                    $(Self::$variant => Row {
                        name: $name,
                        status: $status,
                        when: $when,
                        message: $message,
                        retry_after: error_codes!(@wait $($seconds)?),
                    },)+
                }
            }
        }
    };
    (@wait) => { None };
    (@wait $seconds:literal) => { Some(Duration::from_secs($seconds)) };
}

// The HTTP layer replaces these waits where it knows better: a verification takes well under a second, models
// load within some seconds, and rates are counted by the minute.
error_codes! {
    MalformedRequest "MALFORMED_REQUEST" 400 {
        when: "the body is not multipart/form-data, or breaks off",
        message: Message::Free("The request body is not well-formed multipart/form-data."),
    }
    MissingField "MISSING_FIELD" 400 {
        when: "a required field is absent, or a file has no bytes",
        message: Message::Free("A required form field is absent or empty."),
    }
    InvalidParameter "INVALID_PARAMETER" 400 {
        when: "a value is out of range, not allowed to the app, or given twice",
        message: Message::Free("A form field has a value that is not allowed."),
    }
    InvalidCredentials "INVALID_CREDENTIALS" 401 {
        when: "the credential headers are absent or wrong",
        // One text, or it would tell which apps exist.
        message: Message::Fixed(
            "The app_id and app_key headers are absent or do not belong together; app-id and app-key are accepted too.",
        ),
    }
    LimitExceeded "LIMIT_EXCEEDED" 403 {
        when: "the app has used up its rate or quota",
        message: Message::Free("The app has used up its requests for now."),
        retry_after_seconds: 60,
    }
    AppDisabled "APP_DISABLED" 403 {
        when: "the app is switched off",
        message: Message::Fixed("This app is switched off. Ask the operator of this service."),
    }
    NotFound "NOT_FOUND" 404 {
        when: "there is nothing at the path",
        message: Message::Free("There is nothing at this path."),
    }
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 {
        when: "the path does not take the method",
        message: Message::Free("This path does not take this method."),
    }
    FileTooLarge "FILE_TOO_LARGE" 413 {
        when: "the body or a file has more bytes than its limit",
        message: Message::Free("The request body or a file in it has too many bytes."),
    }
    UnsupportedImageFormat "UNSUPPORTED_IMAGE_FORMAT" 415 {
        when: "the bytes of a file are no picture in a supported format, whatever its content type says",
        message: Message::Free("A file is no picture in a supported format."),
    }
    CorruptImage "CORRUPT_IMAGE" 422 {
        when: "a picture cannot be decoded",
        message: Message::Free("A picture is damaged or incomplete."),
    }
    ImageTooSmall "IMAGE_TOO_SMALL" 422 {
        when: "a picture has fewer pixels a side than the endpoint asks for",
        message: Message::Free("A picture is too small."),
    }
    ImageTooLarge "IMAGE_TOO_LARGE" 422 {
        when: "a picture has more pixels than the limits allow",
        message: Message::Free("A picture is too large."),
    }
    Internal "INTERNAL" 500 {
        when: "anything else went wrong",
        message: Message::Fixed(
            "The service failed to answer this request. Try again later; if it fails again, tell the operator the api_req_uid of this answer.",
        ),
    }
    Overloaded "OVERLOADED" 503 {
        when: "as many requests are being worked on as the service admits",
        message: Message::Free("The service is working on as many requests as it can. Try again shortly."),
        retry_after_seconds: 1,
    }
    NotReady "NOT_READY" 503 {
        when: "the models are not loaded yet, or the service is shutting down",
        message: Message::Free("The service is not ready yet. Try again shortly."),
        retry_after_seconds: 5,
    }
    DeadlineExceeded "DEADLINE_EXCEEDED" 504 {
        when: "the request's time limit passed",
        message: Message::Free(
            "The answer was not ready within the time limit of a request. Try again; smaller files take less time.",
        ),
    }
}

impl ErrorCode {
    /// Returns the text of `error.code`, `MALFORMED_REQUEST` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// Returns the HTTP status, 400..=599.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// Returns when a client gets this code: a clause, for documentation.
    #[must_use]
    pub const fn when(self) -> &'static str {
        self.row().when
    }

    /// Returns whether the message may have details. Where it may not, [`ApiError::new`] keeps them for the log.
    #[must_use]
    pub const fn carries_details(self) -> bool {
        matches!(self.row().message, Message::Free(_))
    }

    /// Returns the message of an error without details.
    #[must_use]
    pub const fn default_message(self) -> &'static str {
        match self.row().message {
            Message::Free(text) | Message::Fixed(text) => text,
        }
    }

    /// Returns how long a client should wait by default; `None` where waiting does not help.
    #[must_use]
    pub const fn default_retry_after(self) -> Option<Duration> {
        self.row().retry_after
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as a client sees it, and its cause for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    cause: Option<String>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// Returns an error with a message for integrators: what was found, and what to send instead.
    ///
    /// Where the code's message is fixed ([`ErrorCode::carries_details`]) the given one becomes the
    /// [`cause`](Self::cause), so that no mistake elsewhere sends it out. The wait is
    /// [the code's own](ErrorCode::default_retry_after).
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut error = Self::from(code);
        if !code.carries_details() {
            return error.with_cause(message);
        }
        error.message = message.into();
        error
    }

    /// Returns `INTERNAL`, with the cause for the log.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, cause.to_string())
    }

    /// Returns `MISSING_FIELD` for a form field that is absent or has no bytes.
    #[must_use]
    pub fn missing_field(field: &str) -> Self {
        let message = format!("The form field `{field}` is absent or empty.");
        Self::new(ErrorCode::MissingField, message)
    }

    /// Returns `INVALID_PARAMETER`; `problem` follows the field's name, as in "must be a number from 0 to 1, not 7".
    #[must_use]
    pub fn invalid_parameter(field: &str, problem: impl fmt::Display) -> Self {
        let message = format!("The form field `{field}` {problem}.");
        Self::new(ErrorCode::InvalidParameter, message)
    }

    /// Returns `FILE_TOO_LARGE` for the file of a form field. Both numbers are bytes; `found` is `None` where reading stopped
    /// at the limit.
    #[must_use]
    pub fn file_too_large(field: &str, found: Option<usize>, limit: usize) -> Self {
        let message = match found {
            Some(found) => format!("The file in `{field}` has {found} bytes; at most {limit} are accepted."),
            None => format!("The file in `{field}` has more than the {limit} bytes that are accepted."),
        };
        Self::new(ErrorCode::FileTooLarge, message)
    }

    /// Returns `IMAGE_TOO_SMALL`. All numbers are pixels of the upright image.
    #[must_use]
    pub fn image_too_small(field: &str, width: u32, height: u32, min_side: u32) -> Self {
        let needs = format_args!("each side must have at least {min_side}");
        Self::image_size(ErrorCode::ImageTooSmall, field, width, height, needs)
    }

    /// Returns `IMAGE_TOO_LARGE` for a side. All numbers are pixels of the upright image.
    #[must_use]
    pub fn image_too_large(field: &str, width: u32, height: u32, max_side: u32) -> Self {
        let needs = format_args!("each side may have at most {max_side}");
        Self::image_size(ErrorCode::ImageTooLarge, field, width, height, needs)
    }

    pub(crate) fn image_size(
        code: ErrorCode,
        field: &str,
        width: u32,
        height: u32,
        needs: fmt::Arguments<'_>,
    ) -> Self {
        Self::new(
            code,
            format!("The picture in `{field}` is {width}x{height} pixels; {needs}."),
        )
    }

    /// Sets the wait after which the client should retry.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Sets the cause, for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the message for the client, in English.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the cause, for the log of the service; never part of a response.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Returns the wait after which the client should retry; `None` where waiting does not help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the value of the `Retry-After` header: [`retry_after`](Self::retry_after) in whole seconds, rounded up, at
    /// least 1.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| {
            let part = u64::from(wait.subsec_nanos() > 0);
            wait.as_secs().saturating_add(part).max(1)
        })
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            message: code.default_message().to_owned(),
            cause: None,
            retry_after: code.default_retry_after(),
        }
    }
}

impl fmt::Display for ApiError {
    /// Writes code and message; the [`cause`](ApiError::cause) is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ApiError {}
