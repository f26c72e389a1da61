//! An input in any encoding, read as UTF-8, with the place in the input itself.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use crate::encoding::{Encoding, Kind};
use crate::reading::Place;

/// Bytes taken from the input at a time.
const CHUNK: usize = 32 << 10;

/// Reads UTF-8 from an input in `encoding`, and knows what was consumed.
///
/// It has a buffer of its own: what was consumed is looked at once, when somebody asks for the
/// place, and not piece by piece.
pub(crate) struct Transcode<R> {
    input: R,
    /// Read ahead to tell the encoding.
    head: Vec<u8>,
    encoding: Encoding,
    decoder: Option<encoding_rs::Decoder>,
    /// UTF-8, or what claims to be.
    text: Vec<u8>,
    /// Bytes of `text` that were consumed, and how many of them are in the place.
    at: usize,
    counted: usize,
    /// Bytes of the input that were consumed.
    position: u64,
    /// Bytes of the input that were decoded; what means nothing can have less than its text.
    decoded: u64,
    lines: u64,
    /// Characters consumed of the current line.
    columns: u64,
    /// How many bytes may be consumed before [`Self::begin_event`]; none left means too much.
    budget: usize,
    /// Where the event began in `text`, and its place where `text` is another one by now.
    mark: usize,
    marked: Option<Spot>,
}

/// An element that holds nothing but text. See [`Transcode::simple_element`].
pub(crate) struct Simple {
    pub(crate) name: Range<usize>,
    pub(crate) text: Range<usize>,
}

/// A place in the input: bytes from its start, line and column from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) offset: u64,
    pub(crate) line: u64,
    pub(crate) column: u32,
}

impl Spot {
    pub(crate) fn place(self) -> Place {
        let Self { offset, line, column } = self;
        Place { offset, line, column, ..Place::default() }
    }
}

impl<R: BufRead> Transcode<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            head: Vec::new(),
            encoding: Encoding::UTF_8,
            decoder: None,
            text: Vec::new(),
            at: 0,
            counted: 0,
            position: 0,
            decoded: 0,
            lines: 0,
            columns: 0,
            budget: usize::MAX,
            mark: 0,
            marked: None,
        }
    }

    /// Reads ahead until there are `count` bytes or the input ends, and returns them. Only before
    /// anything was consumed.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.head.len() < count {
            let more = match self.input.fill_buf() {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if more.is_empty() {
                break;
            }
            let taken = more.len().min(count);
            self.head.extend_from_slice(more.get(..taken).unwrap_or_default());
            self.input.consume(taken);
        }
        Ok(&self.head)
    }

    /// Sets the encoding, and skips a byte order mark of `mark` bytes. Only before anything was
    /// consumed.
    pub(crate) fn begin(&mut self, encoding: Encoding, mark: usize) {
        self.encoding = encoding;
        let mark = mark.min(self.head.len());
        self.head.drain(..mark);
        self.position = mark as u64;
        self.decoded = self.position;
        self.decoder = match encoding.0 {
            // Passed on as it is, and Latin 1 byte by byte; see `decode`.
            Kind::Utf8 | Kind::Latin1 => None,
            Kind::Utf16Le => Some(encoding_rs::UTF_16LE.new_decoder_without_bom_handling()),
            Kind::Utf16Be => Some(encoding_rs::UTF_16BE.new_decoder_without_bom_handling()),
            Kind::Other(other) => Some(other.new_decoder_without_bom_handling()),
        };
    }

    /// Bytes of the input that were consumed.
    pub(crate) fn position(&mut self) -> u64 {
        self.count(self.at);
        self.position
    }

    /// Bytes of the input that were consumed, as far as they were counted.
    pub(crate) fn passed(&self) -> u64 {
        self.position
    }

    /// An event begins, of which at most `budget` bytes may be consumed.
    pub(crate) fn begin_event(&mut self, budget: usize) {
        self.budget = budget;
        self.mark = self.at;
        self.marked = None;
    }

    /// Where the event began. Lines are only counted when somebody asks.
    pub(crate) fn event(&mut self) -> Spot {
        if let Some(spot) = self.marked {
            return spot;
        }
        self.count(self.mark);
        let column = u32::try_from(self.columns + 1).unwrap_or(u32::MAX);
        Spot { offset: self.position, line: self.lines + 1, column }
    }

    /// Takes the next element, if it has no attributes and holds nothing but text that means what it
    /// says, stands behind nothing but blanks, and has at most `longest` bytes, all of them decoded
    /// already. Only where no markup is open.
    ///
    /// It is the event now, whose name and text [`piece`](Self::piece) has until the next one.
    pub(crate) fn simple_element(&mut self, longest: usize) -> Option<Simple> {
        let at = self.at;
        let found = find_simple(self.text.get(at..)?).filter(|found| found.end <= longest)?;
        self.begin_event(self.budget);
        self.mark = at + found.begin;
        self.at = at + found.end;
        let moved = |range: Range<usize>| range.start + at..range.end + at;
        Some(Simple { name: moved(found.name), text: moved(found.text) })
    }

    /// A part of the event.
    pub(crate) fn piece(&self, range: &Range<usize>) -> &str {
        let bytes = self.text.get(range.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Where the event began, in bytes of the input.
    pub(crate) fn event_offset(&mut self) -> u64 {
        match self.marked {
            None if self.encoding == Encoding::UTF_8 && self.mark >= self.counted => {
                (self.position + (self.mark - self.counted) as u64).min(self.decoded)
            }
            _ => self.event().offset,
        }
    }

    /// Whether the byte consumed last ended the tag of an element without an end tag.
    pub(crate) fn is_behind_empty(&self) -> bool {
        let before = self.at.checked_sub(2).and_then(|from| self.text.get(from..self.at));
        before.is_none_or(|end| end == b"/>")
    }

    /// Whether reading failed because the budget was used up.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget == 0
    }

    /// Decodes the next bytes, until there is text or the input has ended.
    fn decode(&mut self) -> io::Result<()> {
        self.marked = Some(self.event());
        self.count(self.at);
        (self.at, self.counted, self.mark) = (0, 0, 0);
        self.text.clear();
        while self.text.is_empty() {
            let (raw, from_head) = match self.head.is_empty() {
                true => (self.input.fill_buf()?, false),
                false => (self.head.as_slice(), true),
            };
            let raw = raw.get(..raw.len().min(CHUNK)).unwrap_or_default();
            let count = raw.len();
            match (&mut self.decoder, self.encoding) {
                (Some(decoder), _) => {
                    let last = raw.is_empty();
                    let most = decoder.max_utf8_buffer_length(count).unwrap_or(4 * CHUNK);
                    let mut text = String::with_capacity(most);
                    let _ = decoder.decode_to_string(raw, &mut text, last);
                    self.text = text.into_bytes();
                }
                (None, Encoding::LATIN_1) => {
                    let mut text = String::with_capacity(2 * count);
                    text.extend(raw.iter().map(|byte| char::from(*byte)));
                    self.text = text.into_bytes();
                }
                _ => self.text.extend_from_slice(raw),
            }
            match from_head {
                true => self.head = Vec::new(),
                false => self.input.consume(count),
            }
            self.decoded += count as u64;
            if count == 0 {
                // A decoder that was told of the end must not be used again; nothing comes.
                self.decoder = None;
                self.encoding = Encoding::UTF_8;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Brings the place up to byte `end` of `text`.
    fn count(&mut self, end: usize) {
        let bytes = self.text.get(self.counted..end).unwrap_or_default();
        self.counted = self.counted.max(end);
        let characters = |bytes: &[u8]| bytes.iter().filter(|b| (**b as i8) >= -0x40).count();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if lines > 0 {
            let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            self.lines += lines as u64;
            self.columns = characters(line) as u64;
        } else {
            self.columns += characters(bytes) as u64;
        }
        let raw = match self.encoding {
            Encoding::UTF_8 => bytes.len(),
            encoding => {
                std::str::from_utf8(bytes).map_or(bytes.len(), |text| encoding.length(text))
            }
        };
        self.position = (self.position + raw as u64).min(self.decoded);
    }
}

/// Where an element is, and its name and text, in some bytes.
struct Found {
    begin: usize,
    name: Range<usize>,
    text: Range<usize>,
    end: usize,
}

/// Finds `<NAME>text</NAME>` behind blanks.
fn find_simple(bytes: &[u8]) -> Option<Found> {
    let begin = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\t'))?;
    let tag = bytes.get(begin..)?.strip_prefix(b"<")?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = tag.iter().position(|byte| !is_name(byte))?;
    let (name, rest) = tag.split_at(length);
    let content = rest.strip_prefix(b">")?;
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    // References are expanded and line ends made one by whoever reads markup.
    let end = memchr::memchr3(b'<', b'&', b'\r', content)
        .filter(|_| name.first().is_some_and(is_first))?;
    let (text, close) = content.split_at(end);
    close.strip_prefix(b"</")?.strip_prefix(name)?.strip_prefix(b">")?;
    if !text.is_ascii() {
        std::str::from_utf8(text).ok()?;
    }
    let from = begin + length + 2;
    Some(Found {
        begin,
        name: begin + 1..begin + 1 + length,
        text: from..from + end,
        end: from + end + length + 3,
    })
}

impl<R: BufRead> BufRead for Transcode<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            return Err(io::Error::other("too long"));
        }
        if self.at >= self.text.len() {
            self.decode()?;
        }
        let end = self.text.len().min(self.at.saturating_add(self.budget));
        Ok(self.text.get(self.at..end).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.budget = self.budget.saturating_sub(count);
        self.at = (self.at + count).min(self.text.len());
    }
}

impl<R: BufRead> Read for Transcode<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let found = self.fill_buf()?;
        let count = found.len().min(out.len());
        if let (Some(out), Some(found)) = (out.get_mut(..count), found.get(..count)) {
            out.copy_from_slice(found);
        }
        self.consume(count);
        Ok(count)
    }
}
