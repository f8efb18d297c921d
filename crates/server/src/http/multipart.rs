//! Splits `multipart/form-data` (RFC 7578) into its parts while it arrives.
//!
//! Why not `multer`: it searches its whole buffer again with each chunk and buffers the headers of a part without a
//! bound, so that a body within its limit can cost minutes of CPU time on the async reactor; and it takes a `name=`
//! inside a quoted filename for the field's name. Here each byte is searched a bounded number of times, however the body is
//! cut into chunks, and is copied once.

use std::ops::Range;

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

/// The reason why a body is not `multipart/form-data`, for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What the parser has found. Of each part, in order: `Begin`, `Data` any number of times, `End`.
#[derive(Debug)]
pub(crate) enum Event {
    /// A part with this field name begins.
    Begin(Vec<u8>),
    /// At least so many of its bytes have arrived.
    Data(usize),
    /// It is complete: this range of the parser's bytes.
    End(Range<usize>),
}

/// A parser that is fed chunks.
pub(crate) struct Parser {
    delimiter: memmem::Finder<'static>,
    end_of_head: memmem::Finder<'static>,
    /// What has arrived, without the parts that are not kept.
    bytes: Vec<u8>,
    /// What comes before has been searched.
    position: usize,
    /// Where the current head, or the data of the current part, begins.
    begin: usize,
    keeps_part: bool,
    parts: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The boundary is unknown until the first line is complete.
    FirstLine,
    Preamble,
    AfterDelimiter,
    Head,
    Data,
    Epilogue,
}

impl Parser {
    /// Returns a parser for a body with this `Content-Type`. Without a boundary in it the first line of the body has it: the
    /// documentation lists the bare header, and clients copy that.
    pub(crate) fn new(content_type: &[u8]) -> Result<Self, Malformed> {
        let wrong = Malformed("the Content-Type is not multipart/form-data");
        let boundary = parameter(content_type, (b"multipart/form-data", wrong), b"boundary")?;
        if boundary
            .as_ref()
            .is_some_and(|boundary| !(1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()))
        {
            return Err(Malformed("the Content-Type has no usable boundary"));
        }
        let is_known = boundary.is_some();
        Ok(Self {
            delimiter: delimiter(&boundary.unwrap_or_default()),
            end_of_head: memmem::Finder::new(END_OF_HEAD),
            // As if a line ended before the body: the first boundary has no line break before it.
            bytes: CRLF.to_vec(),
            position: 0,
            begin: 0,
            keeps_part: false,
            parts: 0,
            state: if is_known {
                State::Preamble
            } else {
                State::FirstLine
            },
        })
    }

    /// Makes room for so many bytes. Untouched pages cost no memory.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Takes the next bytes of the body.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        if self.state != State::Epilogue {
            self.bytes.extend_from_slice(chunk);
        }
    }

    /// Drops the bytes of the part that has just begun.
    pub(crate) fn skip_part(&mut self) {
        self.keeps_part = false;
    }

    /// Returns the next event; `None` if more bytes are needed.
    pub(crate) fn event(&mut self) -> Result<Option<Event>, Malformed> {
        loop {
            match self.state {
                State::FirstLine => {
                    let Some(boundary) = boundary_of(self.bytes.get(CRLF.len()..).unwrap_or_default())?
                    else {
                        return Ok(None);
                    };
                    self.delimiter = delimiter(boundary);
                    self.state = State::Preamble;
                }
                State::Preamble | State::Data => {
                    let in_part = self.state == State::Data;
                    let from = self.position;
                    let found = search(&self.delimiter, &self.bytes, &mut self.position);
                    let mut data = self.begin..self.position.max(self.begin);
                    if !self.keeps_part {
                        self.bytes.drain(data.clone());
                        self.position -= data.len();
                        data.end = data.start;
                    }
                    if found {
                        self.position += self.delimiter.needle().len();
                        self.state = State::AfterDelimiter;
                        if in_part {
                            return Ok(Some(Event::End(data)));
                        }
                    } else if in_part && self.position > from {
                        return Ok(Some(Event::Data(data.len())));
                    } else {
                        return Ok(None);
                    }
                }
                State::AfterDelimiter => {
                    let rest = &self.bytes[self.position..];
                    if rest.starts_with(b"--") {
                        self.bytes.truncate(self.position);
                        self.state = State::Epilogue;
                        return Ok(None);
                    }
                    let is_padding = |byte: &&u8| matches!(byte, b' ' | b'\t');
                    let padding = rest.iter().take_while(is_padding).count();
                    if padding > MAX_PADDING_BYTES {
                        return Err(Malformed("a boundary is followed by too much space"));
                    }
                    let after = &rest[padding..];
                    if after.starts_with(CRLF) {
                        // The head begins with the line break: a part without any header has none of its own before the empty line.
                        self.position += padding;
                        self.begin = self.position;
                        self.state = State::Head;
                    } else if CRLF.starts_with(after) || rest == b"-" {
                        return Ok(None);
                    } else {
                        return Err(Malformed("a boundary is followed by something else on its line"));
                    }
                }
                State::Head => {
                    let found = search(&self.end_of_head, &self.bytes, &mut self.position);
                    if self.position - self.begin > MAX_HEAD_BYTES {
                        return Err(Malformed("the headers of a part are too long"));
                    }
                    if !found {
                        return Ok(None);
                    }
                    self.parts += 1;
                    if self.parts > MAX_PARTS {
                        return Err(Malformed("the body has too many parts"));
                    }
                    let head = self.bytes.get(self.begin + CRLF.len()..self.position);
                    let name = field_name(head.unwrap_or_default())?;
                    self.begin = self.position + END_OF_HEAD.len();
                    // The last line break of the head may already be the one before the next boundary.
                    self.position += CRLF.len();
                    self.keeps_part = true;
                    self.state = State::Data;
                    return Ok(Some(Event::Begin(name)));
                }
                State::Epilogue => return Ok(None),
            }
        }
    }

    /// Returns the bytes of the parts that were kept, if the body was complete.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Malformed> {
        match self.state {
            State::Epilogue => Ok(self.bytes),
            State::FirstLine => Err(NO_BOUNDARY),
            State::Preamble => Err(Malformed(
                "the body does not have the boundary of the Content-Type",
            )),
            _ => Err(Malformed("the body ends before its last boundary")),
        }
    }
}

const NO_BOUNDARY: Malformed =
    Malformed("the Content-Type has no boundary, and the body does not begin with one");

fn delimiter(boundary: &[u8]) -> memmem::Finder<'static> {
    memmem::Finder::new(&[b"\r\n--", boundary].concat()).into_owned()
}

/// Returns the boundary of a body by its first line; `None` if more bytes are needed.
fn boundary_of(body: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    const MAX_LINE_BYTES: usize = b"--".len() + MAX_BOUNDARY_BYTES + MAX_PADDING_BYTES + CRLF.len();
    let start = &body[..body.len().min(MAX_LINE_BYTES)];
    let Some(end) = memmem::find(start, CRLF) else {
        let begins = start.starts_with(b"--") || b"--".starts_with(start);
        let may_end = begins && start.len() < MAX_LINE_BYTES;
        return if may_end { Ok(None) } else { Err(NO_BOUNDARY) };
    };
    let boundary = start[..end]
        .strip_prefix(b"--")
        .unwrap_or_default()
        .trim_ascii_end();
    let is_usable = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len())
        && boundary.iter().all(|byte| matches!(byte, b' '..=b'~'));
    is_usable.then_some(Some(boundary)).ok_or(NO_BOUNDARY)
}

/// Moves `position` to the next occurrence of a text, or to where one may begin once more bytes have come.
fn search(text: &memmem::Finder<'_>, bytes: &[u8], position: &mut usize) -> bool {
    let found = text.find(&bytes[*position..]);
    *position = match found {
        Some(index) => *position + index,
        None => (bytes.len() + 1)
            .saturating_sub(text.needle().len())
            .max(*position),
    };
    found.is_some()
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
        let is_value = |encoding: &&[u8]| value.trim_ascii().eq_ignore_ascii_case(encoding);
        if name.eq_ignore_ascii_case(b"content-transfer-encoding")
            && ![&b"binary"[..], b"8bit", b"7bit"].iter().any(is_value)
        {
            return Err(Malformed(
                "a part has a Content-Transfer-Encoding other than binary",
            ));
        }
    }
    let disposition = disposition.ok_or(Malformed("a part has no Content-Disposition"))?;
    let wrong = Malformed("a part's Content-Disposition is not form-data");
    parameter(&disposition, (b"form-data", wrong), b"name")?.ok_or(Malformed("a part has no field name"))
}

/// Returns a parameter of `kind; name=value; name="quoted value"`, if the header is of this kind.
fn parameter(
    header: &[u8],
    (kind, wrong_kind): (&[u8], Malformed),
    wanted: &[u8],
) -> Result<Option<Vec<u8>>, Malformed> {
    let mut found = Vec::new();
    let kind_end = memchr::memchr(b';', header).unwrap_or(header.len());
    let mut rest = header.get(kind_end + 1..).unwrap_or_default().trim_ascii_start();
    while !rest.is_empty() {
        let end = memchr::memchr2(b'=', b';', rest).unwrap_or(rest.len());
        let name = rest[..end].trim_ascii();
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
        if name.eq_ignore_ascii_case(wanted) {
            found.push(value);
        }
        rest = match rest.trim_ascii_start().split_first() {
            None => &[],
            Some((b';', after)) => after.trim_ascii_start(),
            Some(_) => return Err(Malformed("something follows a quoted value in a header")),
        };
    }
    if !header[..kind_end].trim_ascii().eq_ignore_ascii_case(kind) {
        return Err(wrong_kind);
    }
    if found.len() > 1 {
        return Err(Malformed("a header has a parameter twice"));
    }
    Ok(found.pop())
}

/// Returns the value up to the closing quote, without its escapes, and what follows the quote.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A name and its data.
    type Part = (Vec<u8>, Vec<u8>);

    fn parse_in_chunks(content_type: &str, body: &[u8], chunk: usize) -> Result<Vec<Part>, Malformed> {
        let mut parser = Parser::new(content_type.as_bytes())?;
        let (mut names, mut ranges) = (Vec::new(), Vec::new());
        let mut length = 0;
        for chunk in body.chunks(chunk.max(1)) {
            parser.push(chunk);
            while let Some(event) = parser.event()? {
                match event {
                    Event::Begin(name) => {
                        assert_eq!(names.len(), ranges.len());
                        names.push(name);
                        length = 0;
                    }
                    Event::Data(more) => {
                        assert!(names.len() > ranges.len() && more >= length);
                        length = more;
                    }
                    Event::End(range) => {
                        assert!(range.len() >= length);
                        ranges.push(range);
                    }
                }
            }
        }
        let bytes = parser.finish()?;
        let data = ranges.into_iter().map(|range| bytes[range].to_vec());
        Ok(names.into_iter().zip(data).collect())
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
    fn skipped_parts_are_dropped_and_the_others_kept() {
        let part = |name: &str, data: &str| {
            format!("--B\r\nContent-Disposition: form-data; name={name}\r\n\r\n{data}\r\n")
        };
        let long = "x".repeat(100_000);
        let body = "y".repeat(100_000)
            + "\r\n"
            + &part("skipped", &long)
            + &part("kept", "one")
            + &part("skipped", &long)
            + &part("skipped", "")
            + &part("kept", "two")
            + "--B--"
            + &long;
        for chunk in [1, 7, 1_000, usize::MAX] {
            let mut parser = Parser::new(b"multipart/form-data; boundary=B").unwrap();
            let mut ranges = Vec::new();
            let mut is_kept = false;
            for chunk in body.as_bytes().chunks(chunk) {
                parser.push(chunk);
                while let Some(event) = parser.event().unwrap() {
                    match event {
                        Event::Begin(name) => {
                            is_kept = name == b"kept";
                            if !is_kept {
                                parser.skip_part();
                            }
                        }
                        Event::End(range) if is_kept => ranges.push(range),
                        Event::End(range) => assert!(range.is_empty()),
                        Event::Data(_) => {}
                    }
                }
                assert!(chunk.len() > 1_000 || parser.bytes.len() < 2_000);
            }
            let bytes = parser.finish().unwrap();
            assert!(bytes.len() < 1_000, "{}", bytes.len());
            let data: Vec<&[u8]> = ranges.into_iter().map(|range| &bytes[range]).collect();
            assert_eq!(data, [&b"one"[..], b"two"]);
        }
    }

    #[test]
    fn without_a_boundary_in_the_header_the_first_line_of_the_body_has_it() {
        let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--";
        let parse = |content_type: &str, body: &str| {
            let whole = parse_in_chunks(content_type, body.as_bytes(), usize::MAX);
            for chunk in 1..20 {
                assert_eq!(whole, parse_in_chunks(content_type, body.as_bytes(), chunk));
            }
            whole
        };
        for boundary in [
            "B",
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "a'(z)+_,-./:=? 9",
            &"x".repeat(200),
        ] {
            for content_type in [
                "multipart/form-data",
                "Multipart/Form-Data; charset=utf-8",
                "multipart/form-data;",
            ] {
                let body = format!("--{boundary} \t\r\n{part}{boundary}--\r\n");
                let expected = vec![(b"a".to_vec(), b"one".to_vec())];
                assert_eq!(
                    parse(content_type, &body),
                    Ok(expected),
                    "{boundary} {content_type}"
                );
            }
        }
        for body in [
            "",
            "-",
            "--",
            "--B",
            "--\r\n",
            "B\r\n",
            "\r\n--B\r\n",
            "{}",
            "--B\u{e9}\r\n",
            "--B\0\r\n",
            &format!("--{}\r\n", "x".repeat(201)),
            &format!("--B{}\r\n", " ".repeat(500)),
            &"-".repeat(100_000),
        ] {
            assert_eq!(parse("multipart/form-data", body), Err(NO_BOUNDARY), "{body:.20}");
        }
        // A form without a part.
        let ends = Malformed("the body ends before its last boundary");
        assert_eq!(parse("multipart/form-data", "--B--\r\n"), Err(ends));
        let unusable = Malformed("the Content-Type has no usable boundary");
        assert_eq!(parse("multipart/form-data; boundary=", "--B\r\n"), Err(unusable));
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
            "multipart/mixed",
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
