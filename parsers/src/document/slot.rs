//! How nodes are stored: a slot each, or many packed in one slot.
//!
//! The elements of a segment and the fields of a record are most of the nodes of a document, and
//! where they begin and end is known before they are put. So they need no slot each: the segment's
//! slot says where the ends of its elements are kept, or which layout its record has, and the nodes
//! are made of that when somebody asks for them.

use crate::document::Kind;

/// A node, and what is packed in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    pub(super) row: Row,
    /// The number of the name, of the declared element, or of the layout; where the tag begins in
    /// the text.
    pub(super) name: u32,
    /// Where the text begins; the mark behind the tag where elements are packed.
    pub(super) text_at: u32,
    /// The bytes of the text; how many elements and components are packed.
    pub(super) text_len: u32,
    /// One past the last slot of this subtree.
    pub(super) end: u32,
    /// Byte offset in the source, from the first byte of the document; or [`OUTSIDE`].
    pub(super) offset: u32,
}

/// The offset of what stands before the document, as its envelope does.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// The nodes packed in a slot. They stand before its other children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// None: the slot is a node with a name and a text.
    Single,
    /// None either, and the name is that of an element of the layouts' schema.
    Declared,
    /// The elements of a segment, whose components this byte separates.
    Elements(u8),
    /// Such elements of a segment that lost release characters: behind the marks of the text stand
    /// those of the source.
    Released(u8),
    /// The fields of a record, at the columns of a layout.
    Fields,
}

/// The number of a packed node in its slot, in document order; 0 for the slot itself.
pub(super) type Packed = u32;

/// The elements packed in a slot.
///
/// The text between two marks is a token. Token `k` is node `2k + 1`; a composite element that
/// begins with it is node `2k`, and has its tokens below it.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    pub(super) text: &'a str,
    /// Where the tag ends, and then every token.
    pub(super) marks: &'a [u32],
    /// Where they end in the source, from the first byte of the segment; empty where their
    /// distance in the text says so.
    pub(super) sources: &'a [u32],
    pub(super) component: u8,
}

impl<'a> Elements<'a> {
    /// Where a token begins and ends.
    fn token(&self, token: u32) -> (usize, usize) {
        let mark = |at: u32| self.marks.get(at as usize).map_or(0, |mark| *mark as usize);
        (mark(token.wrapping_sub(1)) + 1, mark(token))
    }

    /// Whether a component follows the token.
    #[inline]
    pub(super) fn is_joined(&self, token: u32) -> bool {
        let at = token as usize;
        at + 1 < self.marks.len()
            && self.marks.get(at).and_then(|mark| self.text.as_bytes().get(*mark as usize))
                == Some(&self.component)
    }

    /// The element that begins with a token.
    #[inline]
    fn element(&self, token: u32) -> Packed {
        if token as usize >= self.marks.len() {
            return 0;
        }
        2 * token + u32::from(!self.is_joined(token))
    }

    pub(super) fn first(&self) -> Packed {
        self.element(1)
    }

    /// The next node that is not below this one.
    pub(super) fn after(&self, node: Packed) -> Packed {
        let mut token = node / 2;
        if node % 2 == 1 && self.is_joined(token) {
            return node + 2;
        }
        while self.is_joined(token) {
            token += 1;
        }
        self.element(token + 1)
    }

    /// The next component of the same composite element.
    pub(super) fn sibling(&self, node: Packed) -> Packed {
        if self.is_joined(node / 2) { node + 2 } else { 0 }
    }

    pub(super) fn is_composite(node: Packed) -> bool {
        node != 0 && node.is_multiple_of(2)
    }

    pub(super) fn text(&self, node: Packed) -> &'a str {
        if Self::is_composite(node) {
            return "";
        }
        let (from, to) = self.token(node / 2);
        self.text.get(from..to).unwrap_or_default()
    }

    /// Where a node begins, from the first byte of the segment, whose tag begins at `tag`.
    pub(super) fn offset(&self, node: Packed, tag: u32) -> u32 {
        let before = (node / 2) as usize;
        match self.sources.get(before.wrapping_sub(1)) {
            Some(end) => end + 1,
            None => (self.token(node / 2).0 as u32).saturating_sub(tag),
        }
    }

    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        let tokens = 1..self.marks.len() as u32;
        let begins = |token: &u32| self.is_joined(*token) && !self.is_joined(*token - 1);
        // The tag joins nothing, as what is packed has no nesting behind it.
        tokens.len() + tokens.filter(begins).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_24_bytes() {
        assert_eq!(size_of::<Slot>(), 24);
    }
}
