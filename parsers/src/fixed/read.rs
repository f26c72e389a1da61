//! Files to documents.

use std::io::BufRead;
use std::sync::Arc;

use crate::document::Room;
use crate::encoding::Encoding;
use crate::fixed::assemble::Assembly;
use crate::fixed::frame::Records;
use crate::fixed::record_length;
use crate::fixed::types::{Known, Types};
use crate::reading::{FrameError, Limits, Reading, Severity};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The encoding; one of one byte, or UTF-8.
    pub encoding: Encoding,
    /// Checks that required fields are there and values keep to their data type, and reports a
    /// breach as bad as this.
    pub values: Option<Severity>,
}

/// The documents of a file of fixed-length records.
///
/// A document begins with its header and ends with its trailer. What stands between a trailer and
/// the next header is a document of its own, and refused: nothing else is lost by it.
///
/// | problem | severity | when |
/// |---|---|---|
/// | `unknown-record` | error | the type does not declare it; kept with a field `DATA` |
/// | `short-record` | warning | less characters than declared, as where blanks at the end were trimmed |
/// | `short-record` | error | ... but it ends with a blank, or inside of a number: its columns are not certain |
/// | `too-long` | error | more than declared; a warning where they are blank |
/// | `missing-record`, `missing-parent` | error | a mandatory record, the parent of a record |
/// | `incomplete` | error | the input ends before a mandatory record that could still come; see [`Reading::is_incomplete`] |
/// | `too-many-records`, `wrong-order` | error | more or earlier than declared |
/// | `wrong-count` | error | a field `COUNT_...` is not the number of records |
/// | `control-character` | error | in a field |
/// | `invalid-text` | error | not in its encoding; decoded as ISO 8859-1 |
/// | `not-digits`, `not-a-date`, `not-a-time` | error | another character than digits and blanks, where values are checked |
/// | `missing-field`, `not-digits`, `not-a-number`, `unknown-value`, ... | as chosen | see [`ReadOptions::values`] |
#[derive(Debug)]
pub struct Reader<R> {
    records: Records<R>,
    types: Arc<Types>,
    limits: Limits,
    options: ReadOptions,
    kind: Option<Arc<Known>>,
    state: State,
    room: Room,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Start,
    /// The record read last begins the next document.
    Begun,
    Ended,
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` with these types, of which its first record tells one.
    pub fn new(input: R, types: Arc<Types>, limits: Limits) -> Self {
        Self::with_options(input, types, limits, ReadOptions::default())
    }

    /// Reads `input` with these types and options.
    pub fn with_options(input: R, types: Arc<Types>, limits: Limits, options: ReadOptions) -> Self {
        let records = Records::new(input, types.longest(), options.encoding, &limits);
        Self {
            records,
            types,
            limits,
            options,
            kind: None,
            state: State::Start,
            room: Room::default(),
        }
    }

    fn read(&mut self) -> Result<Option<Reading>, FrameError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Ok(None),
            State::Start if !self.records.next()? => return Ok(None),
            State::Start | State::Begun => {}
        }
        let kind = self.kind()?;
        let start = self.records.place().offset;
        let begin = (self.records.place(), &self.room);
        let mut assembly = Assembly::new(&self.limits, self.options, Arc::clone(&kind), begin);
        let mut end;
        loop {
            let is = |name: &Option<String>, records: &Records<R>| {
                name.as_deref().is_some_and(|name| records.bytes().starts_with(name.as_bytes()))
            };
            assembly.record(self.records.bytes(), self.records.place())?;
            end = self.records.end();
            // What follows a trailer is not of this document, whatever it is.
            let ends = is(&kind.last, &self.records);
            if !self.records.next()? {
                assembly.check_end();
                break;
            }
            if ends || is(&kind.first, &self.records) {
                self.state = State::Begun;
                break;
            }
        }
        let (document, problems) = assembly.finish(&mut self.room);
        Ok(Some(Reading { document, problems, span: start..end }))
    }

    /// The type of the file, told by its first record.
    fn kind(&mut self) -> Result<Arc<Known>, FrameError> {
        if let Some(kind) = &self.kind {
            return Ok(Arc::clone(kind));
        }
        let start = self.records.bytes().get(..16.min(self.records.bytes().len()));
        let start = String::from_utf8_lossy(start.unwrap_or_default()).into_owned();
        let Some(kind) = self.types.beginning_with(&start).cloned() else {
            return Err(FrameError {
                code: "unknown-type",
                message: "no type begins with this record".to_owned(),
                place: self.records.place().clone(),
            });
        };
        let length = record_length(&kind.index.schema);
        if !self.records.is_lines() && length != self.types.longest() {
            // The first record was cut by the length of another type.
            return Err(FrameError {
                code: "unknown-length",
                message: format!(
                    "without line ends only types of {} characters are told apart",
                    self.types.longest()
                ),
                place: self.records.place().clone(),
            });
        }
        self.records.set_length(length);
        self.kind = Some(Arc::clone(&kind));
        Ok(kind)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Reading, FrameError>;

    /// The next document. After an error there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Records::next`], `unknown-type` where no type begins with the first record,
    /// `unknown-length`, and `too-large`, `too-many-nodes` and `too-deep` above the limits.
    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
