//! How a batch becomes rows.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension as _, params};

use crate::delivery::{Due, NewDelivery, State};
use crate::event::{Decision, Digest, Verdict};
use crate::journal::entries::{EventLine, Salt, StepValues, commit_event, commitment, salts};
use crate::journal::error::{CommitError, at, size_error};
use crate::journal::filling::Filling;
use crate::journal::mend;
use crate::journal::request::{Batch, Committed};
use crate::journal::schema::{
    BUCKET_BITS, hash, nanoseconds, row_id, state_code, verdict_code, verdict_of,
};
use crate::trace::Trace;

/// Writes the rows and entries of a batch.
pub(super) fn record(filling: &mut Filling<'_>, batch: &Batch) -> Result<Committed, CommitError> {
    filling.entries.plan(&batch.plan, batch.generation);
    if let Some(operator) = &batch.operator {
        filling.entries.operator(&operator.who, &operator.why);
    }
    let salts = salts(batch.decisions.len())?;
    let commit = filling.head.number + 1;
    let mut committed = Committed {
        commit,
        events: Vec::with_capacity(batch.decisions.len()),
        deliveries: Vec::with_capacity(batch.decisions.len()),
    };
    let mut rows = Rows::prepare(filling.connection, commit)?;
    for (index, (decision, salt)) in batch.decisions.iter().zip(salts).enumerate() {
        let event = match decision.again {
            None => rows.new_event(filling, decision, &salt).map_err(|e| at(e, index))?,
            Some(event) => {
                rows.again(filling, decision, event).map_err(|error| at(error, index))?;
                if let Some(operator) = &batch.operator {
                    filling
                        .connection
                        .prepare_cached(
                            "INSERT INTO actions (at, who, why, verb, event, committed)
                             VALUES (?1, ?2, ?3, 'reprocess', ?4, ?5)",
                        )?
                        .execute(params![
                            nanoseconds(batch.at),
                            operator.who,
                            operator.why,
                            row_id(event),
                            row_id(commit)
                        ])?;
                }
                event
            }
        };
        committed.events.push(event);
    }
    committed.deliveries = rows.due;
    Ok(committed)
}

/// The statements of a batch, looked up once, and what they made.
struct Rows<'c> {
    commit: i64,
    due: Vec<Due>,
    seen: CachedStatement<'c>,
    event: CachedStatement<'c>,
    payload: CachedStatement<'c>,
    object: CachedStatement<'c>,
    word: CachedStatement<'c>,
    delivery: CachedStatement<'c>,
    document: CachedStatement<'c>,
}

impl<'c> Rows<'c> {
    fn prepare(connection: &'c Connection, commit: u64) -> rusqlite::Result<Self> {
        Ok(Self {
            commit: row_id(commit),
            due: Vec::new(),
            seen: connection.prepare_cached("INSERT INTO seen VALUES (?1, ?2, ?3)")?,
            event: connection.prepare_cached(
                "INSERT INTO events VALUES
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
            )?,
            payload: connection.prepare_cached("INSERT INTO payloads VALUES (?1, ?2, ?3)")?,
            object: connection.prepare_cached(
                "INSERT INTO objects VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
                 SET status = excluded.status, event = excluded.event",
            )?,
            word: connection
                .prepare_cached("INSERT INTO words VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?,
            delivery: connection.prepare_cached(
                "INSERT INTO deliveries VALUES
                 (?1, ?2, ?3, ?4, 0, ?5, 0, NULL, ?6, ?7, ?8, ?9, ?10, ?11, '')",
            )?,
            document: connection.prepare_cached("INSERT INTO documents VALUES (?1, ?2)")?,
        })
    }

    fn new_event(
        &mut self,
        filling: &mut Filling<'_>,
        decision: &Decision,
        salt: &Salt,
    ) -> Result<u64, CommitError> {
        let (event, header) = (filling.head.event, &decision.header);
        let seen = params![header.identity.0, row_id(event), header.digest.0];
        match self.seen.execute(seen) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                mend::replace(filling.connection, decision, event)?;
            }
            inserted => drop(inserted?),
        }
        filling.head.event += 1;
        let causes = one_text(&decision.causes);
        filling.entries.event(&event_line(
            decision,
            event,
            &event_commitment(salt, decision, &causes),
        ));
        let source = filling.names.number(filling.connection, &header.source)?;
        let step = step(filling, decision)?;
        self.event
            .execute(params![
                row_id(event),
                source,
                header.id,
                header.kind,
                header.key,
                header.time,
                nanoseconds(header.received),
                nanoseconds(decision.now),
                verdict_code(decision.verdict),
                causes,
                header.digest.0,
                step.lifecycle,
                step.object,
                step.from,
                step.to,
                step.applied,
                row_id(filling.head.delivery),
                row_id(decision.deliveries.len() as u64),
                self.commit,
                header.trace.as_ref().map(Trace::parent),
                header.trace.as_ref().map(Trace::state),
            ])
            .map_err(size_error)?;
        self.payload.execute(params![row_id(event), salt, &*decision.raw]).map_err(size_error)?;
        if let Some(trace) = &header.trace {
            self.word(event, trace.id())?;
        }
        self.consequences(filling, decision, event, salt)?;
        Ok(event)
    }

    fn again(
        &mut self,
        filling: &mut Filling<'_>,
        decision: &Decision,
        event: u64,
    ) -> Result<(), CommitError> {
        let salt = self.may_be_decided_again(filling.connection, event)?;
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
                 deliveries = ?11, committed = ?12, kind = ?13, key = ?14, time = ?15 WHERE id = ?1",
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
            ])?;
        if decision.verdict != Verdict::Failed {
            filling
                .connection
                .prepare_cached("DELETE FROM parked WHERE key = ?1 AND event = ?2")?
                .execute(params![decision.header.key, row_id(event)])?;
        }
        self.consequences(filling, decision, event, &salt)
    }

    fn may_be_decided_again(
        &self,
        connection: &Connection,
        event: u64,
    ) -> Result<Salt, CommitError> {
        let found: Option<(i64, Salt)> = connection
            .prepare_cached(
                "SELECT verdict, salt FROM events JOIN payloads ON event = id WHERE id = ?1",
            )?
            .query_row([row_id(event)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (verdict, salt) = found.ok_or(CommitError::UnknownEvent { event })?;
        match verdict_of(verdict) {
            Some(Verdict::Accepted) => {
                Err(CommitError::NotAgain { event, verdict: Verdict::Accepted })
            }
            Some(_) => Ok(salt),
            None => Err(CommitError::UnknownEvent { event }),
        }
    }

    /// All that follows from a decision, new or not.
    fn consequences(
        &mut self,
        filling: &mut Filling<'_>,
        decision: &Decision,
        event: u64,
        salt: &Salt,
    ) -> Result<(), CommitError> {
        let key = &decision.header.key;
        self.word(event, key)?;
        // Other events are found by their id through `seen`; a reused id is not.
        if decision.verdict == Verdict::Failed {
            self.word(event, &decision.header.id)?;
        }
        if let Some(transition) = &decision.transition {
            if transition.object != *key {
                self.word(event, &transition.object)?;
            }
            if transition.applied {
                let lifecycle = filling.names.number(filling.connection, &transition.lifecycle)?;
                self.object.execute(params![
                    lifecycle,
                    transition.object,
                    transition.to,
                    row_id(event)
                ])?;
            }
        }
        if decision.parks {
            filling
                .connection
                .prepare_cached("INSERT INTO parked VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute(params![key, row_id(event), nanoseconds(decision.now)])?;
        }
        for delivery in &decision.deliveries {
            self.delivery(filling, decision, delivery, Owned { event, salt })?;
        }
        Ok(())
    }

    fn delivery(
        &mut self,
        filling: &mut Filling<'_>,
        decision: &Decision,
        delivery: &NewDelivery,
        owned: Owned<'_>,
    ) -> Result<(), CommitError> {
        let id = filling.head.delivery;
        filling.head.delivery += 1;
        let digest = Digest::of(&delivery.document);
        let hidden = commitment(owned.salt, &[&delivery.key, &delivery.name, &delivery.reference]);
        filling.entries.delivery(
            id,
            owned.event,
            [&delivery.target, &delivery.mapping],
            [&digest, &hidden],
        );
        let target = filling.names.number(filling.connection, &delivery.target)?;
        let mapping = filling.names.number(filling.connection, &delivery.mapping)?;
        self.delivery.execute(params![
            row_id(id),
            row_id(owned.event),
            target,
            state_code(State::Due),
            nanoseconds(decision.now),
            self.commit,
            mapping,
            digest.0,
            delivery.key,
            delivery.name,
            delivery.reference,
        ])?;
        self.document.execute(params![row_id(id), &*delivery.document]).map_err(size_error)?;
        self.word(owned.event, &delivery.reference)?;
        if delivery.name != delivery.reference {
            self.word(owned.event, &delivery.name)?;
        }
        if delivery.key != decision.header.key {
            self.word(owned.event, &delivery.key)?;
        }
        self.due.push(Due {
            id,
            target: delivery.target.clone(),
            key: Arc::from(delivery.key.as_str()),
            state: State::Due,
            due: decision.now,
            attempts: 0,
        });
        Ok(())
    }

    fn word(&mut self, event: u64, word: &str) -> Result<(), CommitError> {
        if !word.is_empty() {
            let event = row_id(event);
            self.word.execute(params![event >> BUCKET_BITS, hash(word), event])?;
        }
        Ok(())
    }
}

/// The event that a delivery belongs to.
#[derive(Clone, Copy)]
struct Owned<'a> {
    event: u64,
    salt: &'a Salt,
}

/// The columns of a lifecycle step.
#[derive(Default)]
struct Step<'a> {
    lifecycle: Option<i64>,
    object: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    applied: Option<bool>,
}

fn step<'d>(filling: &mut Filling<'_>, decision: &'d Decision) -> Result<Step<'d>, CommitError> {
    let Some(transition) = &decision.transition else { return Ok(Step::default()) };
    Ok(Step {
        lifecycle: Some(filling.names.number(filling.connection, &transition.lifecycle)?),
        object: Some(&transition.object),
        from: transition.from.as_deref(),
        to: Some(&transition.to),
        applied: Some(transition.applied),
    })
}

fn event_line<'a>(decision: &'a Decision, event: u64, commitment: &'a Digest) -> EventLine<'a> {
    EventLine {
        event,
        verdict: decision.verdict,
        source: &decision.header.source,
        digest: &decision.header.digest,
        commitment,
        received: decision.header.received,
        decided: decision.now,
    }
}

fn event_commitment(salt: &Salt, decision: &Decision, causes: &str) -> Digest {
    let header = &decision.header;
    let step = decision.transition.as_ref().map(|step| StepValues {
        lifecycle: &step.lifecycle,
        object: &step.object,
        from: step.from.as_deref(),
        to: &step.to,
        applied: step.applied,
    });
    let head = [&*header.id, &*header.kind, &*header.key, &*header.time, causes];
    commit_event(salt, head, step, header.trace.as_ref())
}

/// The causes in one column, one per line.
fn one_text(causes: &[String]) -> String {
    match causes {
        [] => String::new(),
        [one] if !one.contains('\n') => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|cause| cause.replace('\n', " ")).collect();
            lines.join("\n")
        }
    }
}
