//! Making a [`Document`], node by node.

use crate::document::{Children, Document, Kind, Node, NodeId, Slot};
use crate::path::append_name;

/// Builds a [`Document`] in document order: open, put, close.
///
/// A builder can be reused for the next document ([`Builder::finish`] leaves it empty).
#[derive(Debug, Default)]
pub struct Builder {
    document: Document,
    open: Vec<u32>,
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

    /// Opens a container; everything put until [`close`](Self::close) is below it.
    pub fn open(&mut self, kind: Kind, name: &str, offset: usize) -> NodeId {
        let id = self.push(kind, name, offset);
        self.open.push(id.0);
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
        if let Some(slot) = self.document.slots.get_mut(id.index()) {
            (slot.text_at, slot.text_len) = (at, text.len() as u32);
        }
        id
    }

    /// Puts a copy of `node` and all below it, under `name`.
    pub fn copy(&mut self, node: Node<'_>, name: &str) {
        let mut children = node.children().peekable();
        // A composite element is a field, and has fields below it.
        if children.peek().is_none() && !node.is_container() {
            self.put(node.kind(), name, node.text(), node.offset());
            return;
        }
        self.open(node.kind(), name, node.offset());
        for child in children {
            self.copy(child, child.name());
        }
        self.close();
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The number of nodes so far.
    pub fn len(&self) -> usize {
        self.document.slots.len()
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
            let node = Node { document: &self.document, at };
            if let Some(list) = list {
                let before = Children { document: &self.document, next: list + 1, end: at };
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
        seen.resize(self.document.names.len() + 1, 0);
        let children = Children {
            document: &self.document,
            next: container + 1,
            end: self.document.slots.len() as u32,
        };
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
        std::mem::take(&mut self.document)
    }

    fn push(&mut self, kind: Kind, name: &str, offset: usize) -> NodeId {
        let name = self.document.names.intern(name);
        let at = self.document.slots.len() as u32;
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        self.document.slots.push(Slot { kind, name, text_at: 0, text_len: 0, end: at + 1, offset });
        NodeId(at)
    }
}
