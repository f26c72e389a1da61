//! Where the tokens of a segment end: the bits of blocks to marks.

use std::io::Read;

use crate::segment::lexer::{Scan, Segments};
use crate::segment::scan::{BLOCK, Found};
use crate::segment::separators::Class;
use crate::segment::token::Mark;

/// What release and control characters have done to a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Odd {
    /// Bytes before this one are data, or were seen.
    resume: usize,
    has_escapes: bool,
    has_controls: bool,
}

impl<R: Read> Segments<R> {
    /// Marks the tokens of the segment that begins at `next`.
    #[inline]
    pub(super) fn scan(&mut self) -> Scan {
        let (from, filled) = (self.next, self.window.filled());
        let (mut block, mut found) = (self.block, self.found);
        let shift = self.next.saturating_sub(block);
        found.keep(if shift < BLOCK { u64::MAX << shift } else { 0 });
        let mut odd = Odd { resume: from, ..Odd::default() };
        let mut is_high = found.has_high;
        self.marks.clear();
        loop {
            if found.odd != 0 {
                match self.look(block, &mut found, &mut odd) {
                    Ok(()) => {}
                    Err(scan) => return scan,
                }
            }
            // All separators up to the first terminator are of this segment.
            let end = found.ends & found.ends.wrapping_neg();
            let mut bits = found.separators & (end | end.wrapping_sub(1));
            while bits != 0 {
                let at = block + bits.trailing_zeros() as usize;
                self.marks.push(Mark::new(at - from));
                bits &= bits - 1;
            }
            if end != 0 {
                (self.is_high, self.has_escapes) = (is_high, odd.has_escapes);
                self.has_controls = odd.has_controls;
                let at = block + end.trailing_zeros() as usize;
                (self.block, self.found) = (block, found);
                return Scan::End(at);
            }
            block += BLOCK;
            if block >= filled {
                return Scan::Short;
            }
            if self.marks.len() > self.most_marks {
                return Scan::TooMany;
            }
            found = self.find(block);
            is_high |= found.has_high;
            if odd.resume > block {
                let shift = odd.resume - block;
                found.keep(if shift < BLOCK { u64::MAX << shift } else { 0 });
            }
        }
    }

    /// Walks the release and control characters of a block up to its first terminator, and takes
    /// away what they make data.
    #[cold]
    fn look(&self, block: usize, found: &mut Found, seen: &mut Odd) -> Result<(), Scan> {
        loop {
            let end = found.ends & found.ends.wrapping_neg();
            let odd = found.odd & end.wrapping_sub(1);
            if odd == 0 {
                return Ok(());
            }
            let at = block + odd.trailing_zeros() as usize;
            found.odd &= found.odd - 1;
            let rest = self.window.bytes().get(at..).unwrap_or_default();
            match rest.first().map(|byte| (self.classes.of(*byte), *byte)) {
                Some((Class::Release, _)) => (seen.has_escapes, seen.resume) = (true, at + 2),
                Some((_, ESCAPE)) if self.separators.shifts => {
                    seen.has_controls = true;
                    seen.resume = at + shifted(rest).ok_or(Scan::Short)?;
                }
                _ => {
                    seen.has_controls = true;
                    continue;
                }
            }
            let shift = seen.resume - block;
            let data = if shift < BLOCK { u64::MAX << shift } else { 0 };
            // What stands before the character is not changed by it.
            found.keep(data | ((1 << (at - block)) - 1));
        }
    }

    #[inline(always)]
    fn find(&self, block: usize) -> Found {
        let mut found = self.window.block(block).map_or(Found::default(), |b| self.needles.find(b));
        let rest = self.window.filled().saturating_sub(block);
        if rest < BLOCK {
            found.keep((1 << rest) - 1);
        }
        found
    }

    /// Forgets what was scanned, as the bytes or their meaning have changed.
    pub(super) fn rescan(&mut self) {
        self.block = self.next - self.next % BLOCK;
        self.found = self.find(self.block);
    }
}

const ESCAPE: u8 = 0x1b;

/// The length of a part in another character set of ISO 2022, from its escape sequence to the one
/// that shifts back to a set of single bytes (`ESC ( F`).
fn shifted(bytes: &[u8]) -> Option<usize> {
    if bytes.get(1) == Some(&b'(') {
        return Some(3);
    }
    memchr::memmem::find(bytes, b"\x1b(").map(|at| at + 3)
}
