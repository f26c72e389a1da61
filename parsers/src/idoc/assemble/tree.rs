//! Segments that come with their names and their nesting, as IDoc-XML has them.

use crate::document::Kind;
use crate::encoding::Spot;
use crate::fixed::columns::Columns;
use crate::fixed::index::Index;
use crate::idoc::assemble::Assembly;
use crate::idoc::check;
use crate::idoc::control::{CONTROL, EDI_DC40};
use crate::idoc::header::DataRecord;
use crate::idoc::types::{Types, segments_of};
use crate::reading::{FrameError, Severity};
use crate::schema::ElementId;

/// Fields that are kept until their segment is known. A record has 1000 characters.
const MOST_FIELDS: usize = 4096;

/// A field as it came.
#[derive(Debug, Default)]
pub(in crate::idoc) struct Value {
    pub(in crate::idoc) name: String,
    pub(in crate::idoc) text: String,
    pub(in crate::idoc) spot: Spot,
}

/// A record without header fields.
fn blank<'t>(number: Option<u32>, parent: Option<u32>) -> DataRecord<'t> {
    DataRecord { definition: "", document_number: "", number, parent, data: Columns::new("") }
}

impl<'l> Assembly<'l> {
    /// Begins the document: opens the root and puts the control record. `named` is the type where
    /// there is no control record.
    pub(in crate::idoc) fn tree_control(
        &mut self,
        spot: Spot,
        values: &[Value],
        named: &str,
        types: &'l Types,
    ) {
        let value = |name: &str| {
            let found = values.iter().find(|value| value.name == name);
            found.map_or("", |value| value.text.as_str())
        };
        let (basic, extended) = match value("IDOCTYP") {
            "" => types.named(named),
            basic => (basic, value("CIMTYP")),
        };
        value("DOCNUM").clone_into(&mut self.document_number);
        self.at(spot);
        self.in_control = true;
        self.find_type(types, basic, extended);
        self.builder.open(Kind::Group, basic, 0);
        self.push(ElementId::ROOT, Some(0), 0);
        if values.is_empty() {
            let message = "no control record; the type is named by the root element";
            self.problem(Severity::Warning, "no-control-record", "", message);
            self.in_control = false;
            return;
        }
        self.builder.open(Kind::Segment, CONTROL, self.offset(0));
        for value in values {
            self.at(value.spot);
            let column = EDI_DC40.iter().find(|column| column.name == value.name);
            match column {
                None => {
                    let message = "not a field of the control record";
                    self.problem(Severity::Warning, "unknown-field", &value.name, message);
                }
                // Real senders put whole version names into DOCREL; nothing depends on it.
                Some(column) => {
                    self.length_of(&value.name, &value.text, column.length, Severity::Warning)
                }
            }
            self.tree_value(&value.name, &value.text);
        }
        self.builder.close();
        self.in_control = false;
    }

    /// Opens a segment by its type below the one opened last; `false` where it is not declared.
    pub(in crate::idoc) fn tree_open(&mut self, name: &str, spot: Spot) -> bool {
        self.at_segment(spot);
        let kind = self.kind;
        let parent = self.nest.last().map(|open| open.id);
        let found = kind.zip(parent).and_then(|(kind, parent)| {
            let id = kind.schema.child(parent, name)?;
            (kind.schema.element(id).kind == Kind::Segment).then_some((kind, id))
        });
        let Some((kind, id)) = found else {
            if kind.is_some() {
                let message = "not declared here; kept as it came";
                self.problem(Severity::Warning, "unknown-segment", name, message);
            }
            self.tree_unknown(name);
            return false;
        };
        let depth = self.nest.depth().saturating_sub(1);
        self.open_below(kind, depth, id, &blank(None, None));
        true
    }

    /// Opens a segment that is not declared.
    pub(in crate::idoc) fn tree_unknown(&mut self, name: &str) {
        self.builder.open(Kind::Segment, name, self.offset(0));
    }

    /// Closes a segment that is not declared.
    pub(in crate::idoc) fn tree_close_unknown(&mut self) {
        self.builder.close();
    }

    /// Closes the segment opened last.
    pub(in crate::idoc) fn tree_close(&mut self) {
        self.close_to(self.kind, self.nest.depth().saturating_sub(1));
    }

    /// The type of the document, once its control record was read.
    pub(in crate::idoc) fn kind(&self) -> Option<&'l Index> {
        self.kind
    }

    /// Puts a field of the segment opened last, of that type if it is declared. `hint` is where its
    /// declaration is looked for first, among the fields of the segment.
    pub(in crate::idoc) fn tree_field(
        &mut self,
        (name, text): (&str, &str),
        spot: Spot,
        hint: &mut usize,
        kind: Option<&Index>,
    ) {
        self.at(spot);
        if text.is_empty() {
            return;
        }
        if let Some(kind) = kind {
            self.check_field(kind, name, text, hint);
        }
        self.tree_value(name, text);
    }

    /// Puts a field of the segment opened last, if it is declared and nothing is wrong with it.
    pub(in crate::idoc) fn tree_plain_field(
        &mut self,
        (name, text): (&str, &str),
        offset: u64,
        hint: &mut usize,
        kind: &Index,
    ) -> bool {
        let Some(open) = self.nest.last().filter(|_| self.values.is_none()) else { return false };
        let rest = kind.schema.element(open.id).children().iter().enumerate().skip(*hint);
        let mut fields = rest.map(|(at, id)| (at, *id, kind.schema.element(*id)));
        let is_control = |byte: &u8| (*byte < 0x20) | (*byte == 0x7f);
        let has_controls = text.as_bytes().iter().fold(false, |any, byte| any | is_control(byte));
        match fields.find(|(_, _, field)| field.kind == Kind::Field && field.name == name) {
            _ if text.is_empty() => true,
            Some((at, id, field))
                if !has_controls && text.len() <= field.length.unwrap_or(0) as usize =>
            {
                *hint = at + 1;
                self.place.offset = offset;
                self.builder.put_declared(id.index(), text, self.offset(0));
                true
            }
            _ => false,
        }
    }

    fn check_field(&mut self, kind: &Index, name: &str, text: &str, hint: &mut usize) {
        let Some(open) = self.nest.last() else { return };
        let children = kind.schema.element(open.id).children();
        let named = |at: &usize| {
            let element = children.get(*at).map(|id| kind.schema.element(*id));
            element.is_some_and(|e| e.kind == Kind::Field && e.name == name)
        };
        let found = (*hint..children.len()).chain(0..*hint).find(named);
        let Some(field) = found.and_then(|at| children.get(at)).map(|id| kind.schema.element(*id))
        else {
            let message = "not a field of the segment; kept as it came";
            return self.problem(Severity::Warning, "unknown-field", name, message);
        };
        *hint = found.map_or(0, |at| at + 1);
        self.length_of(name, text, field.length.unwrap_or(0) as usize, Severity::Error);
        if let Some(severity) = self.values
            && let Some(fault) = check::value(field, text)
        {
            self.problem(severity, fault.code, name, fault.message);
        }
    }

    fn tree_value(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            self.check_controls(name, text, 0);
        }
        self.builder.put(Kind::Field, name, text, self.offset(0));
    }

    fn length_of(&mut self, name: &str, text: &str, length: usize, severity: Severity) {
        let is_long = text.len() > length && text.chars().count() > length;
        if is_long {
            let characters = text.chars().count();
            let message = format!("{characters} characters, but the field has {length}");
            self.problem(severity, "too-long", name, message);
        }
    }

    /// Puts a segment that comes with its definition, its numbers and its fields, and is nested by
    /// the definition of the type, as the Microsoft dialect has it.
    pub(in crate::idoc) fn tree_record(
        &mut self,
        definition: &str,
        (number, parent): (Option<u32>, Option<u32>),
        (values, spot): (&[Value], Spot),
    ) {
        self.at_segment(spot);
        let kind = self.kind;
        let candidates = kind.map_or(&[][..], |kind| segments_of(kind, definition));
        let known = match (kind, self.place_in(kind, candidates, parent)) {
            (Some(kind), Some((depth, id))) => {
                self.open_below(kind, depth, id, &blank(number, parent));
                true
            }
            (Some(kind), None) if !candidates.is_empty() => {
                self.open_orphan(kind, candidates, &blank(number, parent));
                true
            }
            (kind, _) => {
                if kind.is_some() {
                    let message = "the type does not declare this segment; kept as it came";
                    self.problem(Severity::Warning, "unknown-segment", definition, message);
                }
                self.tree_unknown(definition);
                false
            }
        };
        let mut hint = 0;
        for value in values {
            let Value { name, text, spot } = value;
            let kind = kind.filter(|_| known);
            self.tree_field((name, text), *spot, &mut hint, kind);
        }
        if !known {
            self.tree_close_unknown();
        }
    }

    fn place_in(
        &self,
        kind: Option<&Index>,
        candidates: &[ElementId],
        parent: Option<u32>,
    ) -> Option<(usize, ElementId)> {
        self.nest.place_of(kind?, candidates, parent)
    }

    /// Reports text where only segments and fields may be.
    pub(in crate::idoc) fn stray_text(&mut self, spot: Spot) {
        self.at(spot);
        self.problem(Severity::Error, "stray-text", "", "text between fields");
    }

    /// Reports a segment that is not marked as one.
    pub(in crate::idoc) fn unmarked(&mut self, name: &str, spot: Spot) {
        self.at(spot);
        let message = "a segment without the attribute SEGMENT";
        self.problem(Severity::Warning, "unmarked-segment", name, message);
    }

    fn at(&mut self, spot: Spot) {
        (self.place.offset, self.place.line, self.place.column) =
            (spot.offset, spot.line, spot.column);
    }

    fn at_segment(&mut self, spot: Spot) {
        self.at(spot);
        self.place.segment += 1;
    }

    /// The limits, at byte `end` of the input or behind it, with so many fields that were not put
    /// yet.
    pub(in crate::idoc) fn check_tree_limits(
        &mut self,
        end: u64,
        fields: usize,
    ) -> Result<(), FrameError> {
        if fields > MOST_FIELDS {
            let message = format!("a segment of more than {MOST_FIELDS} fields");
            return Err(self.frame_error("too-many-nodes", message));
        }
        self.check_size(end)
    }
}
