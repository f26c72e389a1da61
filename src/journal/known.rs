//! What deciding a batch has to know: one transaction for all of it.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::event::{Digest, Identity, Seen, Verdict};
use crate::facts::{Asked, Facts, Needs};
use crate::journal::error::JournalError;
use crate::journal::query::{ReadError, Reader, name_number};
use crate::journal::schema::{number, row_id, verdict_code};

impl Reader {
    /// What deciding a batch has to know.
    pub fn facts(&self, needs: &Needs) -> Result<Facts, JournalError> {
        self.read(|connection| {
            let mut facts = Facts::default();
            seen(connection, needs, &mut facts)?;
            objects(connection, needs, &mut facts)?;
            parked(connection, needs, &mut facts)?;
            Ok(facts)
        })
    }
}

fn seen(connection: &Connection, needs: &Needs, facts: &mut Facts) -> Result<(), ReadError> {
    let mut statement =
        connection.prepare_cached("SELECT event, digest FROM seen WHERE identity = ?1")?;
    let mut details = Details {
        statement: connection
            .prepare_cached("SELECT verdict, origin, salt IS NULL FROM events WHERE id = ?1")?,
    };
    let mut look = |identity: Identity| {
        let found = statement.query_row([&identity.0[..]], |row| {
            let (event, digest) = (number(row.get(0)?), Digest(row.get(1)?));
            Ok(Seen { event, digest, failed: false, sent_by: None })
        });
        found.optional()
    };
    for Asked { identity, sent_by, digest } in &needs.identities {
        for own in [*identity, *sent_by] {
            let Some(mut seen) = look(own)? else { break };
            if seen.digest != *digest {
                // Asked only here: a redelivery is a redelivery, whatever became of the event.
                details.of(&mut seen, *identity)?;
                let reused = own.reused_by(digest);
                facts.seen.extend(look(reused)?.map(|seen| (reused, seen)));
            }
            if seen.digest == *digest {
                // Another event of the batch may have looked closer.
                facts.seen.entry(own).or_insert(seen);
                break;
            }
            facts.seen.insert(own, seen);
        }
    }
    Ok(())
}

/// What is asked of an event only where another one has its identity.
struct Details<'c> {
    statement: CachedStatement<'c>,
}

impl Details<'_> {
    fn of(&mut self, seen: &mut Seen, identity: Identity) -> Result<(), ReadError> {
        let found = self.statement.query_row([row_id(seen.event)], |row| {
            let (origin, unknown): (Option<String>, bool) = (row.get(1)?, row.get(2)?);
            let unknown = unknown && origin.is_none();
            let sent_by = (!unknown).then(|| identity.sent_by(origin.as_deref()));
            Ok((row.get(0)?, sent_by))
        });
        if let Some((verdict, sent_by)) = found.optional()? {
            let verdict: i64 = verdict;
            seen.failed = verdict == verdict_code(Verdict::Failed);
            seen.sent_by = sent_by;
        }
        Ok(())
    }
}

fn objects(connection: &Connection, needs: &Needs, facts: &mut Facts) -> Result<(), ReadError> {
    let mut statement = connection
        .prepare_cached("SELECT status FROM objects WHERE lifecycle = ?1 AND object = ?2")?;
    let mut last: Option<(&Arc<str>, Option<i64>)> = None;
    for (lifecycle, object) in &needs.objects {
        let known = match last {
            Some((name, number)) if name == lifecycle => number,
            _ => name_number(connection, lifecycle)?,
        };
        last = Some((lifecycle, known));
        let Some(known) = known else { continue };
        let status = statement.query_row(params![known, object], |row| row.get(0)).optional()?;
        if let Some(status) = status {
            facts.objects.insert((lifecycle.clone(), object.clone()), status);
        }
    }
    Ok(())
}

fn parked(connection: &Connection, needs: &Needs, facts: &mut Facts) -> Result<(), ReadError> {
    let any = connection
        .prepare_cached("SELECT 1 FROM parked LIMIT 1")?
        .query_row([], |_| Ok(()))
        .optional()?;
    if any.is_none() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached("SELECT event FROM parked WHERE key = ?1")?;
    for key in &needs.keys {
        let event = statement.query_row([key], |row| row.get(0)).optional()?;
        if let Some(event) = event {
            facts.parked.insert(key.clone(), number(event));
        }
    }
    Ok(())
}
