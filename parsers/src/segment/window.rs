//! A bounded buffer over an input, with exact offsets.

use std::io::{ErrorKind, Read};

use crate::reading::{FrameError, Place};
use crate::segment::scan::BLOCK;

/// The first size of a buffer: it fits into the cache next to the core.
const FIRST: usize = 64 << 10;

/// Bytes of an input, some at a time. What was consumed is forgotten when room is needed.
#[derive(Debug)]
pub(super) struct Window<R> {
    input: R,
    /// The room that is made at first.
    first: usize,
    /// There is a block of room behind `filled`, so that the last one can be scanned as any.
    bytes: Vec<u8>,
    filled: usize,
    /// The offset of the first byte in the input.
    base: u64,
    ended: bool,
    unwrap: bool,
    /// Line ends that were left out: how many there were before an index of the window.
    removed: Vec<(usize, u32)>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self::with_room(input, FIRST)
    }

    pub(super) fn with_room(input: R, first: usize) -> Self {
        Self {
            input,
            first: first.max(1),
            bytes: Vec::new(),
            filled: 0,
            base: 0,
            ended: false,
            unwrap: false,
            removed: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    #[inline]
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// The block at `at`; what stands behind the end in it has no meaning.
    #[inline]
    pub(super) fn block(&self, at: usize) -> Option<&[u8; BLOCK]> {
        self.bytes.get(at..)?.first_chunk()
    }

    /// The offset in the input of the byte at `at`.
    #[inline]
    pub(super) fn offset(&self, at: usize) -> u64 {
        if self.removed.is_empty() { self.base + at as u64 } else { self.unwrapped_offset(at) }
    }

    fn unwrapped_offset(&self, at: usize) -> u64 {
        let before = self.removed.partition_point(|(index, _)| *index <= at);
        let removed = before.checked_sub(1).and_then(|last| self.removed.get(last));
        self.base + at as u64 + removed.map_or(0, |(_, count)| u64::from(*count))
    }

    /// Leaves out line ends from byte `at` on.
    pub(super) fn unwrap_lines(&mut self, at: usize) {
        if !self.unwrap {
            self.unwrap = true;
            self.strip(at);
        }
    }

    /// Whether the input has no more bytes than these.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Forgets the bytes before `keep`, and reads until the buffer is full or the input ends.
    /// `Ok(false)` says that there is nothing more.
    pub(super) fn fill(&mut self, keep: usize) -> Result<bool, FrameError> {
        self.forget(keep);
        let mut room = self.bytes.len().saturating_sub(BLOCK);
        if room == 0 || self.filled > room / 2 {
            room = (room * 2).max(self.first);
            self.bytes.resize(room + BLOCK, 0);
        }
        let before = self.filled;
        while self.filled < room && !self.ended {
            let free = self.bytes.get_mut(self.filled..room).unwrap_or_default();
            match self.input.read(free) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    let from = self.filled;
                    self.filled += count.min(room - from);
                    if self.unwrap {
                        self.strip(from);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let place = Place { offset: self.offset(self.filled), ..Place::default() };
                    let message = format!("cannot be read: {}", error.kind());
                    self.ended = true;
                    return Err(FrameError { code: "io", message, place });
                }
            }
        }
        Ok(self.filled > before)
    }

    fn forget(&mut self, keep: usize) {
        let keep = keep.min(self.filled);
        self.base = self.offset(keep);
        let before = self.removed.iter().rev().find(|(index, _)| *index <= keep).map(|r| r.1);
        let before = before.unwrap_or(0);
        self.removed.retain(|(index, _)| *index > keep);
        for (index, count) in &mut self.removed {
            (*index, *count) = (*index - keep, *count - before);
        }
        self.bytes.copy_within(keep..self.filled, 0);
        self.filled -= keep;
    }

    fn strip(&mut self, from: usize) {
        let mut count = self.removed.last().map_or(0, |(_, count)| *count);
        let (mut to, filled) = (from, self.filled);
        for at in from..filled {
            let Some(byte) = self.bytes.get(at).copied() else { break };
            if byte == b'\n' || byte == b'\r' {
                count = count.saturating_add(1);
                match self.removed.last_mut() {
                    Some(last) if last.0 == to => last.1 = count,
                    _ => self.removed.push((to, count)),
                }
            } else if let Some(slot) = self.bytes.get_mut(to) {
                *slot = byte;
                to += 1;
            }
        }
        self.filled = to;
    }
}
