//! Which segments are open, and what they have had so far.

use crate::fixed::index::Index;
use crate::path::append_name;
use crate::reading::Place;
use crate::schema::{Element, ElementId};

/// The open segments of one document, the root first.
#[derive(Debug, Default)]
pub(crate) struct Nest {
    open: Vec<Open>,
    /// For each open segment and each of its declared children: how many there were.
    counts: Vec<u64>,
}

/// An open segment, or the root.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) id: ElementId,
    /// Where it began.
    pub(crate) place: Place,
    /// `SEGNUM`; that of the root is 0.
    number: Option<u32>,
    /// How many segments of its name were before it.
    before: u64,
    /// The furthest of its declared children that was opened, and the last one.
    furthest: u32,
    last: u32,
    /// Where its children begin in [`Nest::counts`].
    counts: usize,
}

impl Open {
    pub(crate) fn new(id: ElementId, number: Option<u32>, before: u64, place: Place) -> Self {
        Self { id, place, number, before, furthest: 0, last: 0, counts: 0 }
    }

    /// The declared children of which there were too few, and how many there were.
    pub(crate) fn missing<'k>(&self, kind: &'k Index, nest: &Nest) -> Vec<(&'k Element, u64)> {
        let required = kind.required(self.id).iter();
        let counted = required.map(|(at, id)| (kind.schema.element(*id), nest.count(self, *at)));
        counted.filter(|(element, count)| *count < u64::from(element.min)).collect()
    }
}

/// What is known when a segment is entered.
pub(crate) struct Entry {
    /// How many of its name were before it below the same parent.
    pub(crate) before: u64,
    /// It stands behind one that it must precede, and is the first of a run.
    pub(crate) too_early: bool,
    /// `SEGNUM` of the parent.
    pub(crate) parent: Option<u32>,
}

impl Nest {
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn last(&self) -> Option<&Open> {
        self.open.last()
    }

    /// Opens a segment that has so many declared children.
    pub(crate) fn push(&mut self, open: Open, children: usize) {
        let counts = self.counts.len();
        self.counts.resize(counts + children, 0);
        self.open.push(Open { counts, ..open });
    }

    pub(crate) fn pop(&mut self) {
        if let Some(open) = self.open.pop() {
            self.counts.truncate(open.counts);
        }
    }

    /// Counts a child of the segment opened last, declared at `position`.
    pub(crate) fn enter(&mut self, position: u32) -> Entry {
        let Some(parent) = self.open.last_mut() else {
            return Entry { before: 0, too_early: false, parent: None };
        };
        let too_early = position < parent.furthest && position != parent.last;
        parent.last = position;
        parent.furthest = parent.furthest.max(position);
        let mut before = 0;
        if let Some(count) = self.counts.get_mut(parent.counts + position as usize) {
            before = *count;
            *count += 1;
        }
        Entry { before, too_early, parent: parent.number }
    }

    /// The open segment (by depth) and the declaration that a segment belongs to: the innermost
    /// one where it is in order and still allowed, else the innermost one; among equals, the one
    /// that `PSGNUM` names.
    pub(crate) fn place_of(
        &self,
        kind: &Index,
        candidates: &[ElementId],
        parent: Option<u32>,
    ) -> Option<(usize, ElementId)> {
        let mut best = None;
        for (depth, open) in self.open.iter().enumerate().rev() {
            for id in candidates.iter().copied() {
                let (home, position) = kind.home(id);
                if home != open.id {
                    continue;
                }
                let fits = position >= open.furthest
                    && self.count(open, position) < kind.schema.element(id).max;
                let named = parent.is_some() && parent == open.number;
                let rank = 2 * u32::from(fits) + u32::from(named);
                if best.is_none_or(|(other, _, _)| rank > other) {
                    best = Some((rank, depth, id));
                }
            }
        }
        best.map(|(_, depth, id)| (depth, id))
    }

    /// The first mandatory segment that has not come, and still could below what is open.
    pub(crate) fn due<'k>(&self, kind: &'k Index) -> Option<&'k Element> {
        self.open.iter().rev().find_map(|open| {
            let ahead = kind.required(open.id).iter().filter(|(at, _)| *at >= open.furthest);
            let mut counted =
                ahead.map(|(at, id)| (kind.schema.element(*id), self.count(open, *at)));
            counted.find(|(element, count)| *count < u64::from(element.min)).map(|(it, _)| it)
        })
    }

    fn count(&self, open: &Open, position: u32) -> u64 {
        self.counts.get(open.counts + position as usize).copied().unwrap_or(0)
    }

    /// `E1EDP01[3]/E1EDP19`.
    pub(crate) fn path(&self, kind: &Index) -> String {
        let mut path = String::new();
        for open in self.open.iter().skip(1) {
            append_name(&mut path, &kind.schema.element(open.id).name);
            if open.before > 0 {
                path += &format!("[{}]", open.before);
            }
        }
        path
    }
}
