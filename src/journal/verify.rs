//! Whether the journal still says what it said.
//!
//! Three questions. Does every link of the chain follow from the one before? Do the rows agree with
//! the lines that the links are made of? And is there a row that no line ever announced, or whose
//! announced row is gone? A row that changes names the commit that last changed it, so it is
//! compared with the line of that commit. What follows from other rows (identities, search words,
//! the status of objects) is derived again.
//!
//! In memory is what is open at the point that the walk has come to, and the first
//! [`MOST_BREAKS`] findings; not the journal.
//!
//! Who can write the file can also make a whole new chain. Against that only an [`Anchor`] helps
//! that is kept elsewhere.

mod deliveries;
mod derived;
mod ends;
mod events;
mod lines;
mod memory;
mod scan;
mod walk;

use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use crate::event::Digest;
use crate::journal::error::JournalError;
use crate::journal::query::{ReadError, Reader};
use crate::journal::request::Anchor;
use crate::journal::schema::row_id;
use crate::journal::verify::memory::Progress;
use crate::journal::verify::walk::Walk;

/// Disagreements that are told: where all is wrong, the first ones say so.
pub const MOST_BREAKS: usize = 1_000;

/// What [`Reader::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The commits that were looked at.
    pub commits: u64,
    /// The events that they announce.
    pub events: u64,
    /// The deliveries that they announce.
    pub deliveries: u64,
    /// Where the journal does not agree with itself; empty is good. The first
    /// [`MOST_BREAKS`] only.
    pub breaks: Vec<Break>,
    /// The last commit: kept elsewhere, it proves that nothing before it was changed.
    pub head: Option<Anchor>,
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Break {
    /// The commit that it was found at.
    pub commit: u64,
    /// What disagrees; no payload text.
    pub what: String,
}

impl Reader {
    /// Walks the whole chain, and compares the rows with it. `anchor` is a head that was kept
    /// outside, if there is one.
    pub fn verify(&self, anchor: Option<Anchor>) -> Result<Verification, JournalError> {
        self.verify_with(anchor, &mut |_| {})
    }

    /// The same; `progress` hears from time to time how many commits were looked at.
    pub fn verify_with(
        &self,
        anchor: Option<Anchor>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verification, JournalError> {
        self.walk(Progress::new(anchor), progress)
    }

    /// Walks the last commits of the chain only, about so many: what they say of each other and of
    /// the rows that they were the last to change.
    pub fn verify_last(&self, commits: u64) -> Result<Verification, JournalError> {
        let last = self.anchor()?;
        let before = last.number.saturating_sub(commits);
        let start = self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT hash FROM commits WHERE number = ?1")?;
            let hash = statement.query_row([row_id(before)], |row| row.get(0)).optional()?;
            Ok(hash.map(|hash| Anchor { number: before, hash: Digest(hash) }))
        })?;
        self.walk(Progress::after(start), &mut |_| {})
    }

    fn walk(
        &self,
        mut at: Progress,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verification, JournalError> {
        loop {
            // In slices: a long transaction would keep the write-ahead log from beginning anew.
            let (now, more) = self.read(|connection| slice(connection, std::mem::take(&mut at)))?;
            progress(now.found.commits);
            if !more {
                return Ok(Verification { head: now.last, ..now.found });
            }
            at = now;
        }
    }
}

/// One step of the walk: some commits, or some rows. Whether there is more to do.
fn slice(connection: &Connection, at: Progress) -> Result<(Progress, bool), ReadError> {
    let mut walk = Walk { connection, at };
    if walk.at.scans.is_some() {
        walk.scan()?;
    } else if walk.slice()? {
        return Ok((walk.at, true));
    } else {
        walk.end()?;
    }
    let more = walk.has_scans();
    Ok((walk.at, more))
}

/// The whole walk on one connection, inside of whatever transaction it is in.
#[cfg(test)]
pub(super) fn verify_on(
    connection: &Connection,
    anchor: Option<Anchor>,
) -> Result<Verification, ReadError> {
    let mut at = Progress::new(anchor);
    loop {
        let (now, more) = slice(connection, at)?;
        if !more {
            return Ok(Verification { head: now.last, ..now.found });
        }
        at = now;
    }
}
