//! How an event that was decided again becomes other rows.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::{Decision, Identity, Verdict};
use crate::journal::entries::Salt;
use crate::journal::error::CommitError;
use crate::journal::filling::{self, Filling};
use crate::journal::record::{Rows, event_commitment, event_line, one_text, step};
use crate::journal::said;
use crate::journal::schema::{BUCKET_BITS, hash, nanoseconds, row_id, verdict_code, verdict_of};

/// What an earlier decision said of an event.
struct Before {
    key: String,
    lifecycle: Option<String>,
    object: Option<String>,
    status: Option<String>,
    applied: bool,
}

impl Rows<'_> {
    /// Decides an event again: in its row, with its salt.
    pub(super) fn again(
        &mut self,
        filling: &mut Filling<'_>,
        decision: &Decision,
        event: u64,
    ) -> Result<(), CommitError> {
        let salt = may_be_decided_again(filling.connection, event)?;
        let before = before(filling.connection, event)?;
        let causes = one_text(&decision.causes);
        filling.entries.again(&event_line(
            decision,
            event,
            &event_commitment(&salt, decision, &causes),
        ));
        let step = step(filling, decision)?;
        filling
            .connection
            .prepare_cached(
                "UPDATE events SET decided = ?2, verdict = ?3, causes = ?4, lifecycle = ?5,
                 object = ?6, status_from = ?7, status_to = ?8, applied = ?9, first_delivery = ?10,
                 deliveries = ?11, committed = ?12, kind = ?13, key = ?14, time = ?15, origin = ?16
                 WHERE id = ?1",
            )?
            .execute(params![
                row_id(event),
                nanoseconds(decision.now),
                verdict_code(decision.verdict),
                causes,
                step.lifecycle,
                step.object,
                step.from,
                step.to,
                step.applied,
                row_id(filling.head.delivery),
                row_id(decision.deliveries.len() as u64),
                self.commit,
                decision.header.kind,
                decision.header.key,
                decision.header.time,
                decision.header.origin,
            ])?;
        if decision.verdict != Verdict::Failed {
            filling.free(event)?;
        }
        forget_words(filling.connection, decision, event, &before)?;
        self.consequences(filling, decision, event, &salt)?;
        goes_on(filling, event, &before)
    }
}

fn may_be_decided_again(connection: &Connection, event: u64) -> Result<Salt, CommitError> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT verdict FROM events JOIN payloads ON event = id WHERE id = ?1")?
        .query_row([row_id(event)], |row| row.get(0))
        .optional()?;
    let verdict = found.ok_or(CommitError::UnknownEvent { event })?;
    let salt = filling::salt(connection, row_id(event))?;
    match (verdict_of(verdict), salt) {
        (Some(Verdict::Accepted), _) => {
            Err(CommitError::NotAgain { event, verdict: Verdict::Accepted })
        }
        (Some(_), Some(salt)) => Ok(salt),
        _ => Err(CommitError::UnknownEvent { event }),
    }
}

fn before(connection: &Connection, event: u64) -> Result<Before, CommitError> {
    let before = connection
        .prepare_cached(
            "SELECT key, l.name, object, status_to, applied FROM events
             LEFT JOIN names l ON l.id = lifecycle WHERE events.id = ?1",
        )?
        .query_row([row_id(event)], |row| {
            Ok(Before {
                key: row.get(0)?,
                lifecycle: row.get(1)?,
                object: row.get(2)?,
                status: row.get(3)?,
                applied: row.get::<_, Option<bool>>(4)?.unwrap_or(false),
            })
        })?;
    Ok(before)
}

/// Takes back the words by which the event is not to be found any more. What it is found by now is
/// added again by the consequences.
fn forget_words(
    connection: &Connection,
    decision: &Decision,
    event: u64,
    before: &Before,
) -> Result<(), CommitError> {
    let header = &decision.header;
    let mut old = vec![&*before.key];
    old.extend(before.object.as_deref());
    let identity = Identity::of(&header.source, &header.id);
    let by_id: Option<i64> = connection
        .prepare_cached("SELECT event FROM seen WHERE identity = ?1")?
        .query_row([&identity.0[..]], |row| row.get(0))
        .optional()?;
    if by_id == Some(row_id(event)) {
        old.push(&header.id);
    }
    let trace = header.trace.as_ref().map(|trace| hash(trace.id()));
    let mut forget = connection
        .prepare_cached("DELETE FROM words WHERE bucket = ?1 AND hash = ?2 AND event = ?3")?;
    let event = row_id(event);
    for word in old.into_iter().filter(|word| Some(hash(word)) != trace) {
        forget.execute(params![event >> BUCKET_BITS, hash(word), event])?;
    }
    Ok(())
}

/// An object keeps the status that the earlier decision gave it, also where the new one says
/// nothing of it.
fn goes_on(filling: &mut Filling<'_>, event: u64, before: &Before) -> Result<(), CommitError> {
    let Before { lifecycle: Some(lifecycle), object: Some(object), status: Some(status), .. } =
        before
    else {
        return Ok(());
    };
    if !before.applied {
        return Ok(());
    }
    let added = filling
        .connection
        .prepare_cached(
            "INSERT INTO standing (event, lifecycle, object, status)
             SELECT o.event, o.lifecycle, o.object, o.status FROM objects o
             JOIN names l ON l.id = o.lifecycle JOIN events e ON e.id = o.event
             WHERE l.name = ?1 AND o.object = ?2 AND o.event = ?3 AND o.status = ?4
             AND NOT (e.applied IS 1 AND e.lifecycle IS o.lifecycle AND e.object IS o.object)",
        )?
        .execute(params![lifecycle, object, row_id(event), status])?;
    if added > 0 {
        let standing = filling.connection.last_insert_rowid();
        said::standing(filling.connection, standing, filling.entries)?;
    }
    Ok(())
}
