//! The one tree that all formats share: the canonical data model.
//!
//! A [`Document`] is flat and owned: one `String` for all text, one vector of nodes in document
//! order, one table of names. A node's subtree is the contiguous range `at..end`, so walking
//! children is a jump over `end`, a whole document costs a handful of allocations, and no lifetime
//! appears in any signature.
//!
//! Text is stored as its meaning: trimmed, unescaped. Numbers keep their source text; whoever
//! computes with them chooses exact decimals. The raw bytes stay outside, named by
//! [`Reading::span`](crate::Reading).

mod builder;
mod names;

use std::fmt;

use crate::document::names::Names;

pub use builder::Builder;

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
pub struct NodeId(u32);

impl NodeId {
    /// The root node of every document.
    pub const ROOT: Self = Self(0);

    /// The position in document order, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    kind: Kind,
    name: u32,
    text_at: u32,
    text_len: u32,
    /// One past the last node of this subtree.
    end: u32,
    /// Byte offset in the source, from the first byte of the document.
    offset: u32,
}

/// One document: a tree of [`Kind`]s with names and text.
#[derive(Clone, Default)]
pub struct Document {
    text: String,
    slots: Vec<Slot>,
    names: Names,
}

impl Document {
    /// The root node. Every document that a reader or [`Builder::finish`] returns has one.
    pub fn root(&self) -> Node<'_> {
        self.node(NodeId::ROOT)
    }

    /// The node at `id`; a node without name and text where `id` is of another document.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        Node { document: self, at: id.0 }
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the document has no nodes at all (the default value).
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The heap bytes that this document holds.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.slots.capacity() * size_of::<Slot>() + self.names.heap_bytes()
    }

    fn slot(&self, at: u32) -> Slot {
        self.slots.get(at as usize).copied().unwrap_or(Slot {
            kind: Kind::Null,
            name: 0,
            text_at: 0,
            text_len: 0,
            end: at.saturating_add(1),
            offset: 0,
        })
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
        self.slots.len() == other.slots.len()
            && (0..self.slots.len() as u32).all(|at| {
                let (a, b) = (Node { document: self, at }, Node { document: other, at });
                a.kind() == b.kind()
                    && a.slot().end == b.slot().end
                    && a.name() == b.name()
                    && a.text() == b.text()
            })
    }
}

impl Eq for Document {}

/// A node of a [`Document`], borrowed.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    document: &'a Document,
    at: u32,
}

impl<'a> Node<'a> {
    fn slot(self) -> Slot {
        self.document.slot(self.at)
    }

    /// The place in the document, to come back to this node later.
    pub fn id(self) -> NodeId {
        NodeId(self.at)
    }

    /// What the node is.
    pub fn kind(self) -> Kind {
        self.slot().kind
    }

    /// The name; empty for list items and for positional EDI elements.
    pub fn name(self) -> &'a str {
        self.document.names.text_of(self.slot().name)
    }

    /// The text; empty for containers and nulls.
    pub fn text(self) -> &'a str {
        let slot = self.slot();
        let from = slot.text_at as usize;
        self.document.text.get(from..from + slot.text_len as usize).unwrap_or("")
    }

    /// Where the node begins in the source, in bytes from the first byte of its document.
    pub fn offset(self) -> usize {
        self.slot().offset as usize
    }

    /// The direct children, in order.
    pub fn children(self) -> Children<'a> {
        Children { document: self.document, next: self.at + 1, end: self.slot().end }
    }

    /// The first child of that name.
    pub fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    /// The child at `index`, from 0, whatever its name.
    pub fn nth(self, index: usize) -> Option<Self> {
        self.children().nth(index)
    }

    /// Every node of this subtree in document order, this one first.
    pub fn descendants(self) -> impl Iterator<Item = Self> {
        let document = self.document;
        (self.at..self.slot().end).map(move |at| Self { document, at })
    }

    /// Whether the node carries a value of its own (text, number, bool, field, attribute).
    pub fn is_scalar(self) -> bool {
        !self.is_container() && self.kind() != Kind::Null
    }

    fn is_container(self) -> bool {
        matches!(self.kind(), Kind::Group | Kind::Segment | Kind::List)
    }
}

impl fmt::Debug for Node<'_> {
    /// Kind, name and place; never the text, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} #{}", self.kind(), self.name(), self.at)
    }
}

/// The direct children of a node. See [`Node::children`].
#[derive(Clone)]
pub struct Children<'a> {
    document: &'a Document,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.next >= self.end {
            return None;
        }
        let node = Node { document: self.document, at: self.next };
        // A slot's end is always past it, so this advances whatever the document holds.
        self.next = node.slot().end.max(self.next + 1);
        Some(node)
    }
}

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

    #[test]
    fn names_survive_growth_of_their_index() {
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        for n in 0..500 {
            builder.put(Kind::Text, &format!("name{}", n % 250), "x", n);
        }
        let document = builder.finish();
        assert_eq!(document.names.len(), 250);
        assert_eq!(document.root().nth(499).unwrap().name(), "name249");
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
