//! Documents to interchanges.

use crate::document::{Document, Kind, Node};
use crate::edifact::message::OBJECT;
use crate::edifact::service;
use crate::edifact::syntax::{Syntax, charset};
use crate::reading::Problem;
use crate::segment::{Charset, ENVELOPE, Emitter, Opened, Output, Segments};

/// The shape of what is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// Separators and decimal mark, where a document's envelope has no UNA. Others than the
    /// default ones are written as UNA.
    pub syntax: Syntax,
    /// Whether a line feed stands behind every terminator.
    pub newline: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { syntax: Syntax::DEFAULT, newline: false }
    }
}

/// Appends one document as an interchange of its own. See [`Writer`].
///
/// # Errors
///
/// The problems of [`Writer::message`] and [`Writer::finish`]; `out` is then as it was.
pub fn write(document: &Document, options: &WriteOptions, out: &mut Vec<u8>) -> Vec<Problem> {
    let start = out.len();
    let mut writer = Writer::new(*options, out);
    let mut problems = writer.message(document);
    problems.extend(writer.finish());
    if !problems.is_empty() {
        out.truncate(start);
    }
    problems
}

/// Writes messages, and the headers and trailers around them.
///
/// A document has the shape that [`Reader`](super::Reader) gives: a group `envelope` with UNB, and
/// with UNA and UNG where they are wanted, then UNH and the segments, which may be nested in groups.
/// A message whose UNB is that of the message before goes into the same interchange; so with UNG.
///
/// Segment counts, UNT, UNE and UNZ are made, never copied. An empty reference of UNH becomes the
/// number of the message in its interchange. A number with a dot is written with the decimal mark.
/// Trailing separators are left out, and what could be taken for a separator is released.
#[derive(Debug)]
pub struct Writer<'o> {
    options: WriteOptions,
    output: Output<'o>,
    syntax: Syntax,
    interchange: Option<Opened>,
    group: Option<Opened>,
}

impl<'o> Writer<'o> {
    /// A writer that appends to `out`.
    pub fn new(options: WriteOptions, out: &'o mut Vec<u8>) -> Self {
        let syntax = options.syntax;
        let emitter = Emitter::new(syntax.separators, syntax.charset);
        let output = Output::new(emitter, options.newline, out);
        Self { options, output, syntax, interchange: None, group: None }
    }

    /// Appends a message.
    ///
    /// # Errors
    ///
    /// Every problem, all of them errors; nothing of the message is then written. Codes:
    /// `missing-segment`, `missing-element`, `not-a-segment`, `service-segment`,
    /// `separator-in-data`, `control-character`, `unknown-character`, `unknown-syntax`,
    /// `ambiguous-separators`, `number-notation`, `no-repetition`, `too-deep`, `mixed-groups`, and
    /// those of the form of service segments: `too-long`, `too-short`, `wrong-type`,
    /// `too-many-elements`.
    pub fn message(&mut self, document: &Document) -> Vec<Problem> {
        let root = document.root();
        let envelope = root.child(ENVELOPE);
        let header = |tag| envelope.and_then(|envelope| envelope.child(tag));
        let before = self.output.bytes.len();
        match header("UNB") {
            Some(unb) => self.open_interchange(unb, header("UNA")),
            None => self.output.problem(
                "missing-segment",
                "UNB",
                "no interchange header in the envelope",
            ),
        }
        self.open_group(header("UNG"));
        let opened = self.output.bytes.len();
        let kept = self.output.problems.finish();
        if !kept.is_empty() {
            self.output.bytes.truncate(before);
            (self.interchange, self.group) = (None, None);
            return kept;
        }
        self.body(root);
        let problems = self.output.problems.finish();
        if !problems.is_empty() {
            self.output.bytes.truncate(opened);
            return problems;
        }
        for open in [&mut self.group, &mut self.interchange].into_iter().flatten() {
            open.count += 1;
        }
        Vec::new()
    }

    /// Ends what is open.
    ///
    /// # Errors
    ///
    /// `empty-interchange` where no message was written.
    pub fn finish(mut self) -> Vec<Problem> {
        self.close_interchange();
        self.output.problems.finish()
    }

    fn open_interchange(&mut self, unb: Node<'_>, una: Option<Node<'_>>) {
        let syntax = self.syntax_of(unb, una);
        if syntax.separators.are_ambiguous() {
            let message = "a separator is there twice, or is a letter or digit";
            return self.output.problem("ambiguous-separators", "UNA", message);
        }
        let mut emitter = Emitter::new(syntax.separators, syntax.charset);
        (emitter.decimal, emitter.exponents) = (syntax.decimal, syntax.is_version_4());
        let mut bytes = syntax.service_string().to_vec();
        emitter.segment(unb, &mut bytes);
        if Opened::is(self.interchange.as_ref(), &bytes) {
            return;
        }
        self.close_interchange();
        self.output.start = self.output.bytes.len();
        (self.output.emitter, self.syntax) = (emitter, syntax);
        let mut default = Syntax { version: syntax.version, ..Syntax::DEFAULT };
        default.separators.repetition = syntax.is_version_4().then_some(b'*');
        if una.is_some() || service_string(&syntax, una) != service_string(&default, None) {
            self.output.bytes.extend_from_slice(b"UNA");
            self.output.bytes.extend(service_string(&syntax, una));
            if self.options.newline {
                self.output.bytes.push(b'\n');
            }
        }
        self.output.segment = 0;
        self.put_header(unb);
        self.interchange = Some(Opened::new(bytes, component(unb, 4)));
    }

    /// What UNA, UNB and the options say together.
    fn syntax_of(&mut self, unb: Node<'_>, una: Option<Node<'_>>) -> Syntax {
        let mut syntax = self.options.syntax;
        if let Some(string) = named_string(una) {
            syntax = Syntax::from_service_string(string);
            syntax.separators.repetition = (string[4] != b' ').then_some(string[4]);
        } else if syntax.separators.repetition.is_none() {
            syntax.separators.repetition = Some(b'*');
        }
        let identifier = unb.nth(0).and_then(|s001| s001.nth(0)).map_or("", Node::text);
        let version = unb.nth(0).and_then(|s001| s001.nth(1)).map_or("", Node::text);
        match charset(identifier.as_bytes()) {
            Some(charset) => syntax.charset = charset,
            None => {
                syntax.charset = Charset::Ascii;
                self.output.problem(
                    "unknown-syntax",
                    "UNB/1/1",
                    "not a syntax identifier that is known",
                );
            }
        }
        syntax.version = version.bytes().next().unwrap_or(b'3');
        syntax.separators.shifts = syntax.charset.has_shifts();
        if !syntax.is_version_4() {
            syntax.separators.repetition = None;
        }
        syntax
    }

    fn open_group(&mut self, ung: Option<Node<'_>>) {
        let Some(interchange) = &self.interchange else { return };
        let is_mixed = if ung.is_some() {
            interchange.groups == 0 && interchange.count > 0
        } else {
            interchange.groups > 0
        };
        if is_mixed {
            self.output.problem("mixed-groups", "UNG", "messages inside and outside of groups");
        }
        let Some(ung) = ung else { return };
        let mut bytes = Vec::new();
        self.output.emitter.segment(ung, &mut bytes);
        self.output.emitter.faults.clear();
        if Opened::is(self.group.as_ref(), &bytes) {
            return;
        }
        self.close_group();
        self.output.segment = 0;
        self.put_header(ung);
        if let Some(interchange) = &mut self.interchange {
            interchange.groups += 1;
        }
        self.group = Some(Opened::new(bytes, component(ung, 4)));
    }

    fn body(&mut self, root: Node<'_>) {
        self.output.segment = 0;
        let unh = match root.children().find(|child| matches!(child.name(), "UNH" | "UNO")) {
            Some(uno) if uno.name() == "UNO" => return self.package(root, uno),
            Some(unh) => unh,
            None => return self.output.problem("missing-segment", "UNH", "no message header"),
        };
        let number = self.interchange.as_ref().map_or(0, |open| open.count) + 1;
        let mut reference = component(unh, 0).to_owned();
        if reference.is_empty() {
            reference = number.to_string();
            self.header_with_reference(unh, &reference);
        } else {
            self.put_header(unh);
        }
        self.children(root);
        if self.output.segment < 2 {
            self.output.problem(
                "missing-segment",
                "",
                "a message needs a segment besides UNH and UNT",
            );
        }
        let count = u64::from(self.output.segment) + 1;
        self.output.trailer(b"UNT", count, &reference);
    }

    /// A package: its object has a byte for each character (ISO 9735-8).
    fn package(&mut self, root: Node<'_>, uno: Node<'_>) {
        let newline = std::mem::replace(&mut self.output.newline, false);
        self.put_header(uno);
        self.output.newline = newline;
        let object = root.child(OBJECT).map_or("", Node::text);
        let from = self.output.bytes.len();
        self.output.bytes.extend(object.chars().flat_map(u8::try_from));
        let length = self.output.bytes.len() - from;
        let declared = uno.nth(3).map_or("", |element| element.nth(0).unwrap_or(element).text());
        if length != object.chars().count() || declared.parse() != Ok(length) {
            self.output.problem("bad-object", "UNO/4/1", "not the number of bytes of the object");
        }
        self.output.trailer(b"UNP", length as u64, component(uno, 0));
    }

    fn children(&mut self, parent: Node<'_>) {
        for child in parent.children() {
            match (child.kind(), child.name()) {
                (_, ENVELOPE | "UNH" | "UNT") => {}
                (Kind::Segment, name @ ("UNA" | "UNB" | "UNG" | "UNE" | "UNZ" | "UNO")) => {
                    self.output.problem("service-segment", name, "stands inside of a message");
                }
                (Kind::Segment, _) => self.output.put(child),
                (Kind::Group | Kind::List, _) => self.children(child),
                (Kind::Null, _) => {}
                (_, name) => {
                    self.output.problem("not-a-segment", name, "a value outside of a segment")
                }
            }
        }
    }

    /// Puts a service segment and checks its form.
    fn put_header(&mut self, node: Node<'_>) {
        let start = self.output.bytes.len();
        self.output.put(node);
        self.check_from(start);
    }

    fn header_with_reference(&mut self, unh: Node<'_>, reference: &str) {
        let start = self.output.bytes.len();
        let element = self.output.emitter.separators.element;
        self.output.put(unh);
        // `UNH+` and an empty element: the reference goes between the separators.
        let at = start + 4;
        if self.output.bytes.len() < at || self.output.bytes.get(at) != Some(&element) {
            return self.output.problem("missing-element", "UNH/2", "mandatory element is missing");
        }
        self.output.bytes.splice(at..at, reference.bytes());
        self.check_from(start);
    }

    fn check_from(&mut self, start: usize) {
        let written = self.output.bytes.get(start..).unwrap_or_default();
        let (separators, size) = (self.output.emitter.separators, written.len());
        let mut segments = Segments::small(written, separators, size);
        let Ok(Some(segment)) = segments.next() else { return };
        let faults = service::check(&segment, self.syntax.is_version_4());
        if faults.is_empty() {
            return;
        }
        let tag = String::from_utf8_lossy(segment.tag()).into_owned();
        for fault in faults {
            let path = match fault.component {
                0 => format!("{tag}/{}", fault.element),
                component => format!("{tag}/{}/{component}", fault.element),
            };
            self.output.problem(fault.rule.code, &path, &fault.message);
        }
    }

    fn close_group(&mut self) {
        if let Some(open) = self.group.take() {
            self.output.trailer(b"UNE", open.count, &open.reference);
        }
    }

    fn close_interchange(&mut self) {
        self.close_group();
        if let Some(open) = self.interchange.take() {
            let count = if open.groups > 0 { open.groups } else { open.count };
            if count == 0 {
                self.output.problem("empty-interchange", "UNB", "no message in the interchange");
            }
            self.output.trailer(b"UNZ", count, &open.reference);
        }
    }
}

/// The first component of an element of a header, from 0.
fn component(segment: Node<'_>, element: usize) -> &str {
    let element = segment.nth(element);
    element.map_or("", |element| element.nth(0).unwrap_or(element).text())
}

/// The characters of UNA: as they came, where they did. Position 5 is reserved below version 4.
fn service_string(syntax: &Syntax, una: Option<Node<'_>>) -> [u8; 6] {
    named_string(una).unwrap_or_else(|| {
        let mut string = syntax.service_string();
        if !syntax.is_version_4() {
            string[4] = b' ';
        }
        string
    })
}

/// The six characters of a UNA segment, a byte each.
fn named_string(una: Option<Node<'_>>) -> Option<[u8; 6]> {
    let text = una?.nth(0)?.text();
    let bytes: Vec<u8> = text.chars().map_while(|c| u8::try_from(c).ok()).collect();
    bytes.first_chunk().copied()
}
