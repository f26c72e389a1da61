//! What operators do: to a delivery, to a parked key, to the configuration.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use crate::delivery::{DeliveryId, Due, State};
use crate::journal::entries::SettledLine;
use crate::journal::error::CommitError;
use crate::journal::filling::Filling;
use crate::journal::request::{Action, ActionDone, Done, Operator, What};
use crate::journal::said::ActionLine;
use crate::journal::schema::{nanoseconds, number, row_id, timestamp};
use crate::journal::settle::{Standing, standing, update, waiting};

/// Does what an operator asked for.
pub(super) fn act(filling: &mut Filling<'_>, action: &Action) -> Result<ActionDone, CommitError> {
    let on = match &action.what {
        What::Release(delivery) => release(filling, action, *delivery)?,
        What::Discard(delivery) => discard(filling, action, *delivery)?,
        What::Unpark(key) => unpark(filling, action, key)?,
        What::Reload { plan, generation } => {
            filling.entries.plan(plan, *generation);
            let on = On { verb: "reload", event: 0, delivery: None };
            note(filling, &action.operator, action.at, on)?;
            Done::Reloaded
        }
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
    let on = On { verb, event: number(now.event), delivery: Some(delivery) };
    note(filling, &action.operator, action.at, on)?;
    filling.entries.operated(
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
    let event = number(event);
    let on = On { verb: "unpark", event, delivery: None };
    note(filling, &action.operator, action.at, on)?;
    filling.freed(event, 1)?;
    Ok(Done::Unparked { event })
}

/// What an action was done to; event 0 is none.
#[derive(Clone, Copy)]
pub(super) struct On<'a> {
    pub(super) verb: &'a str,
    pub(super) event: u64,
    pub(super) delivery: Option<DeliveryId>,
}

/// Records who did it, and why.
pub(super) fn note(
    filling: &mut Filling<'_>,
    operator: &Operator,
    at: Timestamp,
    on: On<'_>,
) -> Result<(), CommitError> {
    let (at, commit) = (nanoseconds(at), filling.commit());
    filling
        .connection
        .prepare_cached(
            "INSERT INTO actions (at, who, why, verb, event, delivery, committed, uid)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            at,
            operator.who,
            operator.why,
            on.verb,
            row_id(on.event),
            on.delivery.map(row_id),
            commit,
            operator.uid,
        ])?;
    filling.entries.action(&ActionLine {
        action: number(filling.connection.last_insert_rowid()),
        at,
        who: &operator.who,
        why: &operator.why,
        uid: operator.uid,
        verb: on.verb,
        event: on.event,
        delivery: on.delivery,
        commit: number(commit),
    });
    Ok(())
}
