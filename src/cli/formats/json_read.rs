//! The JSON of [`json`](super::json) back to a document. Members that only say what something means
//! are skipped, so the outcome of `waybill show --json` can be written as it is.

use waybill_parsers::{Builder, Document, Format, Kind, Node, Place, Problem, Severity};

/// The document of an object, and the format that it names.
///
/// # Errors
///
/// Every place with another shape.
pub(in crate::cli) fn document(root: Node<'_>) -> Result<(Document, Option<Format>), Vec<Problem>> {
    let mut reader = Reader { builder: Builder::new(), problems: Vec::new() };
    let text = |name| root.child(name).map_or("", Node::text);
    let format = text("format").parse().ok();
    let kind = text("type");
    // An IDoc type may have an extension behind it; the control record has both.
    let kind = kind.split(' ').next().unwrap_or(kind);
    reader.builder.open(Kind::Group, kind, 0);
    let is_idoc = matches!(format, Some(Format::Idoc | Format::IdocXml));
    let envelope = root.child("envelope").into_iter().flat_map(Node::children);
    if !is_idoc {
        reader.builder.open(Kind::Group, "envelope", 0);
    }
    envelope.for_each(|node| reader.part(node));
    if !is_idoc {
        reader.builder.close();
    }
    match root.child("segments") {
        Some(segments) if segments.kind() == Kind::List => {
            segments.children().for_each(|node| reader.part(node));
        }
        _ => reader.fault(root, "a document needs an array `segments`"),
    }
    let document = reader.builder.finish();
    if reader.problems.is_empty() { Ok((document, format)) } else { Err(reader.problems) }
}

struct Reader {
    builder: Builder,
    problems: Vec<Problem>,
}

impl Reader {
    fn fault(&mut self, node: Node<'_>, message: &str) {
        let place = Place { offset: node.offset() as u64, ..Place::default() };
        let (severity, message) = (Severity::Error, message.to_owned());
        self.problems.push(Problem { severity, code: "wrong-shape", message, place });
    }

    /// A segment, a group, or a field beside segments.
    fn part(&mut self, node: Node<'_>) {
        let offset = node.offset();
        let text = |name| node.child(name).map(Node::text);
        if let Some(name) = text("group") {
            self.builder.open(Kind::Group, name, offset);
            self.inner(node);
            self.builder.close();
        } else if let Some(name) = text("segment") {
            self.builder.open(Kind::Segment, name, offset);
            self.content(node);
            self.builder.close();
        } else if let Some(name) = text("field") {
            // What the envelope of X12 has beside segments are its separators.
            let kind = if name == "separators" { Kind::Attribute } else { Kind::Field };
            self.builder.put(kind, name, text("value").unwrap_or(""), offset);
        } else {
            self.fault(node, "one of `segment`, `group` and `field` expected");
        }
    }

    fn inner(&mut self, node: Node<'_>) {
        let inner = node.child("segments").into_iter().flat_map(Node::children);
        inner.for_each(|node| self.part(node));
    }

    fn content(&mut self, node: Node<'_>) {
        let elements = node.child("elements").into_iter().flat_map(Node::children);
        elements.for_each(|element| self.element(element));
        if let Some(nesting) = node.child("nesting") {
            self.builder.put(Kind::Attribute, "nesting", nesting.text(), nesting.offset());
        }
        for field in node.child("fields").into_iter().flat_map(Node::children) {
            if field.is_scalar() {
                self.builder.put(Kind::Field, field.name(), field.text(), field.offset());
            } else if field.kind() != Kind::Null {
                self.fault(field, "a field is a text");
            }
        }
        self.inner(node);
    }

    fn element(&mut self, node: Node<'_>) {
        let offset = node.offset();
        match node.kind() {
            Kind::List => {
                self.builder.open(Kind::Field, "", offset);
                node.children().for_each(|component| self.value(component));
                self.builder.close();
            }
            Kind::Group => match node.child("repetitions") {
                Some(items) if items.kind() == Kind::List => {
                    self.builder.open(Kind::List, "", offset);
                    items.children().for_each(|item| self.element(item));
                    self.builder.close();
                }
                _ => self.fault(node, "an element is a text, an array or has `repetitions`"),
            },
            _ => self.value(node),
        }
    }

    fn value(&mut self, node: Node<'_>) {
        match node.kind() {
            Kind::Number => {
                self.builder.put(Kind::Number, "", node.text(), node.offset());
            }
            _ if node.is_scalar() || node.kind() == Kind::Null => {
                self.builder.put(Kind::Field, "", node.text(), node.offset());
            }
            _ => self.fault(node, "a component is a text"),
        }
    }
}
