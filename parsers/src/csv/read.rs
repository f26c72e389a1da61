//! Rows to documents.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use crate::csv::ROW;
use crate::document::{Builder, Kind};
use crate::encoding::Encoding;
use crate::reading::{FrameError, Limits, Place, Problem, Problems, Reading, Severity};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The delimiter; the most frequent one of `,`, `;`, tabulator and `|` in the first line where
    /// it is not given.
    pub delimiter: Option<u8>,
    /// The quote.
    pub quote: u8,
    /// Whether the first row names the columns.
    pub header: bool,
    /// The encoding, one that extends ASCII.
    pub encoding: Encoding,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { delimiter: None, quote: b'"', header: true, encoding: Encoding::UTF_8 }
    }
}

/// The rows of a file.
///
/// | problem | severity | when |
/// |---|---|---|
/// | `missing-fields` | warning | less fields than the header has |
/// | `extra-fields` | error | more fields than the header has; they are kept as `c7` |
/// | `invalid-text` | error | not in its encoding |
/// | `duplicate-column` | warning | two columns of one name, at the first row |
pub struct Reader<R> {
    state: State<R>,
    options: ReadOptions,
    limits: Limits,
    header: Vec<String>,
    /// Columns that have the name of an earlier one.
    repeated: Vec<usize>,
    first: bool,
}

enum State<R> {
    Start(Capped<R>),
    Rows(Box<::csv::Reader<Capped<R>>>),
    Ended,
}

/// Bytes that the CSV reader reads ahead.
const AHEAD: usize = 8 << 10;

impl<R: BufRead> Reader<R> {
    /// Reads `input` from its first byte.
    pub fn new(input: R, options: ReadOptions, limits: Limits) -> Self {
        let input = Capped { input, head: Vec::new(), taken: 0, read: 0, allowed: u64::MAX };
        let state = State::Start(input);
        Self { state, options, limits, header: Vec::new(), repeated: Vec::new(), first: true }
    }

    fn read(&mut self) -> Result<Option<Reading>, FrameError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Ok(None),
            State::Start(input) => {
                let mut rows = self.begin(input)?;
                if self.options.header {
                    self.read_header(&mut rows)?;
                }
                self.row(rows)
            }
            State::Rows(rows) => self.row(rows),
        }
    }

    fn begin(&self, mut input: Capped<R>) -> Result<Box<::csv::Reader<Capped<R>>>, FrameError> {
        if self.options.encoding.width() > 1 {
            return Err(FrameError {
                code: "unsupported-encoding",
                message: "an encoding that extends ASCII expected".to_owned(),
                place: Place::default(),
            });
        }
        let delimiter = match self.options.delimiter {
            Some(delimiter) => delimiter,
            None => input.first_line().map(|line| told_by(line, self.options.quote)).map_err(
                |error| FrameError {
                    code: "io",
                    message: format!("cannot be read: {}", error.kind()),
                    place: Place::default(),
                },
            )?,
        };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).buffer_capacity(AHEAD);
        builder.delimiter(delimiter).quote(self.options.quote);
        Ok(Box::new(builder.from_reader(input)))
    }

    fn read_header(&mut self, rows: &mut ::csv::Reader<Capped<R>>) -> Result<(), FrameError> {
        let mut record = ByteRecord::new();
        if !self.next_record(rows, &mut record)? {
            return Ok(());
        }
        // A header may have a million names.
        let mut seen = HashSet::new();
        for (at, name) in record.iter().enumerate() {
            let mut text = String::new();
            self.options.encoding.decode(name, &mut text);
            let name = text.trim().to_owned();
            let name = if name.is_empty() { format!("c{}", at + 1) } else { name };
            if !seen.insert(name.clone()) {
                self.repeated.push(at);
            }
            self.header.push(name);
        }
        Ok(())
    }

    fn row(
        &mut self,
        mut rows: Box<::csv::Reader<Capped<R>>>,
    ) -> Result<Option<Reading>, FrameError> {
        let mut record = ByteRecord::new();
        if !self.next_record(&mut rows, &mut record)? {
            return Ok(None);
        }
        let position = record.position().cloned().unwrap_or_else(::csv::Position::new);
        let place =
            Place { offset: position.byte(), line: position.line(), column: 1, ..Place::default() };
        let mut row =
            Row { builder: Builder::new(), problems: Problems::new(self.limits.problems), place };
        row.builder.open(Kind::Group, ROW, 0);
        if std::mem::take(&mut self.first) {
            for at in &self.repeated {
                let message = format!("column {} has the name of one before", at + 1);
                row.problem(Severity::Warning, "duplicate-column", message);
            }
        }
        self.fields(&record, &mut row);
        let span = position.byte()..rows.position().byte().max(position.byte());
        self.state = State::Rows(rows);
        let problems = row.problems.finish();
        Ok(Some(Reading { document: row.builder.finish(), problems, span }))
    }

    fn fields(&self, record: &ByteRecord, row: &mut Row) {
        let mut text = String::new();
        for (at, field) in record.iter().enumerate() {
            text.clear();
            if !self.options.encoding.decode(field, &mut text) {
                let message = format!("not {} in column {}", self.options.encoding.name(), at + 1);
                row.problem(Severity::Error, "invalid-text", message);
            }
            if text.is_empty() {
                continue;
            }
            match self.header.get(at) {
                Some(name) => row.builder.put(Kind::Text, name, &text, 0),
                None => row.builder.put(Kind::Text, &format!("c{}", at + 1), &text, 0),
            };
        }
        let (found, named) = (record.len(), self.header.len());
        if found < named {
            let message = format!("{found} fields, but the header has {named}");
            row.problem(Severity::Warning, "missing-fields", message);
        } else if found > named && self.options.header {
            let message = format!("{found} fields, but the header has {named}");
            row.problem(Severity::Error, "extra-fields", message);
        }
    }

    /// Reads the next row within its limit.
    fn next_record(
        &self,
        rows: &mut ::csv::Reader<Capped<R>>,
        record: &mut ByteRecord,
    ) -> Result<bool, FrameError> {
        let start = rows.position().byte();
        let most = self.limits.record.min(self.limits.document).max(AHEAD);
        rows.get_mut().allowed = start + (most + AHEAD) as u64;
        let line = rows.position().line();
        let found = rows.read_byte_record(record).map_err(|error| {
            let place = Place { offset: start, line, column: 1, ..Place::default() };
            let is_long = rows.get_ref().read >= rows.get_ref().allowed;
            let (code, message) = match error.kind() {
                _ if is_long => ("too-long", format!("a row longer than {most} bytes")),
                ErrorKind::Io(error) => ("io", format!("cannot be read: {}", error.kind())),
                _ => ("not-csv", "not a row".to_owned()),
            };
            FrameError { code, message, place }
        })?;
        if record.len() >= self.limits.nodes {
            let message = format!("a row of more than {} fields", self.limits.nodes);
            let place = Place { offset: start, line, column: 1, ..Place::default() };
            return Err(FrameError { code: "too-many-nodes", message, place });
        }
        Ok(found)
    }
}

struct Row {
    builder: Builder,
    problems: Problems,
    place: Place,
}

impl Row {
    fn problem(&mut self, severity: Severity, code: &'static str, message: String) {
        let place = self.place.clone();
        self.problems.push(severity, || Problem { severity, code, message, place });
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Reading, FrameError>;

    /// The next row. After an error there is none.
    ///
    /// # Errors
    ///
    /// `too-long` for a row above [`Limits::record`], as an open quote makes it,
    /// `too-many-nodes`, `unsupported-encoding`, `io`.
    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The delimiter that a line tells.
fn told_by(line: &[u8], quote: u8) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == quote;
        if let (false, Some((_, count))) = (quoted, counts.iter_mut().find(|(d, _)| d == byte)) {
            *count += 1;
        }
    }
    // The first of equals: a comma.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(b',', |(delimiter, _)| *delimiter)
}

/// An input of which no more may be read than is allowed.
struct Capped<R> {
    input: R,
    head: Vec<u8>,
    taken: usize,
    read: u64,
    allowed: u64,
}

impl<R: BufRead> Capped<R> {
    /// The first line, or what of it fits into 64 KiB.
    fn first_line(&mut self) -> io::Result<&[u8]> {
        while self.head.len() < 64 << 10 && !self.head.contains(&b'\n') {
            let more = match self.input.fill_buf() {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let count = more.len().min(4 << 10);
            if count == 0 {
                break;
            }
            self.head.extend_from_slice(more.get(..count).unwrap_or_default());
            self.input.consume(count);
        }
        let end = memchr::memchr(b'\n', &self.head).unwrap_or(self.head.len());
        Ok(self.head.get(..end).unwrap_or_default())
    }
}

impl<R: BufRead> Read for Capped<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.allowed {
            return Err(io::Error::other("too long"));
        }
        let left = usize::try_from(self.allowed - self.read).unwrap_or(usize::MAX);
        let most = out.len().min(left);
        let out = out.get_mut(..most).unwrap_or_default();
        let head = self.head.get(self.taken..).unwrap_or_default();
        let count = if head.is_empty() {
            self.head = Vec::new();
            self.taken = 0;
            self.input.read(out)?
        } else {
            let count = head.len().min(out.len());
            if let (Some(out), Some(head)) = (out.get_mut(..count), head.get(..count)) {
                out.copy_from_slice(head);
            }
            self.taken += count;
            count
        };
        self.read += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_the_delimiter() {
        assert_eq!(told_by(b"a;b,c;d", b'"'), b';');
        assert_eq!(told_by(b"\"a;b;c\",d", b'"'), b',');
        assert_eq!(told_by(b"a\tb", b'"'), b'\t');
        assert_eq!(told_by(b"a", b'"'), b',');
    }

    #[test]
    fn an_open_quote_ends_at_the_limit() {
        let text = format!("a,b\n\"{}", "x".repeat(200_000));
        let limits = Limits { record: 20_000, ..Limits::default() };
        let read: Vec<_> = Reader::new(text.as_bytes(), ReadOptions::default(), limits).collect();
        assert!(matches!(read.as_slice(), [Err(error)] if error.code == "too-long"));
    }
}
