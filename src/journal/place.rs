//! Where each target stood when it was last sent to.
//!
//! A delivery that was begun is finished by a look at the target: a temporary file that is gone was
//! renamed. That holds at the place where it was begun, and at no other.

use rusqlite::{OptionalExtension as _, params};

use crate::delivery::DeliveryId;
use crate::journal::error::{CommitError, JournalError};
use crate::journal::filling::Filling;
use crate::journal::query::name_number;
use crate::journal::schema::number;
use crate::journal::{Journal, Reader, writer};

/// What the name of a target's place begins with in `meta`.
pub(super) const PLACE: &str = "place:";

fn key(target: &str) -> String {
    format!("{PLACE}{target}")
}

/// Keeps the place of a target. Where it is the same, nothing is written.
pub(super) fn keep(
    filling: &mut Filling<'_>,
    target: &str,
    place: &str,
) -> Result<(), CommitError> {
    let changed = filling
        .connection
        .prepare_cached(
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value
             WHERE value IS NOT excluded.value",
        )?
        .execute(params![key(target), place])?;
    if changed > 0 {
        filling.entries.place(target, place);
    }
    Ok(())
}

impl Journal {
    /// Keeps where a target stands.
    pub async fn keep_place(&self, target: &str, place: &str) -> Result<(), CommitError> {
        let (target, place) = (target.to_owned(), place.to_owned());
        self.ask(|reply| writer::Command::Place { target, place, reply }).await
    }
}

impl Reader {
    /// Where a target stood, if it was ever sent to.
    pub fn place(&self, target: &str) -> Result<Option<String>, JournalError> {
        self.read(|connection| {
            let place = connection
                .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
                .query_row([key(target)], |row| row.get(0));
            Ok(place.optional()?)
        })
    }

    /// The deliveries of a target that were begun and of which the end is not known.
    pub fn begun(&self, target: &str) -> Result<Vec<DeliveryId>, JournalError> {
        self.read(|connection| {
            let Some(target) = name_number(connection, target)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT id FROM deliveries WHERE target = ?1 AND state < 10 AND prepared ORDER BY id",
            )?;
            let ids = statement.query_map([target], |row| row.get(0))?;
            Ok(ids.map(|id| id.map(number)).collect::<Result<_, _>>()?)
        })
    }
}
