//! Documents to interchanges.

use crate::document::{Document, Kind, Node};
use crate::reading::Problem;
use crate::segment::{Charset, ENVELOPE, Emitter, Opened, Output, Separators};
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
    output: Output<'o>,
    interchange: Option<Opened>,
    group: Option<Opened>,
}

impl<'o> Writer<'o> {
    /// A writer that appends to `out`.
    pub fn new(options: WriteOptions, out: &'o mut Vec<u8>) -> Self {
        let emitter = Emitter::new(options.separators, options.charset);
        let output = Output::new(emitter, options.newline, out);
        Self { options, output, interchange: None, group: None }
    }

    /// Appends a transaction set.
    ///
    /// # Errors
    ///
    /// Every problem, all of them errors; nothing of the set is then written. Codes:
    /// `missing-segment`, `missing-element`, `not-a-segment`, `service-segment`, `too-long`,
    /// `separator-in-data`, `control-character`, `unknown-character`, `ambiguous-separators`,
    /// `number-notation`, `no-repetition`, `too-deep`.
    pub fn set(&mut self, document: &Document) -> Vec<Problem> {
        let root = document.root();
        let envelope = root.child(ENVELOPE);
        let before = self.output.bytes.len();
        match envelope.and_then(|envelope| Some((envelope, envelope.child("ISA")?))) {
            Some((envelope, isa)) => self.open_interchange(envelope, isa),
            None => self.output.problem(
                "missing-segment",
                "ISA",
                "no interchange header in the envelope",
            ),
        }
        match envelope.and_then(|envelope| envelope.child("GS")) {
            Some(gs) => self.open_group(gs),
            None => self.output.problem("missing-segment", "GS", "no group header in the envelope"),
        }
        let opened = self.output.bytes.len();
        let problems = self.output.problems.finish();
        if !problems.is_empty() {
            self.output.bytes.truncate(before);
            (self.interchange, self.group) = (None, None);
            return problems;
        }
        self.body(root);
        let problems = self.output.problems.finish();
        if !problems.is_empty() {
            self.output.bytes.truncate(opened);
            return problems;
        }
        if let Some(group) = &mut self.group {
            group.count += 1;
        }
        Vec::new()
    }

    /// Appends what stands between ISA and the groups, as TA1, and opens the interchange for it. The
    /// document is that of an interchange; sets with the same ISA go into the same one.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); nothing is then written.
    pub fn services(&mut self, document: &Document) -> Vec<Problem> {
        let root = document.root();
        let before = self.output.bytes.len();
        match root.child("ISA") {
            Some(isa) => self.open_interchange(root, isa),
            None => self.output.problem("missing-segment", "ISA", "no interchange header"),
        }
        // The trailer and ISX are made.
        let is_made = |name: &str| matches!(name, "ISA" | "ISX" | "IEA");
        for child in root.children().filter(|child| child.kind() == Kind::Segment) {
            if !is_made(child.name()) {
                self.output.put(child);
            }
        }
        let problems = self.output.problems.finish();
        if !problems.is_empty() {
            self.output.bytes.truncate(before);
            self.interchange = None;
        }
        problems
    }

    /// Ends what is open.
    pub fn finish(mut self) -> Vec<Problem> {
        self.close_interchange();
        self.output.problems.finish()
    }

    fn open_interchange(&mut self, envelope: Node<'_>, isa: Node<'_>) {
        let separators = self.separators_of(envelope, isa);
        if separators.are_ambiguous() {
            let message = "a separator is there twice, or is a letter or digit";
            return self.output.problem("ambiguous-separators", "ISA", message);
        }
        let mut emitter = Emitter::new(separators, self.options.charset);
        emitter.exponents = true;
        let mut bytes = Vec::new();
        self.header(isa, &separators, &mut bytes);
        if Opened::is(self.interchange.as_ref(), &bytes) {
            return;
        }
        self.close_interchange();
        self.output.start = self.output.bytes.len();
        self.output.emitter = emitter;
        self.output.bytes.extend_from_slice(&bytes);
        self.output.end_segment();
        if let Some(release) = self.output.emitter.separators.release {
            self.output.bytes.extend_from_slice(b"ISX");
            self.output.bytes.extend([self.output.emitter.separators.element, release]);
            self.output.end_segment();
        }
        self.interchange = Some(Opened::new(bytes, text(isa, 12)));
    }

    /// What the envelope and the options say together.
    fn separators_of(&self, envelope: Node<'_>, isa: Node<'_>) -> Separators {
        let mut separators = self.options.separators;
        let outer = envelope.child(SEPARATORS).map_or("", Node::text);
        let outer: Vec<u8> = outer.chars().flat_map(u8::try_from).collect();
        if let [element, terminator, tail @ ..] = outer.as_slice() {
            (separators.element, separators.terminator) = (*element, *terminator);
            for (slot, byte) in separators.tail.iter_mut().zip(tail) {
                *slot = *byte;
            }
        }
        separators.component = byte(text(isa, 15)).unwrap_or(separators.component);
        let version: u32 = text(isa, 11).parse().unwrap_or(0);
        let repetition = byte(text(isa, 10)).filter(|byte| !byte.is_ascii_alphanumeric());
        separators.repetition = repetition.filter(|_| version >= REPETITION_SINCE);
        let isx = envelope.child("ISX").map_or("", |isx| text(isx, 0));
        separators.release = byte(isx).filter(|_| version >= RELEASE_SINCE);
        separators
    }

    /// ISA without its terminator, padded.
    fn header(&mut self, isa: Node<'_>, separators: &Separators, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"ISA");
        for (at, width) in WIDTHS.into_iter().enumerate() {
            bytes.push(separators.element);
            let value = text(isa, at);
            let path = || format!("ISA/{}", at + 1);
            if at == 15 {
                bytes.push(separators.component);
                continue;
            }
            let Some(missing) = width.checked_sub(value.len()) else {
                let message = format!("{} characters, at most {width} are allowed", value.len());
                self.output.problem("too-long", &path(), &message);
                continue;
            };
            let is_special = |b| b == separators.element || b == separators.terminator || b < b' ';
            if !value.is_ascii() || value.bytes().any(is_special) {
                let message = "data holds a separator, and there is no release character";
                self.output.problem("separator-in-data", &path(), message);
                continue;
            }
            // The control number is filled with zeros, all else with blanks.
            if at == 12 {
                bytes.resize(bytes.len() + missing, b'0');
            }
            bytes.extend_from_slice(value.as_bytes());
            if at != 12 {
                bytes.resize(bytes.len() + missing, b' ');
            }
        }
    }

    fn open_group(&mut self, gs: Node<'_>) {
        let mut bytes = Vec::new();
        self.output.emitter.segment(gs, &mut bytes);
        self.output.emitter.faults.clear();
        if self.interchange.is_none() || Opened::is(self.group.as_ref(), &bytes) {
            return;
        }
        self.close_group();
        self.output.segment = 0;
        for at in (0..8).filter(|at| text(gs, *at).is_empty()) {
            let path = format!("GS/{}", at + 1);
            self.output.problem("missing-element", &path, "mandatory element is missing");
        }
        self.output.put(gs);
        if let Some(interchange) = &mut self.interchange {
            interchange.count += 1;
        }
        self.group = Some(Opened::new(bytes, text(gs, 5)));
    }

    fn body(&mut self, root: Node<'_>) {
        self.output.segment = 0;
        let Some(st) = root.child("ST") else {
            return self.output.problem("missing-segment", "ST", "no set header");
        };
        if text(st, 0).is_empty() || text(st, 1).is_empty() {
            self.output.problem("missing-element", "ST", "mandatory element is missing");
        }
        self.output.put(st);
        self.children(root);
        let count = u64::from(self.output.segment) + 1;
        self.output.trailer(b"SE", count, text(st, 1));
    }

    fn children(&mut self, parent: Node<'_>) {
        for child in parent.children() {
            match (child.kind(), child.name()) {
                (_, ENVELOPE | "ST" | "SE") => {}
                (Kind::Segment, name @ ("ISA" | "GS" | "GE" | "IEA")) => {
                    self.output.problem("service-segment", name, "stands inside of a set");
                }
                (Kind::Segment, "BIN") => self.put_binary(child, 0),
                (Kind::Segment, "BDS") => self.put_binary(child, 1),
                (Kind::Segment, _) => self.output.put(child),
                (Kind::Group | Kind::List, _) => self.children(child),
                (Kind::Null, _) => {}
                (_, name) => {
                    self.output.problem("not-a-segment", name, "a value outside of a segment")
                }
            }
        }
    }

    /// A segment whose data is counted: a byte for each character. `length` is the element, from
    /// 0, that says how many.
    fn put_binary(&mut self, node: Node<'_>, length: usize) {
        self.output.segment += 1;
        let element = self.output.emitter.separators.element;
        let data = text(node, length + 1);
        self.output.bytes.extend_from_slice(node.name().as_bytes());
        for at in 0..length {
            self.output.bytes.push(element);
            // The reader takes the whole segment as bytes.
            match text(node, at) {
                ascii if ascii.is_ascii() => self.output.emitter.text(ascii, self.output.bytes),
                bytes => self.output.bytes.extend(bytes.chars().flat_map(u8::try_from)),
            }
        }
        self.output.bytes.push(element);
        self.output.bytes.extend_from_slice(data.chars().count().to_string().as_bytes());
        self.output.bytes.push(element);
        if data.chars().any(|c| u32::from(c) > 0xff) {
            self.output.problem("unknown-character", node.name(), "a character that is no byte");
        }
        self.output.bytes.extend(data.chars().flat_map(u8::try_from));
        self.output.end_segment();
    }

    fn close_group(&mut self) {
        if let Some(open) = self.group.take() {
            self.output.trailer(b"GE", open.count, &open.reference);
        }
    }

    fn close_interchange(&mut self) {
        self.close_group();
        if let Some(open) = self.interchange.take() {
            self.output.trailer(b"IEA", open.count, &format!("{:0>9}", open.reference));
        }
    }
}

/// A separator that an element names: one character, which stands for one byte.
fn byte(text: &str) -> Option<u8> {
    let mut chars = text.chars();
    let byte = u8::try_from(chars.next()?).ok()?;
    chars.next().is_none().then_some(byte)
}

/// An element of a segment, from 0.
fn text(segment: Node<'_>, element: usize) -> &str {
    let mut elements = segment.children().filter(|child| child.kind() != Kind::Attribute);
    elements.nth(element).map_or("", Node::text)
}
