//! Bytes to segments.

mod marks;

use std::io::Read;

use crate::reading::{FrameError, Limits, Place};
use crate::segment::scan::{Found, Needles};
use crate::segment::separators::{Class, Classes, Separators, is_blank};
use crate::segment::token::{Mark, Segment, place};
use crate::segment::window::Window;

/// The segments of an input, lent one at a time.
///
/// Memory is a window of the input, at least 64 KiB and at most twice [`Limits::record`], and the
/// marks of one segment, at most [`Limits::nodes`].
#[derive(Debug)]
pub struct Segments<R> {
    window: Window<R>,
    separators: Separators,
    classes: Classes,
    needles: Needles,
    longest: usize,
    most_marks: usize,
    marks: Vec<Mark>,
    /// Where the next segment begins in the window.
    next: usize,
    /// Where the segment lent last begins and ends in the window.
    lent: (usize, usize),
    /// The block that is scanned, and what in it was not seen yet.
    block: usize,
    found: Found,
    has_controls: bool,
    /// Whether a block of the segment has a byte above 0x7f.
    is_high: bool,
    has_escapes: bool,
    is_terminated: bool,
    /// Whether terminators end lines or have several bytes.
    ends_oddly: bool,
    /// Line ends before `next`, and where its line begins in the input.
    lines: u64,
    line_start: u64,
    /// `lines` and `line_start` for the segment lent last.
    place: (u64, u64),
}

/// What a scan came to.
enum Scan {
    End(usize),
    Short,
    TooMany,
}

impl<R: Read> Segments<R> {
    /// The segments of `input`, from its first byte.
    pub fn new(input: R, separators: Separators, limits: &Limits) -> Self {
        Self {
            window: Window::new(input),
            classes: Classes::new(&separators),
            needles: Needles::new(&separators),
            separators,
            longest: limits.record.clamp(256, u32::MAX as usize),
            most_marks: limits.nodes.max(256),
            marks: Vec::with_capacity(256),
            next: 0,
            lent: (0, 0),
            block: 0,
            found: Found::default(),
            has_controls: false,
            is_high: false,
            has_escapes: false,
            is_terminated: true,
            ends_oddly: separators.ends_oddly(),
            lines: 0,
            line_start: 0,
            place: (0, 0),
        }
    }

    /// The separators in use.
    pub fn separators(&self) -> &Separators {
        &self.separators
    }

    /// Reads what follows with other separators.
    pub fn set_separators(&mut self, separators: Separators) {
        self.classes = Classes::new(&separators);
        self.needles = Needles::new(&separators);
        self.ends_oddly = separators.ends_oddly();
        self.separators = separators;
        self.rescan();
    }

    /// Leaves out every CR and LF from here on: the lines of a file that was wrapped at a fixed
    /// width. Offsets of segments stay exact; those inside of a segment do not count line ends.
    pub fn unwrap_lines(&mut self) {
        self.window.unwrap_lines(self.next);
        self.rescan();
    }

    /// The offset in the input of the next byte.
    pub fn offset(&self) -> u64 {
        self.window.offset(self.next)
    }

    /// The place of the next byte.
    pub fn next_place(&self) -> Place {
        place(self.offset(), self.lines, self.line_start)
    }

    /// The next bytes, at most `count` of them; fewer only at the end of the input.
    ///
    /// # Errors
    ///
    /// `io` where the input fails.
    pub fn peek(&mut self, count: usize) -> Result<&[u8], FrameError> {
        let count = count.min(self.longest);
        while self.window.filled() - self.next < count && self.refill()? {}
        let rest = self.window.bytes().get(self.next..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }

    /// Skips bytes that were seen by [`peek`](Self::peek).
    pub fn skip(&mut self, count: usize) {
        let to = (self.next + count).min(self.window.filled());
        for at in self.next..to {
            if self.window.bytes().get(at) == Some(&b'\n') {
                self.new_line(at);
            }
        }
        self.next = to;
        self.rescan();
    }

    /// Goes back to the first byte of the segment lent last.
    pub fn rewind(&mut self) {
        self.next = self.lent.0;
        self.rescan();
    }

    /// Skips line ends, blanks and tabulators, and the end-of-file mark of DOS.
    ///
    /// # Errors
    ///
    /// `io` where the input fails.
    pub fn skip_blanks(&mut self) -> Result<bool, FrameError> {
        let before = self.offset();
        loop {
            self.skip_window_blanks();
            if self.next < self.window.filled() || !self.refill()? {
                self.rescan();
                return Ok(self.offset() > before);
            }
        }
    }

    /// Reads the next segment; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// `too-long` above [`Limits::record`], `too-many-elements` above [`Limits::nodes`], `io`
    /// where the input fails.
    #[expect(clippy::should_implement_trait, reason = "the segment is lent out of the buffer")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Segment<'_>>, FrameError> {
        self.skip_window_blanks();
        self.is_terminated = true;
        let end = match self.scan() {
            Scan::End(end) => end,
            scan => match self.next_slowly(scan)? {
                Some(end) => end,
                None => return Ok(None),
            },
        };
        self.place = (self.lines, self.line_start);
        self.lent = (self.next, end);
        self.next = if self.is_terminated { end + 1 } else { self.window.filled() };
        if self.has_controls || self.ends_oddly {
            self.after_odd_segment();
        }
        Ok(Some(self.last()))
    }

    /// The segment lent last, again.
    #[inline]
    pub fn last(&self) -> Segment<'_> {
        let (from, to) = self.lent;
        Segment {
            bytes: self.window.bytes().get(from..to).unwrap_or_default(),
            marks: &self.marks,
            separators: &self.separators,
            offset: self.window.offset(from),
            lines: self.place.0,
            line_start: self.place.1,
            controls: self.has_controls,
            high: self.is_high,
            escaped: self.has_escapes,
            terminated: self.is_terminated,
        }
    }

    /// Counts the lines of a segment that holds or ends with line ends, and skips the rest of a
    /// terminator of several bytes.
    #[cold]
    fn after_odd_segment(&mut self) {
        for at in self.lent.0..self.next {
            if self.window.bytes().get(at) == Some(&b'\n') {
                self.new_line(at);
            }
        }
        let rest = self.window.bytes().get(self.next..).unwrap_or_default();
        let tail = self.separators.tail_bytes();
        if rest.starts_with(tail) {
            self.next += tail.len();
        }
    }

    /// Lengthens the segment lent last to `length` bytes from its start, for data that is counted
    /// and not separated: its tokens from `token` on, from 0, become one that ends there. Says
    /// whether there is a terminator right behind; where there is none, nothing has changed.
    ///
    /// # Errors
    ///
    /// `io` where the input fails.
    pub fn lengthen(&mut self, token: usize, length: usize) -> Result<bool, FrameError> {
        self.rewind();
        let behind = self.peek(length.saturating_add(1))?.get(length).copied();
        let from = self.next;
        if behind != Some(self.separators.terminator) {
            self.next()?;
            return Ok(false);
        }
        self.marks.truncate(token);
        self.marks.push(Mark::new(length));
        self.lent = (from, from + length);
        self.next = from + length + 1;
        (self.has_controls, self.is_terminated, self.is_high) = (false, true, true);
        self.after_odd_segment();
        self.rescan();
        Ok(true)
    }

    fn next_slowly(&mut self, mut scan: Scan) -> Result<Option<usize>, FrameError> {
        loop {
            match scan {
                Scan::End(end) => return Ok(Some(end)),
                Scan::TooMany => {
                    let message = format!("a segment of more than {} elements", self.most_marks);
                    return Err(self.error("too-many-elements", message));
                }
                Scan::Short => {}
            }
            if self.window.filled() - self.next > self.longest {
                let message = format!("a segment longer than {} bytes", self.longest);
                return Err(self.error("too-long", message));
            }
            if !self.refill()? {
                return Ok(self.unterminated());
            }
            self.skip_window_blanks();
            scan = self.scan();
        }
    }

    /// The end of the rest of the input as a segment, if there is any.
    fn unterminated(&mut self) -> Option<usize> {
        let (from, filled) = (self.next, self.window.filled());
        let rest = self.window.bytes().get(from..).unwrap_or_default();
        let length = rest.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |at| at + 1);
        if length == 0 {
            self.next = filled;
            self.rescan();
            return None;
        }
        self.marks.retain(|mark| mark.at() < length);
        self.marks.push(Mark::new(length));
        let data = rest.get(..length).unwrap_or_default();
        self.has_controls = data.iter().any(|byte| self.classes.of(*byte) == Class::Control);
        // Nothing is left to be scanned.
        (self.is_terminated, self.block, self.found) = (false, filled, Found::default());
        (self.is_high, self.has_escapes) = (true, true);
        Some(from + length)
    }

    fn error(&self, code: &'static str, message: String) -> FrameError {
        FrameError { code, message, place: self.next_place() }
    }

    fn refill(&mut self) -> Result<bool, FrameError> {
        if self.window.is_ended() {
            return Ok(false);
        }
        let more = self.window.fill(self.next)?;
        // Bytes before `next` are gone, and so is what was lent.
        self.lent = (0, 0);
        self.next = 0;
        self.rescan();
        Ok(more)
    }

    #[inline]
    fn skip_window_blanks(&mut self) {
        while let Some(byte) = self.window.bytes().get(self.next).copied() {
            // A separator may be a blank character; a terminator without a segment ends nothing.
            let is_skipped = match self.classes.of(byte) {
                Class::Control | Class::Data => is_blank(byte),
                Class::Terminator => byte == b'\n' || byte == b'\r',
                _ => false,
            };
            if !is_skipped {
                return;
            }
            if byte == b'\n' {
                self.new_line(self.next);
            }
            self.next += 1;
        }
    }

    #[cold]
    fn new_line(&mut self, at: usize) {
        self.lines += 1;
        self.line_start = self.window.offset(at) + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], separators: Separators, limits: Limits) -> Vec<(String, u64, u64, u32)> {
        let mut segments = Segments::new(input, separators, &limits);
        let mut all = Vec::new();
        while let Some(segment) = segments.next().unwrap() {
            let place = segment.place();
            let text = String::from_utf8_lossy(segment.bytes()).into_owned();
            all.push((text, place.offset, place.line, place.column));
        }
        all
    }

    fn code(input: &[u8], limits: Limits) -> &'static str {
        let mut segments = Segments::new(input, Separators::EDIFACT, &limits);
        loop {
            match segments.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => return error.code,
            }
        }
    }

    #[test]
    fn places_are_exact_whatever_stands_between_segments() {
        let text = b"UNH+1'\r\n \tBGM+a\nb'DTM'\nUNT+3'";
        let found = read(text, Separators::EDIFACT, Limits::default());
        let expected =
            [("UNH+1", 0, 1, 1), ("BGM+a\nb", 10, 2, 3), ("DTM", 18, 3, 3), ("UNT+3", 23, 4, 1)];
        assert_eq!(found, expected.map(|(text, o, l, c)| (text.to_owned(), o, l, c)));
    }

    #[test]
    fn a_line_end_may_be_the_terminator() {
        let separators = Separators { terminator: b'\n', ..Separators::X12 };
        let found = read(b"ST*850*1\r\n\nSE*2*1\n", separators, Limits::default());
        let expected = [("ST*850*1\r", 0, 1), ("SE*2*1", 11, 3)];
        let found: Vec<_> = found.iter().map(|(text, o, l, _)| (text.as_str(), *o, *l)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn segments_longer_than_the_window_and_across_its_end_are_whole() {
        let long = format!("FTX+{}'", "x".repeat(200_000));
        let text = ["UNH+1'".repeat(20_000), long.clone(), "UNT?'+2'".repeat(20_000)].concat();
        let found = read(text.as_bytes(), Separators::EDIFACT, Limits::default());
        assert_eq!(found.len(), 40_001);
        assert_eq!(found[20_000].0.len() + 1, long.len());
        assert!(found[20_001..].iter().all(|(text, ..)| text == "UNT?'+2"));
        let last = found.last().unwrap();
        assert_eq!(last.1 as usize, text.len() - 8);
    }

    #[test]
    fn limits_end_the_reader_with_bounded_memory() {
        let limits = Limits { record: 1000, nodes: 300, ..Limits::default() };
        assert_eq!(code("x".repeat(1 << 20).as_bytes(), limits), "too-long");
        let limits = Limits { record: 1 << 20, ..limits };
        assert_eq!(code("+".repeat(1 << 20).as_bytes(), limits), "too-many-elements");
    }

    #[test]
    fn parts_in_another_set_hide_their_separators() {
        let separators = Separators { shifts: true, ..Separators::EDIFACT };
        let found = read(b"NAD+\x1b$B'+:?\x1b(B+x'UNT'", separators, Limits::default());
        assert_eq!(found.len(), 2);
        assert!(found[0].0.ends_with("+x"));
    }

    #[test]
    fn unwrapped_lines_keep_the_offsets_of_segments() {
        let text = b"UNB+1'UN\nH+12'B\nGM+3'UNT\n'";
        let mut segments = Segments::new(text.as_slice(), Separators::EDIFACT, &Limits::default());
        segments.unwrap_lines();
        let mut all = Vec::new();
        while let Some(segment) = segments.next().unwrap() {
            all.push((String::from_utf8_lossy(segment.tag()).into_owned(), segment.offset()));
        }
        let expected = [("UNB", 0), ("UNH", 6), ("BGM", 14), ("UNT", 21)];
        assert_eq!(all, expected.map(|(tag, offset)| (tag.to_owned(), offset)));
    }

    #[test]
    fn a_lengthened_segment_takes_bytes_by_their_count() {
        let text = b"BIN*5*a~b*c~SE*1~";
        let mut segments = Segments::new(text.as_slice(), Separators::X12, &Limits::default());
        assert_eq!(segments.next().unwrap().unwrap().bytes(), b"BIN*5*a");
        assert!(segments.lengthen(2, 11).unwrap());
        let last = segments.last();
        assert_eq!(last.component(1, 0).unwrap().bytes(), b"a~b*c");
        assert_eq!(segments.next().unwrap().unwrap().bytes(), b"SE*1");
        assert!(segments.next().unwrap().is_none());
    }
}
