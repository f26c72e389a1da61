//! An input in any encoding, read as UTF-8, with the place in the input itself.

use std::io::{self, BufRead, Read};

use crate::encoding::{Encoding, Kind};

/// Bytes decoded at a time.
const CHUNK: usize = 16 << 10;

/// Reads UTF-8 from an input in `encoding`, and knows what was consumed.
pub(crate) struct Transcode<R> {
    input: R,
    /// Read ahead to tell the encoding, and not consumed yet.
    head: Vec<u8>,
    taken: usize,
    encoding: Encoding,
    decoder: Option<encoding_rs::Decoder>,
    /// Decoded text that was not consumed yet: `text[at..]`.
    text: String,
    at: usize,
    /// Bytes of the input that were consumed.
    position: u64,
    /// Bytes of the input that were decoded; what means nothing can have less than its text.
    decoded: u64,
    lines: u64,
    /// Characters consumed of the current line.
    columns: u64,
    /// How many bytes may be consumed before [`Self::refill`]; none left means too much.
    budget: usize,
}

impl<R: BufRead> Transcode<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            head: Vec::new(),
            taken: 0,
            encoding: Encoding::UTF_8,
            decoder: None,
            text: String::new(),
            at: 0,
            position: 0,
            decoded: 0,
            lines: 0,
            columns: 0,
            budget: usize::MAX,
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
            let taken = more.len();
            self.head.extend_from_slice(more);
            self.input.consume(taken);
        }
        Ok(&self.head)
    }

    /// Sets the encoding, and skips a byte order mark of `mark` bytes. Only before anything was
    /// consumed.
    pub(crate) fn begin(&mut self, encoding: Encoding, mark: usize) {
        self.encoding = encoding;
        self.taken = mark.min(self.head.len());
        self.position = self.taken as u64;
        self.decoded = self.position;
        self.decoder = match encoding.0 {
            Kind::Utf8 => None,
            Kind::Utf16Le => Some(encoding_rs::UTF_16LE.new_decoder_without_bom_handling()),
            Kind::Utf16Be => Some(encoding_rs::UTF_16BE.new_decoder_without_bom_handling()),
            // Each byte is a character; see `decode`.
            Kind::Latin1 => Some(encoding_rs::WINDOWS_1252.new_decoder_without_bom_handling()),
            Kind::Other(other) => Some(other.new_decoder_without_bom_handling()),
        };
    }

    /// Bytes of the input that were consumed.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The line and the column of the next character, from 1.
    pub(crate) fn line_and_column(&self) -> (u64, u32) {
        (self.lines + 1, u32::try_from(self.columns + 1).unwrap_or(u32::MAX))
    }

    /// Lets `budget` more bytes of text be consumed.
    pub(crate) fn refill(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// Whether reading failed because the budget was used up.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget == 0
    }

    fn raw(&mut self) -> io::Result<&[u8]> {
        if self.taken < self.head.len() {
            return Ok(self.head.get(self.taken..).unwrap_or_default());
        }
        self.input.fill_buf()
    }

    fn consume_raw(&mut self, count: usize) {
        if self.taken < self.head.len() {
            self.taken += count;
            if self.taken >= self.head.len() {
                self.head = Vec::new();
                self.taken = 0;
            }
        } else {
            self.input.consume(count);
        }
    }

    /// Decodes the next bytes, until there is text or the input has ended.
    fn decode(&mut self) -> io::Result<()> {
        self.text.clear();
        self.at = 0;
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        while self.text.is_empty() {
            let is_latin = self.encoding == Encoding::LATIN_1;
            let mut text = std::mem::take(&mut self.text);
            let raw = self.raw()?;
            let raw = raw.get(..raw.len().min(CHUNK)).unwrap_or_default();
            let count = raw.len();
            if is_latin {
                text.extend(raw.iter().map(|byte| char::from(*byte)));
            } else {
                let last = raw.is_empty();
                text.reserve(decoder.max_utf8_buffer_length(count).unwrap_or(4 * CHUNK));
                let _ = decoder.decode_to_string(raw, &mut text, last);
            }
            self.text = text;
            self.consume_raw(count);
            self.decoded += count as u64;
            if count == 0 {
                // A decoder that was told of the end must not be used again.
                return Ok(());
            }
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    fn count(&mut self, count: usize) {
        let (encoding, before) = (self.encoding, self.columns);
        let bytes = match encoding {
            Encoding::UTF_8 => self.raw_seen(count),
            _ => self.text.as_bytes().get(self.at..self.at + count).unwrap_or_default(),
        };
        let characters = |bytes: &[u8]| bytes.iter().filter(|b| (**b as i8) >= -0x40).count();
        let (lines, columns) = match memchr::memrchr(b'\n', bytes) {
            Some(last) => {
                let line = bytes.get(last + 1..).unwrap_or_default();
                (memchr::memchr_iter(b'\n', bytes).count() as u64, characters(line) as u64)
            }
            None => (0, before + characters(bytes) as u64),
        };
        let raw = match encoding {
            Encoding::UTF_8 => count,
            _ => std::str::from_utf8(bytes).map_or(count, |text| encoding.length(text)),
        };
        self.lines += lines;
        self.columns = columns;
        self.position += raw as u64;
        if encoding != Encoding::UTF_8 {
            self.position = self.position.min(self.decoded);
        }
    }

    /// Bytes that `fill_buf` has returned and that are still there.
    fn raw_seen(&mut self, count: usize) -> &[u8] {
        let raw = self.raw().unwrap_or_default();
        raw.get(..count).unwrap_or_default()
    }
}

impl<R: BufRead> BufRead for Transcode<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            return Err(io::Error::other("too long"));
        }
        let budget = self.budget;
        let found = if self.encoding == Encoding::UTF_8 {
            self.raw()?
        } else {
            if self.at >= self.text.len() {
                self.decode()?;
            }
            self.text.as_bytes().get(self.at..).unwrap_or_default()
        };
        Ok(found.get(..found.len().min(budget)).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.budget = self.budget.saturating_sub(count);
        self.count(count);
        if self.encoding == Encoding::UTF_8 {
            self.consume_raw(count);
        } else {
            self.at += count;
        }
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
