//! Flat files to documents, one IDoc at a time.

use std::io::BufRead;
use std::sync::Arc;

use crate::document::Room;
use crate::encoding::Encoding;
use crate::idoc::assemble::{Assembly, Next};
use crate::idoc::frame::{RecordKind, Records};
use crate::idoc::types::Types;
use crate::reading::{FrameError, Limits, Reading, Severity};

/// How a flat file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The encoding; UTF-8 or UTF-16, as the first bytes tell, where it is not named.
    pub encoding: Option<Encoding>,
    /// Checks values against the data type and the values of their field, and reports a breach as
    /// bad as this.
    pub values: Option<Severity>,
}

/// The IDocs of a flat file, and its status records.
///
/// Segments nest by the definition of the IDoc type; `PSGNUM` only decides where a segment type
/// has several places, and is compared. Nothing is lost: a segment that the type does not declare
/// and data behind the last field are kept in a field `SDATA`.
///
/// | problem | severity | when |
/// |---|---|---|
/// | `unknown-type` | warning | no schema for `IDOCTYP`: segments are flat, with all data in `SDATA` |
/// | `unknown-extension` | warning | no schema for `CIMTYP`: read as the basic type |
/// | `unknown-segment` | warning | not declared: kept below the current segment |
/// | `beyond-definition` | warning | data behind the last declared field |
/// | `parent-number` | warning | `PSGNUM` is not the `SEGNUM` of the parent by definition |
/// | `document-number` | warning | `DOCNUM` of a data record is not that of the control record |
/// | `tabulator` | warning | a tabulator in a field |
/// | `control-character` | error | another control character |
/// | `missing-segment`, `missing-parent` | error | a mandatory segment, the parent of a segment |
/// | `incomplete` | error | the input ends before a mandatory segment that could still come, inside of a record, or behind the control record; see [`Reading::is_incomplete`] |
/// | `too-many-segments`, `wrong-order` | error | more or earlier than declared |
/// | `too-long` | error | a record of more than 524 or 1063 characters |
/// | `not-a-segment` | error | a record that begins with no name, as after a line end in a field |
/// | `invalid-utf8` | error | the record is decoded as ISO 8859-1, to find what else is wrong |
/// | `invalid-text` | error | the record is not in its encoding; what means nothing is U+FFFD |
/// | `release-3x` | warning | records of release 3.x, read as those of 4.x |
/// | `not-digits`, `not-a-number`, `not-a-date`, `not-a-time`, `not-a-flag`, `unknown-value` | as chosen | a value breaks a rule of its field; see [`ReadOptions::values`] |
///
/// Segment numbers may have gaps and repeat, and header fields may be blank: senders filter
/// segments, and converters leave the header out.
#[derive(Debug)]
pub struct Reader<R> {
    records: Records<R>,
    types: Arc<Types>,
    limits: Limits,
    options: ReadOptions,
    state: State,
    room: Room,
}

#[derive(Debug)]
enum State {
    /// No record was read ahead.
    Start,
    /// The record read last begins the next document.
    Begun(RecordKind),
    /// A document was complete before this came.
    Failed(FrameError),
    /// The input has ended or failed.
    Ended,
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` with these types, from its first byte.
    pub fn new(input: R, types: Arc<Types>, limits: Limits) -> Self {
        Self::with_options(input, types, limits, ReadOptions::default())
    }

    /// Reads `input` with these types and options, from its first byte.
    pub fn with_options(input: R, types: Arc<Types>, limits: Limits, options: ReadOptions) -> Self {
        let records = match options.encoding {
            Some(encoding) => Records::in_encoding(input, encoding, &limits),
            None => Records::new(input, &limits),
        };
        Self { records, types, limits, options, state: State::Start, room: Room::default() }
    }

    fn read(&mut self) -> Result<Option<Reading>, FrameError> {
        let first = match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Ok(None),
            State::Failed(error) => return Err(error),
            State::Begun(kind) => Some(kind),
            State::Start => self.records.next()?,
        };
        let Some(first) = first else { return Ok(None) };
        let start = self.records.place().offset;
        let options = ReadOptions { encoding: Some(self.records.encoding()), ..self.options };
        let mut assembly = Assembly::new(&self.limits, options, start, &self.room);
        let (bytes, place) = (self.records.bytes(), self.records.place());
        if first == RecordKind::Status {
            assembly.status(bytes, place);
        } else {
            assembly.control(bytes, place, self.records.release(), &self.types);
        }
        let mut end = self.records.end();
        loop {
            let mut next = match (self.records.is_whole(), self.records.place().line) {
                (true, _) => Next::End,
                (false, 0) => Next::Short,
                (false, _) => Next::NoLineEnd,
            };
            match self.records.next() {
                Ok(Some(RecordKind::Data)) if first == RecordKind::Status => {
                    return Err(FrameError {
                        code: "not-idoc",
                        message: "a data record without a control record".to_owned(),
                        place: self.records.place().clone(),
                    });
                }
                Ok(Some(RecordKind::Data)) => {
                    assembly.data(self.records.bytes(), self.records.place())?;
                    end = self.records.end();
                    continue;
                }
                Ok(Some(kind)) => {
                    self.state = State::Begun(kind);
                    next = Next::Document;
                }
                Ok(None) => {}
                // A control record that is not read ends the document before it all the same.
                // Any other failure has cut it short.
                Err(error) if error.code == "unknown-control-record" => {
                    self.state = State::Failed(error);
                    next = Next::Document;
                }
                Err(error) => return Err(error),
            }
            if first == RecordKind::Control {
                assembly.check_end(next);
            }
            let (document, problems) = assembly.finish(&mut self.room);
            return Ok(Some(Reading { document, problems, span: start..end }));
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Reading, FrameError>;

    /// The next document. After an error there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Records::next`], and `too-large`, `too-many-nodes` and `too-deep` above the
    /// limits.
    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read};

    use super::*;
    use crate::idoc::read_schema;

    const VEHICLE: &str = include_str!("../../../mappings/schemas/idoc/ZVEHREG01.idoc");

    fn types() -> Arc<Types> {
        let mut types = Types::new();
        types.add(Arc::new(read_schema(VEHICLE.as_bytes()).unwrap()));
        Arc::new(types)
    }

    fn control() -> String {
        format!("{:39}{:30}{:455}\n", "EDI_DC40", "ZVEHREG01", "")
    }

    fn header() -> String {
        format!("{:63}{:17}\n", "Z2VHHDR000", "WAY1ZZZA6TB000017")
    }

    fn text_line(text: &str) -> String {
        format!("{:63}{text}\n", "Z2VHTXT000")
    }

    fn read(text: &[u8], limits: Limits) -> Vec<Result<Reading, FrameError>> {
        Reader::new(text, types(), limits).collect()
    }

    fn code(text: &str, limits: Limits) -> &'static str {
        let mut results = read(text.as_bytes(), limits);
        results.pop().unwrap().unwrap_err().code
    }

    #[test]
    fn every_limit_ends_the_reader() {
        let text = [control(), header(), text_line("a"), text_line("b")].concat();
        let limits = Limits::default();
        assert_eq!(read(text.as_bytes(), limits).len(), 1);
        assert_eq!(code(&text, Limits { document: 600, ..limits }), "too-large");
        assert_eq!(code(&text, Limits { nodes: 5, ..limits }), "too-many-nodes");
        assert_eq!(code(&text, Limits { depth: 2, ..limits }), "too-deep");
        let long = text + &text_line(&"x".repeat(1100));
        assert_eq!(code(&long, Limits { record: 0, ..limits }), "too-long");
    }

    #[test]
    fn a_record_above_its_limit_names_its_line() {
        let text = [control(), header(), text_line(&"x".repeat(3000))].concat();
        let results = read(text.as_bytes(), Limits { record: 2000, ..Limits::default() });
        let error = results[0].as_ref().unwrap_err();
        assert_eq!((error.place.line, error.place.offset), (3, 525 + 81));
        assert_eq!(results.len(), 1);
    }

    /// Gives its text, and then fails.
    struct Broken<'a>(&'a [u8]);

    impl Read for Broken<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.0.read(out)
        }
    }

    #[test]
    fn a_document_cut_short_by_a_failure_is_not_returned() {
        let text = [control(), header(), control(), header()].concat();
        let input = BufReader::new(Broken(text.as_bytes()));
        let results: Vec<_> = Reader::new(input, types(), Limits::default()).collect();
        assert_eq!(results.len(), 2);
        assert!(results[0].is_ok());
        let error = results[1].as_ref().unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            ("io", "cannot be read: connection reset")
        );
    }

    #[test]
    fn a_failure_of_the_input_before_its_first_byte_is_an_error() {
        let input = BufReader::new(Broken(b""));
        let results: Vec<_> = Reader::new(input, types(), Limits::default()).collect();
        assert!(matches!(results.as_slice(), [Err(error)] if error.code == "io"));
    }

    /// What is said of the end of a text, where it is cut.
    fn end_of(text: &str) -> Vec<String> {
        let results = read(text.as_bytes(), Limits::default());
        let last = results.last().unwrap().as_ref().unwrap();
        let cut = last.problems.iter().filter(|problem| problem.code == "incomplete");
        let messages: Vec<_> = cut.map(|problem| problem.message.clone()).collect();
        assert_eq!(last.is_incomplete(), !messages.is_empty());
        messages
    }

    #[test]
    fn an_idoc_is_incomplete_where_a_mandatory_segment_can_still_come() {
        assert_eq!(end_of(&control()), ["nothing follows the control record"]);
        assert_eq!(end_of(&(control() + &header())).len(), 0);
        assert_eq!(end_of(&(control() + &header() + &text_line("a"))).len(), 0);
        let schema = b"waybill-idoc 1\ntype ZVEHREG01\nsegment A A 1..1\nsegment B B 0..1\n\
                       segment C C 1..1\n";
        let mut types = Types::new();
        types.add(Arc::new(read_schema(schema).unwrap()));
        let text = format!("{}{:63}b\n", control(), "B");
        let reading = Reader::new(text.as_bytes(), Arc::new(types), Limits::default()).next();
        let problems = reading.unwrap().unwrap().problems;
        let messages: Vec<_> = problems.iter().map(|one| one.to_string()).collect();
        let due = "2:1: segment 1: B: error: the input ends before the mandatory segment C";
        assert!(messages.iter().any(|one| one == due), "A cannot come any more: {messages:?}");
        // The second document is cut; the first one has ended.
        let two = control() + &control();
        let results = read(two.as_bytes(), Limits::default());
        let incomplete: Vec<_> =
            results.iter().map(|reading| reading.as_ref().unwrap().is_incomplete()).collect();
        assert_eq!(incomplete, [false, true]);
    }

    #[test]
    fn a_record_is_cut_where_others_show_its_length_and_no_line_end_follows() {
        let full = |line: &str| format!("{:1063}\n", line.trim_end());
        let text = control() + &full(&header()) + &full(&text_line("a"));
        assert_eq!(end_of(&text).len(), 0);
        assert_eq!(end_of(text.trim_end_matches('\n')).len(), 0);
        let cut = &text[..text.len() - 500];
        assert_eq!(end_of(cut), ["the input ends inside of this record: 564 of 1063 characters"]);
        // With its line end it was trimmed.
        assert_eq!(end_of(&format!("{}\n", cut.trim_end())).len(), 0);
        // In a file of trimmed records only a header that is cut shows.
        let trimmed = format!("EDI_DC40{:31}ZVEHREG01\n{}{}", "", header(), "Z2VHTXT000");
        assert_eq!(end_of(&trimmed), ["the input ends inside of this record: 10 of 63 characters"]);
        let trimmed =
            format!("EDI_DC40{:31}ZVEHREG01\n{}{}", "", header(), text_line("a").trim_end());
        assert_eq!(end_of(&trimmed).len(), 0);
        // A trimmed record does not end with a blank.
        let start = format!("EDI_DC40{:31}ZVEHREG01\n", "");
        let blank = "the input ends inside of this record: behind a blank, which others have not";
        let cut = format!("{start}{:63}WAY1 ", "Z2VHHDR001");
        assert_eq!(end_of(&cut), [blank], "of another version, whose length is not known");
        let cut = format!("{start}{:63}WAY1 ", "Z2VHHDR000");
        assert!(end_of(&cut)[0].starts_with("the input ends inside of this record: 68 of "));
        assert_eq!(end_of(&(cut + "\n")).len(), 0);
        // Without line ends every record has its length.
        let fixed = text.replace('\n', "");
        assert_eq!(end_of(&fixed).len(), 0);
        let cut = &fixed[..fixed.len() - 1];
        assert_eq!(end_of(cut), ["the input ends inside of this record: 1062 of 1063 characters"]);
    }

    #[test]
    fn offsets_are_those_of_the_document() {
        let text = [control(), header(), text_line("a")].concat().repeat(2);
        let results = read(text.as_bytes(), Limits::default());
        let second = results[1].as_ref().unwrap();
        let start = usize::try_from(second.span.start).unwrap();
        let offset = |name: &str| {
            let found = second.document.root().descendants().find(|node| node.name() == name);
            found.unwrap().offset()
        };
        assert!(text[start + offset("VIN")..].starts_with("WAY1ZZZA6TB000017"));
        assert!(text[start + offset("TDLINE")..].starts_with("a\n"));
        assert!(text[start + offset("Z1VHTXT")..].starts_with("Z2VHTXT000"));
        assert!(text[start + offset("IDOCTYP")..].starts_with("ZVEHREG01"));
    }

    #[test]
    fn problems_hold_no_text_of_the_document() {
        let secret = "Anna\u{7}Beispiel";
        let split = "Anna Beispiel\nAnna  Beispiel";
        let records = [secret, &secret.repeat(20), split].map(text_line).concat();
        let text = control() + &records;
        let results = read(text.as_bytes(), Limits::default());
        let problems = &results[0].as_ref().unwrap().problems;
        assert!(problems.len() > 4);
        assert!(problems.iter().all(|problem| !problem.to_string().contains("Anna")));
    }
}
