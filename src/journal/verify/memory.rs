//! What the walk remembers between two slices: how far it is, and what is open there.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::request::Anchor;
use crate::journal::verify::scan::Scan;
use crate::journal::verify::{Break, MOST_BREAKS, Verification};

/// How far the walk has come.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) found: Verification,
    pub(super) anchor: Option<Anchor>,
    pub(super) anchored: bool,
    /// From the first commit on, so that every row has its entry.
    pub(super) whole: bool,
    pub(super) last: Option<Anchor>,
    /// Rows of (table, number) that name a later commit, with that commit.
    pub(super) open: BTreeMap<(&'static str, u64), u64>,
    pub(super) said: Said,
    /// Rows that are explained, by table; the same number must be there.
    pub(super) explained: BTreeMap<&'static str, u64>,
    /// Tables of which every row is asked for its reason, once the chain is at its end.
    pub(super) scans: Option<Vec<Scan>>,
}

impl Progress {
    /// From the first commit on.
    pub(super) fn new(anchor: Option<Anchor>) -> Self {
        let said = Said { next_delivery: Some(1), ..Said::default() };
        Self { anchor, anchored: anchor.is_none(), whole: true, said, ..Self::default() }
    }

    /// From the commit behind `start` on, or from the first.
    pub(super) fn after(start: Option<Anchor>) -> Self {
        match start {
            None => Self::new(None),
            Some(_) => Self { last: start, anchored: true, ..Self::default() },
        }
    }

    pub(super) fn broken(&mut self, commit: u64, what: impl Into<String>) {
        if self.found.breaks.len() < MOST_BREAKS {
            self.found.breaks.push(Break { commit, what: what.into() });
        }
    }

    /// One more row of a table has its reason.
    pub(super) fn explain(&mut self, table: &'static str) {
        *self.explained.entry(table).or_default() += 1;
    }
}

/// A payload or document that is not there, with its neighbours.
pub(super) struct Missing {
    pub(super) commit: u64,
    pub(super) what: &'static str,
    /// Its number, and that of its event: the first and the last.
    pub(super) first: (u64, u64),
    pub(super) last: (u64, u64),
}

/// What the lines so far say of small tables, and of rows that are under way.
#[derive(Default)]
pub(super) struct Said {
    /// The last event that was said as version 3 did it, once that is known.
    pub(super) format: Option<u64>,
    pub(super) journal: Option<[String; 3]>,
    pub(super) created: Option<i64>,
    pub(super) names: BTreeMap<u64, String>,
    pub(super) numbers: BTreeMap<String, u64>,
    pub(super) places: BTreeMap<String, String>,
    /// Keys that wait for an event: since when, and the commitment to each.
    pub(super) parked: BTreeMap<u64, Vec<(String, String)>>,
    /// Deliveries under way that are prepared.
    pub(super) prepared: BTreeSet<u64>,
    pub(super) next_delivery: Option<u64>,
    /// The highest number that was announced, by table.
    pub(super) highest: BTreeMap<&'static str, u64>,
    pub(super) missing: Vec<Missing>,
}

impl Said {
    /// Whether an event was said as version 3 did it; `None` where the walk began behind that.
    pub(super) fn is_old(&self, event: u64, whole: bool) -> Option<bool> {
        whole.then(|| self.format.is_none_or(|last| event <= last))
    }

    /// Hears a line that is about no single row of a large table. What is wrong with it.
    pub(super) fn hear(&mut self, words: &[&str], at: i64) -> Option<&'static str> {
        let number = |word: &&str| word.parse::<u64>().ok();
        match words {
            ["format", "2", last] => {
                if self.format.is_some() {
                    return Some("says for a second time that the journal was upgraded");
                }
                self.format = number(last);
                // Said anew from here on.
                self.names.clear();
                self.places.clear();
                self.numbers.clear();
                self.parked.clear();
            }
            ["journal", id, instance, epoch] => {
                self.created.get_or_insert(at);
                self.journal = Some([id, instance, epoch].map(|word| (*word).to_owned()));
            }
            ["name", id, name] => {
                self.names.insert(number(id)?, (*name).to_owned());
            }
            ["numbers", range, _, to] => {
                self.numbers.insert((*range).to_owned(), number(to)?);
            }
            ["place", target, place] => {
                self.places.insert((*target).to_owned(), (*place).to_owned());
            }
            ["park", event, at, hidden] => {
                let keys = self.parked.entry(number(event)?).or_default();
                keys.push(((*at).to_owned(), (*hidden).to_owned()));
            }
            ["unpark", event] => drop(self.parked.remove(&number(event)?)),
            ["pruned", from, to] => {
                let (from, to) = (number(from)?, number(to)?);
                self.missing.retain(|gone| gone.first.1 < from || gone.last.1 > to);
            }
            _ => {}
        }
        None
    }

    /// A delivery is as a line says.
    pub(super) fn settled(&mut self, delivery: u64, state: &str) {
        match state {
            "prepared" => drop(self.prepared.insert(delivery)),
            "due" => drop(self.prepared.remove(&delivery)),
            _ => {}
        }
    }

    /// The payload or document of an event is not there.
    pub(super) fn miss(&mut self, commit: u64, what: &'static str, at: (u64, u64)) {
        let before = self.missing.iter_mut().rev().find(|gone| gone.what == what);
        match before.filter(|gone| gone.last.0 + 1 == at.0 && at.1 <= gone.last.1 + 1) {
            Some(gone) => gone.last = at,
            None => self.missing.push(Missing { commit, what, first: at, last: at }),
        }
    }
}
