//! What happens to a delivery after it was made: attempts, and what operators do.

use rusqlite::{OptionalExtension as _, Row, params};

use crate::delivery::{DeliveryId, Due, Outcome, Settlement, State};
use crate::event::Digest;
use crate::journal::entries::{Salt, SettledLine, commitment};
use crate::journal::error::CommitError;
use crate::journal::filling::Filling;
use crate::journal::request::{Action, ActionDone, Done, What};
use crate::journal::schema::{nanoseconds, number, row_id, state_code, state_of, timestamp};

/// What a settlement looks at.
struct Standing {
    event: i64,
    state: State,
    prepared: bool,
    due: i64,
    attempts: u32,
}

impl Standing {
    fn read(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let code = row.get(1)?;
        let standing = Self {
            event: row.get(0)?,
            state: State::Due,
            prepared: row.get(2)?,
            due: row.get(3)?,
            attempts: row.get(4)?,
        };
        Ok((standing, code))
    }
}

fn standing(filling: &Filling<'_>, delivery: DeliveryId) -> Result<Standing, CommitError> {
    let (mut standing, code) = filling
        .connection
        .prepare_cached(
            "SELECT event, state, prepared, due, attempts FROM deliveries WHERE id = ?1",
        )?
        .query_row([row_id(delivery)], Standing::read)
        .optional()?
        .ok_or(CommitError::UnknownDelivery { delivery })?;
    standing.state = state_of(code).ok_or(CommitError::UnknownDelivery { delivery })?;
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
    let now = Standing { event: was.event, state, prepared, due, attempts };
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
        filling.entries.settled(&line(settlement, &now, hidden.as_ref()));
        return Ok(());
    }
    attempt(filling, settlement, &now, state)
}

fn waiting(prepared: bool) -> State {
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
    let hidden = hide(filling, now.event, reason)?;
    let now = Standing { state, ..*now };
    filling.entries.settled(&line(settlement, &now, hidden.as_ref()));
    Ok(())
}

fn update(
    filling: &Filling<'_>,
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
            row_id(filling.head.number + 1),
        ])?;
    Ok(())
}

/// A commitment under the event's salt, where there is something to hide and the salt is not
/// pruned yet.
fn hide(filling: &Filling<'_>, event: i64, text: &str) -> Result<Option<Digest>, CommitError> {
    if text.is_empty() {
        return Ok(None);
    }
    let salt: Option<Salt> = filling
        .connection
        .prepare_cached("SELECT salt FROM payloads WHERE event = ?1")?
        .query_row([event], |row| row.get(0))
        .optional()?;
    Ok(salt.map(|salt| commitment(&salt, &[text])))
}

/// Does what an operator asked for.
pub(super) fn act(filling: &mut Filling<'_>, action: &Action) -> Result<ActionDone, CommitError> {
    filling.entries.operator(&action.who, &action.why);
    let on = match &action.what {
        What::Release(delivery) => release(filling, action, *delivery)?,
        What::Discard(delivery) => discard(filling, action, *delivery)?,
        What::Unpark(key) => unpark(filling, action, key)?,
    };
    Ok(ActionDone { commit: filling.head.number + 1, on })
}

fn release(
    filling: &mut Filling<'_>,
    action: &Action,
    delivery: DeliveryId,
) -> Result<Done, CommitError> {
    let was = standing(filling, delivery)?;
    let at = nanoseconds(action.at);
    let later = was.due > at;
    match was.state {
        State::Dead | State::InDoubt => {}
        State::Due | State::Prepared if later => {}
        state => return Err(CommitError::WrongState { delivery, state }),
    }
    // Whoever releases a doubtful delivery has decided that it is sent again.
    let prepared = was.prepared && was.state != State::InDoubt;
    let state = waiting(prepared);
    let now = Standing { state, prepared, due: at, attempts: 0, ..was };
    changed(filling, action, delivery, ("release", was.state, &now))
}

fn discard(
    filling: &mut Filling<'_>,
    action: &Action,
    delivery: DeliveryId,
) -> Result<Done, CommitError> {
    let was = standing(filling, delivery)?;
    if was.state.is_final() {
        return Err(CommitError::WrongState { delivery, state: was.state });
    }
    let now = Standing { state: State::Discarded, ..was };
    changed(filling, action, delivery, ("discard", was.state, &now))
}

fn changed(
    filling: &mut Filling<'_>,
    action: &Action,
    delivery: DeliveryId,
    (verb, was, now): (&str, State, &Standing),
) -> Result<Done, CommitError> {
    update(filling, delivery, now, action.at)?;
    note(filling, action, verb, (now.event, Some(delivery)))?;
    filling.entries.action(
        verb,
        &SettledLine {
            delivery,
            state: now.state,
            attempts: now.attempts,
            at: action.at,
            due: timestamp(now.due),
            commitment: None,
        },
    );
    let (target, key): (String, String) = filling
        .connection
        .prepare_cached(
            "SELECT names.name, key FROM deliveries JOIN names ON names.id = target
             WHERE deliveries.id = ?1",
        )?
        .query_row([row_id(delivery)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let due = Due {
        id: delivery,
        target: target.into(),
        key: key.into(),
        state: now.state,
        due: timestamp(now.due),
        attempts: now.attempts,
    };
    Ok(Done::Delivery { now: due, was })
}

fn unpark(filling: &mut Filling<'_>, action: &Action, key: &str) -> Result<Done, CommitError> {
    let event: Option<i64> = filling
        .connection
        .prepare_cached("DELETE FROM parked WHERE key = ?1 RETURNING event")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let event = event.ok_or(CommitError::NotParked)?;
    note(filling, action, "unpark", (event, None))?;
    filling.entries.unpark(number(event));
    Ok(Done::Unparked { event: number(event) })
}

fn note(
    filling: &Filling<'_>,
    action: &Action,
    verb: &str,
    (event, delivery): (i64, Option<DeliveryId>),
) -> Result<(), CommitError> {
    filling
        .connection
        .prepare_cached(
            "INSERT INTO actions (at, who, why, verb, event, delivery, committed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            nanoseconds(action.at),
            action.who,
            action.why,
            verb,
            event,
            delivery.map(row_id),
            row_id(filling.head.number + 1),
        ])?;
    Ok(())
}
