//! The error type for `main`.

use std::error::Error;
use std::fmt;

/// An error for `main` to return, printed as its message and those of its causes; the error itself would be printed in its `Debug`
/// form. `?` converts any error, and a text.
///
/// ```no_run
/// use likeness::{Engine, Report};
///
/// fn main() -> Result<(), Report> {
///     let engine = Engine::builder().build()?; // "Error: no ONNX Runtime library found; looked for: ..."
///     println!("{} workers", engine.workers());
///     Ok(())
/// }
/// ```
///
/// `Report` does not implement [`Error`]: a type that any error converts into cannot.
pub struct Report(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Report {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The message, and those of the causes that it does not contain already.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text = format!("{text}: {message}");
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

/// As [`Display`](fmt::Display): Rust prints what `main` returns by its `Debug` form.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use likeness_engine::imaging::ImagingError;
    use likeness_engine::{EngineError, ImageRole};

    use super::*;

    #[derive(Debug)]
    struct Outer(std::io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot read selfie.jpg")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn printed(error: impl Into<Report>) -> String {
        format!("{:?}", error.into())
    }

    #[test]
    fn a_cause_is_printed_after_the_message() {
        let error = Outer(std::io::Error::other("the disk is gone"));
        assert_eq!(printed(error), "cannot read selfie.jpg: the disk is gone");
    }

    #[test]
    fn a_cause_that_the_message_contains_is_printed_once() {
        let error = EngineError::Image {
            role: ImageRole::Selfie,
            source: ImagingError::NotAnImage,
        };
        assert_eq!(printed(error), "selfie: the file is not an image");
    }

    #[test]
    fn a_text_is_printed_as_it_is() {
        assert_eq!(
            printed("usage: verify SELFIE PHOTO"),
            "usage: verify SELFIE PHOTO"
        );
    }
}
