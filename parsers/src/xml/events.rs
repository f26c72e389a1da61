//! The events of an XML document, strictly bounded.
//!
//! `quick-xml` finds the markup. What it leaves to its user is decided here, the same for all
//! readers of the crate:
//!
//! - a document type declaration is an error (`dtd`), and so is a reference to any entity but the
//!   five of XML and characters by number (`unknown-entity`): nothing is ever expanded or fetched;
//! - the encoding is told by a byte order mark, by NULs, or by the declaration, in this order;
//! - the bytes of one event are at most [`Limits::record`], and elements nest at most
//!   [`Limits::depth`] deep, so memory is bounded whatever the input;
//! - comments and processing instructions are skipped.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::encoding::{Encoding, Simple, Spot, Transcode};
use crate::reading::{FrameError, Limits, Place};

/// What the next event is.
pub(crate) enum Token<'b> {
    /// A start tag; an element without content has an end as well.
    Start(BytesStart<'b>),
    End,
    /// A piece of text, unescaped. Text with references comes in several pieces.
    Text(std::borrow::Cow<'b, str>),
    /// One character, given as a reference.
    Character(char),
    /// A comment or a declaration.
    Nothing,
    /// The end of the input.
    Eof,
}

/// The events of one input. See the [module](self).
pub(crate) struct Events<R> {
    reader: Reader<Transcode<R>>,
    longest: usize,
    deepest: usize,
    depth: usize,
    begun: bool,
    /// The event read last was a tag, so that no markup is open.
    is_behind_tag: bool,
    /// A root element was closed.
    ended: bool,
}

/// Bytes in which an XML declaration ends, if there is one.
const DECLARATION: usize = 256;

impl<R: BufRead> Events<R> {
    pub(crate) fn new(input: R, limits: &Limits) -> Self {
        let mut reader = Reader::from_reader(Transcode::new(input));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        Self {
            reader,
            // A tag with its attributes must be readable, or nothing is.
            longest: limits.record.max(4096),
            deepest: limits.depth,
            depth: 0,
            begun: false,
            is_behind_tag: false,
            ended: false,
        }
    }

    /// The next event. `buffer` holds it.
    pub(crate) fn next<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Token<'b>, FrameError> {
        if !self.begun {
            self.begin()?;
        }
        buffer.clear();
        self.reader.get_mut().begin_event(self.longest);
        match self.reader.read_event_into(buffer) {
            Ok(event) => {
                self.is_behind_tag =
                    matches!(event, Event::Start(_) | Event::End(_)) && self.depth > 0;
                self.token(event)
            }
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// The next element, if it holds nothing but text and needs no second look. There may be one
    /// behind a tag and behind another one; whatever is not found here is among the events.
    pub(crate) fn simple_element(&mut self) -> Option<Simple> {
        let source = self.reader.get_mut();
        let is_next = self.is_behind_tag && self.depth < self.deepest && !source.is_behind_empty();
        if is_next { source.simple_element(self.longest) } else { None }
    }

    /// Name and text of the element found last, and the first byte of it in the input.
    pub(crate) fn pieces(&mut self, simple: &Simple) -> (&str, &str, u64) {
        let offset = self.reader.get_mut().event_offset();
        let source = self.reader.get_ref();
        (source.piece(&simple.name), source.piece(&simple.text), offset)
    }

    /// Where the event read last begins.
    pub(crate) fn spot(&mut self) -> Spot {
        self.reader.get_mut().event()
    }

    /// Bytes of the input up to the end of the event read last.
    pub(crate) fn position(&mut self) -> u64 {
        self.reader.get_mut().position()
    }

    /// Bytes of the input that have been passed at least. Nothing is counted for it.
    pub(crate) fn passed(&self) -> u64 {
        self.reader.get_ref().passed()
    }

    pub(crate) fn error(&mut self, code: &'static str, message: impl Into<String>) -> FrameError {
        FrameError { code, message: message.into(), place: self.spot().place() }
    }

    /// Tells the encoding by the first bytes.
    fn begin(&mut self) -> Result<(), FrameError> {
        self.begun = true;
        let failed = |kind: std::io::Error| FrameError {
            code: "io",
            message: format!("cannot be read: {}", kind.kind()),
            place: Place::default(),
        };
        let source = self.reader.get_mut();
        let head = source.peek(DECLARATION).map_err(failed)?;
        let (encoding, mark) = match Encoding::detect(head) {
            Some(found) => found,
            None => match declared(head) {
                None => (Encoding::UTF_8, 0),
                Some(name) => match Encoding::named(&name) {
                    // What has no NULs is not UTF-16, whatever it says.
                    Some(Encoding::UTF_16LE | Encoding::UTF_16BE) => (Encoding::UTF_8, 0),
                    Some(encoding) => (encoding, 0),
                    None => {
                        let message = "the encoding of the XML declaration is not known";
                        return Err(self.error("unknown-encoding", message));
                    }
                },
            },
        };
        source.begin(encoding, mark);
        Ok(())
    }

    fn token<'b>(&mut self, event: Event<'b>) -> Result<Token<'b>, FrameError> {
        Ok(match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > self.deepest {
                    let message = format!("nested deeper than {} levels", self.deepest);
                    return Err(self.error("too-deep", message));
                }
                let first = start.name().as_ref().bytes().next();
                let begins =
                    |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..);
                if !first.is_some_and(begins) {
                    return Err(self.error("not-xml", "an element whose name is none"));
                }
                if self.ended && self.depth == 1 {
                    return Err(self.error("trailing-data", "a second root element"));
                }
                Token::Start(start)
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                self.ended |= self.depth == 0;
                Token::End
            }
            Event::Text(text) => {
                // `into_inner` keeps the borrow; line ends are rare, so they are looked for first.
                let inner = text.into_inner();
                let text = if memchr::memchr(b'\r', inner.as_bytes()).is_some() {
                    inner.replace("\r\n", "\n").replace('\r', "\n").into()
                } else {
                    inner
                };
                if self.depth == 0 && !text.trim_matches(['\u{feff}', ' ', '\t', '\n']).is_empty() {
                    return Err(self.error("not-xml", "text outside of the root element"));
                }
                Token::Text(text)
            }
            Event::CData(data) => Token::Text(data.into_inner()),
            Event::GeneralRef(reference) => Token::Character(self.character(&reference)?),
            Event::DocType(_) => {
                let message = "a document type declaration; none is accepted";
                return Err(self.error("dtd", message));
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::Empty(_) => Token::Nothing,
            Event::Eof if self.depth > 0 => {
                return Err(self.error("unexpected-end", "the input ends inside of an element"));
            }
            Event::Eof if !self.ended && self.spot().offset > 0 => {
                return Err(self.error("not-xml", "no root element"));
            }
            Event::Eof => Token::Eof,
        })
    }

    fn character(&mut self, reference: &BytesRef<'_>) -> Result<char, FrameError> {
        let name: &str = reference;
        match name {
            "lt" => return Ok('<'),
            "gt" => return Ok('>'),
            "amp" => return Ok('&'),
            "apos" => return Ok('\''),
            "quot" => return Ok('"'),
            _ => {}
        }
        match reference.resolve_char_ref() {
            Ok(Some(character)) => Ok(character),
            Ok(None) => {
                let message = "a reference to an entity other than the five of XML";
                Err(self.error("unknown-entity", message))
            }
            Err(_) => Err(self.error("bad-reference", "a reference to no character")),
        }
    }

    /// What `quick-xml` refused. Its own messages can hold names of the input.
    fn refused(&mut self, error: &Error) -> FrameError {
        if self.reader.get_ref().is_exhausted() {
            let message = format!("a tag or text longer than {} bytes", self.longest);
            return self.error("too-long", message);
        }
        let (code, message) = match error {
            Error::Io(error) => {
                return self.error("io", format!("cannot be read: {}", error.kind()));
            }
            Error::Syntax(error) => ("not-xml", error.to_string()),
            Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
                ("unmatched-end", "an end tag of another name than its start tag".to_owned())
            }
            Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => {
                ("unmatched-end", "an end tag without a start tag".to_owned())
            }
            Error::IllFormed(IllFormedError::MissingEndTag(_)) => {
                ("unexpected-end", "the input ends inside of an element".to_owned())
            }
            Error::IllFormed(IllFormedError::UnclosedReference) => {
                ("bad-reference", "`&` begins no reference; write `&amp;`".to_owned())
            }
            Error::Encoding(_) => ("invalid-utf8", "not UTF-8".to_owned()),
            _ => ("not-xml", "not well-formed".to_owned()),
        };
        self.error(code, message)
    }
}

/// The encoding that an XML declaration names.
fn declared(head: &[u8]) -> Option<String> {
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let end = head.find("?>")?;
    let declaration = head.get(..end)?;
    let (_, rest) = declaration.trim_start().strip_prefix("<?xml")?.split_once("encoding")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &[u8]) -> &'static str {
        let limits = Limits { depth: 8, record: 0, ..Limits::default() };
        let mut events = Events::new(text, &limits);
        let mut buffer = Vec::new();
        loop {
            match events.next(&mut buffer) {
                Ok(Token::Eof) => return "",
                Ok(_) => {}
                Err(error) => return error.code,
            }
        }
    }

    fn text(bytes: &[u8]) -> String {
        let mut events = Events::new(bytes, &Limits::default());
        let mut buffer = Vec::new();
        let mut out = String::new();
        loop {
            match events.next(&mut buffer).unwrap() {
                Token::Eof => {
                    assert_eq!(events.position(), bytes.len() as u64);
                    return out;
                }
                Token::Text(text) => out += &text,
                Token::Character(character) => out.push(character),
                _ => {}
            }
        }
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(code(b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), "dtd");
        assert_eq!(code(b"<a>&x;</a>"), "unknown-entity");
        assert_eq!(code(b"<a>&#0;</a>"), "bad-reference");
        assert_eq!(text(b"<a>&lt;&#65;&#x42;&amp;<![CDATA[&]]></a>"), "<AB&&");
    }

    #[test]
    fn every_breach_has_its_code() {
        assert_eq!(code(b"<a><b></a>"), "unmatched-end");
        assert_eq!(code(b"<a><b>"), "unexpected-end");
        assert_eq!(code(b"<a>x & y</a>"), "bad-reference");
        assert_eq!(code(b"<a/><b/>"), "trailing-data");
        assert_eq!(code(b"text"), "not-xml");
        assert_eq!(code(b"<a>\xff</a>"), "invalid-utf8");
        assert_eq!(code("<a>".repeat(9).as_bytes()), "too-deep");
        assert_eq!(code(format!("<a>{}</a>", "x".repeat(9000)).as_bytes()), "too-long");
        assert_eq!(code(b"<?xml version='1.0' encoding='x'?><a/>"), "unknown-encoding");
        assert_eq!(code(b""), "");
    }

    #[test]
    fn the_encoding_is_told_by_mark_or_declaration() {
        let plain = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>ß\n</a>";
        let latin: Vec<u8> = plain.chars().map(|c| c as u8).collect();
        assert_eq!(text(&latin), "ß\n");
        let wide: Vec<u8> =
            "\u{feff}<a>ß日</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&wide), "ß日");
        assert_eq!(text("\u{feff}<a>ß</a>".as_bytes()), "ß");
    }
}
