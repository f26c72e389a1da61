//! How many deliveries of each target are not final: counted as they change, because a count of the
//! table reads every one of them, and an agent is asked once a second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _};

use crate::delivery::State;
use crate::journal::error::JournalError;
use crate::journal::rows::Outbox;
use crate::journal::schema::{number, state_of, timestamp};
use crate::journal::{Journal, Reader};

/// The counts of one target: to be sent, dead, in doubt.
type Counts = [u64; 3];

/// The counts of all targets, by the number of their name; clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Open(Arc<Mutex<BTreeMap<i64, Counts>>>);

/// What the transaction that is being filled changes of them.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(i64, State, bool)>);

/// Its place among the counts; none for what is final.
fn place(state: State) -> Option<usize> {
    match state {
        State::Due | State::Prepared => Some(0),
        State::Dead => Some(1),
        State::InDoubt => Some(2),
        State::Delivered | State::Discarded => None,
    }
}

impl Changes {
    /// A delivery of a target is new.
    pub(super) fn add(&mut self, target: i64, state: State) {
        self.0.push((target, state, true));
    }

    /// A delivery of a target is in another state.
    pub(super) fn change(&mut self, target: i64, from: State, to: State) {
        if place(from) != place(to) {
            self.0.push((target, from, false));
            self.0.push((target, to, true));
        }
    }

    /// The transaction was undone.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Open {
    /// Counts them once, by reading all of them.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(
            "SELECT target, state, count(*) FROM deliveries WHERE state < 10 GROUP BY target, state",
        )?;
        let mut rows = statement.query([])?;
        let mut all = BTreeMap::<i64, Counts>::new();
        while let Some(row) = rows.next()? {
            let state = state_of(row.get(1)?).unwrap_or(State::Due);
            let counts = all.entry(row.get(0)?).or_default();
            if let Some(count) = place(state).and_then(|at| counts.get_mut(at)) {
                *count += number(row.get(2)?);
            }
        }
        Ok(Self(Arc::new(Mutex::new(all))))
    }

    /// The transaction is durable.
    pub(super) fn apply(&self, changes: &mut Changes) {
        if changes.0.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (target, state, more) in changes.0.drain(..) {
            let counts = all.entry(target).or_default();
            if let Some(count) = place(state).and_then(|at| counts.get_mut(at)) {
                *count = if more { *count + 1 } else { count.saturating_sub(1) };
            }
        }
    }

    fn counts(&self) -> BTreeMap<i64, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Journal {
    /// What stands in front of each target that has any. It reads one delivery of each target.
    pub fn outbox(&self) -> Result<BTreeMap<String, Outbox>, JournalError> {
        let counts = self.shared.open.counts();
        let reader: &Reader = self;
        reader.read(|connection| {
            let mut name = connection.prepare_cached("SELECT name FROM names WHERE id = ?1")?;
            let mut oldest = connection.prepare_cached(OLDEST)?;
            let mut all = BTreeMap::new();
            for (target, [due, dead, in_doubt]) in counts {
                if due + dead + in_doubt == 0 {
                    continue;
                }
                let at = match due {
                    0 => None,
                    _ => oldest.query_row([target], |row| row.get(0)).optional()?,
                };
                let oldest = at.map(timestamp);
                let name: Option<String> = name.query_row([target], |row| row.get(0)).optional()?;
                all.extend(name.map(|name| (name, Outbox { due, dead, in_doubt, oldest })));
            }
            Ok(all)
        })
    }
}

/// When the oldest delivery of a target that is to be sent was decided. Dead ones before it are
/// passed over.
pub(super) const OLDEST: &str =
    "SELECT decided FROM deliveries d JOIN events ON events.id = d.event
    WHERE d.target = ?1 AND d.state < 10 AND d.state IN (1, 2) ORDER BY d.id LIMIT 1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema::state_code;

    #[test]
    fn the_codes_of_what_is_to_be_sent_are_those_of_the_query() {
        let codes = [State::Due, State::Prepared].map(state_code);
        assert_eq!(codes, [1, 2]);
    }
}
