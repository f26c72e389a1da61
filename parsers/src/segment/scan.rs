//! Where separators are in 64 bytes, as bits.
//!
//! A delimiter comes every four or five bytes, too often for a search that is called for each. So
//! 64 bytes are compared with all separators at once, in loops that compilers turn into vector
//! instructions, and the answers are packed into the bits of one word, which is then walked.

use crate::segment::separators::Separators;

/// Bytes that are scanned at once.
pub(super) const BLOCK: usize = 64;

/// Bytes that are compared at once. A needle is there so often, as filling a register with it
/// takes longer than to load it.
const LANE: usize = 16;

/// The bytes that a scan looks for, besides all control characters. What is not there is the same
/// as one that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needles {
    element: [u8; LANE],
    component: [u8; LANE],
    repetition: [u8; LANE],
    release: [u8; LANE],
    terminator: [u8; LANE],
    end: u8,
}

impl Needles {
    pub(super) fn new(separators: &Separators) -> Self {
        let end = separators.terminator;
        Self {
            element: [separators.element; LANE],
            component: [separators.component; LANE],
            repetition: [separators.repetition.unwrap_or(separators.element); LANE],
            release: [separators.release.unwrap_or(end); LANE],
            terminator: [end; LANE],
            end,
        }
    }

    /// What stands in the block.
    #[inline(always)]
    pub(super) fn find(&self, block: &[u8; BLOCK]) -> Found {
        let mut flags = [0_u8; BLOCK];
        let (lanes, _) = block.as_chunks::<LANE>();
        let (flag_lanes, _) = flags.as_chunks_mut::<LANE>();
        for (flags, bytes) in flag_lanes.iter_mut().zip(lanes) {
            for at in 0..LANE {
                let byte = bytes[at];
                let is_separator = u8::from(byte == self.element[at])
                    | u8::from(byte == self.component[at])
                    | u8::from(byte == self.repetition[at])
                    | u8::from(byte == self.terminator[at]);
                let is_odd = u8::from(byte == self.release[at]) | u8::from(byte < 0x20);
                flags[at] = is_separator | (is_odd & !is_separator) << 1;
            }
        }
        let has_odd = flags.iter().fold(0, |all, flag| all | flag) > 1;
        Found {
            separators: pack(&flags, 0),
            // Nearly no block has any, and packing costs more than to look.
            odd: if has_odd { pack(&flags, 1) } else { 0 },
            has_high: block.iter().fold(0, |all, byte| all | byte) >= 0x80,
        }
    }

    #[inline(always)]
    pub(super) fn is_end(&self, byte: u8) -> bool {
        byte == self.end
    }
}

/// What stands in a block, a bit for each of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Separators of all kinds, terminators among them.
    pub(super) separators: u64,
    /// Release and control characters that are no separators.
    pub(super) odd: u64,
    /// Whether a byte is above 0x7f.
    pub(super) has_high: bool,
}

impl Found {
    /// Forgets what stands before byte `at`, or from there on.
    pub(super) fn keep(&mut self, mask: u64) {
        self.separators &= mask;
        self.odd &= mask;
    }
}

/// Packs bit `bit` of 64 bytes into the bits of a word, the first into the lowest.
#[inline(always)]
fn pack(flags: &[u8; BLOCK], bit: u32) -> u64 {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    // Multiplying moves the lowest bit of each of eight bytes into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (words, _) = flags.as_chunks::<8>();
    words.iter().rev().fold(0, |mask, word| {
        let bits = u64::from_le_bytes(*word) >> bit & LOWEST;
        mask << 8 | bits.wrapping_mul(GATHER) >> 56
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_sets_its_bits() {
        let needles = Needles::new(&Separators::EDIFACT);
        for at in 0..BLOCK {
            for byte in 0..=255_u8 {
                let mut block = [b'A'; BLOCK];
                block[at] = byte;
                let bit = |is: bool| u64::from(is) << at;
                let expected = Found {
                    separators: bit(b"+:'".contains(&byte)),
                    odd: bit(byte == b'?' || byte < 0x20),
                    has_high: byte >= 0x80,
                };
                assert_eq!(needles.find(&block), expected, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_control_character_may_be_a_separator() {
        let separators = Separators { terminator: b'\n', element: 0x1d, ..Separators::X12 };
        let mut block = [b'A'; BLOCK];
        (block[3], block[5], block[9]) = (0x1d, b'\n', b'\r');
        let found = Needles::new(&separators).find(&block);
        assert_eq!((found.separators, found.odd), (1 << 3 | 1 << 5, 1 << 9));
    }
}
