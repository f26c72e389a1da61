//! A node of a document to a segment.

use crate::document::{Kind, Node, Tokens};
use crate::segment::separators::Separators;
use crate::segment::text::Charset;
use crate::segment::tree::NESTING;

/// Something that cannot be written, with the element and component that hold it, from 1.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) element: usize,
    pub(crate) component: usize,
    pub(crate) message: &'static str,
}

/// Writes segments with one set of separators.
#[derive(Debug)]
pub(crate) struct Emitter {
    pub(crate) separators: Separators,
    pub(crate) charset: Charset,
    /// The decimal mark of numbers.
    pub(crate) decimal: u8,
    /// Whether numbers may have an exponent (ISO 6093 in EDIFACT version 4; X12 type R).
    pub(crate) exponents: bool,
    /// Whether a byte cannot stand for itself.
    special: [bool; 256],
    /// Text on its way through the character set.
    encoded: Vec<u8>,
    number: String,
    pub(crate) faults: Vec<Fault>,
    place: (usize, usize),
}

impl Emitter {
    pub(crate) fn new(separators: Separators, charset: Charset) -> Self {
        let mut special = [false; 256];
        for byte in separators.bytes().chain(0..0x20) {
            if let Some(slot) = special.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
        Self {
            separators,
            charset,
            decimal: b'.',
            exponents: false,
            special,
            encoded: Vec::new(),
            number: String::new(),
            faults: Vec::new(),
            place: (0, 0),
        }
    }

    /// Appends the segment without its terminator. Trailing separators are left out.
    pub(crate) fn segment(&mut self, node: Node<'_>, out: &mut Vec<u8>) {
        if let Some(tokens) = node.tokens().filter(|tokens| self.is_written(tokens)) {
            return out.extend_from_slice(tokens.text.as_bytes());
        }
        self.tag(node, out);
        let mut pending = 0;
        let elements = node.children().filter(|child| child.kind() != Kind::Attribute);
        for (at, element) in elements.enumerate() {
            pending += 1;
            self.place = (at + 1, 0);
            if self.element(element, pending, out) {
                pending = 0;
            }
        }
    }

    /// Whether a segment that was read is what would be written of it: the separators are the
    /// same, nothing in it needs a release character, and nothing trails.
    fn is_written(&self, tokens: &Tokens<'_>) -> bool {
        let Separators { element, component, release, repetition, terminator, .. } =
            self.separators;
        let bytes = tokens.text.as_bytes();
        let Some((tag, marks)) = tokens.marks.split_first() else { return false };
        let at = |mark: u32| (mark - tokens.from) as usize;
        let tag = at(*tag);
        let is_tag = (1..=8).contains(&tag)
            && bytes.iter().take(tag).all(u8::is_ascii_alphanumeric)
            && tokens.component == component
            && bytes.get(tag).is_none_or(|byte| *byte == element);
        let other = (release.unwrap_or(terminator), repetition.unwrap_or(terminator));
        let (mut from, mut is_component) = (tag + 1, false);
        let mut trails = false;
        // Most segments have no empty element, and then nothing trails.
        let pairs = tokens.marks.iter().zip(marks);
        if pairs.fold(false, |any, (before, mark)| any | (*mark == before + 1)) {
            for mark in marks.iter().map(|mark| at(*mark)) {
                let is_joined = bytes.get(mark) == Some(&component);
                trails |= mark == from && !is_joined && (is_component || mark == bytes.len());
                (from, is_component) = (mark + 1, is_joined);
            }
        }
        is_tag && !trails && memchr::memchr3(terminator, other.0, other.1, bytes).is_none()
    }

    fn tag(&mut self, node: Node<'_>, out: &mut Vec<u8>) {
        let tag = node.name();
        self.place = (0, 0);
        if tag.is_empty() || tag.len() > 8 || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            self.fault("not-a-segment", "a segment needs a tag of letters and digits");
            return;
        }
        out.extend_from_slice(tag.as_bytes());
        if let Some(nesting) = node.children().find(|child| is_nesting(*child)) {
            for number in nesting.text().split(':') {
                out.push(self.separators.component);
                self.text(number, out);
            }
        }
    }

    /// Appends an element behind `pending` separators; says whether there was anything in it.
    fn element(&mut self, node: Node<'_>, pending: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        match node.kind() {
            Kind::List => self.repetitions(node, out),
            _ => self.composite(node, out),
        }
        separate(out, start, pending, self.separators.element)
    }

    fn repetitions(&mut self, node: Node<'_>, out: &mut Vec<u8>) {
        let mut pending = 0;
        for (at, item) in node.children().enumerate() {
            let start = out.len();
            let separator = match self.separators.repetition {
                _ if at == 0 => 0,
                Some(separator) => separator,
                None => return self.fault("no-repetition", "the version has no repetitions"),
            };
            pending += usize::from(at > 0);
            self.composite(item, out);
            if separate(out, start, pending, separator) {
                pending = 0;
            }
        }
    }

    fn composite(&mut self, node: Node<'_>, out: &mut Vec<u8>) {
        let mut components = node.children().enumerate().peekable();
        if components.peek().is_none() {
            return self.value(node, out);
        }
        let mut pending = 0;
        for (at, component) in components {
            self.place.1 = at + 1;
            let start = out.len();
            if component.children().next().is_some() {
                self.fault("too-deep", "a component has no parts");
            }
            self.value(component, out);
            let is_used = separate(out, start, pending, self.separators.component);
            pending = if is_used { 1 } else { pending + 1 };
        }
    }

    fn value(&mut self, node: Node<'_>, out: &mut Vec<u8>) {
        match node.kind() {
            Kind::Number => self.number(node.text(), out),
            Kind::Null => {}
            _ => self.text(node.text(), out),
        }
    }

    /// A number in the notation of the standard (ISO 9735 clause 10): a digit on both sides of the
    /// decimal mark, no plus sign.
    fn number(&mut self, text: &str, out: &mut Vec<u8>) {
        let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
        if mantissa.len() < text.len() && !self.exponents {
            return self.fault("number-notation", "a number with an exponent");
        }
        let mut number = std::mem::take(&mut self.number);
        number.clear();
        number.extend(text.chars().map(|c| if c == '.' { char::from(self.decimal) } else { c }));
        self.text(&number, out);
        self.number = number;
    }

    /// Appends text, with release characters where they are needed.
    pub(crate) fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_ascii() {
            return self.encoded_text(text, out);
        }
        if !text.bytes().any(|byte| self.is_special(byte)) {
            return out.extend_from_slice(text.as_bytes());
        }
        for byte in text.bytes() {
            self.byte(byte, out);
        }
    }

    fn encoded_text(&mut self, text: &str, out: &mut Vec<u8>) {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        if !self.charset.encode(text, &mut encoded) {
            self.fault("unknown-character", "a character that the set of the interchange lacks");
        }
        let mut is_shifted = false;
        let mut rest = encoded.as_slice();
        while let Some((byte, tail)) = rest.split_first() {
            if *byte == 0x1b && self.separators.shifts && rest.len() >= 3 {
                is_shifted = !rest.starts_with(b"\x1b(");
                let (sequence, tail) = rest.split_at(3);
                out.extend_from_slice(sequence);
                rest = tail;
                continue;
            }
            if is_shifted {
                out.push(*byte)
            } else {
                self.byte(*byte, out)
            }
            rest = tail;
        }
        self.encoded = encoded;
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.is_special(byte) {
            let is_separator = self.separators.bytes().any(|separator| separator == byte);
            match self.separators.release {
                Some(release) if is_separator => out.push(release),
                _ if is_separator => {
                    let message = "data holds a separator, and there is no release character";
                    return self.fault("separator-in-data", message);
                }
                _ => return self.fault("control-character", "a control character in the data"),
            }
        }
        out.push(byte);
    }

    #[inline]
    fn is_special(&self, byte: u8) -> bool {
        self.special[usize::from(byte)]
    }

    fn fault(&mut self, code: &'static str, message: &'static str) {
        let (element, component) = self.place;
        self.faults.push(Fault { code, element, component, message });
    }
}

/// Puts separators in front of what was appended from `start` on; says whether there is anything.
/// They come last: to write them for each of many empty values takes time with their square.
fn separate(out: &mut Vec<u8>, start: usize, count: usize, separator: u8) -> bool {
    let end = out.len();
    if end == start {
        return false;
    }
    out.resize(end + count, separator);
    out.copy_within(start..end, start + count);
    out.get_mut(start..start + count).unwrap_or_default().fill(separator);
    true
}

fn is_nesting(node: Node<'_>) -> bool {
    node.kind() == Kind::Attribute && node.name() == NESTING
}
