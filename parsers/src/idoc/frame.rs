//! Where records begin and end: lines, or fixed lengths in a file without line ends.
//!
//! The shape is told by the first record. A file that has no line end within the length of a
//! control record and a data record has none at all; its records have the lengths of their release.
//! Blank lines are skipped anywhere, and so is a byte order mark.
//!
//! UTF-16 is told by its mark or its NULs; any other encoding that is not UTF-8 must be named.
//!
//! Memory is one record, at most [`Limits::record`] bytes, whatever the input.

use std::borrow::Cow;
use std::io::{BufRead, ErrorKind};

use crate::encoding::Encoding;
use crate::idoc::control::{EDI_DC40_LENGTH, EDI_DS40_LENGTH, Release};
use crate::reading::{FrameError, Limits, Place};

/// The records of an input, one at a time.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    longest: usize,
    shape: Shape,
    release: Release,
    encoding: Encoding,
    /// The encoding was named, so that it is not told by the first bytes.
    named: bool,
    /// Bytes read ahead of the record, to tell the shape. Empty in a file of lines.
    ahead: Vec<u8>,
    record: Vec<u8>,
    /// The record has its line end, or its fixed length.
    is_whole: bool,
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
    /// A status record, which stands for itself.
    Status,
}

/// How control records of all releases begin.
const CONTROL_START: &[u8] = b"EDI_DC";

/// How status records begin.
const STATUS_START: &[u8] = b"EDI_DS40";

/// UTF-8 has at most four bytes for a character.
const BYTES: usize = 4;

impl<R: BufRead> Records<R> {
    /// The records of `input`, from its first byte.
    pub fn new(input: R, limits: &Limits) -> Self {
        Self {
            input,
            longest: limits.record,
            shape: Shape::Unknown,
            release: Release::R4,
            encoding: Encoding::UTF_8,
            named: false,
            ahead: Vec::new(),
            record: Vec::new(),
            is_whole: true,
            at: Place::default(),
            end: 0,
            lines: 0,
        }
    }

    /// The records of `input` in that encoding, from its first byte.
    pub fn in_encoding(input: R, encoding: Encoding, limits: &Limits) -> Self {
        Self { encoding, named: true, ..Self::new(input, limits) }
    }

    /// Reads the next record; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// `not-idoc` where the first record is none of an IDoc, `unknown-control-record`,
    /// `unsupported-encoding` for the multi-byte encodings of East Asia, whose columns are bytes,
    /// `too-long` above [`Limits::record`], `io` where the input itself fails.
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
            // The NULs are those of UTF-16.
            if self.record.iter().any(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | 0x1a | 0)) {
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

    /// Whether the record read last has its line end; in a file without line ends, its length.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The encoding of the input, once a record was read.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The release of the control record read last.
    pub fn release(&self) -> Release {
        self.release
    }

    fn kind(&mut self, first: bool) -> Result<RecordKind, FrameError> {
        let start = self.start(&self.record);
        if start.starts_with(STATUS_START) {
            return Ok(RecordKind::Status);
        }
        let Some(rest) = start.strip_prefix(CONTROL_START) else {
            if !first {
                return Ok(RecordKind::Data);
            }
            let message = "an IDoc begins with a control record EDI_DC40";
            return Err(self.error("not-idoc", message));
        };
        self.release = if rest.starts_with(b"40 ") || rest.starts_with(b"40_U") || rest == b"40" {
            Release::R4
        } else if rest.first().is_none_or(|byte| *byte == b' ') {
            Release::R3
        } else {
            let message = "a control record other than EDI_DC40 and EDI_DC";
            return Err(self.error("unknown-control-record", message));
        };
        Ok(RecordKind::Control)
    }

    /// The first characters of a record, as far as they are ASCII.
    fn start<'r>(&self, record: &'r [u8]) -> Cow<'r, [u8]> {
        let width = self.encoding.width();
        let start = record.get(..record.len().min(11 * width)).unwrap_or_default();
        if width == 1 {
            return start.into();
        }
        let mut text = String::new();
        self.encoding.decode(start, &mut text);
        text.into_bytes().into()
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

    /// Reads the first record and tells the encoding and the shape by it.
    fn first(&mut self) -> Result<bool, FrameError> {
        self.begin();
        if self.end == 0 {
            self.tell_encoding()?;
        }
        let window = EDI_DC40_LENGTH + Release::R4.data_length();
        while self.ahead.len() < window * BYTES && self.line_end(&self.ahead).is_none() {
            let known = self.encoding.characters(&self.ahead);
            if known >= window || !self.read_ahead(window)? {
                break;
            }
        }
        if self.ahead.is_empty() {
            return Ok(false);
        }
        if let Some(end) = self.line_end(&self.ahead) {
            self.shape = Shape::Lines;
            // The rest goes back in front of the input by way of `ahead`.
            self.take(end);
            self.end_line();
            return Ok(true);
        }
        self.shape = Shape::Fixed;
        self.fixed()
    }

    fn tell_encoding(&mut self) -> Result<(), FrameError> {
        self.ensure(3)?;
        let found = Encoding::detect(&self.ahead);
        if !self.named {
            self.encoding = found.map_or(Encoding::UTF_8, |(encoding, _)| encoding);
        }
        if !self.encoding.counts_characters() {
            let message = "the columns of this encoding are bytes, which is not read";
            return Err(self.error("unsupported-encoding", message));
        }
        if let Some((encoding, mark)) = found
            && encoding == self.encoding
        {
            self.ahead.drain(..mark);
            self.end = mark as u64;
            self.begin();
        }
        Ok(())
    }

    /// The end of the first line in `bytes`, which begin with a character: after its line end.
    fn line_end(&self, bytes: &[u8]) -> Option<usize> {
        let is_end = |end: &usize| self.ends_line(bytes.get(..*end).unwrap_or_default());
        let ends = memchr::memchr_iter(b'\n', bytes);
        match self.encoding {
            Encoding::UTF_16LE => {
                ends.map(|at| at + 2).find(|end| *end <= bytes.len() && is_end(end))
            }
            _ => ends.map(|at| at + 1).find(is_end),
        }
    }

    /// Whether whole characters end with a line end.
    fn ends_line(&self, bytes: &[u8]) -> bool {
        match self.encoding {
            Encoding::UTF_16LE => bytes.len().is_multiple_of(2) && bytes.ends_with(b"\n\0"),
            Encoding::UTF_16BE => bytes.len().is_multiple_of(2) && bytes.ends_with(b"\0\n"),
            _ => bytes.ends_with(b"\n"),
        }
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
            let end = self.line_end(&self.ahead).unwrap_or(self.ahead.len());
            self.take(end);
        }
        while !self.ends_line(&self.record) {
            // The line end of UTF-16LE goes on after its `\n`.
            let half = self.encoding == Encoding::UTF_16LE && self.record.len() % 2 == 1;
            let read = self.input.fill_buf_or(&self.at)?;
            let line = memchr::memchr(b'\n', read).map_or(read.len(), |at| at + 1);
            let count = if half { line.min(1) } else { line };
            if count == 0 {
                break;
            }
            // A record of full length must be readable, or nothing is.
            let longest = self.longest.max(Release::R4.data_length() * self.encoding.width());
            if self.record.len() + count > longest {
                let message = format!("a record longer than {longest} bytes");
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
        self.is_whole = self.ends_line(&self.record);
        if !self.is_whole {
            return;
        }
        let width = self.encoding.width();
        let ends_with_return = |record: &[u8]| match self.encoding {
            Encoding::UTF_16LE => record.ends_with(b"\r\0"),
            Encoding::UTF_16BE => record.ends_with(b"\0\r"),
            _ => record.ends_with(b"\r"),
        };
        let mut length = self.record.len() - width;
        if ends_with_return(self.record.get(..length).unwrap_or_default()) {
            length -= width;
        }
        self.record.truncate(length);
    }

    fn fixed(&mut self) -> Result<bool, FrameError> {
        self.begin();
        let width = self.encoding.width();
        self.ensure(11 * width)?;
        let start = self.start(&self.ahead);
        let length = if start.starts_with(STATUS_START) {
            EDI_DS40_LENGTH
        } else if let Some(rest) = start.strip_prefix(CONTROL_START) {
            let release = if rest.starts_with(b"4") { Release::R4 } else { Release::R3 };
            release.control_length()
        } else {
            self.release.data_length()
        };
        let mut missing = length;
        while missing > 0 && self.record.len() < length * BYTES && self.ensure(missing * width)? {
            self.take(missing * width);
            missing = length.saturating_sub(self.encoding.characters(&self.record));
        }
        self.is_whole = missing == 0;
        // The last character may have more bytes.
        while self.encoding == Encoding::UTF_8
            && self.ensure(1)?
            && self.ahead.first().is_some_and(|byte| byte & 0xc0 == 0x80)
        {
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
