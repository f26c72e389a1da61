//! Bytes to segments.

mod marks;

use std::io::Read;
use std::ops::Range;

use crate::reading::{FrameError, Limits, Place};
use crate::segment::scan::{Found, Needles};
use crate::segment::separators::{Class, Classes, Separators, is_blank};
use crate::segment::token::{Mark, Segment, is_flat, place};
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

/// What whoever takes many segments needs to know of one.
pub(super) struct Lent<'a> {
    pub(super) tag: &'a [u8],
    pub(super) marks: &'a [Mark],
    /// Its bytes in the window.
    pub(super) window: Range<usize>,
    pub(super) offset: u64,
    /// As [`Segment::is_simple`].
    pub(super) is_simple: bool,
    pub(super) is_escaped: bool,
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
        Self::of_window(Window::new(input), separators, limits)
    }

    /// The segments of an input of about `size` bytes, for which no more room is made.
    pub(crate) fn small(input: R, separators: Separators, size: usize) -> Self {
        Self::of_window(Window::with_room(input, size), separators, &Limits::default())
    }

    fn of_window(window: Window<R>, separators: Separators, limits: &Limits) -> Self {
        Self {
            window,
            classes: Classes::new(&separators),
            needles: Needles::new(&separators),
            separators,
            longest: limits.record.clamp(256, 1 << 30),
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
        self.lend(end);
        Ok(Some(self.last()))
    }

    /// The next segment, if all of it is in the window. The window stays as it is.
    #[inline]
    pub(super) fn next_in_window(&mut self) -> Option<Lent<'_>> {
        self.skip_window_blanks();
        self.is_terminated = true;
        let Scan::End(end) = self.scan() else { return None };
        self.lend(end);
        let (from, to) = self.lent;
        let bytes = self.window.bytes().get(from..to).unwrap_or_default();
        let tag = self.marks.first().map_or(0, |mark| mark.at());
        let is_simple =
            !(self.has_controls | self.is_high) && is_flat(bytes, tag, &self.separators);
        Some(Lent {
            tag: bytes.get(..tag).unwrap_or_default(),
            marks: &self.marks,
            window: from..to,
            offset: self.window.offset(from),
            is_simple,
            is_escaped: self.has_escapes,
        })
    }

    /// Bytes of the window.
    pub(super) fn window(&self, range: Range<usize>) -> &[u8] {
        self.window.bytes().get(range).unwrap_or_default()
    }

    #[inline]
    fn lend(&mut self, end: usize) {
        self.place = (self.lines, self.line_start);
        self.lent = (self.next, end);
        self.next = if self.is_terminated { end + 1 } else { self.window.filled() };
        if self.has_controls || self.ends_oddly {
            self.after_odd_segment();
        }
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
mod tests;
