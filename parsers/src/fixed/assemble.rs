//! Records to one document: nesting, decoding, and the rules of the type.

use std::sync::Arc;

use crate::document::{Builder, Document, Kind, Room};
use crate::encoding::Encoding;
use crate::fixed::columns::Columns;
use crate::fixed::index::Index;
use crate::fixed::nest::{Nest, Open};
use crate::fixed::read::ReadOptions;
use crate::fixed::types::Known;
use crate::fixed::{counted, is_filled, is_foreign, record_length};
use crate::idoc::check;
use crate::path::append_name;
use crate::reading::{FrameError, INCOMPLETE, Limits, Place, Problem, Problems, Severity};
use crate::schema::{Element, ElementId};

pub(super) struct Assembly<'l> {
    limits: &'l Limits,
    options: ReadOptions,
    start: u64,
    kind: Arc<Known>,
    builder: Builder,
    problems: Problems,
    nest: Nest,
    place: Place,
    encoding: Encoding,
    /// The current record came with its fields.
    is_packed: bool,
    /// Bytes of the current record.
    length: usize,
    /// How many records of each number there were.
    counts: Vec<u64>,
    /// What `COUNT_` fields said.
    claims: Vec<(Place, String, u64)>,
}

impl<'l> Assembly<'l> {
    pub(super) fn new(
        limits: &'l Limits,
        options: ReadOptions,
        kind: Arc<Known>,
        (begin, room): (&Place, &Room),
    ) -> Self {
        let mut assembly = Self {
            limits,
            options,
            start: begin.offset,
            builder: Builder::with_room(room),
            problems: Problems::new(limits.problems),
            nest: Nest::default(),
            place: begin.clone(),
            encoding: options.encoding,
            is_packed: false,
            length: 0,
            counts: Vec::new(),
            claims: Vec::new(),
            kind,
        };
        let children = assembly.kind.index.schema.element(ElementId::ROOT).children().len();
        assembly.builder.set_layouts(Arc::clone(&assembly.kind.index.layouts));
        assembly.builder.open(Kind::Group, assembly.kind.index.schema.name(), 0);
        assembly.nest.push(Open::new(ElementId::ROOT, None, 0, assembly.place.clone()), children);
        assembly
    }

    pub(super) fn record(&mut self, bytes: &[u8], place: &Place) -> Result<(), FrameError> {
        let segment = self.place.segment + 1;
        self.place = Place { segment, ..place.clone() };
        let mut scratch = String::new();
        let text = self.decode(bytes, &mut scratch);
        self.length = self.encoding.length(text);
        self.check_limits()?;
        let kind = Arc::clone(&self.kind);
        let Some((number, candidates)) = kind.record(text) else {
            let message = "the type does not declare this record; kept undecoded";
            self.problem(Severity::Error, "unknown-record", "", message);
            self.undecoded(text);
            return Ok(());
        };
        if self.counts.len() <= number {
            self.counts.resize(number + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(number) {
            *count += 1;
        }
        match self.nest.place_of(&kind.index, candidates, None) {
            Some((depth, id)) => self.open_below(&kind.index, (depth, id), text),
            None => self.open_orphan(&kind.index, candidates, text),
        }
        if self.nest.depth() > self.limits.depth {
            let message = format!("nested deeper than {} levels", self.limits.depth);
            return Err(self.frame_error("too-deep", message));
        }
        self.fields(&kind.index, text);
        Ok(())
    }

    fn decode<'t>(&mut self, bytes: &'t [u8], scratch: &'t mut String) -> &'t str {
        self.encoding = self.options.encoding;
        match std::str::from_utf8(bytes) {
            Ok(text) if self.encoding == Encoding::UTF_8 || text.is_ascii() => return text,
            Err(_) if self.encoding == Encoding::UTF_8 => {
                let message = "not UTF-8; read as ISO 8859-1";
                self.problem(Severity::Error, "invalid-text", "", message);
                self.encoding = Encoding::LATIN_1;
            }
            _ => {}
        }
        if !self.encoding.decode(bytes, scratch) {
            let message = format!("not {} throughout", self.encoding.name());
            self.problem(Severity::Error, "invalid-text", "", message);
        }
        scratch.as_str()
    }

    fn check_limits(&mut self) -> Result<(), FrameError> {
        let size = self.place.offset - self.start + self.length as u64;
        let most = self.limits.document_bytes();
        if size > most as u64 {
            return Err(self.frame_error("too-large", format!("more than {most} bytes")));
        }
        if !self.builder.has_room(self.limits.nodes) {
            let message = format!("more than {} nodes", self.limits.nodes);
            return Err(self.frame_error("too-many-nodes", message));
        }
        Ok(())
    }

    fn frame_error(&self, code: &'static str, message: String) -> FrameError {
        FrameError { code, message, place: self.place.clone() }
    }

    fn undecoded(&mut self, text: &str) {
        self.builder.open(Kind::Segment, "?", self.offset(0));
        self.builder.put(Kind::Field, "DATA", text.trim_end_matches(' '), self.offset(0));
        self.builder.close();
    }

    fn open_below(&mut self, kind: &Index, (depth, id): (usize, ElementId), text: &str) {
        self.close_to(kind, depth + 1);
        let entry = self.nest.enter(kind.home(id).1);
        let element = kind.schema.element(id);
        self.open(kind, (id, entry.before), text);
        if entry.too_early {
            let message = "stands behind a record that it must precede";
            self.problem(Severity::Error, "wrong-order", "", message);
        }
        if entry.before == element.max {
            let message = format!("more often than declared, at most {}", element.max);
            self.problem(Severity::Error, "too-many-records", "", message);
        }
    }

    fn open_orphan(&mut self, kind: &Index, candidates: &[ElementId], text: &str) {
        self.close_to(kind, 1);
        let id = candidates.first().copied().unwrap_or(ElementId::ROOT);
        self.open(kind, (id, 0), text);
        let parent = &kind.schema.element(kind.home(id).0).name;
        let message = format!("its parent {parent} is not there");
        self.problem(Severity::Error, "missing-parent", "", message);
    }

    /// Opens a record, with its fields where nothing needs to be checked in them.
    fn open(&mut self, kind: &Index, (id, before): (ElementId, u64), text: &str) {
        let element = kind.schema.element(id);
        let open = Open::new(id, None, before, self.place.clone());
        self.nest.push(open, element.children().len());
        let offset = self.offset(0);
        let is_checked = self.options.values.is_some() || self.kind.is_counting(id);
        let layout = kind.layouts.of(id).filter(|_| !is_checked && self.encoding.width() == 1);
        let is_control = |byte: &u8| (*byte < 0x20) | (*byte == 0x7f);
        let has_controls = text.as_bytes().iter().fold(false, |any, byte| any | is_control(byte));
        let data = Columns::new(text).trimmed();
        let data = layout.filter(|_| !has_controls).and_then(|layout| data.within(layout.length));
        self.is_packed = data.is_some();
        match data {
            Some(data) => self.builder.open_record(id.index(), data, offset),
            None => {
                self.builder.open(Kind::Segment, &element.name, offset);
            }
        }
    }

    fn fields(&mut self, kind: &Index, text: &str) {
        let Some(id) = self.nest.last().map(|open| open.id) else { return };
        let mut columns = Columns::new(text);
        let length = record_length(&kind.schema);
        let characters = columns.characters();
        if characters < length {
            self.short(kind, (id, text), (characters, length));
        }
        let children = kind.schema.element(id).children();
        let is_packed = self.is_packed;
        for child in children.iter().filter(|_| !is_packed) {
            let field = kind.schema.element(*child);
            if field.kind == Kind::Field {
                self.field(field, &mut columns);
            }
        }
        // All of what is packed is in the columns.
        let rest = if is_packed { "" } else { columns.rest() };
        if characters > length {
            let severity = if rest.is_empty() { Severity::Warning } else { Severity::Error };
            let message = format!("{characters} characters, but a record has {length}");
            self.problem(severity, "too-long", "", message);
        } else if !rest.is_empty() {
            self.problem(Severity::Warning, "too-long", "", "data behind the last field");
        }
        if !rest.is_empty() {
            self.builder.put(Kind::Field, "DATA", rest, self.offset(0));
        }
    }

    /// Reports a record of too few characters. One whose blanks at the end were trimmed is read; in
    /// any other one characters are missing somewhere, and all columns behind them are wrong.
    fn short(
        &mut self,
        kind: &Index,
        (id, text): (ElementId, &str),
        (characters, length): (usize, usize),
    ) {
        let message = format!("{characters} characters, but a record has {length}");
        let (mut start, schema) = (0, &kind.schema);
        let fields = schema.element(id).children().iter().map(|id| schema.element(*id));
        let cut = fields.filter(|field| field.kind == Kind::Field).find(|field| {
            let begin = start;
            start += field.length.unwrap_or(0) as usize;
            begin < characters && characters < start && is_filled(field)
        });
        let (severity, message) = match cut {
            _ if text.ends_with(' ') => {
                let why = "it ends with blanks, so none were trimmed: its columns are not certain";
                (Severity::Error, format!("{message}; {why}"))
            }
            Some(field) => {
                let name = &field.name;
                (Severity::Error, format!("{message}; it ends inside of the number {name}"))
            }
            None => (Severity::Warning, message),
        };
        self.problem(severity, "short-record", "", message);
    }

    fn field(&mut self, field: &Element, columns: &mut Columns<'_>) {
        let at = self.length - columns.bytes_in(self.encoding).min(self.length);
        let value = columns.field(field.length.unwrap_or(0) as usize);
        let record = self.place.offset;
        self.place.offset += at as u64;
        if value.is_empty() {
            if let (Some(severity), true) = (self.options.values, field.min > 0) {
                self.problem(severity, "missing-field", &field.name, "required, but blank");
            }
        } else {
            self.value(field, value);
        }
        self.place.offset = record;
        if !value.is_empty() {
            self.builder.put(Kind::Field, &field.name, value, self.offset(at));
        }
    }

    fn value(&mut self, field: &Element, value: &str) {
        if value.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            let message = "a control character in the field";
            self.problem(Severity::Error, "control-character", &field.name, message);
        }
        if let Some(severity) = self.options.values
            && let Some(fault) = check::value(field, value)
        {
            // What belongs to another field is no oddity of this one.
            let severity = if is_foreign(field, value) { Severity::Error } else { severity };
            self.problem(severity, fault.code, &field.name, fault.message);
        }
        if let (Some(record), Ok(count)) = (counted(field), value.trim_start().parse()) {
            let mut place = self.place.clone();
            place.path = self.path(&field.name);
            self.claims.push((place, record.to_owned(), count));
        }
    }

    fn close_to(&mut self, kind: &Index, depth: usize) {
        while self.nest.depth() > depth {
            let missing = self.nest.last().map(|open| open.missing(kind, &self.nest));
            if let Some(missing) = missing.filter(|missing| !missing.is_empty())
                && let Some(place) = self.nest.last().map(|open| open.place.clone())
            {
                for (element, count) in missing {
                    let message = match count {
                        0 => "mandatory record is missing".to_owned(),
                        _ => {
                            format!("occurs {count} times, but at least {} are needed", element.min)
                        }
                    };
                    let current = std::mem::replace(&mut self.place, place.clone());
                    self.problem(Severity::Error, "missing-record", &element.name, message);
                    self.place = current;
                }
            }
            self.nest.pop();
            self.builder.close();
        }
    }

    fn offset(&self, at: usize) -> usize {
        usize::try_from(self.place.offset - self.start).unwrap_or(usize::MAX).saturating_add(at)
    }

    fn path(&self, name: &str) -> String {
        let mut path = self.nest.path(&self.kind.index);
        append_name(&mut path, name);
        path
    }

    fn problem(
        &mut self,
        severity: Severity,
        code: &'static str,
        name: &str,
        message: impl Into<String>,
    ) {
        let (nest, kind, place) = (&self.nest, &self.kind, &self.place);
        self.problems.push(severity, || {
            let mut path = nest.path(&kind.index);
            append_name(&mut path, name);
            let place = Place { path, ..place.clone() };
            Problem { severity, code, message: message.into(), place }
        });
    }

    /// Reports a document that the end of the input has cut short. What stands outside of documents
    /// has no end.
    pub(super) fn check_end(&mut self) {
        let kind = Arc::clone(&self.kind);
        let has_begun = self.counts.iter().any(|count| *count > 0);
        if let Some(due) = self.nest.due(&kind.index).filter(|_| has_begun) {
            let message = format!("the input ends before the mandatory record {}", due.name);
            self.problem(Severity::Error, INCOMPLETE, "", message);
        }
    }

    pub(super) fn finish(mut self, room: &mut Room) -> (Document, Vec<Problem>) {
        room.remember(&self.builder);
        let kind = Arc::clone(&self.kind);
        self.close_to(&kind.index, 0);
        for (place, record, claimed) in std::mem::take(&mut self.claims) {
            let number = self.kind.number_of(&record).and_then(|number| self.counts.get(number));
            let count = number.copied().unwrap_or(0);
            if count != claimed {
                let severity = Severity::Error;
                let message =
                    format!("there are {count} records {record}, but {claimed} are counted");
                let problem = Problem { severity, code: "wrong-count", message, place };
                self.problems.push(severity, || problem);
            }
        }
        (self.builder.finish(), self.problems.finish())
    }
}
