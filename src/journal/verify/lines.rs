//! The entries of one commit, read again.

use std::collections::{BTreeMap, BTreeSet};

/// The lines of one commit that matter for rows: the last one of each event and delivery.
#[derive(Default)]
pub(super) struct Lines<'t> {
    pub(super) events: BTreeMap<u64, Vec<&'t str>>,
    pub(super) deliveries: BTreeMap<u64, Vec<&'t str>>,
    pub(super) made: BTreeMap<u64, Vec<&'t str>>,
    pub(super) unknown: BTreeSet<&'t str>,
}

impl<'t> Lines<'t> {
    pub(super) fn read(text: &'t str) -> Self {
        let mut lines = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let id = words.get(1).and_then(|id| id.parse().ok());
            match (words.first().copied().unwrap_or_default(), id) {
                ("event" | "again", Some(id)) => drop(lines.events.insert(id, words)),
                ("delivery", Some(id)) => drop(lines.made.insert(id, words)),
                ("settled" | "release" | "discard", Some(id)) => {
                    lines.deliveries.insert(id, words);
                }
                ("journal" | "plan" | "operator" | "unpark" | "numbers" | "file" | "filed", _) => {}
                (verb, _) => drop(lines.unknown.insert(verb)),
            }
        }
        lines
    }
}
