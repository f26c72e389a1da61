//! The transaction that is being filled, and what the writer keeps between two of them.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::event::Digest;
use crate::journal::entries::Entries;
use crate::journal::error::CommitError;

/// Where the journal stands: the last commit and the next free numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) at: i64,
    pub(super) hash: Digest,
    pub(super) event: u64,
    pub(super) delivery: u64,
}

/// The transaction that is being filled.
pub(super) struct Filling<'a> {
    pub(super) connection: &'a Connection,
    pub(super) head: &'a mut Head,
    pub(super) names: &'a mut Names,
    pub(super) entries: &'a mut Entries,
}

/// Configured names (sources, targets, mappings, lifecycles) as small numbers.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Arc<str>, i64>);

impl Names {
    /// Forgets what a transaction that was rolled back may have added.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The number of a name, given now if need be.
    pub(super) fn number(
        &mut self,
        connection: &Connection,
        name: &Arc<str>,
    ) -> Result<i64, CommitError> {
        if let Some(number) = self.0.get(name) {
            return Ok(*number);
        }
        connection
            .prepare_cached("INSERT INTO names (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name])?;
        let number = connection
            .prepare_cached("SELECT id FROM names WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?;
        self.0.insert(name.clone(), number);
        Ok(number)
    }
}
