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
            let bytes = self.window.block(block).unwrap_or(&[0; BLOCK]);
            let mut bits = found.separators;
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let at = block + bit;
                self.marks.push(Mark::new(at - from));
                if self.needles.is_end(bytes[bit % BLOCK]) {
                    found.separators = bits;
                    (self.is_high, self.has_escapes) = (is_high, odd.has_escapes);
                    self.has_controls = odd.has_controls;
                    (self.block, self.found) = (block, found);
                    return Scan::End(at);
                }
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
            let odd = found.odd & self.before_end(block, found.separators);
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

    /// The bytes of a block before the first terminator among these separators, as bits.
    fn before_end(&self, block: usize, separators: u64) -> u64 {
        let bytes = self.window.block(block).unwrap_or(&[0; BLOCK]);
        let mut bits = separators;
        while bits != 0 {
            if self.needles.is_end(bytes[bits.trailing_zeros() as usize % BLOCK]) {
                return (bits & bits.wrapping_neg()) - 1;
            }
            bits &= bits - 1;
        }
        u64::MAX
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
