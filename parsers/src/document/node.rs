//! A borrowed node of a document, and the ways from it to others.

use std::fmt;

use crate::document::slot::{Elements, OUTSIDE, Packed, Row, Slot};
use crate::document::{Document, Fields, Kind, NodeId};
use crate::schema::{ElementId, Schema};

/// A node of a [`Document`], borrowed.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub(super) document: &'a Document,
    /// The slot.
    pub(super) at: u32,
    /// The node in it.
    pub(super) packed: Packed,
}

/// What is packed in a slot.
#[derive(Clone, Copy)]
enum Inside<'a> {
    Nothing,
    Elements(Elements<'a>),
    /// Those of a composite element.
    Components(Elements<'a>),
    Fields(Fields<'a>),
}

impl<'a> Node<'a> {
    #[inline]
    pub(super) fn slot(self) -> Slot {
        self.document.slot(self.at)
    }

    /// The place in the document, to come back to this node later.
    pub fn id(self) -> NodeId {
        NodeId { slot: self.at, packed: self.packed }
    }

    /// What the node is.
    #[inline]
    pub fn kind(self) -> Kind {
        if self.packed == 0 { self.slot().kind } else { Kind::Field }
    }

    /// The name; empty for list items and for positional EDI elements.
    #[inline]
    pub fn name(self) -> &'a str {
        let slot = self.slot();
        match slot.row {
            Row::Single => self.document.name(slot.name),
            Row::Declared => {
                let layouts = self.document.layouts.as_ref();
                layouts.map_or("", |layouts| layouts.declared(slot.name))
            }
            Row::Elements(_) | Row::Released(_) if self.packed > 0 => "",
            Row::Elements(_) | Row::Released(_) => self.document.tag(slot),
            Row::Fields => match self.document.fields(slot) {
                Some(fields) if self.packed > 0 => fields.name(self.packed),
                Some(fields) => fields.layout.name(),
                None => "",
            },
        }
    }

    /// The text; empty for containers and nulls.
    #[inline]
    pub fn text(self) -> &'a str {
        let slot = self.slot();
        match slot.row {
            Row::Single | Row::Declared => {
                let from = slot.text_at as usize;
                self.document.text.get(from..from + slot.text_len as usize).unwrap_or("")
            }
            _ if self.packed == 0 => "",
            Row::Elements(_) | Row::Released(_) => self.document.elements(slot).text(self.packed),
            Row::Fields => self.document.fields(slot).map_or("", |fields| fields.text(self.packed)),
        }
    }

    /// Where the node begins in the source, in bytes from the first byte of its document.
    pub fn offset(self) -> usize {
        let slot = self.slot();
        if slot.offset == OUTSIDE {
            return 0;
        }
        let inside = match self.inside(slot) {
            _ if self.packed == 0 => 0,
            Inside::Elements(elements) | Inside::Components(elements) => {
                elements.offset(self.packed, slot.name)
            }
            Inside::Fields(fields) => fields.offset(self.packed),
            Inside::Nothing => 0,
        };
        slot.offset as usize + inside as usize
    }

    /// The direct children, in order.
    #[inline]
    pub fn children(self) -> Children<'a> {
        let slot = self.slot();
        let inside = self.inside(slot);
        let (packed, inside) = match (self.packed, inside) {
            (0, Inside::Elements(elements)) => (elements.first(), inside),
            (0, Inside::Fields(fields)) => (fields.after(0), inside),
            (node, Inside::Elements(elements)) if Elements::is_composite(node) => {
                (node + 1, Inside::Components(elements))
            }
            _ => (0, Inside::Nothing),
        };
        let next = if self.packed == 0 { self.at + 1 } else { slot.end };
        Children { document: self.document, at: self.at, packed, next, end: slot.end, inside }
    }

    /// The children that are not packed fields: the records below a record.
    pub(crate) fn nested(self) -> Children<'a> {
        let mut children = self.children();
        if matches!(children.inside, Inside::Fields(_)) {
            children.packed = 0;
        }
        children
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
        let (end, mut next) = (self.behind(), Some(self));
        std::iter::from_fn(move || {
            let node = next?;
            let following = node.following();
            next = Some(following).filter(|node| node.id() < end);
            Some(node)
        })
    }

    /// Whether the node carries a value of its own (text, number, bool, field, attribute).
    pub fn is_scalar(self) -> bool {
        !self.is_container() && self.kind() != Kind::Null
    }

    pub(super) fn is_container(self) -> bool {
        matches!(self.kind(), Kind::Group | Kind::Segment | Kind::List)
    }

    /// The whole segment with its separators, and where its tag and its tokens end in the text that
    /// it is lent from, which begins at the first number. Only where it is kept so.
    #[inline]
    pub(crate) fn tokens(self) -> Option<Tokens<'a>> {
        let slot = self.slot();
        let Row::Elements(component) = slot.row else { return None };
        let elements = self.document.elements(slot);
        let end = elements.marks.last().copied()?;
        let text = elements.text.get(slot.name as usize..end as usize)?;
        Some(Tokens { text, marks: elements.marks, from: slot.name, component })
    }

    /// The columns of the record, which have the layout of that element, without the blanks at
    /// their end. Only where they are kept so.
    pub(crate) fn record(self, schema: &Schema, id: ElementId) -> Option<Fields<'a>> {
        let slot = self.slot();
        let is_same = slot.row == Row::Fields
            && slot.name as usize == id.index()
            && self.document.layouts.as_ref().is_some_and(|known| known.is_of(schema));
        if is_same { self.document.fields(slot) } else { None }
    }

    #[inline]
    fn inside(self, slot: Slot) -> Inside<'a> {
        match slot.row {
            Row::Single | Row::Declared => Inside::Nothing,
            Row::Elements(_) | Row::Released(_) => Inside::Elements(self.document.elements(slot)),
            Row::Fields => self.document.fields(slot).map_or(Inside::Nothing, Inside::Fields),
        }
    }

    /// The next node in document order.
    fn following(self) -> Self {
        let slot = self.slot();
        let packed = match (self.packed, self.inside(slot)) {
            (_, Inside::Nothing | Inside::Components(_)) => 0,
            (0, Inside::Elements(elements)) => elements.first(),
            (node, Inside::Elements(_)) if Elements::is_composite(node) => node + 1,
            (node, Inside::Elements(elements)) => elements.after(node),
            (node, Inside::Fields(fields)) => fields.after(node),
        };
        let at = if packed == 0 { self.at + 1 } else { self.at };
        Self { document: self.document, at, packed }
    }

    /// What follows this subtree in document order.
    fn behind(self) -> NodeId {
        let slot = self.slot();
        let packed = match self.inside(slot) {
            _ if self.packed == 0 => return NodeId { slot: slot.end, packed: 0 },
            Inside::Elements(elements) => elements.after(self.packed),
            Inside::Fields(fields) => fields.after(self.packed),
            Inside::Nothing | Inside::Components(_) => 0,
        };
        match packed {
            0 => NodeId { slot: self.at + 1, packed },
            packed => NodeId { slot: self.at, packed },
        }
    }
}

impl fmt::Debug for Node<'_> {
    /// Kind, name and place; never the text, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} #{}", self.kind(), self.name(), self.at)?;
        if self.packed > 0 { write!(f, ".{}", self.packed) } else { Ok(()) }
    }
}

/// A segment as it was read. See [`Node::tokens`].
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    /// The segment, from its tag on.
    pub(crate) text: &'a str,
    /// Where the tag ends, and then every token, counted from `from` bytes before the text.
    pub(crate) marks: &'a [u32],
    pub(crate) from: u32,
    /// What separates components.
    pub(crate) component: u8,
}

/// The direct children of a node. See [`Node::children`].
#[derive(Clone)]
pub struct Children<'a> {
    document: &'a Document,
    /// The slot whose packed nodes come first, and the next one of them; 0 for no more.
    at: u32,
    packed: Packed,
    /// The next slot.
    next: u32,
    end: u32,
    inside: Inside<'a>,
}

impl<'a> Children<'a> {
    /// The nodes of the slots from `next` to `end`.
    pub(super) fn of_slots(document: &'a Document, next: u32, end: u32) -> Self {
        Self { document, at: 0, packed: 0, next, end, inside: Inside::Nothing }
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    #[inline]
    fn next(&mut self) -> Option<Node<'a>> {
        if self.packed > 0 {
            let node = Node { document: self.document, at: self.at, packed: self.packed };
            self.packed = match self.inside {
                Inside::Elements(elements) => elements.after(self.packed),
                Inside::Components(elements) => elements.sibling(self.packed),
                Inside::Fields(fields) => fields.after(self.packed),
                Inside::Nothing => 0,
            };
            return Some(node);
        }
        if self.next >= self.end {
            return None;
        }
        let node = Node { document: self.document, at: self.next, packed: 0 };
        // A slot's end is always past it, so this advances whatever the document holds.
        self.next = node.slot().end.max(self.next + 1);
        Some(node)
    }
}
