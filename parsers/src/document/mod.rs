//! The one tree that all formats share: the canonical data model.
//!
//! A [`Document`] is flat and owned: one `String` for all text, one vector of slots in document
//! order, one table of names. A node's subtree is the contiguous range `at..end`, so walking
//! children is a jump over `end`, a whole document costs a handful of allocations, and no lifetime
//! appears in any signature.
//!
//! Where the text of a segment means what it says, the segment is one slot, and its elements or
//! fields are packed in it: their text stays where it is, and only its ends are kept (EDIFACT, X12),
//! or not even these, as a layout of the type has them (IDoc, VDA). They are nodes as all others.
//!
//! Text is stored as its meaning: a node's text is trimmed and unescaped. Numbers keep their source
//! text; whoever computes with them chooses exact decimals. The raw bytes stay outside, named by
//! [`Reading::span`](crate::Reading).

mod builder;
mod layout;
mod names;
mod node;
mod slot;

use std::fmt;
use std::sync::Arc;

use crate::document::names::Names;
use crate::document::slot::{Elements, Packed, Row, Slot};

pub use builder::Builder;
pub(crate) use builder::Room;
pub use node::{Children, Node};

pub(crate) use layout::{Fields, Layout, Layouts, trim_end, trimmed};
pub(crate) use node::Tokens;

/// What a node is.
///
/// | format | group | segment | field | list | text, number, bool, null |
/// |---|---|---|---|---|---|
/// | JSON | object | | | array | scalars |
/// | IDoc | the document | control record, segments | fields | | |
/// | EDIFACT, X12 | message, segment group | segment | element; a composite has component fields below it | repetitions | |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A container of named children: a document, a JSON object, a segment group.
    Group,
    /// A segment or record.
    Segment,
    /// A field of a segment: text with a place in its segment.
    Field,
    /// Text.
    Text,
    /// A number, in its source notation.
    Number,
    /// `true` or `false`, as that text.
    Bool,
    /// An explicit null. It has no text.
    Null,
    /// An ordered list of unnamed children.
    List,
    /// An XML attribute.
    Attribute,
}

/// The place of a node in its document. Only meaningful for the document that returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    slot: u32,
    packed: Packed,
}

impl NodeId {
    /// The root node of every document.
    pub const ROOT: Self = Self { slot: 0, packed: 0 };
}

/// One document: a tree of [`Kind`]s with names and text.
#[derive(Clone, Default)]
pub struct Document {
    text: String,
    slots: Vec<Slot>,
    /// Where tokens of packed elements end in the text.
    marks: Vec<u32>,
    /// Shared with other documents of the same reader as long as they have the same names.
    names: Option<Arc<Names>>,
    /// The layouts of packed fields.
    layouts: Option<Arc<Layouts>>,
}

impl Document {
    /// The root node. Every document that a reader or [`Builder::finish`] returns has one.
    pub fn root(&self) -> Node<'_> {
        self.node(NodeId::ROOT)
    }

    /// The node at `id`; a node without name and text where `id` is of another document.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        Node { document: self, at: id.slot, packed: id.packed }
    }

    /// The number of nodes, counted.
    pub fn len(&self) -> usize {
        self.count(0)
    }

    /// Whether the document has no nodes at all (the default value).
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The heap bytes that this document holds.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity()
            + self.slots.capacity() * size_of::<Slot>()
            + self.marks.capacity() * size_of::<u32>()
            + self.names.as_ref().map_or(0, |names| names.heap_bytes())
    }

    #[inline]
    fn name(&self, id: u32) -> &str {
        self.names.as_ref().map_or("", |names| names.text_of(id))
    }

    #[inline]
    fn intern(&mut self, name: &str) -> u32 {
        match self.names.as_ref().and_then(|names| names.find(name)) {
            Some(id) => id,
            None if name.is_empty() => 0,
            None => Arc::make_mut(self.names.get_or_insert_default()).add(name),
        }
    }

    /// The number of nodes in the slots from `from` on.
    fn count(&self, from: usize) -> usize {
        let slots = self.slots.get(from..).unwrap_or_default();
        let packed = slots.iter().map(|slot| match slot.row {
            Row::Single | Row::Declared => 0,
            Row::Elements(_) | Row::Released(_) => self.elements(*slot).count(),
            Row::Fields => self.fields(*slot).map_or(0, |fields| fields.count()),
        });
        slots.len() + packed.sum::<usize>()
    }

    #[inline]
    fn slot(&self, at: u32) -> Slot {
        self.slots.get(at as usize).copied().unwrap_or(Slot {
            kind: Kind::Null,
            row: Row::Single,
            name: 0,
            text_at: 0,
            text_len: 0,
            end: at.saturating_add(1),
            offset: 0,
        })
    }

    #[inline]
    fn elements(&self, slot: Slot) -> Elements<'_> {
        let marks =
            |from: usize| self.marks.get(from..=from + slot.text_len as usize).unwrap_or_default();
        let from = slot.text_at as usize;
        let (component, sources) = match slot.row {
            Row::Elements(component) => (component, [].as_slice()),
            Row::Released(component) => (component, marks(from + slot.text_len as usize + 1)),
            Row::Single | Row::Declared | Row::Fields => (0, [].as_slice()),
        };
        Elements { text: &self.text, marks: marks(from), sources, component }
    }

    #[inline]
    fn fields(&self, slot: Slot) -> Option<Fields<'_>> {
        let from = slot.text_at as usize;
        let text = self.text.get(from..from + slot.text_len as usize).unwrap_or("");
        Some(Fields { text, layout: self.layouts.as_ref()?.at(slot.name)? })
    }

    /// The tag in front of packed elements.
    #[inline]
    fn tag(&self, slot: Slot) -> &str {
        let end = self.marks.get(slot.text_at as usize).map_or(0, |mark| *mark as usize);
        self.text.get(slot.name as usize..end).unwrap_or("")
    }
}

impl fmt::Debug for Document {
    /// The tree, a line each node. Payload text is personal data: print a document only in tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn write(node: Node<'_>, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let name = if node.name().is_empty() { "-" } else { node.name() };
            writeln!(f, "{:depth$}{:?} {} {:?}", "", node.kind(), name, node.text())?;
            node.children().try_for_each(|child| write(child, depth + 2, f))
        }
        if self.is_empty() { f.write_str("(empty)") } else { write(self.root(), 0, f) }
    }
}

/// Two documents are equal when their trees are: kinds, names and text, not source offsets.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        let (mut these, mut those) = (self.root().descendants(), other.root().descendants());
        if self.is_empty() || other.is_empty() {
            return self.is_empty() == other.is_empty();
        }
        // Equal kinds and texts in equal order, each with as many children, make equal trees.
        let is_same = |a: Node<'_>, b: Node<'_>| {
            a.kind() == b.kind()
                && a.name() == b.name()
                && a.text() == b.text()
                && a.children().count() == b.children().count()
        };
        loop {
            match (these.next(), those.next()) {
                (Some(a), Some(b)) if is_same(a, b) => {}
                (None, None) => return true,
                _ => return false,
            }
        }
    }
}

impl Eq for Document {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Document {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        builder.put(Kind::Text, "vin", "WVWZZZ1JZXW000001", 8);
        builder.open(Kind::List, "items", 40);
        for line in ["1", "2"] {
            builder.open(Kind::Group, "", 42);
            builder.put(Kind::Number, "line", line, 44);
            builder.close();
        }
        builder.close();
        builder.put(Kind::Null, "note", "", 90);
        builder.finish()
    }

    #[test]
    fn children_are_walked_over_whole_subtrees() {
        let document = sample();
        let names: Vec<_> = document.root().children().map(Node::name).collect();
        assert_eq!(names, ["vin", "items", "note"]);
        let items = document.root().child("items").unwrap();
        let lines: Vec<_> =
            items.children().filter_map(|item| item.child("line")).map(Node::text).collect();
        assert_eq!(lines, ["1", "2"]);
    }

    #[test]
    fn a_copied_document_equals_its_source() {
        let document = sample();
        let mut builder = Builder::new();
        builder.copy(document.root(), "");
        assert_eq!(builder.finish(), document);
    }

    #[test]
    fn a_copy_keeps_the_components_of_a_composite_element() {
        let mut builder = Builder::new();
        builder.open(Kind::Segment, "UNH", 0);
        builder.put(Kind::Field, "", "1", 4);
        builder.open(Kind::Field, "", 6);
        builder.put(Kind::Field, "", "IFTSTA", 6);
        builder.put(Kind::Field, "", "D", 13);
        let document = builder.finish();
        builder.copy(document.root(), "UNH");
        assert_eq!(builder.finish(), document);
    }

    /// `NAD+BY+1:A+O'X+` in which `?` released the apostrophe.
    fn packed() -> Document {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "M", 0);
        builder.put_elements(0, b':', [3, 6, 8, 10].into_iter(), 20);
        builder.text("NAD+BY+1:A");
        let ends = [(3, 3), (6, 6), (8, 8), (10, 10), (14, 15), (15, 16)];
        builder.put_released("NAD+BY+1:A+O'X+", b':', &ends, 40);
        builder.finish()
    }

    #[test]
    fn packed_elements_are_nodes_as_all_others() {
        let document = packed();
        let mut builder = Builder::new();
        builder.copy(document.root(), "M");
        let copy = builder.finish();
        assert_eq!((copy.len(), &copy), (document.len(), &document));
        let nodes: Vec<_> = document.root().descendants().collect();
        assert_eq!((nodes.len(), document.len()), (13, 13));
        for (node, other) in nodes.iter().zip(copy.root().descendants()) {
            assert_eq!((node.name(), node.offset()), (other.name(), other.offset()));
            assert_eq!(document.node(node.id()).text(), other.text());
        }
    }

    #[test]
    fn a_packed_composite_has_its_components_below_it() {
        let document = packed();
        let segment = document.root().nth(1).unwrap();
        assert_eq!((segment.name(), segment.children().count()), ("NAD", 4));
        let party = segment.nth(1).unwrap();
        let parts: Vec<_> = party.children().map(|part| (part.text(), part.offset())).collect();
        assert_eq!((party.text(), parts), ("", vec![("1", 47), ("A", 49)]));
        assert_eq!(party.descendants().count(), 3);
        // What stands behind a release character is where it was in the source.
        let last: Vec<_> = segment.children().skip(2).map(|e| (e.text(), e.offset())).collect();
        assert_eq!(last, [("O'X", 51), ("", 56)]);
    }

    #[test]
    fn a_header_is_copied_with_what_is_packed_in_it() {
        let (header, mut builder) = (packed(), Builder::new());
        builder.open(Kind::Group, "root", 0);
        builder.put(Kind::Field, "before", "text", 0);
        builder.put_header(&header);
        let document = builder.finish();
        let copy = document.root().nth(1).unwrap();
        let texts =
            |node: Node<'_>| node.descendants().map(|n| n.text().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(copy), texts(header.root()));
        assert!(copy.descendants().all(|node| node.offset() == 0));
    }

    #[test]
    fn names_survive_growth_of_their_index() {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        for n in 0..500 {
            builder.put(Kind::Text, &format!("name{}", n % 250), "x", n);
        }
        let document = builder.finish();
        assert_eq!(document.root().nth(499).unwrap().name(), "name249");
        assert_eq!(document.names.unwrap().len(), 250);
    }

    #[test]
    fn an_unfinished_tree_is_closed_by_finish() {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        builder.open(Kind::Segment, "E1EDK01", 0);
        builder.put(Kind::Field, "CURCY", "EUR", 0);
        let document = builder.finish();
        assert_eq!(document.root().descendants().count(), 3);
        assert!(builder.is_empty());
    }
}
