//! XML as a sequence of elements, read once and not kept. Nothing that expands or refers to other files is accepted.

use std::collections::BTreeMap;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::OnnxError;
use crate::quote::{quotable, quoted};

/// Deeper than any IR of the supported operators: their deepest element is five below `net`.
const MAX_DEPTH: usize = 32;
/// An IR's richest element has eight.
const MAX_ATTRIBUTES: usize = 24;
/// In bytes; what is longest in real files is the list of a port's tensor names. Each of a layer's consumers gets a copy
/// of its name.
const MAX_VALUE: usize = 1024;

/// Reads the elements of an XML text.
pub(super) struct XmlReader<'x> {
    inner: quick_xml::Reader<&'x [u8]>,
    depth: usize,
}

/// The begin tag of an element.
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

/// The attributes of an element by their names.
pub(super) type Attributes = BTreeMap<String, String>;

impl<'x> XmlReader<'x> {
    /// # Errors
    /// Where it is not UTF-8.
    pub(super) fn new(xml: &'x [u8]) -> Result<Self, OnnxError> {
        let text = std::str::from_utf8(xml).map_err(|error| OnnxError::Malformed {
            at: error.valid_up_to(),
            reason: "not UTF-8".to_owned(),
        })?;
        let mut inner = quick_xml::Reader::from_str(text);
        let config = inner.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        Ok(Self { inner, depth: 0 })
    }

    /// An error at the place that has been reached.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Malformed {
            at: usize::try_from(self.inner.buffer_position()).unwrap_or(usize::MAX),
            reason: reason.into(),
        }
    }

    /// The error of the parser.
    fn fault(&self, error: &impl ToString) -> OnnxError {
        self.malformed(quotable(&error.to_string()))
    }

    /// The next event, after which `depth` is up to date.
    fn event(&mut self) -> Result<Event<'x>, OnnxError> {
        match self.inner.read_event().map_err(|error| self.fault(&error))? {
            Event::DocType(_) => Err(self.malformed("a document type declaration, which no IR has")),
            Event::GeneralRef(_) => Err(self.malformed("a reference between elements, which no IR has")),
            Event::Start(_) if self.depth == MAX_DEPTH => Err(self.malformed("elements nested too deeply")),
            Event::Start(tag) => {
                self.depth += 1;
                Ok(Event::Start(tag))
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Event::End(tag))
            }
            event => Ok(event),
        }
    }

    fn element(&self, tag: &BytesStart<'_>) -> Result<Element, OnnxError> {
        let mut attributes = Attributes::new();
        for attribute in tag.attributes() {
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(self.malformed("an element with too many attributes"));
            }
            let attribute = attribute.map_err(|error| self.fault(&error))?;
            if attribute.value.len() > MAX_VALUE || attribute.key.0.len() > MAX_VALUE {
                return Err(self.malformed("an attribute that is too long"));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| self.fault(&error))?;
            attributes.insert(attribute.key.0.to_owned(), value.into_owned());
        }
        let name = tag.name().0.to_owned();
        if name.len() > MAX_VALUE {
            return Err(self.malformed("a name of an element that is too long"));
        }
        Ok(Element { name, attributes })
    }

    /// The next element inside of the one that is open; `None` at its end, which is passed then. Before the first
    /// element: the root; after it: that nothing follows.
    pub(super) fn child(&mut self) -> Result<Option<Element>, OnnxError> {
        loop {
            match self.event()? {
                Event::Start(tag) => return self.element(&tag).map(Some),
                Event::End(_) => return Ok(None),
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(self.malformed("the text ends inside of an element")),
                Event::Text(text) if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
                Event::Text(_) | Event::CData(_) => {
                    return Err(self.malformed("text where elements are expected"));
                }
                // `Empty` is reported as `Start` and `End`; the other kinds are refused in `event`.
                _ => {}
            }
        }
    }

    /// The text of the element that is open and has nothing else in it; passes its end.
    pub(super) fn text(&mut self) -> Result<String, OnnxError> {
        let mut all = String::new();
        loop {
            match self.event()? {
                Event::Text(text) if all.is_empty() && text.len() <= MAX_VALUE => {
                    all = text.trim().to_owned();
                }
                Event::End(_) => return Ok(all),
                Event::Comment(_) => {}
                _ => break,
            }
        }
        Err(self.malformed("an element that should hold a short text holds something else"))
    }

    /// Passes the element that is open and everything in it.
    pub(super) fn skip(&mut self) -> Result<(), OnnxError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if self.event()? == Event::Eof {
                return Err(self.malformed("the text ends inside of an element"));
            }
        }
        Ok(())
    }

    /// Rejects an element with content other than `rt_info`; passes its end.
    pub(super) fn empty(&mut self, parent: &str) -> Result<(), OnnxError> {
        while let Some(child) = self.child()? {
            if child.name != "rt_info" {
                return Err(self.malformed(format!("{} inside of '{parent}'", quoted(&child.name))));
            }
            self.skip()?;
        }
        Ok(())
    }
}
