//! Making a [`Document`], node by node.

use std::sync::Arc;

use crate::document::names::Names;
use crate::document::slot::{OUTSIDE, Row, Slot};
use crate::document::{Children, Document, Kind, Layouts, Node, NodeId};
use crate::path::append_name;

/// What the next document of a reader is likely to need: as much room as those before, and their
/// names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    slots: usize,
    marks: usize,
    text: usize,
    names: Option<Arc<Names>>,
}

/// Text for which room is made in advance.
const MOST_ROOM: usize = 256 << 10;

/// Names that are handed on, so that those of many documents do not add up.
const MOST_NAMES: usize = 256;

impl Room {
    /// Remembers a document that is ready. One that is small does not make the next one so.
    pub(crate) fn remember(&mut self, builder: &Builder) {
        let Document { slots, marks, text, names, .. } = &builder.document;
        let most = |before: usize, now: usize| (before - before / 16).max(now).min(MOST_ROOM);
        self.slots = most(self.slots, slots.len());
        self.marks = most(self.marks, marks.len());
        self.text = most(self.text, text.len());
        self.names = names.clone().filter(|names| names.len() <= MOST_NAMES);
    }
}

/// Builds a [`Document`] in document order: open, put, close.
///
/// A builder can be reused for the next document ([`Builder::finish`] leaves it empty).
#[derive(Debug, Default)]
pub struct Builder {
    document: Document,
    open: Vec<u32>,
    /// How many slots were counted, and how many nodes are in them.
    counted: (usize, usize),
    /// How many nodes are packed at most.
    packed: usize,
}

impl Builder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty builder with room for `nodes` nodes and `text` bytes of text.
    pub fn with_capacity(nodes: usize, text: usize) -> Self {
        let mut builder = Self::default();
        builder.document.slots.reserve(nodes);
        builder.document.text.reserve(text);
        builder
    }

    /// An empty builder with that room.
    pub(crate) fn with_room(room: &Room) -> Self {
        let mut builder = Self::with_capacity(room.slots, room.text);
        builder.document.marks.reserve(room.marks);
        builder.document.names.clone_from(&room.names);
        builder
    }

    /// Opens a container; everything put until [`close`](Self::close) is below it.
    pub fn open(&mut self, kind: Kind, name: &str, offset: usize) -> NodeId {
        let id = self.push(kind, name, offset);
        self.open.push(id.slot);
        id
    }

    /// Closes the container opened last. Without an open one it does nothing.
    pub fn close(&mut self) {
        if let Some(at) = self.open.pop() {
            let end = self.document.slots.len() as u32;
            if let Some(slot) = self.document.slots.get_mut(at as usize) {
                slot.end = end;
            }
        }
    }

    /// Puts a node with text and no children.
    pub fn put(&mut self, kind: Kind, name: &str, text: &str, offset: usize) -> NodeId {
        let id = self.push(kind, name, offset);
        let at = self.document.text.len() as u32;
        self.document.text.push_str(text);
        if let Some(slot) = self.document.slots.last_mut() {
            (slot.text_at, slot.text_len) = (at, text.len() as u32);
        }
        id
    }

    /// Puts a segment whose elements are packed. Its text comes with the next
    /// [`text`](Self::text), `at` bytes behind the end of the text so far; `ends` are where the tag
    /// and then every token of it ends, counted from its first byte.
    #[inline]
    pub(crate) fn put_elements(
        &mut self,
        at: usize,
        component: u8,
        ends: impl ExactSizeIterator<Item = u32>,
        offset: usize,
    ) {
        let from = (self.document.text.len() + at) as u32;
        let slot = self.document.slots.len() as u32;
        self.document.slots.push(Slot {
            kind: Kind::Segment,
            row: Row::Elements(component),
            name: from,
            text_at: self.document.marks.len() as u32,
            text_len: (ends.len() as u32).saturating_sub(1),
            end: slot + 1,
            offset: inside(offset),
        });
        // A composite element has two components at least.
        self.packed += ends.len() + ends.len() / 2;
        self.document.marks.extend(ends.map(|end| from + end));
    }

    /// Puts a segment whose elements are packed, and whose release characters are not in `text`.
    /// Of its tag and then every token `ends` are where they end in the text and in the source.
    pub(crate) fn put_released(
        &mut self,
        text: &str,
        component: u8,
        ends: &[(u32, u32)],
        offset: usize,
    ) {
        self.put_elements(0, component, ends.iter().map(|(end, _)| *end), offset);
        if let Some(slot) = self.document.slots.last_mut() {
            slot.row = Row::Released(component);
        }
        self.document.marks.extend(ends.iter().map(|(_, source)| *source));
        self.document.text.push_str(text);
    }

    /// Appends the text of segments that were put.
    pub(crate) fn text(&mut self, text: &str) {
        self.document.text.push_str(text);
    }

    /// Sets the layouts of records, before any is put.
    pub(crate) fn set_layouts(&mut self, layouts: Arc<Layouts>) {
        self.document.layouts = Some(layouts);
    }

    /// Opens a segment whose fields are packed: `record` at the columns of layout `layout`.
    pub(crate) fn open_record(&mut self, layout: usize, record: &str, offset: usize) {
        let at = self.document.slots.len() as u32;
        self.document.slots.push(Slot {
            kind: Kind::Segment,
            row: Row::Fields,
            name: layout as u32,
            text_at: self.document.text.len() as u32,
            text_len: record.len() as u32,
            end: at + 1,
            offset: inside(offset),
        });
        self.document.text.push_str(record);
        self.packed += self.document.layouts.as_ref().map_or(0, |known| known.columns(layout));
        self.open.push(at);
    }

    /// Puts a field that is declared: the element at that place in the schema of the layouts.
    pub(crate) fn put_declared(&mut self, element: usize, text: &str, offset: usize) {
        let at = self.document.slots.len() as u32;
        self.document.slots.push(Slot {
            kind: Kind::Field,
            row: Row::Declared,
            name: element as u32,
            text_at: self.document.text.len() as u32,
            text_len: text.len() as u32,
            end: at + 1,
            offset: inside(offset),
        });
        self.document.text.push_str(text);
    }

    /// Puts a copy of what stands before this document: a whole other one, without its places.
    pub(crate) fn put_header(&mut self, header: &Document) {
        if header.layouts.is_some() {
            // Its names are those of layouts that this document may not have.
            return self.copy_header(header.root());
        }
        let target = &mut self.document;
        let (text, mark) = (target.text.len() as u32, target.marks.len() as u32);
        let at = target.slots.len() as u32;
        target.text.push_str(&header.text);
        target.marks.extend_from_slice(&header.marks);
        for slot in &header.slots {
            let (name, text_at) = match slot.row {
                Row::Elements(_) | Row::Released(_) => {
                    let from = (slot.text_at + mark) as usize;
                    let marks = target.marks.get_mut(from..=from + slot.text_len as usize);
                    marks.into_iter().flatten().for_each(|end| *end += text);
                    (slot.name + text, slot.text_at + mark)
                }
                _ => (target.intern(header.name(slot.name)), slot.text_at + text),
            };
            let end = slot.end + at;
            target.slots.push(Slot { name, text_at, end, offset: OUTSIDE, ..*slot });
        }
    }

    /// Puts a copy of `node` and all below it, under `name`.
    pub fn copy(&mut self, node: Node<'_>, name: &str) {
        self.copy_at(node, name, |node| node.offset());
    }

    /// Puts a copy of what stands before this document, without its places.
    pub(crate) fn copy_header(&mut self, node: Node<'_>) {
        self.copy_at(node, node.name(), |_| 0);
    }

    fn copy_at(&mut self, node: Node<'_>, name: &str, offset: fn(Node<'_>) -> usize) {
        let mut children = node.children().peekable();
        // A composite element is a field, and has fields below it.
        if children.peek().is_none() && !node.is_container() {
            self.put(node.kind(), name, node.text(), offset(node));
            return;
        }
        self.open(node.kind(), name, offset(node));
        for child in children {
            self.copy_at(child, child.name(), offset);
        }
        self.close();
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether there are less than `most` nodes, judged without looking at them: `false` says
    /// nothing.
    #[inline]
    pub(crate) fn has_room_for_sure(&self, most: usize) -> bool {
        self.document.slots.len() + self.packed < most
    }

    /// Whether there are fewer than `most` nodes. Each node is counted once, however often this is
    /// asked.
    #[inline]
    pub fn has_room(&mut self, most: usize) -> bool {
        self.has_room_for_sure(most) || self.count() < most
    }

    fn count(&mut self) -> usize {
        let (slots, nodes) = self.counted;
        self.counted = (self.document.slots.len(), nodes + self.document.count(slots));
        self.counted.1
    }

    /// Whether nothing was put yet.
    pub fn is_empty(&self) -> bool {
        self.document.slots.is_empty()
    }

    /// The bytes of text so far; nodes and text of one document must stay below 4 GiB each, which
    /// [`Limits::document`](crate::Limits) sees to.
    pub fn text_len(&self) -> usize {
        self.document.text.len()
    }

    /// Where the container opened last is, for people: `claim/items[3]`.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        let mut list: Option<u32> = None;
        for at in self.open.iter().copied() {
            let node = Node { document: &self.document, at, packed: 0 };
            if let Some(list) = list {
                let before = Children::of_slots(&self.document, list + 1, at);
                path.push_str(&format!("[{}]", before.count()));
            }
            append_name(&mut path, node.name());
            list = (node.kind() == Kind::List).then_some(at);
        }
        path
    }

    /// Where a node that was put begins in the source.
    pub(crate) fn offset(&self, id: NodeId) -> usize {
        self.document.node(id).offset()
    }

    /// Appends to `found` the children of the container opened last whose name an earlier one has.
    ///
    /// `seen` is working space for one builder and one document: which container saw a name last.
    pub(crate) fn repeated(&self, seen: &mut Vec<u32>, found: &mut Vec<NodeId>) {
        let Some(container) = self.open.last().copied() else {
            return;
        };
        let names = self.document.names.as_ref().map_or(0, |names| names.len());
        seen.resize(names + 1, 0);
        let end = self.document.slots.len() as u32;
        let children = Children::of_slots(&self.document, container + 1, end);
        for child in children {
            if let Some(seen) = seen.get_mut(child.slot().name as usize) {
                if *seen == container + 1 {
                    found.push(child.id());
                }
                *seen = container + 1;
            }
        }
    }

    /// Closes what is open and returns the document. An empty builder gives an empty group.
    pub fn finish(&mut self) -> Document {
        if self.document.slots.is_empty() {
            self.push(Kind::Group, "", 0);
        }
        while !self.open.is_empty() {
            self.close();
        }
        (self.counted, self.packed) = ((0, 0), 0);
        std::mem::take(&mut self.document)
    }

    fn push(&mut self, kind: Kind, name: &str, offset: usize) -> NodeId {
        let name = self.document.intern(name);
        let at = self.document.slots.len() as u32;
        let offset = inside(offset);
        let row = Row::Single;
        self.document.slots.push(Slot {
            kind,
            row,
            name,
            text_at: 0,
            text_len: 0,
            end: at + 1,
            offset,
        });
        NodeId { slot: at, packed: 0 }
    }
}

/// An offset in the document, as a slot has it.
#[inline]
fn inside(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(OUTSIDE - 1).min(OUTSIDE - 1)
}
