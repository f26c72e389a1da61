//! Documents to IDoc-XML.

use crate::document::{Document, Kind, Node};
use crate::idoc::control::{CONTROL, EDI_DC40};
use crate::idoc::record::notation;
use crate::idoc::write as flat;
use crate::idoc::xml::SOAP_NAMESPACE;
use crate::reading::Problem;
use crate::schema::{DataType, ElementId, Schema};

/// Which namespace the elements are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Namespace {
    /// None, as file ports and HTTP ports have it.
    #[default]
    None,
    /// That of IDoc-SOAP.
    Soap,
}

/// How the XML looks. It is always UTF-8 with a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct WriteOptions {
    /// The namespace.
    pub namespace: Namespace,
    /// A line each element, indented by one blank, for people.
    pub pretty: bool,
}

/// Appends one XML document with an `IDOC` for each of `documents`, all of the type of `schema`.
///
/// What is written, and what is refused, is that of the flat file: fields stand in the order of
/// their definition, and empty ones are left out.
///
/// # Errors
///
/// As [`idoc::write`](crate::idoc::write), for the first document that has any; `out` is then as
/// it was.
pub fn write(
    documents: &[&Document],
    schema: &Schema,
    options: WriteOptions,
    out: &mut Vec<u8>,
) -> Vec<Problem> {
    let start = out.len();
    let mut scratch = Vec::new();
    let mut writer = Writer { schema, options, depth: 0, out };
    let extension = schema.element(schema.root()).definition.as_deref();
    let root = extension.unwrap_or_else(|| schema.name());
    writer.out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let namespace = match options.namespace {
        Namespace::None => String::new(),
        Namespace::Soap => format!(" xmlns=\"{SOAP_NAMESPACE}\""),
    };
    writer.open(root, &namespace);
    for document in documents {
        // The rules of the flat writer are those of the type; it is fast enough to be asked.
        scratch.clear();
        let shape = flat::WriteOptions {
            record_length: flat::RecordLength::Trimmed,
            ..flat::WriteOptions::default()
        };
        let problems = flat::write(document, schema, shape, &mut scratch);
        if !problems.is_empty() {
            writer.out.truncate(start);
            return problems;
        }
        writer.document(document);
    }
    writer.close(root);
    if options.pretty {
        writer.out.push(b'\n');
    }
    Vec::new()
}

struct Writer<'a> {
    schema: &'a Schema,
    options: WriteOptions,
    depth: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn document(&mut self, document: &Document) {
        let root = document.root();
        self.open("IDOC", " BEGIN=\"1\"");
        if let Some(control) = root.child(CONTROL) {
            self.control(control);
        }
        self.segments(root, self.schema.root());
        self.close("IDOC");
    }

    fn control(&mut self, control: Node<'_>) {
        let schema = self.schema;
        self.open(CONTROL, " SEGMENT=\"1\"");
        for column in &EDI_DC40 {
            let given = control.child(column.name).map_or("", Node::text);
            let value = match (column.name, given) {
                ("TABNAM", _) => CONTROL,
                ("IDOCTYP", "") => schema.name(),
                ("CIMTYP", "") => schema.element(schema.root()).definition.as_deref().unwrap_or(""),
                _ => given,
            };
            self.field(column.name, value.trim_end_matches(' '));
        }
        self.close(CONTROL);
    }

    /// Writes the segments below `node`, which the flat writer has found in order.
    fn segments(&mut self, node: Node<'_>, id: ElementId) {
        for child in node.children() {
            match child.kind() {
                Kind::Segment | Kind::Group => self.segment(child, child.name(), id),
                Kind::List => {
                    for item in child.children() {
                        self.segment(item, child.name(), id);
                    }
                }
                _ => {}
            }
        }
    }

    fn segment(&mut self, node: Node<'_>, name: &str, parent: ElementId) {
        let schema = self.schema;
        let Some(id) = schema.child(parent, name) else { return };
        self.open(name, " SEGMENT=\"1\"");
        self.fields(node, id);
        self.segments(node, id);
        self.close(name);
    }

    fn fields(&mut self, node: Node<'_>, id: ElementId) {
        let schema = self.schema;
        let declared = schema.element(id).children().iter().map(|id| schema.element(*id));
        let mut given = node.children();
        for field in declared.filter(|element| element.kind == Kind::Field) {
            // Fields mostly come in their order: then each is found where the last one was.
            let mut ahead = given.clone();
            let found = ahead.find(|child| child.name() == field.name);
            let child = match found {
                Some(child) => {
                    given = ahead;
                    Some(child)
                }
                None => node.child(&field.name),
            };
            if let Some(child) = child {
                self.value(child, &field.name, field.data);
            }
        }
    }

    fn value(&mut self, node: Node<'_>, name: &str, data: DataType) {
        let (text, negative) = notation(node.kind(), node.text(), data);
        if negative {
            self.field(name, &format!("{text}-"));
        } else {
            self.field(name, text);
        }
    }

    fn field(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.line();
        self.tag(b"<", name, "");
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&')) {
            let (head, tail) = rest.split_at(at);
            self.out.extend_from_slice(head);
            self.out.extend_from_slice(match tail.first() {
                Some(b'<') => b"&lt;",
                Some(b'>') => b"&gt;",
                _ => b"&amp;",
            });
            rest = tail.get(1..).unwrap_or_default();
        }
        self.out.extend_from_slice(rest);
        self.tag(b"</", name, "");
    }

    fn open(&mut self, name: &str, attributes: &str) {
        self.line();
        self.tag(b"<", name, attributes);
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.tag(b"</", name, "");
    }

    fn tag(&mut self, begin: &[u8], name: &str, attributes: &str) {
        self.out.extend_from_slice(begin);
        for (at, part) in name.split('/').enumerate() {
            if at > 0 {
                self.out.extend_from_slice(b"_-");
            }
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(attributes.as_bytes());
        self.out.push(b'>');
    }

    fn line(&mut self) {
        if self.options.pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.depth, b' ');
        }
    }
}
