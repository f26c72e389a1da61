//! Where separators are in 64 bytes, as bits.
//!
//! A delimiter comes every four or five bytes, too often for a search that is called for each. So
//! 64 bytes are compared with all separators at once, in loops that compilers turn into vector
//! instructions, and the answers are packed into the bits of one word, which is then walked.

use crate::segment::separators::Separators;

/// Bytes that are scanned at once.
pub(super) const BLOCK: usize = 64;

/// The bytes that a scan looks for, besides all control characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needles {
    element: u8,
    component: u8,
    repetition: u8,
    release: u8,
    terminator: u8,
}

impl Needles {
    pub(super) fn new(separators: &Separators) -> Self {
        let terminator = separators.terminator;
        Self {
            element: separators.element,
            component: separators.component,
            repetition: separators.repetition.unwrap_or(terminator),
            release: separators.release.unwrap_or(terminator),
            terminator,
        }
    }

    /// A bit for every byte of the block that is a separator or a control character.
    #[inline]
    pub(super) fn find(&self, block: &[u8; BLOCK]) -> u64 {
        let mut flags = [0_u8; BLOCK];
        for (flag, byte) in flags.iter_mut().zip(block) {
            let byte = *byte;
            *flag = u8::from(byte == self.element)
                | u8::from(byte == self.component)
                | u8::from(byte == self.repetition)
                | u8::from(byte == self.release)
                | u8::from(byte == self.terminator)
                | u8::from(byte < 0x20);
        }
        pack(&flags)
    }
}

/// Packs 64 bytes of 0 or 1 into the bits of a word, the first into the lowest.
#[inline]
fn pack(flags: &[u8; BLOCK]) -> u64 {
    // Multiplying moves the lowest bit of each of eight bytes into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (words, _) = flags.as_chunks::<8>();
    words
        .iter()
        .rev()
        .fold(0, |mask, word| mask << 8 | u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_separator_sets_its_bit() {
        let needles = Needles::new(&Separators::EDIFACT);
        for at in 0..BLOCK {
            for byte in 0..=255_u8 {
                let mut block = [b'A'; BLOCK];
                block[at] = byte;
                let expected = b"+:?'".contains(&byte) || byte < 0x20;
                assert_eq!(needles.find(&block), u64::from(expected) << at, "{byte} at {at}");
            }
        }
    }
}
