//! Rows as lines of the chain, for rows of which a line says everything: the writer says them, an
//! upgrade says those that were there before, and [`verify`](super::verify) says them again and
//! compares.
//!
//! Where there is no row, nothing is said.

use rusqlite::{Connection, Row};

use crate::delivery::DeliveryId;
use crate::event::Digest;
use crate::journal::entries::{Entries, Salt, SettledLine, commitment};
use crate::journal::files::FileOutcome;
use crate::journal::filling::salt;
use crate::journal::query::{ReadError, in_row};
use crate::journal::schema::{number, row_id, state_of, timestamp};

/// What the line of an operator's action says.
pub(super) struct ActionLine<'a> {
    pub(super) action: u64,
    pub(super) at: i64,
    pub(super) who: &'a str,
    pub(super) why: &'a str,
    pub(super) uid: Option<u32>,
    pub(super) verb: &'a str,
    pub(super) event: u64,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) commit: u64,
}

/// What the line of a file says: all of its row.
pub(super) struct FileLine<'a> {
    pub(super) file: u64,
    pub(super) source: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) documents: u64,
    pub(super) begun: i64,
    pub(super) commitment: &'a Digest,
    pub(super) next_offset: u64,
    pub(super) next_index: u64,
    pub(super) duplicates: u64,
    pub(super) failed: u64,
    pub(super) ended: Option<i64>,
    pub(super) outcome: Option<&'a str>,
}

/// A row of `files`.
pub(super) fn file(
    connection: &Connection,
    file: i64,
    entries: &mut Entries,
) -> Result<(), ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT names.name AS source, digest, size, documents, begun, salt, files.name,
         next_offset, next_index, duplicates, failed, ended, outcome
         FROM files LEFT JOIN names ON names.id = source WHERE files.id = ?1",
    )?;
    let mut rows = statement.query([file])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let say = |row: &Row<'_>| {
        let (source, name): (String, String) = (row.get(0)?, row.get(6)?);
        let salt: Salt = row.get(5)?;
        let count = |index| row.get(index).map(whole);
        let outcome: Option<i64> = row.get(12)?;
        let unknown = || ReadError::Damaged { what: "file", id: number(file) };
        let outcome = outcome.map(|code| FileOutcome::of_code(code).ok_or_else(unknown));
        entries.file(&FileLine {
            file: number(file),
            source: &source,
            digest: &Digest(row.get(1)?),
            size: count(2)?,
            documents: count(3)?,
            begun: row.get(4)?,
            commitment: &commitment(&salt, &[&name]),
            next_offset: count(7)?,
            next_index: count(8)?,
            duplicates: count(9)?,
            failed: count(10)?,
            ended: row.get(11)?,
            outcome: outcome.transpose()?.map(FileOutcome::as_str),
        });
        Ok(())
    };
    in_row(row, say)
}

/// A row of `actions`.
pub(super) fn action(
    connection: &Connection,
    action: i64,
    entries: &mut Entries,
) -> Result<(), ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT at, who, why, uid, verb, event, delivery, committed FROM actions WHERE id = ?1",
    )?;
    let mut rows = statement.query([action])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    in_row(row, |row| {
        let (who, why, verb): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(4)?);
        entries.action(&ActionLine {
            action: number(action),
            at: row.get(0)?,
            who: &who,
            why: &why,
            uid: row.get(3)?,
            verb: &verb,
            event: whole(row.get(5)?),
            delivery: row.get::<_, Option<i64>>(6)?.map(whole),
            commit: whole(row.get(7)?),
        });
        Ok(())
    })
}

/// A row of `attempts`. Its reason is left out where the salt of its event is pruned.
pub(super) fn attempt(
    connection: &Connection,
    attempt: i64,
    entries: &mut Entries,
) -> Result<(), ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT delivery, state, attempt, at, attempts.due, reason,
         (SELECT event FROM deliveries d WHERE d.id = delivery) FROM attempts WHERE id = ?1",
    )?;
    let mut rows = statement.query([attempt])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    in_row(row, |row| {
        let (reason, event): (String, Option<i64>) = (row.get(5)?, row.get(6)?);
        let salt = event.map(|event| salt(connection, event)).transpose()?.flatten();
        let hidden = salt.map(|salt| commitment(&salt, &[&reason]));
        let unknown = ReadError::Damaged { what: "attempt", id: number(attempt) };
        let line = SettledLine {
            delivery: whole(row.get(0)?),
            state: state_of(row.get(1)?).ok_or(unknown)?,
            attempts: row.get(2)?,
            at: timestamp(row.get(3)?),
            due: timestamp(row.get(4)?),
            commitment: hidden.as_ref().filter(|_| !reason.is_empty()),
        };
        entries.attempt(number(attempt), &line);
        Ok(())
    })
}

/// A row of `standing`.
pub(super) fn standing(
    connection: &Connection,
    standing: i64,
    entries: &mut Entries,
) -> Result<(), ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT event, name AS lifecycle, object, status FROM standing
         LEFT JOIN names ON names.id = lifecycle WHERE standing.id = ?1",
    )?;
    let mut rows = statement.query([standing])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    in_row(row, |row| {
        let event: i64 = row.get(0)?;
        let values: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
        let values = values.each_ref().map(String::as_str);
        let hidden = salt(connection, event)?.map(|salt| commitment(&salt, &values));
        entries.stands(number(standing), whole(event), hidden.as_ref());
        Ok(())
    })
}

/// A row of `file_failures`.
pub(super) fn failure(
    connection: &Connection,
    (file, place): (u64, u64),
    entries: &mut Entries,
) -> Result<(), ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT event, start, length FROM file_failures WHERE file = ?1 AND place = ?2",
    )?;
    let mut rows = statement.query([row_id(file), row_id(place)])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    in_row(row, |row| {
        let [event, start, length] = [0, 1, 2].map(|index| row.get(index).map(whole));
        entries.failure(file, [place, event?, start?, length?]);
        Ok(())
    })
}

/// A count in a line; what no waybill writes becomes what no row can have.
fn whole(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
