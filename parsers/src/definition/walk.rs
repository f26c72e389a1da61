//! Where each segment of a message stands in the message's table.
//!
//! The table is walked downwards (ISO 9735 and X12 both order it so): a segment is the next that the
//! table has from where the last one stood - again the same, one further down in its group, the
//! group once more, one behind the group. Of several such places the first is taken that leaves out
//! nothing mandatory.

use crate::definition::model::{Item, Message};

/// What a segment of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A group begins.
    Open(usize),
    /// The group that began last ends.
    Close,
    /// The next segment of the message stands in the open group.
    Segment,
    /// A row is mandatory and was left out before the next segment.
    Missing(usize),
    /// The next segment, or the group that it begins, is there more often than it may.
    TooMany(usize),
    /// The table has the next segment elsewhere.
    WrongOrder,
    /// The table does not have the next segment.
    Unknown,
}

/// A level of the walk: the message, or an open group.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// The rows of it.
    start: usize,
    end: usize,
    /// The row that was met last, and how often; `start` and 0 at first.
    at: usize,
    count: u32,
}

/// A place for a segment.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// How many levels stay open.
    levels: usize,
    item: usize,
    missing: usize,
    /// It is one more than there may be.
    is_too_many: bool,
}

/// A walk through the table of a message.
#[derive(Debug)]
pub(super) struct Walk<'m> {
    items: &'m [Item],
    levels: Vec<Level>,
}

impl<'m> Walk<'m> {
    /// A walk that begins at the top.
    pub(super) fn new(message: &'m Message) -> Self {
        let items = message.items.as_slice();
        let top = Level { start: 0, end: items.len(), at: 0, count: 0 };
        Self { items, levels: vec![top] }
    }

    /// The next segment; appends what it means.
    pub(super) fn segment(&mut self, tag: &str, events: &mut Vec<Event>) {
        let Some(found) = self.candidate(tag) else {
            let is_known = self.items.iter().any(|item| !item.is_group() && item.name == tag);
            events.push(if is_known { Event::WrongOrder } else { Event::Unknown });
            return events.push(Event::Segment);
        };
        while self.levels.len() > found.levels {
            self.leave(events);
        }
        self.step(found.item, events);
        if found.is_too_many {
            events.push(Event::TooMany(found.item));
        }
        self.enter(found.item, events);
        events.push(Event::Segment);
    }

    /// The message has ended.
    pub(super) fn finish(&mut self, events: &mut Vec<Event>) {
        while !self.levels.is_empty() {
            self.leave(events);
        }
        // The message itself is no group.
        events.pop();
    }

    fn candidate(&self, tag: &str) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        let mut excess = None;
        let mut left_out = 0;
        for (at, level) in self.levels.iter().enumerate().rev() {
            let levels = at + 1;
            let own = self.items.get(level.at).filter(|_| level.count > 0);
            // What a group begins with is there once: one more of it is one more group.
            let is_trigger = at > 0 && level.at == level.start;
            let is_full = |item: &Item| self.begins(level.at, tag) && level.count >= item.max;
            if own.is_some_and(is_full) && !is_trigger {
                let over =
                    Candidate { levels, item: level.at, missing: left_out, is_too_many: true };
                excess = excess.or(Some(over));
            }
            let mut missing = left_out;
            let mut row = level.at;
            while let Some(item) = self.items.get(row).filter(|_| row < level.end) {
                let count = if row == level.at { level.count } else { 0 };
                if count < item.max && self.begins(row, tag) {
                    let found = Candidate { levels, item: row, missing, is_too_many: false };
                    if missing == 0 {
                        return Some(found);
                    }
                    if best.is_none_or(|best| missing < best.missing) {
                        best = Some(found);
                    }
                }
                missing += usize::from(count < item.min);
                row = next(row, item);
            }
            left_out = missing;
        }
        // One too many of the same is likelier than a place that leaves out what must be there.
        excess.or(best)
    }

    /// Whether a row is the segment, or a group that begins with it.
    fn begins(&self, row: usize, tag: &str) -> bool {
        let mut row = row;
        while let Some(item) = self.items.get(row) {
            if !item.is_group() {
                return item.name == tag;
            }
            row += 1;
        }
        false
    }

    /// Goes to a row of the innermost level.
    fn step(&mut self, to: usize, events: &mut Vec<Event>) {
        let Some(level) = self.levels.last_mut() else { return };
        let mut row = level.at;
        while let Some(item) = self.items.get(row).filter(|_| row < to) {
            let count = if row == level.at { level.count } else { 0 };
            if count < item.min {
                events.push(Event::Missing(row));
            }
            row = next(row, item);
        }
        if level.at != to {
            (level.at, level.count) = (to, 0);
        }
        level.count = level.count.saturating_add(1);
    }

    /// Opens the group at a row, and those that it begins with.
    fn enter(&mut self, row: usize, events: &mut Vec<Event>) {
        let mut row = row;
        while let Some(item) = self.items.get(row).filter(|item| item.is_group()) {
            events.push(Event::Open(row));
            row += 1;
            self.levels.push(Level { start: row, end: item.end, at: row, count: 1 });
        }
    }

    /// Leaves the innermost level; what it should have had is missing.
    fn leave(&mut self, events: &mut Vec<Event>) {
        let Some(level) = self.levels.pop() else { return };
        let mut row = level.at.max(level.start);
        while let Some(item) = self.items.get(row).filter(|_| row < level.end) {
            let count = if row == level.at { level.count } else { 0 };
            if count < item.min {
                events.push(Event::Missing(row));
            }
            row = next(row, item);
        }
        events.push(Event::Close);
    }
}

/// The next row of the same level.
fn next(row: usize, item: &Item) -> usize {
    if item.is_group() { item.end.max(row + 1) } else { row + 1 }
}
