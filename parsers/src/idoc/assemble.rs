//! Records of one IDoc to one document: nesting, decoding, and the rules of the type.

mod extent;
mod fields;
mod tree;

use std::sync::Arc;

use crate::document::{Builder, Document, Kind, Room};
use crate::encoding::Encoding;
use crate::fixed::columns::Columns;
use crate::fixed::index::Index;
use crate::fixed::nest::{Nest, Open};
use crate::idoc::control::{CONTROL, Release, SDATA_LENGTH};
use crate::idoc::header::{DataRecord, data_record};
use crate::idoc::read::ReadOptions;
use crate::idoc::types::{Types, segments_of};
use crate::path::append_name;
use crate::reading::{FrameError, Limits, Place, Problem, Problems, Severity};
use crate::schema::{Element, ElementId};

pub(super) use extent::Next;
pub(super) use tree::Value;

/// The field that keeps what the type does not declare.
const SDATA: &str = "SDATA";

pub(super) struct Assembly<'l> {
    limits: &'l Limits,
    /// Where the document begins in the input.
    start: u64,
    kind: Option<&'l Index>,
    builder: Builder,
    problems: Problems,
    nest: Nest,
    /// The current record.
    place: Place,
    /// Bytes of the current record.
    length: usize,
    /// The encoding of the input.
    declared: Encoding,
    /// The encoding of the current record, another one where it is not in that of the input.
    encoding: Encoding,
    release: Release,
    /// How bad a value is that breaks a rule of its field; `None` where values are not checked.
    values: Option<Severity>,
    in_control: bool,
    has_controls: bool,
    /// The current record is ASCII without control characters, a byte for each of them.
    is_simple: bool,
    /// `DOCNUM` of the record before.
    document_number: String,
    extent: extent::Extent,
}

impl<'l> Assembly<'l> {
    pub(super) fn new(limits: &'l Limits, options: ReadOptions, start: u64, room: &Room) -> Self {
        Self {
            limits,
            start,
            kind: None,
            builder: Builder::with_room(room),
            problems: Problems::new(limits.problems),
            nest: Nest::default(),
            place: Place::default(),
            length: 0,
            declared: options.encoding.unwrap_or_default(),
            encoding: options.encoding.unwrap_or_default(),
            release: Release::R4,
            values: options.values,
            in_control: false,
            has_controls: false,
            is_simple: false,
            document_number: String::new(),
            extent: extent::Extent::default(),
        }
    }

    fn find_type(&mut self, types: &'l Types, basic: &str, extended: &str) {
        let path = if extended.is_empty() { "IDOCTYP" } else { "CIMTYP" };
        match types.lookup(basic, extended) {
            Some((found, exact)) => {
                self.kind = Some(found);
                self.builder.set_layouts(Arc::clone(&found.layouts));
                if !exact {
                    let message = "no definition of the extension; read as its basic type";
                    self.problem(Severity::Warning, "unknown-extension", path, message);
                }
            }
            None => {
                let message = "no definition of the IDoc type; segments are not decoded";
                self.problem(Severity::Warning, "unknown-type", "IDOCTYP", message);
            }
        }
    }

    /// Reads a data record.
    pub(super) fn data(&mut self, bytes: &[u8], place: &Place) -> Result<(), FrameError> {
        let segment = self.place.segment + 1;
        let mut scratch = String::new();
        let columns = self.begin_record(bytes, place, &mut scratch);
        self.place.segment = segment;
        self.extent.record(columns, self.release);
        self.check_limits()?;
        let record = data_record(columns, self.release);
        if !is_segment_name(record.definition) {
            self.not_a_segment(columns);
            return Ok(());
        }
        let Some(kind) = self.kind else {
            self.undecoded(&record);
            self.check_number(&record);
            return Ok(());
        };
        let candidates = segments_of(kind, record.definition);
        if candidates.is_empty() {
            let message = "the type does not declare this segment; kept undecoded";
            self.problem(Severity::Warning, "unknown-segment", record.definition, message);
            self.undecoded(&record);
            return Ok(());
        }
        let is_packed = match self.nest.place_of(kind, candidates, record.parent) {
            Some((depth, id)) => self.open_below(kind, depth, id, &record),
            None => self.open_orphan(kind, candidates, &record),
        };
        if is_packed {
            self.packed_fields(kind, &record);
        } else {
            self.fields(kind, &record);
        }
        self.check_number(&record);
        if self.nest.depth() > self.limits.depth {
            let message = format!("nested deeper than {} levels", self.limits.depth);
            return Err(self.frame_error("too-deep", message));
        }
        Ok(())
    }

    pub(super) fn finish(mut self, room: &mut Room) -> (Document, Vec<Problem>) {
        self.close_to(self.kind, 0);
        room.remember(&self.builder);
        (self.builder.finish(), self.problems.finish())
    }

    fn check_limits(&mut self) -> Result<(), FrameError> {
        self.check_size(self.place.offset + self.length as u64)
    }

    /// The limits, where the document goes on to byte `end` of the input at least.
    fn check_size(&mut self, end: u64) -> Result<(), FrameError> {
        let most = self.limits.document_bytes();
        if end.saturating_sub(self.start) > most as u64 {
            return Err(self.frame_error("too-large", format!("an IDoc of more than {most} bytes")));
        }
        if !self.builder.has_room(self.limits.nodes) {
            let message = format!("an IDoc of more than {} nodes", self.limits.nodes);
            return Err(self.frame_error("too-many-nodes", message));
        }
        Ok(())
    }

    fn frame_error(&self, code: &'static str, message: String) -> FrameError {
        FrameError { code, message, place: self.place.clone() }
    }

    /// Opens a segment; says whether it came with its fields.
    fn open_below(
        &mut self,
        kind: &Index,
        depth: usize,
        id: ElementId,
        record: &DataRecord<'_>,
    ) -> bool {
        self.close_to(Some(kind), depth + 1);
        let entry = self.nest.enter(kind.home(id).1);
        let element = kind.schema.element(id);
        self.push(id, record.number, entry.before);
        let is_packed = self.open(kind, id, record);
        if entry.too_early {
            let message = "stands behind a segment that it must precede";
            self.problem(Severity::Error, "wrong-order", "", message);
        }
        // Once is enough: the others are too many for the same reason.
        if entry.before == element.max {
            let message = format!("more often than declared, at most {}", element.max);
            self.problem(Severity::Error, "too-many-segments", "", message);
        }
        if record.parent.is_some() && entry.parent.is_some() && record.parent != entry.parent {
            let message = "PSGNUM is not the SEGNUM of the parent by definition";
            self.problem(Severity::Warning, "parent-number", "", message);
        }
        is_packed
    }

    /// Opens the node of a segment, with its fields where their text means what it says and is all
    /// in the columns of the definition.
    fn open(&mut self, kind: &Index, id: ElementId, record: &DataRecord<'_>) -> bool {
        let offset = self.offset(0);
        let definition = kind.schema.element(id).definition.as_deref();
        self.extent.is_exact = definition == Some(record.definition);
        let layout = kind.layouts.of(id).filter(|_| self.is_simple && self.release == Release::R4);
        let data = layout.and_then(|layout| record.data.trimmed().within(layout.length));
        match data {
            Some(data) => self.builder.open_record(id.index(), data, offset),
            None => {
                self.builder.open(Kind::Segment, &kind.schema.element(id).name, offset);
            }
        }
        data.is_some()
    }

    /// Opens a segment whose parent did not come, below the root.
    fn open_orphan(
        &mut self,
        kind: &Index,
        candidates: &[ElementId],
        record: &DataRecord<'_>,
    ) -> bool {
        self.close_to(Some(kind), 1);
        let id = candidates.first().copied().unwrap_or(ElementId::ROOT);
        self.push(id, record.number, 0);
        let is_packed = self.open(kind, id, record);
        let parent = &kind.schema.element(kind.home(id).0).name;
        let message = format!("its parent {parent} is not there");
        self.problem(Severity::Error, "missing-parent", "", message);
        is_packed
    }

    /// Puts a segment with its data as it came, below the current one.
    fn undecoded(&mut self, record: &DataRecord<'_>) {
        self.builder.open(Kind::Segment, record.definition, self.offset(0));
        let mut data = record.data;
        self.field(SDATA, SDATA_LENGTH, &mut data);
        self.builder.close();
        self.too_long(record.data, SDATA_LENGTH);
    }

    /// Keeps a record that begins with no segment name. What it begins with may be personal data,
    /// so it becomes no name.
    fn not_a_segment(&mut self, mut record: Columns<'_>) {
        let message = "no segment name; is there a line end inside of the field before?";
        self.problem(Severity::Error, "not-a-segment", "", message);
        self.builder.open(Kind::Segment, "?", self.offset(0));
        self.field(SDATA, usize::MAX, &mut record);
        self.builder.close();
    }

    fn check_number(&mut self, record: &DataRecord<'_>) {
        if !record.document_number.is_empty() && record.document_number != self.document_number {
            record.document_number.clone_into(&mut self.document_number);
            let message = "DOCNUM is not that of the records before";
            self.problem(Severity::Warning, "document-number", "DOCNUM", message);
        }
    }

    /// Closes segments until `depth` of them are open, and reports what is missing in them.
    fn close_to(&mut self, kind: Option<&Index>, depth: usize) {
        while self.nest.depth() > depth {
            if let (Some(kind), Some(open)) = (kind, self.nest.last()) {
                let missing = open.missing(kind, &self.nest);
                if !missing.is_empty() {
                    let place = open.place.clone();
                    for (element, count) in missing {
                        self.report_missing(element, count, &place);
                    }
                }
            }
            self.nest.pop();
            self.builder.close();
        }
    }

    /// The place is that of the segment that should have had the missing one.
    fn report_missing(&mut self, element: &Element, count: u64, place: &Place) {
        let message = match count {
            0 => "mandatory segment is missing".to_owned(),
            _ => format!("occurs {count} times, but at least {} are needed", element.min),
        };
        let current = std::mem::replace(&mut self.place, place.clone());
        self.problem(Severity::Error, "missing-segment", &element.name, message);
        self.place = current;
    }

    fn push(&mut self, id: ElementId, number: Option<u32>, before: u64) {
        let children = self.kind.map_or(0, |kind| kind.schema.element(id).children().len());
        self.nest.push(Open::new(id, number, before, self.place.clone()), children);
    }

    fn problem(
        &mut self,
        severity: Severity,
        code: &'static str,
        name: &str,
        message: impl Into<String>,
    ) {
        let (nest, kind, place) = (&self.nest, self.kind, &self.place);
        let in_control = self.in_control;
        self.problems.push(severity, || {
            let mut path = kind.map_or_else(String::new, |kind| nest.path(kind));
            if in_control {
                append_name(&mut path, CONTROL);
            }
            append_name(&mut path, name);
            let place = Place { path, ..place.clone() };
            Problem { severity, code, message: message.into(), place }
        });
    }
}

/// Whether the text can be the name of a segment definition.
fn is_segment_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-');
    !text.is_empty() && text.bytes().all(allowed)
}
