//! The keys that are parked: how many, which, and why.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use crate::journal::error::JournalError;
use crate::journal::query::{ReadError, Reader, count, in_row};
use crate::journal::rows::text;
use crate::journal::schema::{nanoseconds, number, row_id, timestamp};

/// Which parked keys; all that is given must hold of the event that parked them.
#[derive(Clone, Debug, Default)]
pub struct ParkedFilter {
    /// With this text in its causes.
    pub cause: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this source.
    pub source: Option<String>,
    /// Parked at this time or later.
    pub since: Option<Timestamp>,
    /// Parked before this time.
    pub until: Option<Timestamp>,
    /// Behind this event: for the next page.
    pub after: u64,
}

/// A parked key and the event that parked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParkedRow {
    /// The key.
    pub key: String,
    /// The event.
    pub event: u64,
    /// Since when.
    #[serde(serialize_with = "text")]
    pub at: Timestamp,
    /// The kind of the event.
    pub kind: String,
    /// Why it failed.
    pub causes: Vec<String>,
}

const PARKED: &str = "SELECT parked.key, parked.event, parked.at, kind, causes
    FROM parked JOIN events ON events.id = parked.event";

impl Reader {
    /// The parked keys that a filter means, by event, at most `limit` events of them.
    pub fn parked(
        &self,
        filter: &ParkedFilter,
        limit: usize,
    ) -> Result<Vec<ParkedRow>, JournalError> {
        let never = nanoseconds(Timestamp::MAX);
        let (since, until) = (filter.since.map_or(i64::MIN, nanoseconds), filter.until);
        self.read(|connection| {
            let sql = format!(
                "{PARKED} WHERE parked.event > ?1 AND parked.at >= ?2 AND parked.at < ?3
                 AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR instr(causes, ?5) > 0)
                 AND (?6 IS NULL OR source = (SELECT id FROM names WHERE name = ?6))
                 ORDER BY parked.event, parked.key LIMIT ?7"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query(params![
                row_id(filter.after),
                since,
                until.map_or(never, nanoseconds),
                filter.kind,
                filter.cause,
                filter.source,
                count(limit),
            ])?;
            all(rows)
        })
    }

    /// What is parked under that name: the key, or the number of the event that parked it.
    pub fn parked_as(&self, word: &str) -> Result<Option<ParkedRow>, JournalError> {
        self.read(|connection| {
            let by_key = one(connection, "parked.key = ?1", word)?;
            match (by_key, word.parse()) {
                (None, Ok(event)) => one(connection, "parked.event = ?1", row_id(event)),
                (found, _) => Ok(found),
            }
        })
    }

    /// What an event has parked; one key of it, should it be more than one.
    pub fn parked_by(&self, event: u64) -> Result<Option<ParkedRow>, JournalError> {
        self.read(|connection| one(connection, "parked.event = ?1", row_id(event)))
    }

    /// How many keys are parked: it reads all of them.
    pub fn count_parked(&self) -> Result<u64, JournalError> {
        self.read(|connection| Ok(count_parked(connection)?))
    }
}

/// How many keys are parked.
pub(super) fn count_parked(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM parked", [], |row| row.get(0)).map(number)
}

fn one(
    connection: &Connection,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<ParkedRow>, ReadError> {
    let mut statement =
        connection.prepare_cached(&format!("{PARKED} WHERE {condition} LIMIT 1"))?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(read).transpose()
}

fn all(mut rows: rusqlite::Rows<'_>) -> Result<Vec<ParkedRow>, ReadError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<ParkedRow, ReadError> {
    in_row(row, |row| {
        let causes: String = row.get(4)?;
        Ok(ParkedRow {
            key: row.get(0)?,
            event: number(row.get(1)?),
            at: timestamp(row.get(2)?),
            kind: row.get(3)?,
            causes: causes.lines().map(str::to_owned).collect(),
        })
    })
}
