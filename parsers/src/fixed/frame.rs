//! Where records begin and end: lines ended by LF, CRLF or CR, or nothing but their length.

use std::io::{BufRead, ErrorKind};

use crate::encoding::Encoding;
use crate::reading::{FrameError, Limits, Place};

/// The records of an input, one at a time.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    /// Characters of a record, in a file without line ends.
    length: usize,
    longest: usize,
    encoding: Encoding,
    shape: Option<Shape>,
    record: Vec<u8>,
    /// Bytes read ahead of the record.
    ahead: Vec<u8>,
    at: Place,
    end: u64,
    lines: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Lines,
    Fixed,
}

impl<R: BufRead> Records<R> {
    /// The records of `input`, in an encoding of one byte or UTF-8. A record has `length`
    /// characters where lines do not end it.
    pub fn new(input: R, length: usize, encoding: Encoding, limits: &Limits) -> Self {
        Self {
            input,
            length: length.max(1),
            longest: limits.record.max(4 * length),
            encoding,
            shape: None,
            record: Vec::new(),
            ahead: Vec::new(),
            at: Place::default(),
            end: 0,
            lines: 0,
        }
    }

    /// Reads the next record that is not blank; `false` at the end of the input.
    ///
    /// # Errors
    ///
    /// `unsupported-encoding` for UTF-16 and the multi-byte encodings of East Asia, `too-long`
    /// above [`Limits::record`], `io` where the input itself fails.
    #[expect(clippy::should_implement_trait, reason = "the record is lent, as BufRead lends")]
    pub fn next(&mut self) -> Result<bool, FrameError> {
        loop {
            let shape = match self.shape {
                Some(shape) => shape,
                None => self.tell()?,
            };
            let found = match shape {
                Shape::Lines => self.line()?,
                Shape::Fixed => self.fixed()?,
            };
            // Some senders end a file with a blank, or with the end-of-file mark of DOS.
            if !found || self.record.iter().any(|b| !matches!(b, b' ' | b'\t' | 0x1a | 0)) {
                return Ok(found);
            }
        }
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

    /// Whether lines end the records.
    pub(super) fn is_lines(&self) -> bool {
        self.shape != Some(Shape::Fixed)
    }

    /// Sets the characters of a record, once its type is known.
    pub(super) fn set_length(&mut self, length: usize) {
        self.length = length.max(1);
    }

    fn error(&self, code: &'static str, message: impl Into<String>) -> FrameError {
        FrameError { code, message: message.into(), place: self.at.clone() }
    }

    /// A file has lines if there is a line end within two records.
    fn tell(&mut self) -> Result<Shape, FrameError> {
        if self.encoding.width() > 1 || !self.encoding.counts_characters() {
            let message = "an encoding of one byte or UTF-8 expected";
            return Err(self.error("unsupported-encoding", message));
        }
        let window = 2 * self.length + 2;
        while self.ahead.len() < window * 4
            && self.encoding.characters(&self.ahead) < window
            && self.read_ahead(window)?
        {}
        if self.ahead.starts_with(b"\xef\xbb\xbf") && self.encoding == Encoding::UTF_8 {
            self.ahead.drain(..3);
            self.end = 3;
        }
        let has_lines = memchr::memchr2(b'\n', b'\r', &self.ahead).is_some();
        let shape = if has_lines { Shape::Lines } else { Shape::Fixed };
        self.shape = Some(shape);
        Ok(shape)
    }

    fn begin(&mut self) {
        self.record.clear();
        let line = if self.is_lines() { self.lines + 1 } else { 0 };
        let column = u32::from(line > 0);
        self.at = Place { offset: self.end, line, column, ..Place::default() };
    }

    fn fill(&mut self) -> Result<&[u8], FrameError> {
        loop {
            match self.input.fill_buf() {
                // The borrow checker does not see that this answer may be returned.
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("cannot be read: {}", error.kind());
                    return Err(FrameError { code: "io", message, place: self.at.clone() });
                }
            }
        }
        Ok(self.input.fill_buf().unwrap_or_default())
    }

    /// Reads at most `count` bytes ahead; says whether there were any.
    fn read_ahead(&mut self, count: usize) -> Result<bool, FrameError> {
        let read = self.fill()?;
        let read = read.get(..count.min(read.len())).unwrap_or_default().to_vec();
        self.input.consume(read.len());
        self.ahead.extend_from_slice(&read);
        Ok(!read.is_empty())
    }

    /// Moves the first `count` bytes that were read ahead to the record.
    fn take(&mut self, count: usize) {
        let count = count.min(self.ahead.len());
        self.record.extend(self.ahead.drain(..count));
        self.end += count as u64;
    }

    fn line(&mut self) -> Result<bool, FrameError> {
        self.begin();
        let mut ended_by = None;
        if !self.ahead.is_empty() {
            let at = memchr::memchr2(b'\n', b'\r', &self.ahead);
            self.take(at.unwrap_or(self.ahead.len()));
            if at.is_some() {
                ended_by = self.ahead.first().copied();
                self.skip(1);
            }
        }
        while ended_by.is_none() {
            let read = self.fill()?;
            if read.is_empty() {
                return Ok(!self.record.is_empty());
            }
            let at = memchr::memchr2(b'\n', b'\r', read);
            let count = at.unwrap_or(read.len());
            ended_by = at.and_then(|at| read.get(at).copied());
            // Borrowed again, since the record cannot grow while the input is looked at.
            let read = self.input.fill_buf().unwrap_or_default();
            self.record.extend_from_slice(read.get(..count).unwrap_or_default());
            let taken = count + usize::from(at.is_some());
            self.input.consume(taken);
            self.end += taken as u64;
            if self.record.len() > self.longest {
                let message = format!("a record longer than {} bytes", self.longest);
                return Err(self.error("too-long", message));
            }
        }
        // The LF of a CRLF belongs to this record.
        if ended_by == Some(b'\r') {
            if self.ahead.is_empty() && self.fill()?.first() == Some(&b'\n') {
                self.input.consume(1);
                self.end += 1;
            } else if self.ahead.first() == Some(&b'\n') {
                self.skip(1);
            }
        }
        self.lines += 1;
        Ok(true)
    }

    /// Drops the first `count` bytes that were read ahead.
    fn skip(&mut self, count: usize) {
        self.ahead.drain(..count.min(self.ahead.len()));
        self.end += count as u64;
    }

    fn fixed(&mut self) -> Result<bool, FrameError> {
        self.begin();
        loop {
            let missing = self.length.saturating_sub(self.encoding.characters(&self.record));
            let next_continues = self.encoding == Encoding::UTF_8
                && self.record.len() < 4 * self.length
                && self.ahead.first().is_some_and(|byte| byte & 0xc0 == 0x80);
            if missing == 0 && !self.ahead.is_empty() && !next_continues {
                return Ok(true);
            }
            if self.ahead.is_empty() && !self.read_ahead(missing.max(4))? {
                return Ok(!self.record.is_empty());
            }
            if missing == 0 && !next_continues && !self.record.is_empty() {
                continue;
            }
            self.take(missing.max(1));
        }
    }
}
