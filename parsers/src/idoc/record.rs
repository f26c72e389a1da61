//! The fields of one record, written at their columns.

use crate::document::{Kind, Node};
use crate::encoding::Encoding;
use crate::idoc::control::{CONTROL, Column, EDI_DC40, EDI_DS40, STATUS};
use crate::schema::{DataType, ElementId, Schema, nearest};

/// The fields of one record, in their order.
#[derive(Clone, Copy)]
pub(super) enum Layout<'s> {
    /// The control record of an IDoc of this type.
    Control(&'s Schema),
    /// A status record.
    Status,
    /// A segment with these children.
    Segment(&'s Schema, &'s [ElementId]),
}

/// One field of a [`Layout`].
struct Field<'s> {
    name: &'s str,
    length: usize,
    data: DataType,
    /// What is written when the document has no such field.
    default: &'s str,
}

impl<'s> Layout<'s> {
    /// The field at `index`. Segments among the fields have no length and the name of no field.
    fn field(self, index: usize) -> Option<Field<'s>> {
        match self {
            Self::Control(schema) => {
                let Column { name, length, .. } = *EDI_DC40.get(index)?;
                let default = match name {
                    "TABNAM" => CONTROL,
                    "IDOCTYP" => schema.name(),
                    "CIMTYP" => schema.element(schema.root()).definition.as_deref().unwrap_or(""),
                    _ => "",
                };
                Some(Field { name, length, data: DataType::Text, default })
            }
            Self::Status => {
                let Column { name, length, .. } = *EDI_DS40.get(index)?;
                let default = if name == "TABNAM" { STATUS } else { "" };
                Some(Field { name, length, data: DataType::Text, default })
            }
            Self::Segment(schema, ids) => {
                let element = schema.element(*ids.get(index)?);
                let is_field = element.kind == Kind::Field;
                Some(Field {
                    name: if is_field { &element.name } else { "" },
                    length: if is_field { element.length.unwrap_or(0) as usize } else { 0 },
                    data: element.data,
                    default: "",
                })
            }
        }
    }

    fn fields(self) -> impl Iterator<Item = Field<'s>> {
        (0..).map_while(move |index| self.field(index))
    }
}

/// Why a field cannot be written.
pub(super) struct Fault<'a> {
    pub(super) field: &'a str,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// What was written of a record, in characters.
#[derive(Clone, Copy, Default)]
pub(super) struct Row {
    /// Up to the last value.
    pub(super) written: usize,
    /// Up to the end of the last declared field.
    pub(super) length: usize,
}

/// Appends the fields of `node`, each at its column, without blanks behind the last one.
pub(super) fn write<'a>(
    node: Node<'a>,
    layout: Layout<'a>,
    encoding: Encoding,
    out: &mut Vec<u8>,
) -> (Row, Vec<Fault<'a>>) {
    let start = out.len();
    let mut writer = Writer { layout, encoding, out, row: Row::default(), faults: Vec::new() };
    if !matches!(layout, Layout::Segment(..)) {
        let nested = node.children().filter(|child| !is_value(child.kind()));
        for child in nested {
            writer.fault(child.name(), "not-a-field", "a field has no children".to_owned());
        }
    }
    let known = writer.faults.len();
    if !writer.in_order(node) {
        writer.out.truncate(start);
        writer.row = Row::default();
        writer.faults.truncate(known);
        writer.in_any_order(node);
    }
    (writer.row, writer.faults)
}

/// The length as SAP counts it.
pub(super) fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

struct Writer<'a, 'o> {
    layout: Layout<'a>,
    /// What the record will be encoded in; `out` is UTF-8.
    encoding: Encoding,
    out: &'o mut Vec<u8>,
    row: Row,
    faults: Vec<Fault<'a>>,
}

impl<'a> Writer<'a, '_> {
    /// Writes fields that come in the order of the layout, as they mostly do; stops at one that
    /// does not.
    fn in_order(&mut self, node: Node<'a>) -> bool {
        let mut index = 0;
        for child in values(node) {
            loop {
                let Some(field) = self.layout.field(index) else {
                    return false;
                };
                index += 1;
                if field.name == child.name() {
                    self.value(child.kind(), child.text(), &field);
                    break;
                }
                self.value(Kind::Text, field.default, &field);
            }
        }
        while let Some(field) = self.layout.field(index) {
            self.value(Kind::Text, field.default, &field);
            index += 1;
        }
        true
    }

    fn in_any_order(&mut self, node: Node<'a>) {
        for field in self.layout.fields() {
            let mut same = values(node).filter(|child| child.name() == field.name);
            match same.next() {
                Some(child) if !field.name.is_empty() => {
                    self.value(child.kind(), child.text(), &field);
                    if same.next().is_some() {
                        self.fault(
                            field.name,
                            "duplicate-field",
                            "occurs more than once".to_owned(),
                        );
                    }
                }
                _ => self.value(Kind::Text, field.default, &field),
            }
        }
        for child in values(node) {
            let name = child.name();
            if name.is_empty() || !self.layout.fields().any(|field| field.name == name) {
                let names = self.layout.fields().map(|field| field.name);
                let message = match nearest(name, names.filter(|name| !name.is_empty())) {
                    Some(near) => format!("unknown field; did you mean {near}?"),
                    None => "unknown field".to_owned(),
                };
                self.fault(name, "unknown-field", message);
            }
        }
    }

    fn fault(&mut self, field: &'a str, code: &'static str, message: String) {
        self.faults.push(Fault { field, code, message });
    }

    /// Writes one value at the column of the next field.
    fn value(&mut self, kind: Kind, text: &str, field: &Field<'a>) {
        let column = self.row.length;
        self.row.length += field.length;
        let (text, negative) = notation(kind, text, field.data);
        if text.is_empty() {
            return;
        }
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            // A line end would end the record; other controls come back as something else.
            let message = "control character in the value".to_owned();
            return self.fault(field.name, "control-character", message);
        }
        if let Some(at) = self.encoding.lacks(text) {
            let message = format!("{} has no character {} of it", self.encoding.name(), at + 1);
            return self.fault(field.name, "not-encodable", message);
        }
        let characters = characters(text) + usize::from(negative);
        if characters > field.length {
            let message = format!("{characters} characters, but the field has {}", field.length);
            return self.fault(field.name, "too-long", message);
        }
        self.out.resize(self.out.len() + column - self.row.written, b' ');
        self.out.extend_from_slice(text.as_bytes());
        if negative {
            self.out.push(b'-');
        }
        self.row.written = column + characters;
    }
}

/// A value in the notation of IDocs, and whether a minus stands behind it: `true` is `X`, and the
/// sign of a decimal field follows the number.
pub(super) fn notation(kind: Kind, text: &str, data: DataType) -> (&str, bool) {
    let text = match (kind, text) {
        (Kind::Bool, "true") => "X",
        (Kind::Bool, "false") => "",
        _ => text.trim_end_matches(' '),
    };
    match text.strip_prefix('-').filter(|rest| data == DataType::Decimal && !rest.is_empty()) {
        Some(amount) => (amount, true),
        None => (text, false),
    }
}

/// The children that are values and no segments.
fn values(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.children().filter(|child| is_value(child.kind()))
}

fn is_value(kind: Kind) -> bool {
    !matches!(kind, Kind::Segment | Kind::Group | Kind::List)
}
