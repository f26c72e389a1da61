//! Flat files of release 4.x to documents, one IDoc at a time.

use std::io::BufRead;
use std::sync::Arc;

use crate::idoc::assemble::Assembly;
use crate::idoc::frame::{RecordKind, Records};
use crate::idoc::types::Types;
use crate::reading::{FrameError, Limits, Reading};

/// The IDocs of a flat file.
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
/// | `too-many-segments`, `wrong-order` | error | more or earlier than declared |
/// | `too-long` | error | a record of more than 524 or 1063 characters |
/// | `invalid-utf8` | error | the record is decoded as ISO 8859-1, to find what else is wrong |
///
/// Segment numbers may have gaps and repeat, and header fields may be blank: senders filter
/// segments, and converters leave the header out.
#[derive(Debug)]
pub struct Reader<R> {
    records: Records<R>,
    types: Arc<Types>,
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No record was read ahead.
    Start,
    /// The record read last begins the next document.
    Control,
    /// A document was complete before this came.
    Failed(FrameError),
    /// The input has ended or failed.
    Ended,
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` with these types, from its first byte.
    pub fn new(input: R, types: Arc<Types>, limits: Limits) -> Self {
        let records = Records::new(input, &limits);
        Self { records, types, limits, state: State::Start }
    }

    fn read(&mut self) -> Result<Option<Reading>, FrameError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Ok(None),
            State::Failed(error) => return Err(error),
            State::Start if self.records.next()?.is_none() => return Ok(None),
            State::Start | State::Control => {}
        }
        let start = self.records.place().offset;
        let mut assembly = Assembly::new(&self.limits, start);
        assembly.control(self.records.bytes(), self.records.place(), &self.types);
        let mut end = self.records.end();
        loop {
            match self.records.next() {
                Ok(Some(RecordKind::Data)) => {
                    assembly.data(self.records.bytes(), self.records.place())?;
                    end = self.records.end();
                    continue;
                }
                Ok(Some(RecordKind::Control)) => self.state = State::Control,
                Ok(None) => {}
                // A control record that is not read ends the document before it all the same.
                // Any other failure has cut it short.
                Err(error) if matches!(error.code, "release-3x" | "unknown-control-record") => {
                    self.state = State::Failed(error);
                }
                Err(error) => return Err(error),
            }
            let (document, problems) = assembly.finish();
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
