//! The bytes of an input that were read last, to show the line of a problem.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

use crate::visible::{columns, visible};

/// Bytes that are remembered at least, and at most: what is more is forgotten at once.
const KEPT: usize = 4 << 20;
const MOST: usize = 6 << 20;
/// Bytes of a line that are shown on each side of a problem.
const SIDE: u64 = 60;
/// Bytes between two places whose line is kept.
const STEP: u64 = 1 << 14;

/// What was read last. All copies are the same.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Seen(Rc<RefCell<Window>>);

#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    /// The offset of the first of them.
    base: u64,
    /// Nothing from here on is forgotten, if this was asked for.
    needed: Option<u64>,
    /// Places whose line is known, in order. The first is `base`, or the start of the input before
    /// anything was asked or forgotten.
    marks: VecDeque<Mark>,
}

/// A place in the input.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    at: u64,
    /// The line ends before it, and the characters of its line before it.
    lines: u64,
    chars: u64,
}

impl Mark {
    /// The place behind these bytes.
    fn behind(self, bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let rest = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let chars = String::from_utf8_lossy(bytes.get(rest..).unwrap_or_default()).chars().count();
        let before = if lines == 0 { self.chars } else { 0 };
        Self {
            at: self.at + bytes.len() as u64,
            lines: self.lines + lines,
            chars: before + chars as u64,
        }
    }
}

impl Window {
    fn between(&self, from: u64, to: u64) -> &[u8] {
        let index = |at: u64| usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.bytes.get(index(from)..index(to)).unwrap_or_default()
    }

    /// The line and column of a place that is remembered. Every byte is looked at once for all
    /// places, and again from the last mark before each: a file may have a problem in every line.
    fn mark(&mut self, at: u64) -> Mark {
        let mut last = self.marks.back().copied().unwrap_or_default();
        while last.at + STEP <= at {
            // Not in the middle of a character.
            let is_inside = |byte: &&u8| **byte & 0xC0 == 0x80;
            let end = last.at + STEP;
            let more = self.between(end, end + 3).iter().take_while(is_inside).count() as u64;
            last = last.behind(self.between(last.at, (end + more).min(at)));
            self.marks.push_back(last);
        }
        let next = self.marks.partition_point(|mark| mark.at <= at);
        let mark = next.checked_sub(1).and_then(|before| self.marks.get(before));
        let mark = mark.copied().unwrap_or_default();
        mark.behind(self.between(mark.at, at))
    }

    /// Forgets the first bytes.
    fn forget(&mut self, count: usize) {
        let base = self.mark(self.base + count as u64);
        self.bytes.drain(..count);
        self.base = base.at;
        self.marks.retain(|mark| mark.at > base.at);
        self.marks.push_front(base);
    }
}

/// A reader that lets what it reads be seen.
pub(super) struct Tap<R> {
    input: R,
    seen: Seen,
}

/// The line of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Excerpt {
    /// From 1.
    pub(in crate::cli) line: u64,
    /// The character in its line, from 1.
    pub(in crate::cli) column: u32,
    /// The line, or the middle of it, made visible.
    pub(in crate::cli) text: String,
    /// Columns of the text before the problem.
    pub(in crate::cli) caret: usize,
}

impl Seen {
    pub(super) fn tap<R: Read>(&self, input: R) -> Tap<R> {
        Tap { input, seen: self.clone() }
    }

    /// Forgets nothing from this byte on, however much it is.
    pub(in crate::cli) fn keep_from(&self, offset: u64) {
        self.0.borrow_mut().needed = Some(offset);
    }

    /// The bytes between two offsets, or up to the last one that was read.
    pub(in crate::cli) fn bytes(&self, from: u64, to: u64) -> Vec<u8> {
        let window = self.0.borrow();
        window.between(from, to.min(window.base + window.bytes.len() as u64)).to_vec()
    }

    /// The line around a byte of the input; `None` where it is forgotten.
    pub(in crate::cli) fn excerpt(&self, offset: u64) -> Option<Excerpt> {
        let mut window = self.0.borrow_mut();
        let end = window.base + window.bytes.len() as u64;
        if offset < window.base || offset > end {
            return None;
        }
        let mark = window.mark(offset);
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let head = window.between(offset.saturating_sub(SIDE).max(window.base), offset);
        let from = head.iter().rposition(is_end).map_or(0, |end| end + 1);
        let tail = window.between(offset, (offset + SIDE).min(end));
        let to = tail.iter().position(is_end).unwrap_or(tail.len());
        let text = |bytes: Option<&[u8]>| {
            visible(&String::from_utf8_lossy(bytes.unwrap_or_default())).into_owned()
        };
        let before = text(head.get(from..));
        Some(Excerpt {
            line: mark.lines + 1,
            column: u32::try_from(mark.chars + 1).unwrap_or(u32::MAX),
            caret: columns(&before),
            text: before + &text(tail.get(..to)),
        })
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let mut window = self.seen.0.borrow_mut();
        window.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if window.bytes.len() > MOST {
            let needed = window.needed.map_or(usize::MAX, |needed| {
                usize::try_from(needed.saturating_sub(window.base)).unwrap_or(usize::MAX)
            });
            let gone = (window.bytes.len() - KEPT).min(needed);
            // Many at once: what stays is moved.
            if gone >= MOST - KEPT {
                window.forget(gone);
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_in_its_line() {
        let seen = Seen::default();
        let mut text = String::new();
        let mut tap = seen.tap("one\r\ntwö and\tmore\nthree".as_bytes());
        tap.read_to_string(&mut text).unwrap();
        let excerpt = seen.excerpt(10).unwrap();
        assert_eq!((excerpt.line, excerpt.column, excerpt.caret), (2, 5, 4));
        assert_eq!(excerpt.text, "twö and\\tmore");
        assert_eq!(seen.excerpt(text.len() as u64).unwrap().text, "three");
        assert_eq!(seen.excerpt(999), None);
    }

    #[test]
    fn every_place_has_the_line_and_column_that_counting_gives() {
        let text = "ä'b'\n".repeat(3).into_bytes();
        let long = [b"x'\xE4'\xC3\xA4'".repeat(9_000), text, b"\xC3\xA4".repeat(20_000)].concat();
        let seen = Seen::default();
        io::copy(&mut seen.tap(long.as_slice()), &mut io::sink()).unwrap();
        // In order, and from the end: both ways the marks are those of one pass.
        let places = (0..long.len()).step_by(997);
        let asked: Vec<_> = places.clone().chain(places.rev()).collect();
        for at in asked {
            let head = &long[..at];
            let start = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            // Between two bytes of one character there is no place of a problem.
            if long[at] & 0xC0 == 0x80 {
                continue;
            }
            let column = String::from_utf8_lossy(&long[start..at]).chars().count() + 1;
            let line = head.iter().filter(|byte| **byte == b'\n').count() + 1;
            let excerpt = seen.excerpt(at as u64).unwrap();
            assert_eq!((excerpt.line, excerpt.column), (line as u64, column as u32), "{at}");
        }
    }

    #[test]
    fn what_was_read_long_ago_is_forgotten() {
        let seen = Seen::default();
        let line = b"0123456789abcde\n".repeat(1 << 16);
        let input = io::repeat(0).take(0).chain(line.as_slice());
        let input = (0..9).fold(Box::new(input) as Box<dyn Read>, |input, _| {
            Box::new(input.chain(io::Cursor::new(line.clone())))
        });
        io::copy(&mut seen.tap(input), &mut io::sink()).unwrap();
        assert_eq!(seen.excerpt(0), None);
        let last = 10 * (1 << 20) - 6;
        let excerpt = seen.excerpt(last).unwrap();
        assert_eq!((excerpt.line, excerpt.column), (10 << 16, 11));
        assert_eq!(excerpt.text, "0123456789abcde");
    }
}
