//! What comes of the attempts to send a delivery.

use rusqlite::{OptionalExtension as _, Row, params};

use crate::delivery::{DeliveryId, Outcome, Settlement, State};
use crate::event::Digest;
use crate::journal::entries::{SettledLine, commitment};
use crate::journal::error::CommitError;
use crate::journal::filling::{Filling, salt};
use crate::journal::schema::{nanoseconds, number, row_id, state_code, state_of, timestamp};

/// What a settlement looks at.
pub(super) struct Standing {
    pub(super) event: i64,
    pub(super) target: i64,
    /// The state that the journal has.
    pub(super) from: State,
    pub(super) state: State,
    pub(super) prepared: bool,
    pub(super) due: i64,
    pub(super) attempts: u32,
}

impl Standing {
    fn read(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let code = row.get(1)?;
        let standing = Self {
            event: row.get(0)?,
            target: row.get(5)?,
            from: State::Due,
            state: State::Due,
            prepared: row.get(2)?,
            due: row.get(3)?,
            attempts: row.get(4)?,
        };
        Ok((standing, code))
    }
}

pub(super) fn standing(
    filling: &Filling<'_>,
    delivery: DeliveryId,
) -> Result<Standing, CommitError> {
    let (mut standing, code) = filling
        .connection
        .prepare_cached(
            "SELECT event, state, prepared, due, attempts, target FROM deliveries WHERE id = ?1",
        )?
        .query_row([row_id(delivery)], Standing::read)
        .optional()?
        .ok_or(CommitError::UnknownDelivery { delivery })?;
    standing.state = state_of(code).ok_or(CommitError::UnknownDelivery { delivery })?;
    standing.from = standing.state;
    Ok(standing)
}

/// Records the outcomes of attempts.
///
/// *Delivered* wins over everything, even over an operator who gave the delivery up in the
/// meantime; anything else leaves a final delivery as it is.
pub(super) fn settle(
    filling: &mut Filling<'_>,
    settlements: &[Settlement],
) -> Result<(), CommitError> {
    for settlement in settlements {
        let was = standing(filling, settlement.id)?;
        let delivered = matches!(settlement.outcome, Outcome::Delivered { .. });
        match was.state {
            State::Delivered => {}
            // A step towards an attempt says nothing of a delivery that was given up.
            State::Discarded if settlement.outcome.is_step() => {}
            State::Discarded if !delivered => {
                update(filling, settlement.id, &was, settlement.at)?;
                attempt(filling, settlement, &was, State::Discarded)?;
            }
            _ => apply(filling, settlement, &was)?,
        }
    }
    Ok(())
}

fn apply(
    filling: &mut Filling<'_>,
    settlement: &Settlement,
    was: &Standing,
) -> Result<(), CommitError> {
    let (state, prepared, due, text) = match &settlement.outcome {
        Outcome::Prepared => (State::Prepared, true, was.due, ""),
        Outcome::Unprepared => (State::Due, false, was.due, ""),
        Outcome::Delivered { reference } => (State::Delivered, was.prepared, was.due, &**reference),
        // What was prepared once stays so: the next attempt has to look for it.
        Outcome::Retry { due, reason } => {
            (waiting(was.prepared), was.prepared, nanoseconds(*due), &**reason)
        }
        Outcome::Dead { reason } => (State::Dead, was.prepared, was.due, &**reason),
        Outcome::InDoubt { reason } => (State::InDoubt, was.prepared, was.due, &**reason),
    };
    let attempts = was.attempts.saturating_add(u32::from(!settlement.outcome.is_step()));
    let now = Standing { state, prepared, due, attempts, ..*was };
    update(filling, settlement.id, &now, settlement.at)?;
    if let Outcome::Delivered { reference } = &settlement.outcome
        && !reference.is_empty()
    {
        filling
            .connection
            .prepare_cached("UPDATE deliveries SET answer = ?2 WHERE id = ?1")?
            .execute(params![row_id(settlement.id), reference])?;
    }
    if settlement.outcome.is_step() || state == State::Delivered {
        let hidden = hide(filling, was.event, text)?;
        filling.entries.settled(&line(settlement, &now, hidden.as_ref()), None);
        return Ok(());
    }
    attempt(filling, settlement, &now, state)
}

pub(super) fn waiting(prepared: bool) -> State {
    if prepared { State::Prepared } else { State::Due }
}

fn line<'a>(
    settlement: &Settlement,
    now: &Standing,
    commitment: Option<&'a Digest>,
) -> SettledLine<'a> {
    SettledLine {
        delivery: settlement.id,
        state: now.state,
        attempts: now.attempts,
        at: settlement.at,
        due: timestamp(now.due),
        commitment,
    }
}

/// Keeps an attempt that was not plain success.
fn attempt(
    filling: &mut Filling<'_>,
    settlement: &Settlement,
    now: &Standing,
    state: State,
) -> Result<(), CommitError> {
    let reason = match &settlement.outcome {
        Outcome::Retry { reason, .. } | Outcome::Dead { reason } | Outcome::InDoubt { reason } => {
            reason
        }
        Outcome::Prepared | Outcome::Unprepared | Outcome::Delivered { .. } => return Ok(()),
    };
    filling
        .connection
        .prepare_cached(
            "INSERT INTO attempts (delivery, at, attempt, state, due, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            row_id(settlement.id),
            nanoseconds(settlement.at),
            now.attempts,
            state_code(state),
            now.due,
            reason
        ])?;
    let id = number(filling.connection.last_insert_rowid());
    let hidden = hide(filling, now.event, reason)?;
    let now = Standing { state, ..*now };
    filling.entries.settled(&line(settlement, &now, hidden.as_ref()), Some(id));
    Ok(())
}

pub(super) fn update(
    filling: &mut Filling<'_>,
    delivery: DeliveryId,
    now: &Standing,
    at: jiff::Timestamp,
) -> Result<(), CommitError> {
    filling
        .connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, prepared = ?3, due = ?4, attempts = ?5,
             settled = ?6, committed = ?7 WHERE id = ?1",
        )?
        .execute(params![
            row_id(delivery),
            state_code(now.state),
            now.prepared,
            now.due,
            now.attempts,
            nanoseconds(at),
            filling.commit(),
        ])?;
    filling.open.change(now.target, now.from, now.state);
    Ok(())
}

/// A commitment under the event's salt, where there is something to hide and the salt is not
/// pruned yet.
fn hide(filling: &Filling<'_>, event: i64, text: &str) -> Result<Option<Digest>, CommitError> {
    if text.is_empty() {
        return Ok(None);
    }
    let salt = salt(filling.connection, event)?;
    Ok(salt.map(|salt| commitment(&salt, &[text])))
}
