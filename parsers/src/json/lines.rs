//! JSON Lines: a JSON text a line.

use std::io::{BufRead, ErrorKind};

use crate::document::{Builder, Kind, Node};
use crate::json;
use crate::reading::{FrameError, Limits, Place, Problem, Reading, Severity};

/// The documents of an input that has a JSON text a line. Blank lines are skipped.
///
/// A line that is no JSON text gives a document that is a null, with the fault as its problem: the
/// next line begins where it ends, so nothing else is lost.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    limits: Limits,
    line: Vec<u8>,
    offset: u64,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads `input` from its first byte.
    pub fn new(input: R, limits: Limits) -> Self {
        Self { input, limits, line: Vec::new(), offset: 0, number: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<Reading>, FrameError> {
        loop {
            let start = self.offset;
            if !self.read_line()? {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(self.document(start)));
            }
        }
    }

    fn document(&self, start: u64) -> Reading {
        let span = start..self.offset;
        let place = |place: Place| Place {
            offset: place.offset + start,
            line: place.line + self.number - 1,
            ..place
        };
        match json::read(&self.line, &self.limits) {
            Ok(mut reading) => {
                for problem in &mut reading.problems {
                    problem.place = place(std::mem::take(&mut problem.place));
                }
                Reading { span, ..reading }
            }
            Err(FrameError { code, message, place: at }) => {
                let mut builder = Builder::new();
                builder.put(Kind::Null, "", "", 0);
                let severity = Severity::Error;
                let problem = Problem { severity, code, message, place: place(at) };
                Reading { document: builder.finish(), problems: vec![problem], span }
            }
        }
    }

    fn read_line(&mut self) -> Result<bool, FrameError> {
        self.line.clear();
        let place = || Place { offset: self.offset, line: self.number + 1, ..Place::default() };
        let error = |code, message| FrameError { code, message, place: place() };
        let mut read = 0;
        while !self.line.ends_with(b"\n") {
            let found = match self.input.fill_buf() {
                Ok(found) => found,
                Err(failure) if failure.kind() == ErrorKind::Interrupted => continue,
                Err(failure) => {
                    return Err(error("io", format!("cannot be read: {}", failure.kind())));
                }
            };
            let count = memchr::memchr(b'\n', found).map_or(found.len(), |at| at + 1);
            if count == 0 {
                break;
            }
            if self.line.len() + count > self.limits.document {
                let message = format!("a line longer than {} bytes", self.limits.document);
                return Err(error("too-large", message));
            }
            self.line.extend_from_slice(found.get(..count).unwrap_or_default());
            self.input.consume(count);
            read += count as u64;
        }
        self.offset += read;
        Ok(!self.line.is_empty())
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Reading, FrameError>;

    /// The next document. After an error there is none.
    ///
    /// # Errors
    ///
    /// `too-large` for a line above [`Limits::document`], `io` where the input itself fails.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

/// Appends `node` as one line of JSON Lines.
pub fn write_line(node: Node<'_>, out: &mut Vec<u8>) {
    json::write(node, out);
    out.push(b'\n');
}
