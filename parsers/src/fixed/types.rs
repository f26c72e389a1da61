//! The record types that a reader knows.

use std::sync::Arc;

use crate::document::{Kind, Layout};
use crate::fixed::counted;
use crate::fixed::index::Index;
use crate::schema::{ElementId, Schema};

/// Types by the record that a file begins with.
#[derive(Clone, Debug, Default)]
pub struct Types {
    types: Vec<Arc<Known>>,
}

/// A type with the names of its records.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) index: Index,
    /// The record that begins each document, if the type has one.
    pub(super) first: Option<String>,
    /// The record that ends each document, if there is one that must be there once.
    pub(super) last: Option<String>,
    /// The declarations of each record: longer names first, and the record that takes any last.
    records: Vec<(String, bool, Vec<ElementId>)>,
    /// The records that have a field that counts others.
    counting: Vec<ElementId>,
}

impl Known {
    fn new(schema: Arc<Schema>) -> Self {
        let mut records: Vec<(String, bool, Vec<ElementId>)> = Vec::new();
        for (id, element) in schema.elements().filter(|(_, e)| e.kind == Kind::Segment) {
            match records.iter_mut().find(|(name, ..)| *name == element.name) {
                Some((_, _, ids)) => ids.push(id),
                None => records.push((element.name.clone(), element.open, vec![id])),
            }
        }
        records.sort_by_key(|(name, any, _)| (*any, usize::MAX - name.len()));
        let root = schema.element(schema.root()).children().iter();
        let root = root.map(|id| schema.element(*id)).filter(|e| e.kind == Kind::Segment);
        let root: Vec<_> = root.collect();
        let first = root.first().filter(|e| e.max == 1 && !e.open).map(|e| e.name.clone());
        let last = root.get(1..).and_then(|rest| rest.last());
        let last = last.filter(|e| (e.min, e.max, e.open) == (1, 1, false));
        let last = last.map(|e| e.name.clone());
        let counts = |id: &ElementId| counted(schema.element(*id)).is_some();
        let counting = schema.elements().filter(|(_, e)| e.children().iter().any(counts));
        let counting = counting.map(|(id, _)| id).collect();
        let index = Index::new(schema, 0, Layout::default());
        Self { index, first, last, records, counting }
    }

    /// The number of a record, and where it is declared.
    pub(super) fn record(&self, text: &str) -> Option<(usize, &[ElementId])> {
        let is = |(name, any, _): &(String, bool, Vec<ElementId>)| *any || text.starts_with(name);
        let number = self.records.iter().position(is)?;
        Some((number, self.records.get(number).map(|(_, _, ids)| ids.as_slice())?))
    }

    /// The number of the record of that name.
    pub(super) fn number_of(&self, name: &str) -> Option<usize> {
        self.records.iter().position(|(other, ..)| other == name)
    }

    /// Whether a record has a field that counts others.
    pub(super) fn is_counting(&self, id: ElementId) -> bool {
        self.counting.contains(&id)
    }
}

impl Types {
    /// No types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type as [`read_schema`](super::read_schema) reads it. A type of the same name is
    /// replaced.
    pub fn add(&mut self, schema: Arc<Schema>) {
        self.types.retain(|known| known.index.schema.name() != schema.name());
        self.types.push(Arc::new(Known::new(schema)));
    }

    /// The schema of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Schema>> {
        let found = self.types.iter().find(|known| known.index.schema.name() == name);
        found.map(|known| &known.index.schema)
    }

    /// The type whose first record begins as this one does; else one that takes any record.
    pub(super) fn beginning_with(&self, record: &str) -> Option<&Arc<Known>> {
        let first = |known: &Known, any: bool| {
            let schema = &known.index.schema;
            let root = schema.element(schema.root()).children().iter();
            let mut records = root.map(|id| schema.element(*id));
            records.find(|element| element.kind == Kind::Segment).is_some_and(|element| {
                element.open == any && (any || record.starts_with(element.name.as_str()))
            })
        };
        let found = |any: bool| self.types.iter().find(|known| first(known, any));
        found(false).or_else(|| found(true))
    }

    /// The greatest length of a record of any type.
    pub(super) fn longest(&self) -> usize {
        self.types.iter().map(|known| super::record_length(&known.index.schema)).max().unwrap_or(0)
    }
}
