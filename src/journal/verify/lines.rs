//! The entries of one commit, read again.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::verify::memory::Said;

/// What a commit says of an event, last.
pub(super) struct EventWords<'t> {
    pub(super) words: Vec<&'t str>,
    /// Where its deliveries begin, if that is known, and how many there are.
    pub(super) deliveries: (Option<u64>, u64),
    /// Its place among the lines: what comes later in a commit was decided later.
    pub(super) place: usize,
}

/// The lines of one commit that matter for rows: the last one of each row that changes, and all
/// of those that do not.
#[derive(Default)]
pub(super) struct Lines<'t> {
    pub(super) events: BTreeMap<u64, EventWords<'t>>,
    pub(super) made: BTreeMap<u64, Vec<&'t str>>,
    pub(super) deliveries: BTreeMap<u64, Vec<&'t str>>,
    pub(super) files: BTreeMap<u64, &'t str>,
    /// Lines of rows that do not change.
    pub(super) rows: Vec<String>,
    /// What is wrong with the lines themselves.
    pub(super) wrong: BTreeSet<&'static str>,
}

impl<'t> Lines<'t> {
    /// Reads the lines of a commit made at `at`, and lets `said` hear them.
    pub(super) fn read(text: &'t str, at: i64, said: &mut Said) -> Self {
        let mut lines = Self::default();
        for (place, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let id = words.get(1).and_then(|id| id.parse().ok());
            match (words.first().copied().unwrap_or_default(), id) {
                ("event" | "again", Some(id)) => {
                    let deliveries = (said.next_delivery, 0);
                    lines.events.insert(id, EventWords { words, deliveries, place });
                }
                ("delivery", Some(id)) => lines.made(id, words, said),
                (verb @ ("settled" | "release" | "discard"), Some(id)) => {
                    said.settled(id, words.get(2).copied().unwrap_or_default());
                    if verb == "settled" && words.get(7).is_some_and(|attempt| *attempt != "-") {
                        lines.rows.push(line.replacen("settled", "attempt", 1));
                    }
                    lines.deliveries.insert(id, words);
                }
                // Version 3 said less of a file; an upgrade says it again.
                ("file", Some(id)) if words.len() > 6 => drop(lines.files.insert(id, line)),
                ("action" | "attempt" | "failure" | "stands", Some(_)) => {
                    lines.rows.push(line.to_owned())
                }
                ("plan" | "operator" | "file" | "filed", _) => {}
                (
                    "format" | "journal" | "name" | "numbers" | "place" | "park" | "unpark"
                    | "pruned",
                    _,
                ) => lines.wrong.extend(said.hear(&words, at)),
                _ => drop(lines.wrong.insert("has an entry of a kind that is not known")),
            }
        }
        lines
    }

    fn made(&mut self, id: u64, words: Vec<&'t str>, said: &mut Said) {
        let event = words.get(2).and_then(|event| event.parse().ok()).unwrap_or_default();
        if let Some(event) = self.events.get_mut(&event) {
            let (first, amount) = event.deliveries;
            event.deliveries = (first.or(Some(id)), amount + 1);
        }
        said.next_delivery = Some(id + 1);
        self.made.insert(id, words);
    }
}
