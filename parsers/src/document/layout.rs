//! The fields of a record of fixed columns, packed in the slot of their segment.

use std::sync::Arc;

use crate::document::Kind;
use crate::document::slot::Packed;
use crate::schema::{DataType, Element, ElementId, Schema};

/// The columns of the records of a type: for each of its elements the layout of its record.
#[derive(Debug)]
pub(crate) struct Layouts {
    pub(crate) schema: Arc<Schema>,
    layouts: Vec<Layout>,
}

/// The columns of one record.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    name: String,
    columns: Vec<Column>,
    /// Where decimal fields begin.
    decimals: Vec<usize>,
    /// The columns of digits, and of what is required.
    strict: Vec<usize>,
    /// Bytes of the record before the first column.
    header: u32,
    /// Bytes of all columns.
    pub(crate) length: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    from: usize,
    to: usize,
    data: DataType,
    is_required: bool,
}

impl Layouts {
    /// The layouts of a type whose records have `header` bytes before their first field. What
    /// belongs to no segment of the type may have the layout of the root.
    pub(crate) fn new(schema: Arc<Schema>, header: u32, root: Layout) -> Self {
        let mut layouts: Vec<Layout> = Vec::new();
        for (_, element) in schema.elements() {
            let mut layout = Layout { name: element.name.clone(), header, ..Layout::default() };
            if element.kind == Kind::Segment {
                let children = element.children().iter().map(|id| schema.element(*id));
                for field in children.filter(|field| field.kind == Kind::Field) {
                    layout.column(field);
                }
            }
            layouts.push(layout);
        }
        if let Some(first) = layouts.first_mut() {
            *first = root;
        }
        Self { schema, layouts }
    }

    /// Whether they are those of this very schema.
    pub(super) fn is_of(&self, schema: &Schema) -> bool {
        std::ptr::eq(&raw const *self.schema, schema)
    }

    pub(crate) fn of(&self, id: ElementId) -> Option<&Layout> {
        self.layouts.get(id.index())
    }

    /// How many columns a layout has.
    pub(super) fn columns(&self, number: usize) -> usize {
        self.layouts.get(number).map_or(0, |layout| layout.columns.len())
    }

    /// The name of a declared element.
    pub(super) fn declared(&self, number: u32) -> &str {
        self.schema.at(number as usize).map_or("", |element| &element.name)
    }

    pub(super) fn at(&self, number: u32) -> Option<&Layout> {
        self.layouts.get(number as usize)
    }
}

impl Layout {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds a column behind the others.
    pub(crate) fn add(&mut self, name: &str, length: usize) {
        self.column(&Element { length: Some(length as u32), ..Element::new(Kind::Field, name) });
    }

    fn column(&mut self, field: &Element) {
        let from = self.length;
        let to = from + field.length.unwrap_or(0) as usize;
        let (data, is_required) = (field.data, field.min > 0);
        if data == DataType::Decimal {
            self.decimals.push(from);
        }
        if data == DataType::Digits || is_required {
            self.strict.push(self.columns.len());
        }
        self.columns.push(Column { name: field.name.clone(), from, to, data, is_required });
        self.length = to;
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The fields packed in a slot. The field of column `k` is node `k + 1`; blank ones are no nodes.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) text: &'a str,
    pub(crate) layout: &'a Layout,
}

impl<'a> Fields<'a> {
    fn column(&self, node: Packed) -> Option<&'a Column> {
        self.layout.columns.get((node as usize).checked_sub(1)?)
    }

    pub(super) fn name(&self, node: Packed) -> &'a str {
        self.column(node).map_or("", |column| &column.name)
    }

    pub(super) fn text(&self, node: Packed) -> &'a str {
        self.column(node).map_or("", |column| column.text(self.text))
    }

    pub(super) fn offset(&self, node: Packed) -> u32 {
        self.layout.header + self.column(node).map_or(0, |column| column.from as u32)
    }

    /// The next field; the first one after 0.
    pub(super) fn after(&self, node: Packed) -> Packed {
        let rest = self.layout.columns.get(node as usize..).unwrap_or_default();
        let found = rest.iter().position(|column| !column.text(self.text).is_empty());
        found.map_or(0, |at| node + at as u32 + 1)
    }

    /// Whether a decimal field begins with its sign.
    pub(crate) fn has_leading_sign(&self) -> bool {
        let bytes = self.text.as_bytes();
        self.layout.decimals.iter().any(|from| bytes.get(*from) == Some(&b'-'))
    }

    /// Whether all digits fill their fields, and nothing that is required is blank.
    pub(crate) fn is_filled(&self) -> bool {
        let columns = self.layout.strict.iter().filter_map(|at| self.layout.columns.get(*at));
        columns.into_iter().all(|column| match column.text(self.text).len() {
            0 => !column.is_required,
            length => column.data != DataType::Digits || length == column.to - column.from,
        })
    }

    pub(super) fn count(&self) -> usize {
        let columns = self.layout.columns.iter();
        columns.filter(|column| !column.text(self.text).is_empty()).count()
    }
}

impl Column {
    fn text<'t>(&self, record: &'t str) -> &'t str {
        let to = self.to.min(record.len());
        trim_end(record.get(self.from.min(to)..to).unwrap_or_default())
    }
}

/// Without trailing blanks.
pub(crate) fn trim_end(text: &str) -> &str {
    text.get(..trimmed(text.as_bytes()).len()).unwrap_or(text)
}

/// Without trailing blanks. Records are mostly padding, so it goes by blocks.
pub(crate) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    if !bytes.ends_with(b"  ") {
        return bytes.strip_suffix(b" ").unwrap_or(bytes);
    }
    // Comparing memory has the widest registers that there are.
    while let Some(head) = bytes.strip_suffix(&[b' '; 256]) {
        bytes = head;
    }
    while let Some(head) = bytes.strip_suffix(&[b' '; 32]) {
        bytes = head;
    }
    while let Some((b' ', head)) = bytes.split_last() {
        bytes = head;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_behind_a_value_are_trimmed_at_any_length() {
        for blanks in (0..70).chain(250..300).chain(510..560) {
            for text in ["", "x", " x", "0123456789abcdef", "ü"] {
                let padded = format!("{text}{}", " ".repeat(blanks));
                assert_eq!(trim_end(&padded), text);
            }
        }
    }
}
