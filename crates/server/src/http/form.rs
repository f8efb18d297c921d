//! The form fields of the endpoints, read from a request body within its limits.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use likeness_api::{ApiError, ErrorCode};
use tokio::time::timeout;

use super::multipart::{Malformed, Parser, Sink};
use crate::endpoint::Endpoint;

/// Longest value of a field that is not a file, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// The form fields that the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Selfie,
    Image,
    ImageMultiface,
    Threshold,
    Profile,
}

impl Field {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const ALL: &[Self] = &[
        Self::Selfie,
        Self::Image,
        Self::ImageMultiface,
        Self::Threshold,
        Self::Profile,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Selfie => "selfie",
            Self::Image => "image",
            Self::ImageMultiface => "image_multiface",
            Self::Threshold => "threshold",
            Self::Profile => "profile",
        }
    }

    /// Returns the fields of an endpoint.
    pub(crate) const fn of(endpoint: Endpoint) -> &'static [Self] {
        match endpoint {
            Endpoint::Biometric => &[Self::Selfie, Self::Image, Self::ImageMultiface, Self::Profile],
            Endpoint::Liveness => &[Self::Selfie, Self::Threshold],
        }
    }

    /// Returns whether it is an image. These fields are required.
    pub(crate) const fn is_file(self) -> bool {
        matches!(self, Self::Selfie | Self::Image)
    }
}

/// Limits of a request body, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) file: usize,
    pub(crate) body: u64,
    /// Longest time without a byte.
    pub(crate) idle: Duration,
}

/// The known fields of a request. Unknown ones were read and discarded.
#[derive(Debug, Default)]
pub(crate) struct Form {
    values: Vec<(Field, Vec<u8>)>,
}

impl Form {
    /// The bytes of a file.
    pub(crate) fn file(&mut self, field: Field) -> Result<Vec<u8>, ApiError> {
        self.take(field)
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| ApiError::missing_field(field.name()))
    }

    /// `image_multiface`; `false` where absent.
    pub(crate) fn multiface(&mut self) -> Result<bool, ApiError> {
        let field = Field::ImageMultiface;
        let Some(text) = self.text(field)? else {
            return Ok(false);
        };
        let is_one_of = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        if is_one_of(["true", "1", "yes"]) {
            Ok(true)
        } else if is_one_of(["false", "0", "no"]) {
            Ok(false)
        } else {
            Err(ApiError::invalid_parameter(
                field.name(),
                "must be true or false (or 1, 0, yes, no)",
            ))
        }
    }

    /// `threshold`, 0..=1.
    pub(crate) fn threshold(&mut self) -> Result<Option<f64>, ApiError> {
        let field = Field::Threshold;
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            // Neither NaN nor an infinity is in the range. Adding 0.0 turns -0.0 into 0.0.
            Ok(threshold) if (0.0..=1.0).contains(&threshold) => Ok(Some(threshold + 0.0)),
            _ => Err(ApiError::invalid_parameter(
                field.name(),
                "must be a number from 0 to 1, such as 0.6",
            )),
        }
    }

    /// `profile`: the name of any profile.
    pub(crate) fn profile(&mut self) -> Result<Option<String>, ApiError> {
        self.text(Field::Profile)
    }

    /// Returns the trimmed text of an optional field. An empty one counts as absent: HTML forms send fields that were left
    /// blank.
    fn text(&mut self, field: Field) -> Result<Option<String>, ApiError> {
        let Some(bytes) = self.take(field) else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| ApiError::invalid_parameter(field.name(), "is not UTF-8 text"))?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn take(&mut self, field: Field) -> Option<Vec<u8>> {
        let index = self.values.iter().position(|(found, _)| *found == field)?;
        Some(self.values.swap_remove(index).1)
    }

    /// Reads a whole body and keeps the `known` fields. After an error the rest of the body is unread. A file is copied once,
    /// from the connection's buffer to its final place.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: &mut Body,
        known: &'static [Field],
        limits: BodyLimits,
    ) -> Result<Self, ApiError> {
        let mut parser = Parser::new(content_type(headers)?).map_err(malformed)?;
        let too_large = || {
            ApiError::new(
                ErrorCode::FileTooLarge,
                format!(
                    "The request body has more than the {} bytes that are accepted.",
                    limits.body
                ),
            )
        };
        if http_body::Body::size_hint(body).lower() > limits.body {
            return Err(too_large());
        }
        let mut collector = Collector {
            known,
            file_limit: limits.file,
            expected: 0,
            form: Self::default(),
            current: None,
        };
        let mut left = limits.body;
        while let Some(frame) = timeout(limits.idle, body.frame())
            .await
            .map_err(|_| stalled(limits.idle))?
        {
            let frame = frame
                .map_err(|error| malformed(Malformed("the body breaks off")).with_cause(error.to_string()))?;
            let Some(chunk) = frame.data_ref() else { continue };
            left = left.checked_sub(chunk.len() as u64).ok_or_else(too_large)?;
            let following = http_body::Body::size_hint(body).upper().unwrap_or(0);
            collector.expected = chunk
                .len()
                .saturating_add(usize::try_from(following).unwrap_or(0));
            parser.push(chunk, &mut collector)?;
        }
        // A chunked body does not report by itself that it has ended.
        *body = Body::empty();
        parser.finish().map_err(malformed)?;
        Ok(collector.form)
    }
}

fn stalled(idle: Duration) -> ApiError {
    ApiError::new(
        ErrorCode::DeadlineExceeded,
        format!(
            "Nothing came of the request body for {} seconds. Try again.",
            idle.as_secs_f64()
        ),
    )
}

fn content_type(headers: &HeaderMap) -> Result<&[u8], ApiError> {
    let encoded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(malformed(Malformed("the body has a Content-Encoding")));
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) => Err(malformed(Malformed("there is no Content-Type"))),
        _ => Err(malformed(Malformed("there is more than one Content-Type"))),
    }
}

fn malformed(Malformed(reason): Malformed) -> ApiError {
    ApiError::new(
        ErrorCode::MalformedRequest,
        format!("The request is not well-formed multipart/form-data: {reason}."),
    )
}

/// The error that ends the reading of a form.
struct Refused(ApiError);

impl From<Malformed> for Refused {
    fn from(reason: Malformed) -> Self {
        Self(malformed(reason))
    }
}

impl From<Refused> for ApiError {
    fn from(Refused(error): Refused) -> Self {
        error
    }
}

struct Collector {
    known: &'static [Field],
    file_limit: usize,
    /// Bytes of the body from the current chunk to its end; fewer if its length is unknown.
    expected: usize,
    form: Form,
    /// The part that is arriving; `None` if it is unknown.
    current: Option<(Field, Vec<u8>)>,
}

impl Sink for Collector {
    type Error = Refused;

    fn begin(&mut self, name: &[u8]) -> Result<(), Refused> {
        let field = self
            .known
            .iter()
            .copied()
            .find(|field| field.name().as_bytes() == name);
        if let Some(field) = field
            && self.form.values.iter().any(|(seen, _)| *seen == field)
        {
            return Err(Refused(ApiError::invalid_parameter(
                field.name(),
                "is there more than once",
            )));
        }
        self.current = field.map(|field| {
            // Room for the longest file that the body may still hold, so that it never moves. Untouched pages cost no memory.
            let room = if field.is_file() {
                self.expected.min(self.file_limit)
            } else {
                0
            };
            (field, Vec::with_capacity(room))
        });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let Some((field, value)) = &mut self.current else {
            return Ok(());
        };
        let length = value.len().saturating_add(bytes.len());
        if field.is_file() && length > self.file_limit {
            return Err(Refused(ApiError::file_too_large(
                field.name(),
                None,
                self.file_limit,
            )));
        }
        if !field.is_file() && length > MAX_TEXT_BYTES {
            return Err(Refused(ApiError::invalid_parameter(
                field.name(),
                format!("is longer than {MAX_TEXT_BYTES} bytes"),
            )));
        }
        value.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refused> {
        if let Some((field, mut value)) = self.current.take() {
            value.shrink_to_fit();
            self.form.values.push((field, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(field: Field, text: &[u8]) -> Form {
        Form {
            values: vec![(field, text.to_vec())],
        }
    }

    #[test]
    fn booleans() {
        for text in ["true", "True", "TRUE", "1", "yes", "Yes", " true\r\n"] {
            assert!(
                form(Field::ImageMultiface, text.as_bytes()).multiface().unwrap(),
                "{text}"
            );
        }
        for text in ["false", "False", "0", "no", "NO", "", " "] {
            assert!(
                !form(Field::ImageMultiface, text.as_bytes()).multiface().unwrap(),
                "{text}"
            );
        }
        for text in ["2", "on", "truee", "t", "null"] {
            let error = form(Field::ImageMultiface, text.as_bytes())
                .multiface()
                .unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidParameter);
            assert!(error.message().contains("image_multiface"));
        }
        assert!(!Form::default().multiface().unwrap());
    }

    #[test]
    fn thresholds() {
        for (text, value) in [
            ("0", 0.0_f64),
            ("1", 1.0),
            ("0.6", 0.6),
            (" .5 ", 0.5),
            ("1e-3", 0.001),
            ("-0", 0.0),
        ] {
            let threshold = form(Field::Threshold, text.as_bytes())
                .threshold()
                .unwrap()
                .unwrap();
            assert_eq!(threshold.to_bits(), value.to_bits(), "{text}");
        }
        for text in [
            "NaN",
            "nan",
            "inf",
            "-inf",
            "infinity",
            "1e400",
            "-1e-9",
            "1.0000001",
            "0,5",
            "0x1",
            "half",
            "1 2",
        ] {
            let error = form(Field::Threshold, text.as_bytes()).threshold().unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidParameter, "{text}");
        }
        assert!(form(Field::Threshold, b"\xff").threshold().is_err());
        assert_eq!(form(Field::Threshold, b"").threshold().unwrap(), None);
        assert_eq!(Form::default().threshold().unwrap(), None);
    }

    #[test]
    fn files_that_are_empty_are_missing() {
        for mut form in [Form::default(), form(Field::Selfie, b"")] {
            let error = form.file(Field::Selfie).unwrap_err();
            assert_eq!(error.code(), ErrorCode::MissingField);
            assert!(error.message().contains("selfie"));
        }
    }

    async fn read(body: &str, limits: BodyLimits) -> Result<Form, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            "multipart/form-data; boundary=B".parse().unwrap(),
        );
        Form::read(&headers, &mut Body::from(body.to_owned()), Field::ALL, limits).await
    }

    fn part(name: &str, data: &str) -> String {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{data}\r\n")
    }

    const LIMITS: BodyLimits = BodyLimits {
        file: 1_000,
        body: 10_000,
        idle: Duration::from_secs(5),
    };

    #[tokio::test]
    async fn known_fields_are_kept_and_others_ignored() {
        let body =
            part("other", "x") + &part("image", "I") + &part("other", "y") + &part("selfie", "S") + "--B--";
        let mut form = read(&body, LIMITS).await.unwrap();
        assert_eq!(form.file(Field::Selfie).unwrap(), b"S");
        assert_eq!(form.file(Field::Image).unwrap(), b"I");
        assert!(form.values.is_empty());
    }

    #[tokio::test]
    async fn limits_hold() {
        let code = async |body: String| read(&(body + "--B--"), LIMITS).await.unwrap_err().code();
        assert!(
            read(&(part("selfie", &"x".repeat(1_000)) + "--B--"), LIMITS)
                .await
                .is_ok()
        );
        assert_eq!(
            code(part("selfie", &"x".repeat(1_001))).await,
            ErrorCode::FileTooLarge
        );
        assert_eq!(
            code(part("other", &"x".repeat(10_000))).await,
            ErrorCode::FileTooLarge
        );
        assert_eq!(
            code(part("threshold", &"0".repeat(257))).await,
            ErrorCode::InvalidParameter
        );
        assert_eq!(
            code(part("selfie", "a") + &part("selfie", "")).await,
            ErrorCode::InvalidParameter
        );
    }
}
