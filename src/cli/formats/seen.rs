//! The bytes of an input that were read last, to show the line of a problem.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::cli::formats::plain;

/// Bytes that are remembered at least, and at most: what is more is forgotten at once.
const KEPT: usize = 4 << 20;
const MOST: usize = 6 << 20;
/// Bytes of a line that are shown on each side of a problem.
const SIDE: usize = 60;

/// What was read last. All copies are the same.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Seen(Rc<RefCell<Window>>);

#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    /// The offset of the first of them, and the line ends before it.
    base: u64,
    lines: u64,
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
    /// The line, or the middle of it.
    pub(in crate::cli) text: String,
    /// Characters of the text before the problem.
    pub(in crate::cli) caret: usize,
}

impl Seen {
    pub(super) fn tap<R: Read>(&self, input: R) -> Tap<R> {
        Tap { input, seen: self.clone() }
    }

    /// The line around a byte of the input; `None` where it is forgotten.
    pub(in crate::cli) fn excerpt(&self, offset: u64) -> Option<Excerpt> {
        let window = self.0.borrow();
        let at = usize::try_from(offset.checked_sub(window.base)?).ok()?;
        let head = window.bytes.get(..at)?;
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let start = head.iter().rposition(is_end).map_or(0, |end| end + 1);
        let tail = window.bytes.get(at..)?;
        let end = at + tail.iter().position(is_end).unwrap_or(tail.len());
        let from = start.max(at.saturating_sub(SIDE));
        let to = end.min(at + SIDE);
        let text =
            |from, to| String::from_utf8_lossy(window.bytes.get(from..to).unwrap_or_default());
        let before = plain(&text(from, at));
        let line_start = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        Some(Excerpt {
            line: window.lines + head.iter().filter(|byte| **byte == b'\n').count() as u64 + 1,
            column: u32::try_from(text(line_start, at).chars().count() + 1).unwrap_or(u32::MAX),
            caret: before.chars().count(),
            text: before + &plain(&text(at, to)),
        })
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let mut window = self.seen.0.borrow_mut();
        window.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if window.bytes.len() > MOST {
            let gone = window.bytes.len() - KEPT;
            let lines = window.bytes.iter().take(gone).filter(|byte| **byte == b'\n').count();
            window.bytes.drain(..gone);
            window.base += gone as u64;
            window.lines += lines as u64;
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
        assert_eq!(excerpt.text, "twö and\u{fffd}more");
        assert_eq!(seen.excerpt(text.len() as u64).unwrap().text, "three");
        assert_eq!(seen.excerpt(999), None);
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
