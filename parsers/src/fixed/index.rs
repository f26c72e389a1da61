//! A schema with what a reader looks up for every record.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::document::{Kind, Layout, Layouts};
use crate::schema::{ElementId, Schema};

/// A schema with the indexes of a reader.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) schema: Arc<Schema>,
    /// By segment definition, and by segment type where no definition has that name.
    segments: HashMap<String, Vec<ElementId>, BuildHasherDefault<Cheap>>,
    /// The columns of every segment.
    pub(crate) layouts: Arc<Layouts>,
    /// The segments that must occur below each element, and their positions among its children.
    required: Vec<Vec<(u32, ElementId)>>,
    /// Of every element: its parent, and its position among the parent's children.
    homes: Vec<(ElementId, u32)>,
}

impl Index {
    /// The indexes of a schema whose records have `header` bytes before their fields. What is no
    /// segment of the type may have the layout `root`.
    pub(crate) fn new(schema: Arc<Schema>, header: u32, root: Layout) -> Self {
        let mut homes = vec![(schema.root(), 0); schema.elements().len()];
        let mut segments: HashMap<String, Vec<ElementId>, _> = HashMap::default();
        for (id, element) in schema.elements() {
            for (position, child) in element.children().iter().enumerate() {
                if let Some(home) = homes.get_mut(child.index()) {
                    *home = (id, u32::try_from(position).unwrap_or(u32::MAX));
                }
            }
            if let (Kind::Segment, Some(definition)) = (element.kind, &element.definition) {
                segments.entry(definition.clone()).or_default().push(id);
            }
        }
        let defined: Vec<String> = segments.keys().cloned().collect();
        for (id, element) in schema.elements().filter(|(_, e)| e.kind == Kind::Segment) {
            if !defined.contains(&element.name) {
                segments.entry(element.name.clone()).or_default().push(id);
            }
        }
        let required = schema.elements().map(|(_, parent)| {
            let children = (0..).zip(parent.children().iter().copied());
            let is_required = |(_, id): &(u32, ElementId)| {
                let element = schema.element(*id);
                element.kind == Kind::Segment && element.min > 0
            };
            children.filter(is_required).collect()
        });
        let required = required.collect();
        let layouts = Arc::new(Layouts::new(Arc::clone(&schema), header, root));
        Self { schema, segments, layouts, required, homes }
    }

    /// The segments that must occur below an element, and their positions among its children.
    pub(crate) fn required(&self, id: ElementId) -> &[(u32, ElementId)] {
        self.required.get(id.index()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The segments of that definition, or of that type.
    pub(crate) fn declared(&self, name: &str) -> &[ElementId] {
        self.segments.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The parent of a segment, and the segment's position among its children.
    pub(crate) fn home(&self, id: ElementId) -> (ElementId, u32) {
        self.homes.get(id.index()).copied().unwrap_or((ElementId::ROOT, 0))
    }
}

/// FNV-1a: the keys are those of a definition, which nobody chooses to make them collide.
#[derive(Debug)]
struct Cheap(u64);

impl Default for Cheap {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Cheap {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
