//! A document to a flat file of release 4.x, and to status records.
//!
//! The writer refuses rather than repairs: a value that does not fit, a name that the type does
//! not declare or a segment out of its order would be lost or misread on the other side, silently.
//! It does what is only notation: `SEGNUM`, `PSGNUM` and `HLEVEL` are numbered, `MANDT` and
//! `DOCNUM` are those of the control record, a leading minus of a decimal field is written behind
//! (`12.50-`), `true` becomes `X` and `false` blank.

mod options;

use crate::document::{Document, Fields, Kind, Node};
use crate::encoding::Encoding;
use crate::idoc::control::{CONTROL, EDI_DC40_LENGTH, EDI_DS40_LENGTH, SDATA_LENGTH, STATUS};
use crate::idoc::record::{self, Layout, Row};
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::schema::{ElementId, Schema, nearest};

pub use options::{Newline, RecordLength, WriteOptions};

/// Appends the IDoc `document`. The order of segments and of fields with a value is
/// checked against `schema`; fields may come in any order.
///
/// A segment may also be given as a group or a list of groups (as JSON has them), and `EDI_DC40`
/// may leave out `TABNAM`, `IDOCTYP` and `CIMTYP`, which the schema knows.
///
/// # Errors
///
/// Every problem, all of them errors; `out` is then as it was. Places have the offset of the
/// record in what would have been written, the segment number, and the path from the root. Codes:
/// `missing-segment`, `too-many-segments`, `unknown-segment`, `wrong-order`, `unknown-field`,
/// `duplicate-field`, `not-a-field`, `too-long`, `control-character`, `not-encodable`,
/// `unsupported-encoding`, `wrong-type`, `needs-newline`, `too-large` (nothing behind that segment is
/// checked).
pub fn write(
    document: &Document,
    schema: &Schema,
    options: WriteOptions,
    out: &mut Vec<u8>,
) -> Vec<Problem> {
    Writer::new(schema, options, out).write(|writer| writer.document(document))
}

/// Appends the status records of `document`: every `EDI_DS40` below its root.
///
/// # Errors
///
/// As [`write`]; `out` is then as it was.
pub fn write_status(document: &Document, options: WriteOptions, out: &mut Vec<u8>) -> Vec<Problem> {
    let schema = Schema::open(STATUS);
    Writer::new(&schema, options, out).write(|writer| writer.status(document))
}

/// The greatest `SEGNUM`.
const MOST_SEGMENTS: u32 = 999_999;
/// Characters of a full data record: its header and `SDATA`.
const RECORD_LENGTH: usize = 63 + SDATA_LENGTH;

struct Writer<'a> {
    schema: &'a Schema,
    options: WriteOptions,
    out: &'a mut Vec<u8>,
    /// Where this document begins in `out`.
    start: usize,
    /// Where the current record begins in `out`.
    record: usize,
    /// `MANDT` and `DOCNUM` of every record.
    client: &'a str,
    number: &'a str,
    segments: u32,
    in_control: bool,
    /// Whether the limit on bytes was reached.
    is_full: bool,
    /// The open segments: declared element, and how many of its name there were before.
    path: Vec<(ElementId, u64)>,
    problems: Problems,
}

impl<'a> Writer<'a> {
    fn new(schema: &'a Schema, options: WriteOptions, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self {
            schema,
            options,
            start,
            record: start,
            out,
            client: "",
            number: "",
            segments: 0,
            in_control: false,
            is_full: false,
            path: Vec::new(),
            problems: Problems::new(Limits::default().problems),
        }
    }

    /// Writes and encodes; takes everything back where there is a problem.
    fn write(mut self, content: impl FnOnce(&mut Self)) -> Vec<Problem> {
        let shape = (self.options.record_length, self.options.newline);
        if shape.1 == Newline::None && shape.0 != RecordLength::Full {
            let message = || "records without line ends must have their full length".to_owned();
            self.problem("needs-newline", "", message);
        }
        if !self.options.encoding.counts_characters() {
            let message = || "the columns of this encoding are bytes; not written".to_owned();
            self.problem("unsupported-encoding", "", message);
        }
        content(&mut self);
        let problems = self.problems.finish();
        if !problems.is_empty() {
            self.out.truncate(self.start);
        } else if self.options.encoding != Encoding::UTF_8 {
            let text = self.out.split_off(self.start);
            // Each value was tested before it was written.
            let _ = self.options.encoding.encode(&String::from_utf8_lossy(&text), self.out);
        }
        problems
    }

    fn status(&mut self, document: &'a Document) {
        let mut found = false;
        for node in document.root().children().filter(|node| node.name() == STATUS) {
            found = true;
            self.record = self.out.len();
            self.in_control = true;
            let row = self.fields(node, Layout::Status);
            self.in_control = false;
            self.end_record(EDI_DS40_LENGTH.saturating_sub(row.written));
        }
        if !found {
            self.problem("missing-segment", STATUS, || "no status record".to_owned());
        }
    }

    fn problem(&mut self, code: &'static str, name: &str, message: impl FnOnce() -> String) {
        let (schema, path) = (self.schema, &self.path);
        let offset = (self.record - self.start) as u64;
        let (segment, in_control) = (self.segments, self.in_control);
        self.problems.push(Severity::Error, || {
            let mut full = String::new();
            for (id, before) in path {
                append_name(&mut full, &schema.element(*id).name);
                if *before > 0 {
                    full += &format!("[{before}]");
                }
            }
            if in_control {
                append_name(&mut full, CONTROL);
            }
            append_name(&mut full, name);
            let path = full;
            let place = Place { offset, segment, path, ..Place::default() };
            Problem { severity: Severity::Error, code, message: message(), place }
        });
    }

    fn document(&mut self, document: &'a Document) {
        let root = document.root();
        match root.child(CONTROL) {
            Some(control) => self.control(control),
            None => self.problem("missing-segment", CONTROL, || "no control record".to_owned()),
        }
        self.children(root, self.schema.root(), 0);
    }

    fn control(&mut self, control: Node<'a>) {
        let text = |name| control.child(name).map_or("", Node::text);
        self.in_control = true;
        (self.client, self.number) = (text("MANDT"), text("DOCNUM"));
        let named = text("IDOCTYP").trim_end_matches(' ');
        if !named.is_empty() && named != self.schema.name() {
            let message = || "not the IDoc type that it is written as".to_owned();
            self.problem("wrong-type", "IDOCTYP", message);
        }
        let has_defaults = ["TABNAM", "IDOCTYP", "CIMTYP"].iter().any(|name| text(name).is_empty());
        let row = match control.record(self.schema, ElementId::ROOT).filter(|_| !has_defaults) {
            Some(fields) => self.copied(fields),
            None => self.fields(control, Layout::Control(self.schema)),
        };
        self.in_control = false;
        self.end_record(EDI_DC40_LENGTH.saturating_sub(row.written));
    }

    /// Writes the segments below `parent`, whose own number is `number`.
    fn children(&mut self, parent: Node<'a>, id: ElementId, number: u32) {
        let mut run = Run { at: 0, count: 0 };
        for child in parent.nested() {
            match child.kind() {
                Kind::Segment | Kind::Group if number == 0 && child.name() == CONTROL => {}
                Kind::Segment | Kind::Group => {
                    self.child(child, child.name(), (id, number), &mut run)
                }
                Kind::List => {
                    for item in child.children() {
                        self.child(item, child.name(), (id, number), &mut run);
                    }
                }
                Kind::Null => {}
                // Fields are written with the record of their segment; the root has none.
                _ if number > 0 => {}
                _ => self.problem("unknown-field", child.name(), || "not in a segment".to_owned()),
            }
        }
        let declared = self.schema.element(id).segments();
        self.advance(&mut run, declared, declared.len());
    }

    fn child(&mut self, node: Node<'a>, name: &str, parent: (ElementId, u32), run: &mut Run) {
        let schema = self.schema;
        let declared = schema.element(parent.0).segments();
        let is = |id: &ElementId| schema.element(*id).name == name;
        let ahead = declared.get(run.at..).unwrap_or_default().iter().position(is);
        match ahead {
            Some(0) => run.count += 1,
            Some(steps) => {
                self.advance(run, declared, run.at + steps);
                run.count = 1;
            }
            None => {
                let known = declared.iter().any(is);
                return self.misplaced(name, parent.0, known);
            }
        }
        if let Some(id) = declared.get(run.at).copied() {
            let element = schema.element(id);
            self.path.push((id, run.count - 1));
            self.segment(node, id, parent.1);
            // Once is enough: the others of the run are too many for the same reason.
            if run.count == element.max.saturating_add(1) {
                let max = element.max;
                let message = || format!("more often than declared, at most {max}");
                self.problem("too-many-segments", "", message);
            }
            self.path.pop();
        }
    }

    fn misplaced(&mut self, name: &str, parent: ElementId, known: bool) {
        let schema = self.schema;
        if known {
            let message = || "stands behind a segment that it must precede".to_owned();
            return self.problem("wrong-order", name, message);
        }
        self.problem("unknown-segment", name, || {
            let declared = schema.element(parent).segments().iter();
            match nearest(name, declared.map(|id| schema.element(*id).name.as_str())) {
                Some(near) => format!("unknown segment; did you mean {near}?"),
                None => "unknown segment".to_owned(),
            }
        });
    }

    /// Moves the run to `to`, and reports the segments that were due before.
    fn advance(&mut self, run: &mut Run, declared: &[ElementId], to: usize) {
        for id in declared.get(run.at..to).unwrap_or_default() {
            let element = self.schema.element(*id);
            if run.count < u64::from(element.min) {
                let (count, min) = (run.count, element.min);
                let message = || match count {
                    0 => "mandatory segment is missing".to_owned(),
                    _ => format!("occurs {count} times, but at least {min} are needed"),
                };
                self.problem("missing-segment", &element.name, message);
            }
            run.count = 0;
        }
        run.at = to;
    }

    /// Whether another record would exceed the limit. Reported once.
    fn is_full(&mut self) -> bool {
        let Some(limit) = self.options.limit else { return false };
        if !self.is_full && self.out.len() - self.start + RECORD_LENGTH > limit {
            self.is_full = true;
            let message = || format!("an IDoc of more than {limit} bytes");
            self.problem("too-large", "", message);
        }
        self.is_full
    }

    fn segment(&mut self, node: Node<'a>, id: ElementId, parent: u32) {
        if self.is_full() {
            return;
        }
        self.segments += 1;
        let number = self.segments;
        if number == MOST_SEGMENTS + 1 {
            let message = || format!("an IDoc has at most {MOST_SEGMENTS} segments");
            self.problem("too-many-segments", "", message);
        }
        let schema = self.schema;
        let element = schema.element(id);
        self.record = self.out.len();
        self.pad(element.definition.as_deref().unwrap_or(&element.name), 30);
        self.pad(self.client, 3);
        self.pad(self.number, 16);
        self.digits(number, 6);
        self.digits(parent, 6);
        self.digits(u32::from(element.level), 2);
        let row = match node.record(schema, id).filter(|fields| !fields.has_leading_sign()) {
            Some(fields) => self.copied(fields),
            None => self.fields(node, Layout::Segment(schema, element.children())),
        };
        let length = match self.options.record_length {
            RecordLength::Full => SDATA_LENGTH,
            _ => row.length,
        };
        self.end_record(length.saturating_sub(row.written));
        self.children(node, id, number);
    }

    /// Writes the fields of a record as they were read, which are in the same columns.
    fn copied(&mut self, fields: Fields<'_>) -> Row {
        self.out.extend_from_slice(fields.text.as_bytes());
        Row { written: fields.text.len(), length: fields.layout.length }
    }

    /// Writes the fields of a record and reports their faults.
    fn fields(&mut self, node: Node<'a>, layout: Layout<'a>) -> Row {
        let (row, faults) = record::write(node, layout, self.options.encoding, self.out);
        for fault in faults {
            self.problem(fault.code, fault.field, || fault.message);
        }
        row
    }

    fn end_record(&mut self, blanks: usize) {
        let length = self.out.len();
        if self.options.record_length == RecordLength::Trimmed {
            let row = self.out.get(self.record..).unwrap_or_default();
            let kept = row.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
            self.out.truncate(self.record + kept);
        } else {
            self.out.resize(length + blanks, b' ');
        }
        self.out.extend_from_slice(match self.options.newline {
            Newline::Lf => b"\n",
            Newline::CrLf => b"\r\n",
            Newline::None => b"",
        });
    }

    /// A header field. One that is too long is left blank; whoever set it has reported it.
    fn pad(&mut self, text: &str, length: usize) {
        let blanks = length.checked_sub(record::characters(text));
        if blanks.is_some() {
            self.out.extend_from_slice(text.as_bytes());
        }
        self.out.resize(self.out.len() + blanks.unwrap_or(length), b' ');
    }

    fn digits(&mut self, number: u32, count: usize) {
        let start = self.out.len();
        self.out.resize(start + count, b'0');
        let mut rest = number;
        for digit in self.out.iter_mut().skip(start).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// Where the writer is among the segments declared below one parent.
struct Run {
    at: usize,
    /// How many of the segment at `at` there were.
    count: u64,
}

#[cfg(test)]
mod tests;
