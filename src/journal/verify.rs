//! Whether the journal still says what it said.
//!
//! Two questions: does every link of the chain follow from the one before, and do the rows that
//! people read agree with the lines that the links are made of? A row names the commit that last
//! changed it, so it is compared with the line of that commit; a row that names a commit which
//! says nothing about it is a break too, and so is a row that no line ever announced.
//!
//! Who can write the file can also make a whole new chain. Against that only an [`Anchor`] helps
//! that is kept elsewhere.

mod lines;
mod walk;

use std::collections::BTreeMap;

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use crate::event::Digest;
use crate::journal::error::JournalError;
use crate::journal::query::Reader;
use crate::journal::request::Anchor;
use crate::journal::schema::row_id;
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
        let whole = start.is_none();
        self.walk(Progress { last: start, whole, ..Progress::new(None) }, &mut |_| {})
    }

    fn walk(
        &self,
        mut at: Progress,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verification, JournalError> {
        loop {
            // In slices: a long transaction would keep the write-ahead log from beginning anew.
            let (now, more) = self.read(|connection| {
                let mut walk = Walk { connection, at: std::mem::take(&mut at) };
                let more = walk.slice()?;
                if !more {
                    walk.end()?;
                }
                Ok((walk.at, more))
            })?;
            progress(now.found.commits);
            if !more {
                return Ok(Verification { head: now.last, ..now.found });
            }
            at = now;
        }
    }
}

/// How far the walk has come.
#[derive(Default)]
struct Progress {
    found: Verification,
    anchor: Option<Anchor>,
    anchored: bool,
    /// From the first commit on, so that every row has its entry.
    whole: bool,
    last: Option<Anchor>,
    /// Rows that name a later commit, with that commit.
    open_events: BTreeMap<u64, u64>,
    open_deliveries: BTreeMap<u64, u64>,
}

impl Progress {
    fn new(anchor: Option<Anchor>) -> Self {
        Self { anchor, anchored: anchor.is_none(), whole: true, ..Self::default() }
    }
}
