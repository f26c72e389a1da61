//! The fields of one record: text, place and rules of each.

use crate::document::Kind;
use crate::encoding::Encoding;
use crate::fixed::columns::{Columns, unpadded};
use crate::fixed::index::Index;
use crate::idoc::assemble::{Assembly, SDATA};
use crate::idoc::check;
use crate::idoc::control::{
    CONTROL, EDI_DC, EDI_DC40, EDI_DS40, EDI_DS40_LENGTH, Release, SDATA_LENGTH, STATUS,
};
use crate::idoc::header::DataRecord;
use crate::idoc::types::Types;
use crate::reading::{Place, Severity};
use crate::schema::{Element, ElementId};

impl<'l> Assembly<'l> {
    /// Reads the control record.
    ///
    /// That of release 3.x becomes the same node with the fields of [`EDI_DC40`]: a mapping does
    /// not see the release. What the newer layout has no field for is kept in `DOCTYP`.
    pub(in crate::idoc) fn control(
        &mut self,
        bytes: &[u8],
        place: &Place,
        release: Release,
        types: &'l Types,
    ) {
        let mut scratch = String::new();
        let record = self.begin_record(bytes, place, &mut scratch);
        let value = |name: &str| {
            let column = release.control_column(name);
            let (offset, length) = column.map_or((0, 0), |column| (column.offset, column.length));
            let mut columns = record;
            columns.field(offset);
            columns.field(length)
        };
        let old = if release == Release::R3 { control_3x(record) } else { ("", "") };
        let basic = if value("IDOCTYP").is_empty() { old.0 } else { value("IDOCTYP") };
        let extended = value("CIMTYP");
        value("DOCNUM").clone_into(&mut self.document_number);
        (self.in_control, self.release) = (true, release);
        self.extent.is_control_trimmed =
            !record.ends_blank() && record.characters() < release.control_length();
        self.find_type(types, basic, extended);
        self.builder.open(Kind::Group, basic, 0);
        self.push(ElementId::ROOT, Some(0), 0);
        let layouts = self.kind.map(|kind| &kind.layouts);
        let layout = layouts.and_then(|layouts| layouts.of(ElementId::ROOT));
        let layout = layout.filter(|_| self.is_simple && release == Release::R4);
        match layout.and_then(|layout| record.trimmed().within(layout.length)) {
            Some(data) => self.builder.open_record(ElementId::ROOT.index(), data, 0),
            None => {
                self.builder.open(Kind::Segment, CONTROL, 0);
                self.control_fields(record, release, old);
            }
        }
        self.builder.close();
        self.too_long(record, release.control_length());
        self.in_control = false;
    }

    fn control_fields(&mut self, record: Columns<'_>, release: Release, old: (&str, &str)) {
        if release == Release::R3 {
            return self.control_fields_3x(record, old);
        }
        let mut columns = record;
        for column in &EDI_DC40 {
            self.field(column.name, column.length, &mut columns);
        }
    }

    fn control_fields_3x(&mut self, record: Columns<'_>, (basic, rest): (&str, &str)) {
        let message = "a control record of release 3.x; read as EDI_DC40";
        self.problem(Severity::Warning, "release-3x", "", message);
        for column in &EDI_DC40 {
            let mut columns = record;
            match (column.name, Release::R3.control_column(column.name)) {
                ("TABNAM", _) => {
                    self.builder.put(Kind::Field, column.name, CONTROL, self.offset(0));
                }
                ("IDOCTYP", _) if !basic.is_empty() => {
                    self.builder.put(Kind::Field, column.name, basic, self.offset(0));
                }
                (_, Some(column)) => {
                    columns.field(column.offset);
                    self.field(column.name, column.length, &mut columns);
                }
                _ => {}
            }
        }
        if !rest.is_empty() {
            self.builder.put(Kind::Field, "DOCTYP", rest, self.offset(0));
        }
    }

    /// Reads a status record, which is a document of its own.
    pub(in crate::idoc) fn status(&mut self, bytes: &[u8], place: &Place) {
        let mut scratch = String::new();
        let record = self.begin_record(bytes, place, &mut scratch);
        self.in_control = true;
        self.builder.open(Kind::Group, STATUS, 0);
        self.builder.open(Kind::Segment, STATUS, 0);
        let mut columns = record;
        for column in &EDI_DS40 {
            self.field(column.name, column.length, &mut columns);
        }
        self.too_long(record, EDI_DS40_LENGTH);
        self.in_control = false;
    }

    pub(super) fn begin_record<'t>(
        &mut self,
        bytes: &'t [u8],
        place: &Place,
        scratch: &'t mut String,
    ) -> Columns<'t> {
        // A place whose path is empty is copied without a look at it.
        let Place { offset, line, column, segment, .. } = *place;
        self.place = Place { offset, line, column, segment, path: String::new() };
        self.encoding = self.declared;
        // A blank is a byte in every encoding but UTF-16.
        let (bytes, blanks) = if self.encoding.width() == 1 { unpadded(bytes) } else { (bytes, 0) };
        let text = match (self.encoding, std::str::from_utf8(bytes)) {
            (Encoding::UTF_8, Ok(text)) => text,
            (Encoding::UTF_8, Err(error)) => {
                let at = error.valid_up_to();
                let message = format!("not UTF-8 at byte {at} of the record");
                self.problem(Severity::Error, "invalid-utf8", "", message);
                self.encoding = Encoding::LATIN_1;
                Encoding::LATIN_1.decode(bytes, scratch);
                scratch.as_str()
            }
            (encoding, _) => {
                if !encoding.decode(bytes, scratch) {
                    let message = format!("not {} throughout", encoding.name());
                    self.problem(Severity::Error, "invalid-text", "", message);
                }
                scratch.as_str()
            }
        };
        // One pass without branches over the record, since nearly all have none.
        let is_control = |byte: &u8| (*byte < 0x20) | (*byte == 0x7f);
        self.has_controls = text.as_bytes().iter().fold(false, |any, byte| any | is_control(byte));
        self.length = self.encoding.length(text) + blanks;
        let columns = Columns::padded(text, blanks);
        self.is_simple = !self.has_controls && self.encoding.width() == 1 && columns.is_ascii();
        columns
    }

    /// Checks the fields that came packed with the segment opened last.
    pub(super) fn packed_fields(&mut self, kind: &Index, record: &DataRecord<'_>) {
        if let (Some(severity), Some(open)) = (self.values, self.nest.last()) {
            let mut columns = record.data;
            for child in kind.schema.element(open.id).children() {
                let field = kind.schema.element(*child);
                if field.kind == Kind::Field {
                    let at = self.source(&columns);
                    let value = columns.field(field.length.unwrap_or(0) as usize);
                    self.check_value(severity, field, value, at);
                }
            }
        }
        self.too_long(record.data, SDATA_LENGTH);
    }

    /// Decodes the segment data into the segment opened last.
    pub(super) fn fields(&mut self, kind: &Index, record: &DataRecord<'_>) {
        let Some(id) = self.nest.last().map(|open| open.id) else {
            return;
        };
        let mut columns = record.data.trimmed();
        // Where the trimmed data begins in the record is counted from the end, as the rest is.
        let blanks = (record.data.bytes() - columns.bytes()) * self.encoding.width();
        self.length -= blanks;
        let mut taken = 0;
        for child in kind.schema.element(id).children() {
            let field = kind.schema.element(*child);
            if field.kind == Kind::Field {
                if columns.is_empty() {
                    break;
                }
                let length = field.length.unwrap_or(0) as usize;
                taken += length;
                self.declared_field(field, length, &mut columns);
            }
        }
        let rest = SDATA_LENGTH.saturating_sub(taken);
        if !{ columns }.field(rest).is_empty() {
            let message =
                format!("data behind the {taken} characters of the definition; kept in SDATA");
            self.problem(Severity::Warning, "beyond-definition", "", message);
            self.field(SDATA, rest, &mut columns);
        }
        self.too_long(record.data, SDATA_LENGTH);
    }

    /// Reports what stands behind the end of the record: `length` characters of these columns.
    pub(super) fn too_long(&mut self, columns: Columns<'_>, length: usize) {
        let more = columns.characters().saturating_sub(length);
        if more == 0 {
            return;
        }
        let mut rest = columns;
        rest.field(length);
        let (severity, what) = if rest.rest().is_empty() {
            (Severity::Warning, "blanks")
        } else {
            (Severity::Error, "characters")
        };
        let message = format!("{more} {what} behind the end of the record");
        self.problem(severity, "too-long", "", message);
    }

    /// Puts a declared field, and checks its value where that is wanted.
    fn declared_field(&mut self, field: &Element, length: usize, columns: &mut Columns<'_>) {
        let at = self.source(columns);
        let value = self.field(&field.name, length, columns);
        if let Some(severity) = self.values {
            self.check_value(severity, field, value, at);
        }
    }

    /// Checks a value that begins at byte `at` of the record.
    fn check_value(&mut self, severity: Severity, field: &Element, value: &str, at: usize) {
        if value.is_empty() {
            return;
        }
        if let Some(fault) = check::value(field, value) {
            let record = self.place.offset;
            self.place.offset += at as u64;
            self.problem(severity, fault.code, &field.name, fault.message);
            self.place.offset = record;
        }
    }

    /// Where the columns begin in the record, in bytes.
    fn source(&self, columns: &Columns<'_>) -> usize {
        self.length - columns.bytes_in(self.encoding).min(self.length)
    }

    /// Puts the next `length` characters as the field `name`, unless they are blank.
    pub(super) fn field<'t>(
        &mut self,
        name: &str,
        length: usize,
        columns: &mut Columns<'t>,
    ) -> &'t str {
        let at = self.source(columns);
        let text = columns.field(length);
        if text.is_empty() {
            return text;
        }
        if self.has_controls {
            self.check_controls(name, text, at);
        }
        self.builder.put(Kind::Field, name, text, self.offset(at));
        text
    }

    pub(super) fn check_controls(&mut self, name: &str, text: &str, at: usize) {
        let mut controls = text.chars().filter(|c| (*c < ' ') | (*c == '\u{7f}')).peekable();
        if controls.peek().is_none() {
            return;
        }
        let (severity, code, what) = if controls.all(|c| c == '\t') {
            (Severity::Warning, "tabulator", "a tabulator")
        } else {
            (Severity::Error, "control-character", "a control character")
        };
        let record = self.place.offset;
        self.place.offset += at as u64;
        self.problem(severity, code, name, format!("{what} in the field"));
        self.place.offset = record;
    }

    /// An offset in the document, for byte `at` of the record.
    pub(super) fn offset(&self, at: usize) -> usize {
        usize::try_from(self.place.offset - self.start).unwrap_or(usize::MAX).saturating_add(at)
    }
}

/// Of a control record of release 3.x: the type where only `DOCTYP` names it, and `DOCTYP` where
/// it says something else than `IDOCTYP` and `CIMTYP`.
fn control_3x(record: Columns<'_>) -> (&str, &str) {
    let value = |name: &str| {
        let column = EDI_DC.iter().find(|column| column.name == name);
        let (offset, length) = column.map_or((0, 0), |column| (column.offset, column.length));
        let mut columns = record;
        columns.field(offset);
        columns.field(length)
    };
    match value("DOCTYP") {
        kind if value("IDOCTYP").is_empty() => (kind, ""),
        kind if kind == value("IDOCTYP") || kind == value("CIMTYP") => ("", ""),
        kind => ("", kind),
    }
}
