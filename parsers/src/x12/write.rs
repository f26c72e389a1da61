//! Documents to interchanges.

use crate::document::{Document, Kind, Node};
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::segment::{Charset, ENVELOPE, Emitter, Separators};
use crate::x12::isa::{REPETITION_SINCE, SEPARATORS, WIDTHS};
use crate::x12::sets::RELEASE_SINCE;

/// The shape of what is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// Separators, where a document's envelope does not have them.
    pub separators: Separators,
    /// The character set of data above 0x7f.
    pub charset: Charset,
    /// Whether a line feed stands behind every terminator.
    pub newline: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { separators: Separators::X12, charset: Charset::Utf8, newline: false }
    }
}

/// Appends one document as an interchange of its own. See [`Writer`].
///
/// # Errors
///
/// The problems of [`Writer::set`] and [`Writer::finish`]; `out` is then as it was.
pub fn write(document: &Document, options: &WriteOptions, out: &mut Vec<u8>) -> Vec<Problem> {
    let start = out.len();
    let mut writer = Writer::new(*options, out);
    let mut problems = writer.set(document);
    problems.extend(writer.finish());
    if !problems.is_empty() {
        out.truncate(start);
    }
    problems
}

/// Writes transaction sets, and the headers and trailers around them.
///
/// A document has the shape that [`Reader`](super::Reader) gives: a group `envelope` with ISA and
/// GS, then ST and the segments, which may be nested in groups. The separators are those of the
/// envelope: its attribute `separators`, ISA11 and ISA16. A set whose ISA and GS are those of the
/// set before goes into the same group.
///
/// ISA is padded to its widths; counts, SE, GE and IEA are made, never copied; the length of BIN
/// and BDS is counted. Up to version 00703 nothing can stand for a separator, so data that holds
/// one is refused; from 00704 on an ISX segment in the envelope declares a release character.
#[derive(Debug)]
pub struct Writer<'o> {
    options: WriteOptions,
    out: &'o mut Vec<u8>,
    start: usize,
    emitter: Emitter,
    interchange: Option<Open>,
    group: Option<Open>,
    problems: Problems,
    segment: u32,
}

/// A header that waits for its trailer.
#[derive(Debug)]
struct Open {
    /// Its bytes, to tell whether the next set belongs to it.
    bytes: Vec<u8>,
    reference: String,
    count: u64,
}

impl<'o> Writer<'o> {
    /// A writer that appends to `out`.
    pub fn new(options: WriteOptions, out: &'o mut Vec<u8>) -> Self {
        Self {
            options,
            start: out.len(),
            out,
            emitter: Emitter::new(options.separators, options.charset),
            interchange: None,
            group: None,
            problems: Problems::new(Limits::default().problems),
            segment: 0,
        }
    }

    /// Appends a transaction set.
    ///
    /// # Errors
    ///
    /// Every problem, all of them errors; nothing of the set is then written. Codes:
    /// `missing-segment`, `missing-element`, `not-a-segment`, `too-long`, `separator-in-data`,
    /// `control-character`, `unknown-character`, `ambiguous-separators`, `number-notation`,
    /// `no-repetition`, `too-deep`.
    pub fn set(&mut self, document: &Document) -> Vec<Problem> {
        let root = document.root();
        let envelope = root.child(ENVELOPE);
        let before = self.out.len();
        match envelope.and_then(|envelope| Some((envelope, envelope.child("ISA")?))) {
            Some((envelope, isa)) => self.open_interchange(envelope, isa),
            None => self.problem("missing-segment", "ISA", "no interchange header in the envelope"),
        }
        match envelope.and_then(|envelope| envelope.child("GS")) {
            Some(gs) => self.open_group(gs),
            None => self.problem("missing-segment", "GS", "no group header in the envelope"),
        }
        let opened = self.out.len();
        let problems = self.problems.finish();
        if !problems.is_empty() {
            self.out.truncate(before);
            (self.interchange, self.group) = (None, None);
            return problems;
        }
        self.body(root);
        let problems = self.problems.finish();
        if !problems.is_empty() {
            self.out.truncate(opened);
            return problems;
        }
        if let Some(group) = &mut self.group {
            group.count += 1;
        }
        Vec::new()
    }

    /// Appends an interchange that holds service segments and no group, as one with TA1.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); nothing is then written.
    pub fn services(&mut self, document: &Document) -> Vec<Problem> {
        let root = document.root();
        let before = self.out.len();
        match root.child("ISA") {
            Some(isa) => self.open_interchange(root, isa),
            None => self.problem("missing-segment", "ISA", "no interchange header"),
        }
        for child in root.children().filter(|child| child.name().starts_with("TA")) {
            self.put(child);
        }
        let problems = self.problems.finish();
        if !problems.is_empty() {
            self.out.truncate(before);
            self.interchange = None;
        }
        problems
    }

    /// Ends what is open.
    pub fn finish(mut self) -> Vec<Problem> {
        self.close_interchange();
        self.problems.finish()
    }

    fn open_interchange(&mut self, envelope: Node<'_>, isa: Node<'_>) {
        let separators = self.separators_of(envelope, isa);
        if separators.are_ambiguous() {
            let message = "a separator is there twice, or is a letter or digit";
            return self.problem("ambiguous-separators", "ISA", message);
        }
        let mut emitter = Emitter::new(separators, self.options.charset);
        emitter.exponents = true;
        let mut bytes = Vec::new();
        self.header(isa, &separators, &mut bytes);
        if self.interchange.as_ref().is_some_and(|open| open.bytes == bytes) {
            return;
        }
        self.close_interchange();
        self.start = self.out.len();
        self.emitter = emitter;
        self.out.extend_from_slice(&bytes);
        self.end_segment();
        if let Some(release) = self.emitter.separators.release {
            self.out.extend_from_slice(b"ISX");
            self.out.extend([self.emitter.separators.element, release]);
            self.end_segment();
        }
        let reference = text(isa, 12).to_owned();
        self.interchange = Some(Open { bytes, reference, count: 0 });
    }

    /// What the envelope and the options say together.
    fn separators_of(&self, envelope: Node<'_>, isa: Node<'_>) -> Separators {
        let mut separators = self.options.separators;
        if let [element, terminator, tail @ ..] =
            envelope.child(SEPARATORS).map_or("", Node::text).as_bytes()
        {
            (separators.element, separators.terminator) = (*element, *terminator);
            for (slot, byte) in separators.tail.iter_mut().zip(tail) {
                *slot = *byte;
            }
        }
        if let [component] = text(isa, 15).as_bytes() {
            separators.component = *component;
        }
        let version: u32 = text(isa, 11).parse().unwrap_or(0);
        separators.repetition = match text(isa, 10).as_bytes() {
            [byte] if version >= REPETITION_SINCE && !byte.is_ascii_alphanumeric() => Some(*byte),
            _ => None,
        };
        let isx = envelope.child("ISX").map_or("", |isx| text(isx, 0));
        separators.release = match isx.as_bytes() {
            [byte] if version >= RELEASE_SINCE => Some(*byte),
            _ => None,
        };
        separators
    }

    /// ISA without its terminator, padded.
    fn header(&mut self, isa: Node<'_>, separators: &Separators, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"ISA");
        for (at, width) in WIDTHS.into_iter().enumerate() {
            bytes.push(separators.element);
            let value = text(isa, at);
            let path = format!("ISA/{}", at + 1);
            if at == 15 {
                bytes.push(separators.component);
            } else if value.len() > width {
                let message = format!("{} characters, at most {width} are allowed", value.len());
                self.problem("too-long", &path, &message);
            } else if !value.is_ascii()
                || value.bytes().any(|b| b == separators.element || b < b' ')
            {
                let message = "data holds a separator, and there is no release character";
                self.problem("separator-in-data", &path, message);
            } else if at == 12 {
                bytes.extend_from_slice(format!("{value:0>width$}").as_bytes());
            } else {
                bytes.extend_from_slice(format!("{value:width$}").as_bytes());
            }
        }
    }

    fn open_group(&mut self, gs: Node<'_>) {
        let mut bytes = Vec::new();
        self.emitter.segment(gs, &mut bytes);
        self.emitter.faults.clear();
        if self.interchange.is_none() || self.group.as_ref().is_some_and(|open| open.bytes == bytes)
        {
            return;
        }
        self.close_group();
        self.segment = 0;
        for at in (0..8).filter(|at| text(gs, *at).is_empty()) {
            let path = format!("GS/{}", at + 1);
            self.problem("missing-element", &path, "mandatory element is missing");
        }
        self.put(gs);
        if let Some(interchange) = &mut self.interchange {
            interchange.count += 1;
        }
        self.group = Some(Open { bytes, reference: text(gs, 5).to_owned(), count: 0 });
    }

    fn body(&mut self, root: Node<'_>) {
        self.segment = 0;
        let Some(st) = root.child("ST") else {
            return self.problem("missing-segment", "ST", "no set header");
        };
        if text(st, 0).is_empty() || text(st, 1).is_empty() {
            self.problem("missing-element", "ST", "mandatory element is missing");
        }
        self.put(st);
        self.children(root);
        let count = u64::from(self.segment) + 1;
        self.trailer(b"SE", count, text(st, 1));
    }

    fn children(&mut self, parent: Node<'_>) {
        for child in parent.children() {
            match (child.kind(), child.name()) {
                (_, ENVELOPE | "ST" | "SE") => {}
                (Kind::Segment, "BIN") => self.put_binary(child, 0),
                (Kind::Segment, "BDS") => self.put_binary(child, 1),
                (Kind::Segment, _) => self.put(child),
                (Kind::Group | Kind::List, _) => self.children(child),
                (Kind::Null, _) => {}
                (_, name) => self.problem("not-a-segment", name, "a value outside of a segment"),
            }
        }
    }

    /// A segment whose data is counted: a byte for each character. `length` is the element, from
    /// 0, that says how many.
    fn put_binary(&mut self, node: Node<'_>, length: usize) {
        self.segment += 1;
        let element = self.emitter.separators.element;
        let data = text(node, length + 1);
        self.out.extend_from_slice(node.name().as_bytes());
        for at in 0..length {
            self.out.push(element);
            // The reader takes the whole segment as bytes.
            match text(node, at) {
                ascii if ascii.is_ascii() => self.emitter.text(ascii, self.out),
                bytes => self.out.extend(bytes.chars().flat_map(u8::try_from)),
            }
        }
        self.out.push(element);
        self.out.extend_from_slice(data.chars().count().to_string().as_bytes());
        self.out.push(element);
        if data.chars().any(|c| u32::from(c) > 0xff) {
            self.problem("unknown-character", node.name(), "a character that is no byte");
        }
        self.out.extend(data.chars().flat_map(u8::try_from));
        self.end_segment();
    }

    fn put(&mut self, node: Node<'_>) {
        self.segment += 1;
        self.emitter.segment(node, self.out);
        self.end_segment();
        for fault in std::mem::take(&mut self.emitter.faults) {
            let mut path = String::new();
            append_name(&mut path, node.name());
            for number in [fault.element, fault.component] {
                if number > 0 {
                    path += &format!("/{number}");
                }
            }
            self.problem(fault.code, &path, fault.message);
        }
    }

    fn close_group(&mut self) {
        if let Some(open) = self.group.take() {
            self.trailer(b"GE", open.count, &open.reference);
        }
    }

    fn close_interchange(&mut self) {
        self.close_group();
        if let Some(open) = self.interchange.take() {
            self.trailer(b"IEA", open.count, &format!("{:0>9}", open.reference));
        }
    }

    fn trailer(&mut self, tag: &[u8], count: u64, reference: &str) {
        let element = self.emitter.separators.element;
        self.out.extend_from_slice(tag);
        self.out.push(element);
        self.out.extend_from_slice(count.to_string().as_bytes());
        self.out.push(element);
        self.emitter.text(reference, self.out);
        self.emitter.faults.clear();
        self.end_segment();
    }

    fn end_segment(&mut self) {
        self.out.push(self.emitter.separators.terminator);
        let separators = self.emitter.separators;
        self.out.extend_from_slice(separators.tail_bytes());
        if self.options.newline && separators.terminator != b'\n' {
            self.out.push(b'\n');
        }
    }

    fn problem(&mut self, code: &'static str, path: &str, message: &str) {
        let offset = self.out.len().saturating_sub(self.start) as u64;
        let segment = self.segment;
        self.problems.push(Severity::Error, || {
            let place = Place { offset, segment, path: path.to_owned(), ..Place::default() };
            Problem { severity: Severity::Error, code, message: message.to_owned(), place }
        });
    }
}

/// An element of a segment, from 0.
fn text(segment: Node<'_>, element: usize) -> &str {
    let mut elements = segment.children().filter(|child| child.kind() != Kind::Attribute);
    elements.nth(element).map_or("", Node::text)
}
