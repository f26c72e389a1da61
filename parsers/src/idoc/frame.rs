//! Where records begin and end: lines, or fixed lengths in a file without line ends.
//!
//! The shape is told by the first record. A file that has no line end within the length of a
//! control record and a data record has none at all; its records are 524 and 1063 characters.
//! Characters are counted in UTF-8. Blank lines are skipped anywhere, and so is a byte order mark.
//!
//! Memory is one record, at most [`Limits::record`] bytes, whatever the input.

use std::io::{BufRead, ErrorKind};

use crate::idoc::control::{DATA_HEADER, EDI_DC40_LENGTH, SDATA_LENGTH};
use crate::reading::{FrameError, Limits, Place};

/// The records of an input, one at a time.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    longest: usize,
    shape: Shape,
    /// Bytes read ahead of the record, to tell the shape. Empty in a file of lines.
    ahead: Vec<u8>,
    record: Vec<u8>,
    /// Where the record begins, without its line end.
    at: Place,
    /// Bytes read as records so far.
    end: u64,
    lines: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Unknown,
    Lines,
    Fixed,
}

/// What a record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// The control record, which begins an IDoc.
    Control,
    /// A data record.
    Data,
}

/// How control records of all releases begin.
const CONTROL_START: &[u8] = b"EDI_DC";

const DATA_LENGTH: usize = DATA_HEADER + SDATA_LENGTH;

/// UTF-8 has at most four bytes for a character.
const BYTES: usize = 4;

impl<R: BufRead> Records<R> {
    /// The records of `input`, from its first byte.
    pub fn new(input: R, limits: &Limits) -> Self {
        Self {
            input,
            // A record of full length must be readable, or nothing is.
            longest: limits.record.max(DATA_LENGTH),
            shape: Shape::Unknown,
            ahead: Vec::new(),
            record: Vec::new(),
            at: Place::default(),
            end: 0,
            lines: 0,
        }
    }

    /// Reads the next record; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// `not-idoc` where the first record is none of an IDoc, `release-3x` for the layout of
    /// release 3.x, which is not read yet, `unknown-control-record`, `utf-16`, `too-long` above
    /// [`Limits::record`], `io` where the input itself fails.
    #[expect(clippy::should_implement_trait, reason = "the record is lent, as BufRead lends")]
    pub fn next(&mut self) -> Result<Option<RecordKind>, FrameError> {
        let first = self.shape == Shape::Unknown;
        loop {
            let found = match self.shape {
                Shape::Unknown => self.first()?,
                Shape::Lines => self.line()?,
                Shape::Fixed => self.fixed()?,
            };
            if !found {
                return Ok(None);
            }
            // Some senders end a file with a blank, or with the end-of-file mark of DOS.
            if self.record.iter().any(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | 0x1a)) {
                break;
            }
            if first {
                self.shape = Shape::Unknown;
            }
        }
        self.kind(first).map(Some)
    }

    /// The bytes of the record read last, without its line end.
    pub fn bytes(&self) -> &[u8] {
        &self.record
    }

    /// Where the record read last begins. The line is 0 in a file without line ends.
    pub fn place(&self) -> &Place {
        &self.at
    }

    /// The offset of the first byte after the record read last and its line end.
    pub fn end(&self) -> u64 {
        self.end
    }

    fn kind(&self, first: bool) -> Result<RecordKind, FrameError> {
        let Some(rest) = self.record.strip_prefix(CONTROL_START) else {
            if !first {
                return Ok(RecordKind::Data);
            }
            if self.record.contains(&0) || self.record.starts_with(b"\xff\xfe") {
                return Err(self.error("utf-16", "UTF-16 is not read yet; UTF-8 expected"));
            }
            let message = "an IDoc begins with a control record EDI_DC40";
            return Err(self.error("not-idoc", message));
        };
        if rest.starts_with(b"40 ") || rest.starts_with(b"40_U") || rest == b"40" {
            return Ok(RecordKind::Control);
        }
        if rest.first().is_none_or(|byte| *byte == b' ') {
            let message = "a control record of release 3.x (EDI_DC), which is not read yet";
            return Err(self.error("release-3x", message));
        }
        Err(self.error("unknown-control-record", "a control record other than EDI_DC40"))
    }

    fn error(&self, code: &'static str, message: impl Into<String>) -> FrameError {
        FrameError { code, message: message.into(), place: self.at.clone() }
    }

    fn begin(&mut self) {
        self.record.clear();
        let line = if self.shape == Shape::Fixed { 0 } else { self.lines + 1 };
        let column = u32::from(line > 0);
        self.at = Place { offset: self.end, line, column, ..Place::default() };
    }

    /// Reads the first record and tells the shape by it.
    fn first(&mut self) -> Result<bool, FrameError> {
        self.begin();
        let window = EDI_DC40_LENGTH + DATA_LENGTH;
        while self.ahead.len() < window * BYTES && !self.ahead.contains(&b'\n') {
            if characters(&self.ahead) >= window || !self.read_ahead(window)? {
                break;
            }
        }
        if self.end == 0 && self.ahead.starts_with(b"\xef\xbb\xbf") {
            self.ahead.drain(..3);
            self.end = 3;
            self.begin();
        }
        if self.ahead.is_empty() {
            return Ok(false);
        }
        if let Some(at) = memchr::memchr(b'\n', &self.ahead) {
            self.shape = Shape::Lines;
            // The rest goes back in front of the input by way of `ahead`.
            self.take(at + 1);
            self.end_line();
            return Ok(true);
        }
        self.shape = Shape::Fixed;
        self.fixed()
    }

    /// Reads at most `count` bytes into `ahead`; says whether there were any.
    fn read_ahead(&mut self, count: usize) -> Result<bool, FrameError> {
        let place = &self.at;
        let read = self.input.fill_buf_or(place)?;
        let taken = read.get(..count.min(read.len())).unwrap_or_default();
        let some = !taken.is_empty();
        let count = taken.len();
        self.ahead.extend_from_slice(taken);
        self.input.consume(count);
        Ok(some)
    }

    /// Moves the first `count` bytes that were read ahead to the record.
    fn take(&mut self, count: usize) {
        let count = count.min(self.ahead.len());
        self.record.extend(self.ahead.drain(..count));
        self.end += count as u64;
    }

    fn line(&mut self) -> Result<bool, FrameError> {
        self.begin();
        if !self.ahead.is_empty() {
            let at = memchr::memchr(b'\n', &self.ahead).map_or(self.ahead.len(), |at| at + 1);
            self.take(at);
        }
        while !self.record.ends_with(b"\n") {
            let read = self.input.fill_buf_or(&self.at)?;
            let count = memchr::memchr(b'\n', read).map_or(read.len(), |at| at + 1);
            if count == 0 {
                break;
            }
            if self.record.len() + count > self.longest {
                let message = format!("a record longer than {} bytes", self.longest);
                return Err(self.error("too-long", message));
            }
            self.record.extend_from_slice(read.get(..count).unwrap_or_default());
            self.input.consume(count);
            self.end += count as u64;
        }
        let found = !self.record.is_empty();
        self.end_line();
        Ok(found)
    }

    fn end_line(&mut self) {
        self.lines += 1;
        if self.record.pop_if(|byte| *byte == b'\n').is_some() {
            self.record.pop_if(|byte| *byte == b'\r');
        }
    }

    fn fixed(&mut self) -> Result<bool, FrameError> {
        self.begin();
        self.ensure(CONTROL_START.len())?;
        let is_control = self.ahead.starts_with(CONTROL_START);
        let length = if is_control { EDI_DC40_LENGTH } else { DATA_LENGTH };
        let mut missing = length;
        while missing > 0 && self.record.len() < length * BYTES && self.ensure(missing)? {
            self.take(missing);
            missing = length.saturating_sub(characters(&self.record));
        }
        // The last character may have more bytes.
        while self.ensure(1)? && self.ahead.first().is_some_and(|byte| is_continuation(*byte)) {
            if self.record.len() >= length * BYTES {
                break;
            }
            self.take(1);
        }
        Ok(!self.record.is_empty())
    }

    /// Reads ahead until there are `count` bytes, or the input ends; says whether there are any.
    fn ensure(&mut self, count: usize) -> Result<bool, FrameError> {
        while self.ahead.len() < count && self.read_ahead(count - self.ahead.len())? {}
        Ok(!self.ahead.is_empty())
    }
}

/// `fill_buf` with the place of the failure.
trait FillBuf {
    fn fill_buf_or(&mut self, place: &Place) -> Result<&[u8], FrameError>;
}

impl<R: BufRead> FillBuf for R {
    fn fill_buf_or(&mut self, place: &Place) -> Result<&[u8], FrameError> {
        loop {
            match self.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("cannot be read: {}", error.kind());
                    return Err(FrameError { code: "io", message, place: place.clone() });
                }
                // The borrow checker does not see that the first answer may be returned.
                Ok(_) => break,
            }
        }
        self.fill_buf().map_err(|error| FrameError {
            code: "io",
            message: format!("cannot be read: {}", error.kind()),
            place: place.clone(),
        })
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Characters of UTF-8, whether it is valid or not.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !is_continuation(**byte)).count()
}
