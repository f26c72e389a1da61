//! The parser export: a keyword and its value a line, `BEGIN_` and `END_` around blocks.
//!
//! Inside a group the first segment is the parent of everything else in the group, and the
//! occurrences of the group are those of that segment (proved on real files: it matches every
//! `PSGNUM` and every XSD).

use nom::bytes::complete::take_while1;
use nom::character::complete::space0;
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

use crate::document::Kind;
use crate::idoc::control::{DATA_HEADER, SDATA_LENGTH};
use crate::idoc::import::Faults;
use crate::idoc::import::block::{Block, Occurrence, RECORDS};
use crate::reading::{Place, Problem};
use crate::schema::{Element, ElementId, Schema};

/// Reads a parser export of either dialect (`CHARACTER_FIRST` or `BYTE_FIRST`), in UTF-8 or
/// ISO 8859-1.
///
/// A file that has only a record section gives a schema of that record (`EDI_DC40`, `EDI_DD40`,
/// `EDI_DS40`, or `RECORDS` for several).
///
/// # Errors
///
/// Every problem with its line. Codes: `unknown-keyword`, `misplaced`, `missing-word`,
/// `bad-number`, `bad-position`, `unmatched-end`, `unexpected-end`, `too-long`, `no-type`.
pub fn parser_export(bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut import = Import {
        schema: None,
        records: Schema::new("RECORDS", Element::new(Kind::Group, "RECORDS")),
        open: Vec::new(),
        field: None,
        lost: false,
        place: Place::default(),
        faults: Faults::new(),
    };
    import.lines(&text);
    import.finish()
}

struct Import {
    schema: Option<Schema>,
    records: Schema,
    open: Vec<Block>,
    /// The field whose lines are being read, and whether it is one of a record.
    field: Option<(ElementId, bool)>,
    /// A line was not understood: what follows hangs in the air until the next segment or group.
    lost: bool,
    place: Place,
    faults: Faults,
}

impl Import {
    fn fault(&mut self, code: &'static str, message: impl Into<String>) {
        self.faults.push(self.place.clone(), code, message);
    }

    fn lines(&mut self, text: &str) {
        let mut offset = 0;
        for (number, whole) in text.split_inclusive('\n').enumerate() {
            let line = whole.trim_end();
            let indent = line.len() - line.trim_start().len();
            self.place = Place {
                offset: (offset + indent) as u64,
                line: number as u64 + 1,
                column: u32::try_from(indent + 1).unwrap_or(u32::MAX),
                ..Place::default()
            };
            offset += whole.len();
            let words: IResult<&str, (&str, &str)> = pair(
                take_while1(|c: char| !c.is_whitespace()),
                preceded(space0, |rest| Ok(("", rest))),
            )
            .parse(line.trim_start());
            if let Ok((_, (keyword, value))) = words {
                self.line(keyword, value);
            }
        }
    }

    fn line(&mut self, keyword: &str, value: &str) {
        if self.lost {
            let found_again = matches!(keyword, "BEGIN_SEGMENT" | "BEGIN_GROUP" | "END_GROUP");
            self.lost = !found_again && !matches!(keyword, "END_SEGMENT" | "END_IDOC");
            if self.lost || keyword == "END_SEGMENT" {
                return;
            }
        }
        if let Some(name) = keyword.strip_prefix("BEGIN_") {
            self.begin(name, value);
        } else if let Some(name) = keyword.strip_prefix("END_") {
            self.end(name);
        } else if matches!(self.open.last(), Some(Block::Fields { .. })) {
            self.field_line(keyword, value);
        } else {
            self.attribute(keyword, value);
        }
    }

    fn begin(&mut self, name: &str, value: &str) {
        let block = match (name, self.open.last()) {
            ("RECORD_SECTION", None) => Block::RecordSection,
            ("SEGMENT_SECTION", None) => Block::SegmentSection,
            ("IDOC", None | Some(Block::SegmentSection)) => {
                let mut root = Element::new(Kind::Group, value);
                root.min = 1;
                if self.schema.is_some() {
                    self.fault("misplaced", "a second IDoc type");
                }
                self.schema = Some(Schema::new(value, root));
                Block::Idoc
            }
            ("GROUP", Some(Block::Idoc | Block::Group { .. })) => {
                Block::Group { head: None, occurrence: Occurrence::ONCE }
            }
            ("SEGMENT", Some(Block::Idoc | Block::Group { .. })) => self.segment(value),
            ("FIELDS", Some(Block::Segment { id, .. })) => {
                Block::Fields { id: *id, of_record: false, next: DATA_HEADER as u64 + 1 }
            }
            ("FIELDS", Some(Block::Record(id))) => {
                Block::Fields { id: *id, of_record: true, next: 1 }
            }
            (_, None | Some(Block::RecordSection)) if RECORDS.iter().any(|(n, _)| *n == name) => {
                let found =
                    RECORDS.iter().find(|(n, _)| *n == name).map_or("", |(_, record)| record);
                let root = self.records.root();
                Block::Record(self.records.add(root, Element::new(Kind::Segment, found)))
            }
            _ => {
                self.lost = true;
                return self.fault("misplaced", "this block does not begin here");
            }
        };
        if value.is_empty() && matches!(block, Block::Idoc | Block::Segment { .. }) {
            self.fault("missing-word", "a name expected");
        }
        self.open.push(block);
    }

    fn segment(&mut self, definition: &str) -> Block {
        let mut parent = ElementId::ROOT;
        let mut is_head = false;
        for block in &self.open {
            if let Block::Group { head, .. } = block {
                is_head = head.is_none();
                parent = head.unwrap_or(parent);
            }
        }
        let mut element = Element::new(Kind::Segment, definition);
        element.definition = Some(definition.to_owned());
        let id = match &mut self.schema {
            Some(schema) => schema.add(parent, element),
            None => ElementId::ROOT,
        };
        if let (true, Some(Block::Group { head, .. })) = (is_head, self.open.last_mut()) {
            *head = Some(id);
        }
        Block::Segment { id, occurrence: Occurrence::ONCE, is_head }
    }

    fn end(&mut self, name: &str) {
        self.field = None;
        let record = RECORDS.iter().any(|(n, _)| *n == name);
        let name = if record { "RECORD" } else { name };
        match self.open.pop() {
            Some(block) if block.name() == name => self.ended(&block),
            other => {
                let open = self.open.iter().rposition(|block| block.name() == name);
                self.fault("unmatched-end", "another block was to end before");
                match open {
                    Some(at) => self.open.truncate(at),
                    None => self.open.extend(other),
                }
            }
        }
    }

    fn ended(&mut self, block: &Block) {
        let Block::Segment { id, occurrence, is_head } = block else {
            return;
        };
        let group = match self.open.last() {
            Some(Block::Group { occurrence, .. }) if *is_head => Some(*occurrence),
            _ => None,
        };
        if let Some(element) = self.schema.as_mut().and_then(|schema| schema.element_mut(*id)) {
            group.unwrap_or(*occurrence).give(element);
        }
    }

    /// A line of a segment, a group or the type, before its fields.
    fn attribute(&mut self, keyword: &str, value: &str) {
        let number = value.parse::<u64>();
        match (keyword, self.open.last_mut()) {
            ("EXTENSION", Some(Block::Idoc)) => {
                let root = self.schema.as_mut().and_then(|s| s.element_mut(ElementId::ROOT));
                if let Some(root) = root {
                    root.definition = Some(value.to_owned());
                }
            }
            (
                "STATUS",
                Some(Block::Segment { occurrence, .. } | Block::Group { occurrence, .. }),
            ) => {
                occurrence.mandatory = value == "MANDATORY";
                if !matches!(value, "MANDATORY" | "OPTIONAL") {
                    self.fault("unknown-keyword", "MANDATORY or OPTIONAL expected");
                }
            }
            (
                "LOOPMIN",
                Some(Block::Segment { occurrence, .. } | Block::Group { occurrence, .. }),
            ) => match number {
                Ok(min) => occurrence.min = u32::try_from(min).unwrap_or(u32::MAX),
                Err(_) => self.fault("bad-number", "a number of occurrences expected"),
            },
            (
                "LOOPMAX",
                Some(Block::Segment { occurrence, .. } | Block::Group { occurrence, .. }),
            ) => match number {
                Ok(max) => occurrence.max = max.max(1),
                Err(_) => self.fault("bad-number", "a number of occurrences expected"),
            },
            ("SEGMENTTYPE" | "QUALIFIED" | "LEVEL", Some(Block::Segment { id, .. })) => {
                let id = *id;
                self.segment_line(keyword, value, id);
            }
            ("LEVEL", Some(Block::Group { .. })) => {}
            _ => {
                // It may be what is left of a BEGIN line.
                self.lost = true;
                self.fault("unknown-keyword", "a keyword of the parser export expected");
            }
        }
    }

    fn segment_line(&mut self, keyword: &str, value: &str, id: ElementId) {
        let level = value.parse::<u8>();
        let element = self.schema.as_mut().and_then(|schema| schema.element_mut(id));
        match (keyword, element, level) {
            ("SEGMENTTYPE", Some(element), _) => value.clone_into(&mut element.name),
            ("QUALIFIED", Some(element), _) => element.qualified = true,
            ("LEVEL", Some(element), Ok(level)) if level < 100 => element.level = level,
            _ => self.fault("bad-number", "a level from 0 to 99 expected"),
        }
    }

    fn field_line(&mut self, keyword: &str, value: &str) {
        if keyword == "NAME" {
            return self.begin_field(value);
        }
        let number = value.parse::<u32>();
        let Some((id, of_record)) = self.field else {
            return self.fault("misplaced", "NAME of a field expected");
        };
        let Some(element) = self.target(of_record).and_then(|schema| schema.element_mut(id)) else {
            return;
        };
        match (keyword, number) {
            ("TEXT", _) => value.clone_into(&mut element.text),
            ("TYPE" | "FIELD_POS", _) => {}
            ("LENGTH", Ok(length)) if length > 0 => element.length = Some(length),
            ("CHARACTER_FIRST" | "BYTE_FIRST", Ok(first)) => self.first(first),
            ("CHARACTER_LAST" | "BYTE_LAST", Ok(last)) => self.last(id, of_record, last),
            ("VALUE", _) => {
                let value = value.strip_prefix('\'').unwrap_or(value);
                let value = value.strip_suffix('\'').unwrap_or(value);
                element.codes.push((value.to_owned(), String::new()));
            }
            ("VALUE_TEXT", _) => {
                if let Some((_, text)) = element.codes.last_mut() {
                    value.clone_into(text);
                }
            }
            ("LENGTH" | "CHARACTER_FIRST" | "BYTE_FIRST" | "CHARACTER_LAST" | "BYTE_LAST", _) => {
                self.fault("bad-number", "a number from 1 expected");
            }
            _ => self.fault("unknown-keyword", "a keyword of a field expected"),
        }
    }

    fn begin_field(&mut self, name: &str) {
        let Some(Block::Fields { id, of_record, .. }) = self.open.last() else {
            return;
        };
        let (segment, of_record) = (*id, *of_record);
        if name.is_empty() {
            self.fault("missing-word", "the name of a field expected");
        }
        let element = Element::new(Kind::Field, name);
        self.field = self.target(of_record).map(|s| (s.add(segment, element), of_record));
    }

    fn target(&mut self, of_record: bool) -> Option<&mut Schema> {
        if of_record { Some(&mut self.records) } else { self.schema.as_mut() }
    }

    fn first(&mut self, first: u32) {
        if let Some(Block::Fields { next, .. }) = self.open.last()
            && *next != u64::from(first)
        {
            let message = format!("the field before ends at {}", next.saturating_sub(1));
            self.fault("bad-position", message);
        }
    }

    fn last(&mut self, field: ElementId, of_record: bool, last: u32) {
        let length = self.target(of_record).and_then(|schema| schema.element(field).length);
        let mut wrong = None;
        if let Some(Block::Fields { next, of_record, .. }) = self.open.last_mut() {
            let end = (*next + u64::from(length.unwrap_or(0))).saturating_sub(1);
            if end != u64::from(last) {
                wrong = Some(("bad-position", format!("by its length the field ends at {end}")));
            } else if !*of_record && end > (DATA_HEADER + SDATA_LENGTH) as u64 {
                wrong = Some(("too-long", format!("ends at {end}, behind the record")));
            }
            *next = u64::from(last) + 1;
        }
        if let Some((code, message)) = wrong {
            self.fault(code, message);
        }
    }

    fn finish(mut self) -> Result<Schema, Vec<Problem>> {
        if let Some(block) = self.open.last() {
            let message = format!("END_{} is missing", block.name());
            self.fault("unexpected-end", message);
        }
        let records = self.records.element(self.records.root()).children().len();
        if self.schema.is_none() && records == 0 {
            self.fault("no-type", "neither BEGIN_IDOC nor a record");
        }
        let problems = self.faults.finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(match self.schema {
            Some(schema) => schema,
            None if records == 1 => alone(&self.records),
            None => self.records,
        })
    }
}

/// The schema of one record, named as the record.
fn alone(records: &Schema) -> Schema {
    let root = records.root();
    let Some(record) = records.element(root).children().first().copied() else {
        return records.clone();
    };
    let element = records.element(record);
    let mut schema = Schema::new(&element.name, Element::new(Kind::Group, &element.name));
    let segment = schema.add(schema.root(), Element::new(Kind::Segment, &element.name));
    for field in element.children() {
        let element = records.element(*field).clone();
        schema.add(segment, Element { children: Vec::new(), segments: Vec::new(), ..element });
    }
    schema
}

#[cfg(test)]
mod tests;
