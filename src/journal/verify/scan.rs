//! Every row of a table is asked for its reason, because there are more or fewer than the chain
//! explains: rows that were added, and rows that changed while the walk was under way.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, params_from_iter};

use crate::event::Digest;
use crate::journal::query::{ReadError, in_row};
use crate::journal::schema::{number, row_id};
use crate::journal::verify::walk::Walk;

/// Rows that are read in one transaction.
const SLICE: usize = 5_000;

/// How far a table was asked.
pub(super) struct Scan {
    table: &'static str,
    after: Vec<Value>,
}

impl Scan {
    pub(super) fn of(table: &'static str) -> Self {
        Self { table, after: Vec::new() }
    }

    /// The columns of the key, and all columns, the key first.
    fn columns(&self) -> (&'static str, usize, &'static str) {
        match self.table {
            "seen" => ("identity", 1, "identity, event, digest"),
            "words" => ("bucket, hash, event", 3, "bucket, hash, event"),
            _ => ("lifecycle, object", 2, "lifecycle, object, status, event"),
        }
    }
}

impl Walk<'_> {
    pub(super) fn has_scans(&self) -> bool {
        self.at.scans.as_ref().is_some_and(|scans| !scans.is_empty())
    }

    /// Some rows on.
    pub(super) fn scan(&mut self) -> Result<(), ReadError> {
        let Some(mut scan) = self.at.scans.as_mut().and_then(Vec::pop) else { return Ok(()) };
        let (key, width, columns) = scan.columns();
        let marks = vec!["?"; width].join(", ");
        let from = if scan.after.is_empty() {
            String::new()
        } else {
            format!("WHERE ({key}) > ({marks})")
        };
        let table = scan.table;
        let sql = format!("SELECT {columns} FROM {table} {from} ORDER BY {key} LIMIT {SLICE}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(std::mem::take(&mut scan.after)))?;
        let mut amount = 0;
        while let Some(row) = rows.next()? {
            amount += 1;
            scan.after = (0..width).map(|index| row.get(index)).collect::<Result<_, _>>()?;
            self.explained(table, row)?;
        }
        if amount == SLICE {
            self.at.scans.get_or_insert_default().push(scan);
        }
        Ok(())
    }

    fn explained(&mut self, table: &str, row: &Row<'_>) -> Result<(), ReadError> {
        let own = self.at.last.map_or(0, |last| last.number);
        let read = in_row(row, |row| match table {
            "seen" => self.identity(row),
            "words" => self.word(row),
            _ => self.status(row),
        });
        let (event, is_explained) = match read {
            Ok(read) => read,
            Err(error) => {
                self.readable::<()>(own, (table, "?"), Err(error))?;
                return Ok(());
            }
        };
        if !is_explained {
            self.broken(own, format!("table {table}, a row of event {event}: nothing explains it"));
        }
        Ok(())
    }

    /// An event for the sake of another table: what is wrong with itself was said.
    fn quietly(&self, event: u64) -> Result<Option<super::events::Stored>, ReadError> {
        let mut other = Walk { connection: self.connection, at: Default::default() };
        other.stored(0, event)
    }

    fn identity(&self, row: &Row<'_>) -> Result<(u64, bool), ReadError> {
        let (identity, event): ([u8; 16], u64) = (row.get(0)?, number(row.get(1)?));
        let digest = Digest(row.get(2)?);
        let stored = self.quietly(event)?;
        let own = stored.is_some_and(|stored| {
            stored.digest == digest && stored.identities().iter().any(|own| own.0 == identity)
        });
        Ok((event, own))
    }

    fn word(&self, row: &Row<'_>) -> Result<(u64, bool), ReadError> {
        let (bucket, hash, event): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let Some(stored) = self.quietly(number(event))? else { return Ok((number(event), false)) };
        let own = event >> crate::journal::schema::BUCKET_BITS == bucket
            && self.words_of(&stored)?.contains(&hash);
        Ok((stored.event, own || self.was_decided_again_by_version_3(stored.event)?))
    }

    /// Version 3 left the words of earlier decisions where they were.
    fn was_decided_again_by_version_3(&self, event: u64) -> Result<bool, ReadError> {
        if self.at.said.is_old(event, true) == Some(false) {
            return Ok(false);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT instr(char(10) || CAST(entries AS TEXT), char(10) || 'again ' || ?1 || ' ') > 0
             FROM commits JOIN events ON commits.number = events.committed WHERE events.id = ?1",
        )?;
        Ok(statement.query_row([row_id(event)], |row| row.get(0)).optional()?.unwrap_or(false))
    }

    fn status(&self, row: &Row<'_>) -> Result<(u64, bool), ReadError> {
        let (lifecycle, object, status): (i64, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let event = number(row.get(3)?);
        let Some(stored) = self.quietly(event)? else { return Ok((event, false)) };
        let own = stored.step.is_some_and(|step| {
            step.applied
                && step.lifecycle == lifecycle
                && step.object == object
                && step.to == status
        });
        Ok((event, own || self.stands(event, (lifecycle, &object), Some(&status))?))
    }
}
