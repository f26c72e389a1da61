//! A schema with what a reader looks up for every record.

use std::collections::HashMap;
use std::sync::Arc;

use crate::document::Kind;
use crate::schema::{ElementId, Schema};

/// A schema with the indexes of a reader.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) schema: Arc<Schema>,
    /// By segment definition, and by segment type where no definition has that name.
    segments: HashMap<String, Vec<ElementId>>,
    /// Of every element: its parent, and its position among the parent's children.
    homes: Vec<(ElementId, u32)>,
}

impl Index {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        let mut homes = vec![(schema.root(), 0); schema.elements().len()];
        let mut segments: HashMap<String, Vec<ElementId>> = HashMap::new();
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
        Self { schema, segments, homes }
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
