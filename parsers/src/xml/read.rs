//! XML to a document.

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use crate::document::{Builder, Kind};
use crate::encoding::Spot;
use crate::reading::{FrameError, Limits, Place, Reading};
use crate::xml::TEXT;
use crate::xml::events::{Events, Token};

/// Reads one XML document, which must be all of `bytes`. Node offsets are those of the elements.
///
/// # Errors
///
/// What is not well-formed, or not to be expanded, or exceeds `limits`: the first fault, with its
/// place. Codes: `not-xml`, `invalid-utf8`, `unknown-encoding`, `dtd`, `unknown-entity`,
/// `bad-reference`, `bad-attribute`, `unmatched-end`, `unexpected-end`, `trailing-data`,
/// `too-large`, `too-long`, `too-deep`, `too-many-nodes`.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Reading, FrameError> {
    let most = limits.document_bytes();
    if bytes.len() > most {
        return Err(FrameError {
            code: "too-large",
            message: format!("{} bytes, but the limit is {most}", bytes.len()),
            place: Place { offset: most as u64, ..Place::default() },
        });
    }
    let mut events = Events::new(bytes, limits);
    let mut tree = Tree { builder: Builder::new(), pending: None, text: Text::default() };
    let mut buffer = Vec::new();
    loop {
        match events.next(&mut buffer)? {
            Token::Start(start) => {
                let offset = offset(events.spot());
                tree.start(&start, offset).map_err(|message| FrameError {
                    code: "bad-attribute",
                    message,
                    place: events.spot().place(),
                })?;
            }
            Token::Text(text) => tree.text(&text, offset(events.spot())),
            Token::Character(character) => {
                tree.text(character.encode_utf8(&mut [0; 4]), offset(events.spot()));
            }
            Token::End => tree.end(),
            Token::Nothing => {}
            Token::Eof => break,
        }
        if !tree.builder.has_room(limits.nodes.saturating_add(1)) {
            let message = format!("more than {} nodes", limits.nodes);
            return Err(events.error("too-many-nodes", message));
        }
    }
    if tree.builder.is_empty() {
        return Err(events.error("not-xml", "no root element"));
    }
    let span = 0..events.position();
    Ok(Reading { document: tree.builder.finish(), problems: Vec::new(), span })
}

fn offset(spot: Spot) -> usize {
    usize::try_from(spot.offset).unwrap_or(usize::MAX)
}

/// Text that was not put yet.
#[derive(Default)]
struct Text {
    text: String,
    offset: usize,
}

struct Tree {
    builder: Builder,
    /// An element without attributes, of which it is not known yet whether elements come in it.
    pending: Option<(String, usize)>,
    text: Text,
}

impl Tree {
    fn start(&mut self, start: &BytesStart<'_>, offset: usize) -> Result<(), String> {
        if let Some((name, at)) = self.pending.take() {
            self.builder.open(Kind::Group, &name, at);
        }
        self.put_text();
        let name = start.name();
        let name: &str = name.as_ref();
        if start.attributes_raw().trim_ascii().is_empty() {
            self.pending = Some((name.to_owned(), offset));
            return Ok(());
        }
        self.builder.open(Kind::Group, name, offset);
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|_| "not an attribute, or one that repeats".to_owned())?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| "a reference that is not one of XML's own".to_owned())?;
            let key: &str = attribute.key.as_ref();
            self.builder.put(Kind::Attribute, &format!("@{key}"), &value, offset);
        }
        Ok(())
    }

    fn text(&mut self, text: &str, offset: usize) {
        if self.text.text.is_empty() {
            self.text.offset = offset;
        }
        self.text.text.push_str(text);
    }

    fn end(&mut self) {
        match self.pending.take() {
            Some((name, offset)) => {
                self.builder.put(Kind::Text, &name, &self.text.text, offset);
                self.text.text.clear();
            }
            None => {
                self.put_text();
                self.builder.close();
            }
        }
    }

    /// Puts the text beside elements, unless it is blank.
    fn put_text(&mut self) {
        let Text { text, offset } = &mut self.text;
        if self.builder.depth() > 0 && text.bytes().any(|byte| !byte.is_ascii_whitespace()) {
            self.builder.put(Kind::Text, TEXT, text, *offset);
        }
        text.clear();
    }
}
