//! Splits `multipart/form-data` (RFC 7578) into its parts while it arrives.
//!
//! Why not `multer`: it searches its whole buffer again with each chunk and buffers the headers of a part without a
//! bound, so that a body within its limit can cost minutes of CPU time on the async reactor; and it takes a `name=`
//! inside a quoted filename for the field's name. Here each byte is searched a bounded number of times, however the body is
//! cut into chunks; data is handed on without a copy, and little more than [`MAX_HEAD_BYTES`] are buffered.

use memchr::memmem;

/// Largest head of a part in bytes. Browsers and HTTP libraries send some 200.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Most parts of a body. The API knows five fields.
pub(crate) const MAX_PARTS: usize = 64;
/// Longest boundary in bytes; RFC 2046 allows 70.
const MAX_BOUNDARY_BYTES: usize = 200;
/// Most spaces and tabs between a boundary and the end of its line.
const MAX_PADDING_BYTES: usize = 256;

const CRLF: &[u8] = b"\r\n";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Receives the parts, in order: `begin`, `data` any number of times, `end`; then the next part.
pub(crate) trait Sink {
    type Error: From<Malformed>;

    /// A part with this field name begins.
    fn begin(&mut self, name: &[u8]) -> Result<(), Self::Error>;
    /// Some of its bytes.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// It is complete.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// The reason why a body is not `multipart/form-data`, for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A parser that is fed chunks.
pub(crate) struct Parser {
    /// Finds the line break before a boundary, the two dashes and the boundary.
    delimiter: memmem::Finder<'static>,
    end_of_head: memmem::Finder<'static>,
    /// The end of the last chunk that could not be parsed yet: less than a delimiter, or less than a head.
    pending: Vec<u8>,
    /// How many of the bytes to parse next have been searched for the end of a head.
    searched: usize,
    parts: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    AfterDelimiter,
    Head,
    /// After the head, where its last line break may already be the one before the next boundary.
    FirstData,
    Data,
    Epilogue,
}

impl Parser {
    /// Returns a parser for a body with this `Content-Type`.
    pub(crate) fn new(content_type: &[u8]) -> Result<Self, Malformed> {
        let (kind, parameters) = parameters(content_type)?;
        if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
            return Err(Malformed("the Content-Type is not multipart/form-data"));
        }
        let boundary = parameter(&parameters, b"boundary")?
            .filter(|boundary| !boundary.is_empty() && boundary.len() <= MAX_BOUNDARY_BYTES)
            .ok_or(Malformed("the Content-Type has no usable boundary"))?;
        let delimiter = [b"\r\n--", boundary].concat();
        Ok(Self {
            delimiter: memmem::Finder::new(&delimiter).into_owned(),
            end_of_head: memmem::Finder::new(END_OF_HEAD),
            // As if a line ended before the body: the first boundary has no line break before it.
            pending: CRLF.to_vec(),
            searched: 0,
            parts: 0,
            state: State::Preamble,
        })
    }

    /// Parses the next bytes of the body.
    pub(crate) fn push<S: Sink>(&mut self, mut chunk: &[u8], sink: &mut S) -> Result<(), S::Error> {
        while !self.pending.is_empty() && !chunk.is_empty() {
            // Only as many bytes are copied as complete any construct that began in the chunk before.
            let completes = match self.state {
                State::Preamble | State::Data => self.delimiter.needle().len() - 1,
                _ => MAX_HEAD_BYTES + END_OF_HEAD.len(),
            };
            let copied = completes.min(chunk.len());
            let mut pending = std::mem::take(&mut self.pending);
            let before = pending.len();
            pending.extend_from_slice(&chunk[..copied]);
            let parsed = self.parse(&pending, sink)?;
            if let Some(of_chunk) = parsed.checked_sub(before) {
                chunk = &chunk[of_chunk.min(copied)..];
            } else {
                pending.drain(..parsed);
                self.pending = pending;
                chunk = &chunk[copied..];
            }
        }
        if !chunk.is_empty() {
            let parsed = self.parse(chunk, sink)?;
            self.pending
                .extend_from_slice(chunk.get(parsed..).unwrap_or_default());
        }
        Ok(())
    }

    /// Parses as much as possible and returns its length.
    fn parse<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> Result<usize, S::Error> {
        let mut parsed = 0;
        while let Some(step) = self.step(bytes.get(parsed..).unwrap_or_default(), sink)? {
            parsed += step;
        }
        Ok(parsed)
    }

    /// Checks that the body was complete.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        match self.state {
            State::Epilogue => Ok(()),
            State::Preamble => Err(Malformed(
                "the body does not have the boundary of the Content-Type",
            )),
            _ => Err(Malformed("the body ends before its last boundary")),
        }
    }

    /// Parses one piece and returns its length; `None` if more bytes are needed.
    fn step<S: Sink>(&mut self, rest: &[u8], sink: &mut S) -> Result<Option<usize>, S::Error> {
        let delimiter = self.delimiter.needle().len();
        match self.state {
            State::Preamble | State::Data => {
                let in_part = self.state == State::Data;
                if let Some(length) = self.delimiter.find(rest) {
                    if in_part {
                        sink.data(&rest[..length])?;
                        sink.end()?;
                    }
                    self.state = State::AfterDelimiter;
                    return Ok(Some(length + delimiter));
                }
                // The end may be the beginning of a delimiter.
                let length = rest.len().saturating_sub(delimiter - 1);
                if length == 0 {
                    return Ok(None);
                }
                if in_part {
                    sink.data(&rest[..length])?;
                }
                Ok(Some(length))
            }
            State::AfterDelimiter => {
                if rest.starts_with(b"--") {
                    self.state = State::Epilogue;
                    return Ok(Some(rest.len()));
                }
                let padding = rest
                    .iter()
                    .take_while(|byte| matches!(byte, b' ' | b'\t'))
                    .count();
                if padding > MAX_PADDING_BYTES {
                    return Err(Malformed("a boundary is followed by too much space").into());
                }
                let after = &rest[padding..];
                if after.starts_with(CRLF) {
                    // The line break stays: a part without any header has none of its own before the empty line.
                    self.state = State::Head;
                    self.searched = 0;
                    return Ok(Some(padding));
                }
                let undecided =
                    CRLF.starts_with(after) || (padding == 0 && rest.len() < 2 && b"--".starts_with(rest));
                if undecided {
                    return Ok(None);
                }
                Err(Malformed("a boundary is followed by something else on its line").into())
            }
            State::Head => {
                let found = self
                    .end_of_head
                    .find(rest.get(self.searched..).unwrap_or_default());
                let Some(length) = found.map(|position| position + self.searched) else {
                    if rest.len() >= MAX_HEAD_BYTES + END_OF_HEAD.len() {
                        return Err(Malformed("the headers of a part are too long").into());
                    }
                    self.searched = rest.len().saturating_sub(END_OF_HEAD.len() - 1);
                    return Ok(None);
                };
                if length > MAX_HEAD_BYTES {
                    return Err(Malformed("the headers of a part are too long").into());
                }
                self.parts += 1;
                if self.parts > MAX_PARTS {
                    return Err(Malformed("the body has too many parts").into());
                }
                let name = field_name(rest.get(CRLF.len()..length).unwrap_or_default())?;
                sink.begin(&name)?;
                self.state = State::FirstData;
                Ok(Some(length + CRLF.len()))
            }
            State::FirstData => {
                let known = rest.len().min(delimiter);
                if rest[..known] != self.delimiter.needle()[..known] {
                    self.state = State::Data;
                    return Ok(Some(CRLF.len()));
                }
                if known < delimiter {
                    return Ok(None);
                }
                self.state = State::Data;
                Ok(Some(0))
            }
            // Ignored.
            State::Epilogue => Ok((!rest.is_empty()).then_some(rest.len())),
        }
    }
}

/// Returns the field name of a part with this head.
fn field_name(head: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut disposition: Option<Vec<u8>> = None;
    let mut in_disposition = false;
    let mut rest = head;
    while !rest.is_empty() {
        let end = memmem::find(rest, CRLF).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + CRLF.len()..).unwrap_or_default();
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A folded header (RFC 5322).
            if let Some(value) = disposition.as_mut().filter(|_| in_disposition) {
                value.extend_from_slice(line);
            }
            continue;
        }
        let colon = memchr::memchr(b':', line).ok_or(Malformed("a header of a part is not `name: value`"))?;
        let (name, value) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        in_disposition = name.eq_ignore_ascii_case(b"content-disposition");
        if in_disposition && disposition.replace(value.to_vec()).is_some() {
            return Err(Malformed("a part has Content-Disposition twice"));
        }
        if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            let identity = [&b"binary"[..], b"8bit", b"7bit"];
            if !identity
                .iter()
                .any(|encoding| value.trim_ascii().eq_ignore_ascii_case(encoding))
            {
                return Err(Malformed(
                    "a part has a Content-Transfer-Encoding other than binary",
                ));
            }
        }
    }
    let disposition = disposition.ok_or(Malformed("a part has no Content-Disposition"))?;
    let (kind, parameters) = parameters(&disposition)?;
    if !kind.eq_ignore_ascii_case(b"form-data") {
        return Err(Malformed("a part's Content-Disposition is not form-data"));
    }
    let name = parameter(&parameters, b"name")?.ok_or(Malformed("a part has no field name"))?;
    Ok(name.to_vec())
}

type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// Splits `kind; name=value; name="quoted value"`.
fn parameters(header: &[u8]) -> Result<(Vec<u8>, Parameters), Malformed> {
    let kind_end = memchr::memchr(b';', header).unwrap_or(header.len());
    let kind = header[..kind_end].trim_ascii().to_vec();
    let mut found = Parameters::new();
    let mut rest = header.get(kind_end + 1..).unwrap_or_default().trim_ascii_start();
    while !rest.is_empty() {
        let end = memchr::memchr2(b'=', b';', rest).unwrap_or(rest.len());
        let name = rest[..end].trim_ascii().to_vec();
        if rest.get(end) != Some(&b'=') {
            // A name without a value, or nothing between two semicolons: harmless.
            rest = rest.get(end + 1..).unwrap_or_default().trim_ascii_start();
            continue;
        }
        rest = rest[end + 1..].trim_ascii_start();
        let value;
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            (value, rest) = unquote(quoted)?;
        } else {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            value = rest[..end].trim_ascii().to_vec();
            rest = &rest[end..];
        }
        found.push((name, value));
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => {}
            Some((b';', after)) => rest = after.trim_ascii_start(),
            Some(_) => return Err(Malformed("something follows a quoted value in a header")),
        }
    }
    Ok((kind, found))
}

/// The value up to the closing quote, without its escapes, and what follows the quote.
fn unquote(quoted: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((index, &byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, &quoted[index + 1..])),
            b'\\' => match bytes.next() {
                Some((_, escaped @ (b'"' | b'\\'))) => value.push(*escaped),
                // Old browsers send the path of a file without escaping its backslashes.
                Some((_, other)) => value.extend([byte, *other]),
                None => break,
            },
            _ => value.push(byte),
        }
    }
    Err(Malformed("a quoted value in a header has no end"))
}

/// Returns the parameter of this name.
fn parameter<'a>(parameters: &'a Parameters, name: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let mut values = parameters
        .iter()
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice());
    let value = values.next();
    if values.next().is_some() {
        return Err(Malformed("a header has a parameter twice"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A name and its data.
    type Part = (Vec<u8>, Vec<u8>);

    #[derive(Default)]
    struct Parts {
        complete: Vec<Part>,
        current: Option<Part>,
    }

    impl Sink for Parts {
        type Error = Malformed;

        fn begin(&mut self, name: &[u8]) -> Result<(), Malformed> {
            assert!(self.current.is_none());
            self.current = Some((name.to_vec(), Vec::new()));
            Ok(())
        }

        fn data(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
            self.current.as_mut().unwrap().1.extend_from_slice(bytes);
            Ok(())
        }

        fn end(&mut self) -> Result<(), Malformed> {
            self.complete.push(self.current.take().unwrap());
            Ok(())
        }
    }

    fn parse_in_chunks(content_type: &str, body: &[u8], chunk: usize) -> Result<Vec<Part>, Malformed> {
        let mut parser = Parser::new(content_type.as_bytes())?;
        let mut parts = Parts::default();
        for chunk in body.chunks(chunk.max(1)) {
            parser.push(chunk, &mut parts)?;
        }
        parser.finish()?;
        Ok(parts.complete)
    }

    fn parse(body: &str) -> Result<Vec<(String, String)>, Malformed> {
        let whole = parse_in_chunks("multipart/form-data; boundary=B", body.as_bytes(), usize::MAX);
        for chunk in 1..20 {
            assert_eq!(
                whole,
                parse_in_chunks("multipart/form-data; boundary=B", body.as_bytes(), chunk)
            );
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ok(whole?
            .into_iter()
            .map(|(name, data)| (text(name), text(data)))
            .collect())
    }

    fn one(name: &str, data: &str) -> Result<Vec<(String, String)>, Malformed> {
        Ok(vec![(name.to_owned(), data.to_owned())])
    }

    #[test]
    fn parts_keep_their_names_and_data() {
        let body = "preamble\r\n--B \t\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--\r\n--B\r\n\
             content-disposition:form-data;filename=x;NAME=b\r\nContent-Type: image/jpeg\r\n\r\n\r\n--B--\r\nepilogue";
        let expected = [("a", "one\r\n--"), ("b", "")].map(|(n, d)| (n.to_owned(), d.to_owned()));
        assert_eq!(parse(body).unwrap(), expected);
    }

    #[test]
    fn heads_in_every_shape() {
        for head in [
            "Content-Disposition: form-data; name=\"a\"",
            "Content-Disposition: form-data; name=a",
            "Content-Disposition: Form-Data; name = a ; filename = b",
            "CONTENT-DISPOSITION: form-data; filename=\"; name=evil; x=\\\"\"; name=\"a\"",
            "Content-Disposition: form-data; filename=\"C:\\dir\\f.jpg\"; name=\"a\"",
            "Content-Disposition: form-data; filename*=UTF-8''%e2%82%ac; name=\"a\";",
            "Content-Disposition: form-data;\r\n name=\"a\"",
            "X-Other: 1\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Length: 4\r\nContent-Transfer-Encoding: Binary",
            "Content-Type: text/plain;\r\n\tname=\"b\"\r\nContent-Disposition: form-data; name=\"a\"",
        ] {
            assert_eq!(
                parse(&format!("--B\r\n{head}\r\n\r\ndata\r\n--B--")),
                one("a", "data"),
                "{head}"
            );
        }
        // The line break that ends the head also begins the delimiter.
        assert_eq!(
            parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B--"),
            one("a", "")
        );
    }

    #[test]
    fn malformed_bodies_are_refused() {
        for body in [
            "",
            "{}",
            "--B",
            "--B\r\n",
            "--Bx",
            "--Bx\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--B--",
            "--B\r\n\r\nno name\r\n--B--",
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\ncut off",
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\ncut off\r\n--B",
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\ncut off\r\n--B-",
            "--B\nContent-Disposition: form-data; name=a\n\nbare line feeds\n--B--",
            "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\nno end of the quote\r\n--B--",
            "--B\r\nContent-Disposition: form-data; name=\"a\"b\r\n\r\n\r\n--B--",
            "--B\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n\r\n--B--",
            "--B\r\nContent-Disposition: form-data\r\n\r\n\r\n--B--",
            "--B\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--B--",
            "--B\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--B--",
            "--B\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--B--",
            "--B\r\nno colon\r\n\r\n\r\n--B--",
        ] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn content_types_in_every_shape() {
        let body =
            b"--a'()+_,-./:=? b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--a'()+_,-./:=? b--";
        for content_type in [
            "multipart/form-data; boundary=\"a'()+_,-./:=? b\"",
            "Multipart/Form-Data;BOUNDARY=\"a'()+_,-./:=? b\";charset=utf-8",
            "multipart/form-data; charset=\"utf-8\"; boundary=a'()+_,-./:=? b ",
        ] {
            assert!(parse_in_chunks(content_type, body, 7).is_ok(), "{content_type}");
        }
        for content_type in [
            "",
            "application/json",
            "multipart/mixed; boundary=a",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=a; boundary=b",
            &format!(
                "multipart/form-data; boundary={}",
                "a".repeat(MAX_BOUNDARY_BYTES + 1)
            ),
        ] {
            assert!(Parser::new(content_type.as_bytes()).is_err(), "{content_type}");
        }
    }

    #[test]
    fn heads_parts_and_padding_are_bounded() {
        let head = |extra: usize| {
            format!(
                "--B\r\nContent-Disposition: form-data; name=a\r\nX: {}\r\n\r\n\r\n--B--",
                "x".repeat(extra)
            )
        };
        assert!(parse(&head(MAX_HEAD_BYTES / 2)).is_ok());
        assert!(parse(&head(MAX_HEAD_BYTES)).is_err());
        let parts = |count: usize| {
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n".repeat(count) + "--B--"
        };
        assert!(parse(&parts(MAX_PARTS)).is_ok());
        assert!(parse(&parts(MAX_PARTS + 1)).is_err());
        assert!(parse(&format!("--B{}", " ".repeat(MAX_PADDING_BYTES * 2))).is_err());
    }

    proptest! {
        #[test]
        fn any_data_survives_any_chunks(
            data in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'x'), any::<u8>()], 0..80), 0..4),
            chunk in 1_usize..50,
        ) {
            let mut body = Vec::new();
            for data in &data {
                body.extend_from_slice(b"--xy\r\nContent-Disposition: form-data; name=a\r\n\r\n");
                body.extend_from_slice(data);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--xy--");
            prop_assume!(!data.iter().any(|data| memmem::find(data, b"--xy").is_some()));
            let parts = parse_in_chunks("multipart/form-data; boundary=xy", &body, chunk).unwrap();
            let found: Vec<Vec<u8>> = parts.into_iter().map(|(_, data)| data).collect();
            prop_assert_eq!(found, data);
        }

        #[test]
        fn no_input_panics_and_chunks_do_not_matter(
            pieces in proptest::collection::vec(proptest::sample::select(vec![
                "--B", "\r\n", "--", "Content-Disposition: form-data; name=a", "\r\n\r\n", "\"", ";", " ", "x", "\r", "\\",
            ]), 0..40),
            chunk in 1_usize..10,
        ) {
            let body = pieces.concat();
            let content_type = "multipart/form-data; boundary=B";
            prop_assert_eq!(
                parse_in_chunks(content_type, body.as_bytes(), chunk),
                parse_in_chunks(content_type, body.as_bytes(), usize::MAX)
            );
        }
    }
}
