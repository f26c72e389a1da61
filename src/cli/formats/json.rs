//! Documents as JSON: the same object for every format that has segments. `docs/formats/json.md`
//! describes it; [`json_read`](super::json_read) reads it back.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use waybill_parsers::definition::Definition;
use waybill_parsers::{Document, Format, Kind, Node, Problem, Reading, Schema};

use crate::cli::formats::component;
use crate::cli::formats::seen::Seen;
use crate::cli::formats::source::Role;

/// What there is to say of a document beside its content.
pub(in crate::cli) struct About<'a> {
    pub(in crate::cli) format: Format,
    pub(in crate::cli) role: Role,
    pub(in crate::cli) number: u64,
    /// Names of segments, of the one or the other kind of format.
    pub(in crate::cli) definition: Option<&'a Definition>,
    pub(in crate::cli) schema: Option<&'a Schema>,
}

/// A document, as JSON shows it.
#[derive(Serialize)]
pub(in crate::cli) struct Shown {
    number: u64,
    format: &'static str,
    part: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Map<String, Value>>,
    /// What an acknowledgement answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) answers: Option<Map<String, Value>>,
    start: u64,
    end: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Vec<Piece>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<Piece>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
    /// An acknowledgement as it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) problems: Option<Vec<Fault>>,
}

/// A segment, a group of segments, or a field beside segments.
#[derive(Serialize)]
#[serde(untagged)]
enum Piece {
    Group { group: String, segments: Vec<Self> },
    Segment(Segment),
    Field { field: String, value: String },
}

#[derive(Default, Serialize)]
struct Segment {
    segment: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nesting: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_order")]
    fields: Option<Vec<(String, String)>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<Piece>,
}

/// Fields keep the order of their segment.
fn in_order<S: Serializer>(
    fields: &Option<Vec<(String, String)>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().flatten().map(|(name, value)| (name, value)))
}

/// A document with its content and without its problems.
pub(in crate::cli) fn shown(reading: &Reading, about: &About<'_>) -> Shown {
    let document = &reading.document;
    let mut shown = Shown {
        number: about.number,
        format: about.format.name(),
        part: about.role.as_str(),
        kind: None,
        version: None,
        references: None,
        answers: None,
        start: reading.span.start,
        end: reading.span.end,
        envelope: None,
        segments: None,
        document: None,
        text: None,
        problems: None,
    };
    if !has_segments(about.format) {
        let mut text = Vec::new();
        waybill_parsers::json::write(document.root(), &mut text);
        // What our writer writes is JSON; numbers keep their source text in it.
        let text = String::from_utf8_lossy(&text).into_owned();
        shown.document = RawValue::from_string(text).ok();
        return shown;
    }
    let names = Names::of(document);
    let (mut envelope, mut segments) = (Vec::new(), Vec::new());
    let mut writer = Writer { about, index: 0 };
    for node in document.root().children() {
        match node.name() {
            "envelope" => envelope.extend(node.children().map(|node| writer.part(node, false))),
            "EDI_DC40" => envelope.push(writer.part(node, false)),
            _ => segments.push(writer.part(node, true)),
        }
    }
    shown.kind = Some(names.kind);
    shown.version = Some(names.version);
    shown.references = Some(names.references);
    (shown.envelope, shown.segments) = (Some(envelope), Some(segments));
    shown
}

/// Whether documents of a format are segments, and not a tree of values.
pub(in crate::cli) fn has_segments(format: Format) -> bool {
    !matches!(format, Format::Csv | Format::Json | Format::JsonLines | Format::Xml)
}

/// A problem, as JSON shows it.
#[derive(Serialize)]
pub(in crate::cli) struct Fault {
    severity: &'static str,
    code: &'static str,
    message: String,
    offset: u64,
    line: u64,
    column: u32,
    segment: u32,
    element: Option<u32>,
    component: Option<u32>,
    path: String,
}

impl Fault {
    pub(in crate::cli) fn new(problem: &Problem, seen: &Seen) -> Self {
        let place = &problem.place;
        let excerpt = seen.excerpt(place.offset).filter(|_| place.line == 0);
        let (line, column) = excerpt.map_or((place.line, place.column), |e| (e.line, e.column));
        // The path of an element: TAG/3/1.
        let mut numbers = place.path.split('/').skip(1).map(|part| part.parse::<u32>().ok());
        Self {
            severity: problem.severity.as_str(),
            code: problem.code,
            message: problem.message.clone(),
            offset: place.offset,
            line,
            column,
            segment: place.segment,
            element: numbers.next().flatten(),
            component: numbers.next().flatten(),
            path: place.path.clone(),
        }
    }
}

struct Writer<'a> {
    about: &'a About<'a>,
    /// The number of the segment that was written last.
    index: u32,
}

impl Writer<'_> {
    fn part(&mut self, node: Node<'_>, is_counted: bool) -> Piece {
        let name = node.name().to_owned();
        match node.kind() {
            Kind::Group => {
                let segments = node.children().map(|child| self.part(child, true)).collect();
                Piece::Group { group: name, segments }
            }
            Kind::Segment => Piece::Segment(self.segment(node, is_counted)),
            _ => Piece::Field { field: name, value: node.text().to_owned() },
        }
    }

    fn segment(&mut self, node: Node<'_>, is_counted: bool) -> Segment {
        let name = node.name();
        let text = match (self.about.definition, self.about.schema) {
            (Some(definition), _) => definition.segment_text(name),
            (None, Some(schema)) => declared(schema, name),
            (None, None) => "",
        };
        let mut segment =
            Segment { segment: name.to_owned(), text: text.to_owned(), ..Segment::default() };
        if is_counted {
            self.index += 1;
            (segment.index, segment.offset) = (Some(self.index), Some(node.offset()));
        }
        if matches!(self.about.format, Format::Edifact | Format::X12) {
            let elements = node.children().filter(|child| child.kind() != Kind::Attribute);
            segment.elements = Some(elements.map(element).collect());
            let nesting = node.children().find(|child| child.kind() == Kind::Attribute);
            segment.nesting = nesting.map(|nesting| nesting.text().to_owned());
            return segment;
        }
        let mut fields = Vec::new();
        for child in node.children() {
            if child.is_scalar() {
                fields.push((child.name().to_owned(), child.text().to_owned()));
            } else {
                segment.segments.push(self.part(child, true));
            }
        }
        segment.fields = Some(fields);
        segment
    }
}

/// A text; an array of components; or an object with repetitions.
fn element(node: Node<'_>) -> Value {
    if node.kind() == Kind::List {
        let repetitions: Vec<_> = node.children().map(element).collect();
        return json!({ "repetitions": repetitions });
    }
    let mut components = node.children().peekable();
    match components.peek() {
        None => json!(node.text()),
        Some(_) => components.map(|component| json!(component.text())).collect(),
    }
}

/// The description of a segment type, wherever it is declared.
fn declared<'s>(schema: &'s Schema, name: &str) -> &'s str {
    let mut elements = schema.elements().filter(|(_, e)| e.kind == Kind::Segment && e.name == name);
    elements.next().map_or("", |(_, element)| &element.text)
}

/// Type, version and references of a document.
#[derive(Debug, Default)]
pub(in crate::cli) struct Names {
    pub(in crate::cli) kind: String,
    pub(in crate::cli) version: String,
    pub(in crate::cli) references: Map<String, Value>,
}

impl Names {
    pub(in crate::cli) fn of(document: &Document) -> Self {
        let root = document.root();
        let header = |tag: &str| {
            let envelope = root.child("envelope");
            envelope.and_then(|envelope| envelope.child(tag)).or_else(|| root.child(tag))
        };
        let mut names = Self { kind: root.name().to_owned(), ..Self::default() };
        if let Some(control) = root.child("EDI_DC40") {
            names.idoc(control);
        }
        if let Some(unb) = header("UNB") {
            names.put("interchange", component(unb, 4, 0));
            names.put("sender", component(unb, 1, 0));
            names.put("receiver", component(unb, 2, 0));
        }
        if let Some(isa) = header("ISA") {
            names.put("interchange", component(isa, 12, 0));
            names.put("sender", component(isa, 5, 0));
            names.put("receiver", component(isa, 7, 0));
            component(isa, 11, 0).clone_into(&mut names.version);
        }
        if let Some(ung) = header("UNG") {
            names.put("group", component(ung, 4, 0));
        }
        if let Some(gs) = header("GS") {
            names.put("group", component(gs, 5, 0));
            component(gs, 7, 0).clone_into(&mut names.version);
        }
        if let Some(unh) = root.child("UNH") {
            names.put("message", component(unh, 0, 0));
            let parts: Vec<_> = (1..5).map(|at| component(unh, 1, at)).collect();
            parts.join(":").trim_end_matches(':').clone_into(&mut names.version);
        }
        if let Some(st) = root.child("ST") {
            names.put("message", component(st, 1, 0));
        }
        names
    }

    fn idoc(&mut self, control: Node<'_>) {
        let text = |name| control.child(name).map_or("", Node::text);
        let words = [text("IDOCTYP"), text("CIMTYP")];
        self.kind = words.join(" ").trim().to_owned();
        text("DOCREL").clone_into(&mut self.version);
        self.put("message", text("DOCNUM"));
        self.put("message_type", text("MESTYP"));
        self.put("sender", text("SNDPRN"));
        self.put("receiver", text("RCVPRN"));
    }

    fn put(&mut self, name: &str, value: &str) {
        if !value.trim().is_empty() {
            self.references.insert(name.to_owned(), json!(value.trim()));
        }
    }

    /// A reference as text; empty where there is none.
    pub(in crate::cli) fn reference(&self, name: &str) -> &str {
        self.references.get(name).and_then(Value::as_str).unwrap_or("")
    }
}
