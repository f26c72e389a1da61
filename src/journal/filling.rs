//! The transaction that is being filled, and what the writer keeps between two of them.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::Digest;
use crate::journal::entries::{Entries, Salt, commitment};
use crate::journal::error::CommitError;
use crate::journal::open::Changes;
use crate::journal::schema::{number, row_id};

/// Where the journal stands: the last commit and the next free numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) at: i64,
    pub(super) hash: Digest,
    pub(super) event: u64,
    pub(super) delivery: u64,
    /// How many keys are parked: counted as they come and go, because a count of the table reads
    /// all of it.
    pub(super) parked: u64,
}

/// The keys that wait for an event go on.
pub(super) const FREE: &str = "DELETE FROM parked WHERE event = ?1";

/// The transaction that is being filled.
pub(super) struct Filling<'a> {
    pub(super) connection: &'a Connection,
    pub(super) head: &'a mut Head,
    pub(super) names: &'a mut Names,
    pub(super) entries: &'a mut Entries,
    pub(super) open: &'a mut Changes,
}

impl Filling<'_> {
    /// The number of this commit, as a row keeps it.
    pub(super) fn commit(&self) -> i64 {
        row_id(self.head.number + 1)
    }

    /// The number of a configured name, given now if need be.
    pub(super) fn name(&mut self, name: &Arc<str>) -> Result<i64, CommitError> {
        if let Some(known) = self.names.0.get(name) {
            return Ok(*known);
        }
        let new = self
            .connection
            .prepare_cached("INSERT INTO names (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name])?;
        let known = self
            .connection
            .prepare_cached("SELECT id FROM names WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?;
        if new > 0 {
            self.entries.name(number(known), name);
        }
        self.names.0.insert(name.clone(), known);
        Ok(known)
    }

    /// A key waits for `event`, unless it waits for another one already.
    pub(super) fn park(&mut self, key: &str, event: u64, at: i64) -> Result<(), CommitError> {
        let parked = self
            .connection
            .prepare_cached("INSERT INTO parked VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
            .execute(params![key, row_id(event), at])?;
        if parked > 0 {
            self.head.parked += 1;
            self.say_parked(event, key, at)?;
        }
        Ok(())
    }

    /// All keys that wait for `event` go on. It looks at these keys only, however many are parked.
    pub(super) fn free(&mut self, event: u64) -> Result<(), CommitError> {
        let freed = self.connection.prepare_cached(FREE)?.execute([row_id(event)])?;
        self.freed(event, freed)
    }

    /// So many keys of `event` went on: says so, and which are left.
    pub(super) fn freed(&mut self, event: u64, keys: usize) -> Result<(), CommitError> {
        if keys > 0 {
            self.head.parked = self.head.parked.saturating_sub(keys as u64);
            self.entries.unpark(event);
            self.say_all_parked(event)?;
        }
        Ok(())
    }

    /// The keys that wait for `event`; there is more than one only where its own key was corrected.
    pub(super) fn say_all_parked(&mut self, event: u64) -> Result<(), CommitError> {
        let mut statement =
            self.connection.prepare_cached("SELECT key, at FROM parked WHERE event = ?1")?;
        let mut rows = statement.query([row_id(event)])?;
        while let Some(row) = rows.next()? {
            let (key, at): (String, i64) = (row.get(0)?, row.get(1)?);
            self.say_parked(event, &key, at)?;
        }
        Ok(())
    }

    fn say_parked(&mut self, event: u64, key: &str, at: i64) -> Result<(), CommitError> {
        let hidden = salt(self.connection, row_id(event))?.map(|salt| commitment(&salt, &[key]));
        self.entries.park(event, at, hidden.as_ref());
        Ok(())
    }
}

/// The salt of an event, unless it is pruned. Events that version 3 recorded keep it beside their
/// payload.
pub(super) fn salt(connection: &Connection, event: i64) -> rusqlite::Result<Option<Salt>> {
    let own: Option<Option<Salt>> = connection
        .prepare_cached("SELECT salt FROM events WHERE id = ?1")?
        .query_row([event], |row| row.get(0))
        .optional()?;
    match own {
        Some(None) => connection
            .prepare_cached("SELECT salt FROM payloads WHERE event = ?1")?
            .query_row([event], |row| row.get(0))
            .optional(),
        own => Ok(own.flatten()),
    }
}

/// Configured names (sources, targets, mappings, lifecycles) as small numbers.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Arc<str>, i64>);

impl Names {
    /// Forgets what a transaction that was rolled back may have added.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
