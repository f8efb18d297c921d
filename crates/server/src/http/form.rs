//! The form fields of the endpoints, read from a request body within its limits.

use std::ops::Range;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt;
use likeness_api::{ApiError, ErrorCode};
use tokio::time::timeout;

use super::multipart::{Event, Malformed, Parser};
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
    values: Vec<(Field, Bytes)>,
}

impl Form {
    /// The bytes of a file.
    pub(crate) fn file(&mut self, field: Field) -> Result<Bytes, ApiError> {
        self.take(field)
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| ApiError::missing_field(field.name()))
    }

    /// `image_multiface`; `false` where absent.
    pub(crate) fn multiface(&mut self) -> Result<bool, ApiError> {
        let text = self.text(Field::ImageMultiface)?.unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(true),
            "false" | "0" | "no" | "" => Ok(false),
            _ => Err(ApiError::invalid_parameter(
                Field::ImageMultiface.name(),
                "must be true or false (or 1, 0, yes, no)",
            )),
        }
    }

    /// `threshold`, 0..=1.
    pub(crate) fn threshold(&mut self) -> Result<Option<f64>, ApiError> {
        let Some(text) = self.text(Field::Threshold)? else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            // Neither NaN nor an infinity is in the range. Adding 0.0 turns -0.0 into 0.0.
            Ok(threshold) if (0.0..=1.0).contains(&threshold) => Ok(Some(threshold + 0.0)),
            _ => Err(ApiError::invalid_parameter(
                Field::Threshold.name(),
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
        let bytes = self.take(field).unwrap_or_default();
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ApiError::invalid_parameter(field.name(), "is not UTF-8 text"))?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn take(&mut self, field: Field) -> Option<Bytes> {
        let index = self.values.iter().position(|(found, _)| *found == field)?;
        Some(self.values.swap_remove(index).1)
    }

    /// Reads a whole body and keeps the `known` fields. After an error the rest of the body is unread.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: &mut Body,
        known: &'static [Field],
        limits: BodyLimits,
    ) -> Result<Self, ApiError> {
        let mut reader = FormReader::new(headers, &body.size_hint(), known, limits)?;
        let stalled = |_| {
            let seconds = limits.idle.as_secs_f64();
            let message = format!("Nothing came of the request body for {seconds} seconds. Try again.");
            ApiError::new(ErrorCode::DeadlineExceeded, message)
        };
        while let Some(frame) = timeout(limits.idle, body.frame()).await.map_err(stalled)? {
            let frame = frame.map_err(|error| {
                ApiError::from(Malformed("the body breaks off")).with_cause(error.to_string())
            })?;
            if let Some(chunk) = frame.data_ref() {
                reader.push(chunk)?;
            }
        }
        // A chunked body does not report by itself that it has ended.
        *body = Body::empty();
        reader.finish()
    }
}

/// Reads a form from the chunks of its body.
pub(crate) struct FormReader {
    known: &'static [Field],
    limits: BodyLimits,
    parser: Parser,
    /// Bytes that the body may still have.
    left: u64,
    values: Vec<(Field, Range<usize>)>,
    /// The part that is arriving; `None` if it is unknown.
    current: Option<Field>,
}

impl FormReader {
    /// Begins with a body of this length.
    pub(crate) fn new(
        headers: &HeaderMap,
        length: &SizeHint,
        known: &'static [Field],
        limits: BodyLimits,
    ) -> Result<Self, ApiError> {
        let mut parser = Parser::new(content_type(headers)?)?;
        if length.lower() > limits.body {
            return Err(too_large(limits));
        }
        // Room for the whole body, so that it never moves.
        let room = length.upper().unwrap_or(0).min(limits.body);
        parser.reserve(usize::try_from(room).unwrap_or(0));
        Ok(Self {
            known,
            limits,
            parser,
            left: limits.body,
            values: Vec::new(),
            current: None,
        })
    }

    /// Reads the next bytes of the body.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        let left = self.left.checked_sub(chunk.len() as u64);
        self.left = left.ok_or_else(|| too_large(self.limits))?;
        self.parser.push(chunk);
        while let Some(event) = self.parser.event()? {
            match event {
                Event::Begin(name) => self.begin(&name)?,
                Event::Data(length) => self.check_length(length)?,
                Event::End(range) => {
                    self.check_length(range.len())?;
                    self.values.extend(self.current.map(|field| (field, range)));
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, name: &[u8]) -> Result<(), ApiError> {
        let mut known = self.known.iter().copied();
        self.current = known.find(|field| field.name().as_bytes() == name);
        match self.current {
            None => self.parser.skip_part(),
            Some(field) if self.values.iter().any(|(seen, _)| *seen == field) => {
                return Err(ApiError::invalid_parameter(
                    field.name(),
                    "is there more than once",
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn check_length(&self, length: usize) -> Result<(), ApiError> {
        let Some(field) = self.current else { return Ok(()) };
        let limit = self.limits.file;
        if field.is_file() && length > limit {
            Err(ApiError::file_too_large(field.name(), None, limit))
        } else if !field.is_file() && length > MAX_TEXT_BYTES {
            let problem = format!("is longer than {MAX_TEXT_BYTES} bytes");
            Err(ApiError::invalid_parameter(field.name(), problem))
        } else {
            Ok(())
        }
    }

    /// Returns the form, if the body was complete.
    pub(crate) fn finish(self) -> Result<Form, ApiError> {
        let mut bytes = self.parser.finish()?;
        bytes.shrink_to_fit();
        let bytes = Bytes::from(bytes);
        let values = self.values.into_iter();
        Ok(Form {
            values: values.map(|(field, range)| (field, bytes.slice(range))).collect(),
        })
    }
}

fn too_large(limits: BodyLimits) -> ApiError {
    let limit = limits.body;
    let message = format!("The request body has more than the {limit} bytes that are accepted.");
    ApiError::new(ErrorCode::FileTooLarge, message)
}

fn content_type(headers: &HeaderMap) -> Result<&[u8], Malformed> {
    let is_encoded =
        |encoding: &HeaderValue| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(is_encoded) {
        return Err(Malformed("the body has a Content-Encoding"));
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) => Err(Malformed("there is no Content-Type")),
        _ => Err(Malformed("there is more than one Content-Type")),
    }
}

impl From<Malformed> for ApiError {
    fn from(Malformed(reason): Malformed) -> Self {
        let message = format!("The request is not well-formed multipart/form-data: {reason}.");
        Self::new(ErrorCode::MalformedRequest, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(field: Field, text: &[u8]) -> Form {
        Form {
            values: vec![(field, Bytes::copy_from_slice(text))],
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
        assert_eq!(form.file(Field::Selfie).unwrap(), "S");
        assert_eq!(form.file(Field::Image).unwrap(), "I");
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
