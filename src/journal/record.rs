//! How a batch becomes rows.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, ErrorCode, params};

use crate::delivery::{Due, NewDelivery, State};
use crate::event::{Decision, Digest, Identity, Verdict};
use crate::journal::entries::{EventLine, Salt, StepValues, commit_event, commitment, salts};
use crate::journal::error::{CommitError, at, size_error};
use crate::journal::filling::Filling;
use crate::journal::mend;
use crate::journal::operate::{self, On};
use crate::journal::request::{Batch, Committed};
use crate::journal::schema::{BUCKET_BITS, hash, nanoseconds, row_id, state_code, verdict_code};
use crate::trace::Trace;

/// Writes the rows and entries of a batch.
pub(super) fn record(filling: &mut Filling<'_>, batch: &Batch) -> Result<Committed, CommitError> {
    filling.entries.plan(&batch.plan, batch.generation);
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
                    let on = On { verb: "reprocess", event, delivery: None };
                    operate::note(filling, operator, batch.at, on)?;
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
pub(super) struct Rows<'c> {
    pub(super) commit: i64,
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
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                  ?19, ?20, ?21, ?22, ?23)",
            )?,
            payload: connection.prepare_cached("INSERT INTO payloads VALUES (?1, X'', ?2)")?,
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
        let replaced = self.identify(filling, decision, event)?;
        filling.head.event += 1;
        let causes = one_text(&decision.causes);
        filling.entries.event(&event_line(
            decision,
            event,
            &event_commitment(salt, decision, &causes),
        ));
        let source = filling.name(&header.source)?;
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
                header.origin,
                salt,
            ])
            .map_err(size_error)?;
        self.payload.execute(params![row_id(event), &*decision.raw]).map_err(size_error)?;
        if let Some(trace) = &header.trace {
            self.word(event, trace.id())?;
        }
        if let Some(failed) = replaced {
            mend::take_over(filling, (failed, event), decision.verdict)?;
        }
        self.consequences(filling, decision, event, salt)?;
        Ok(event)
    }

    /// Makes an event known by its identity; the failed event that had it before, if one had.
    fn identify(
        &mut self,
        filling: &Filling<'_>,
        decision: &Decision,
        event: u64,
    ) -> Result<Option<u64>, CommitError> {
        let header = &decision.header;
        let seen = params![header.identity.0, row_id(event), header.digest.0];
        match self.seen.execute(seen) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                mend::replace(filling, decision, event).map(Some)
            }
            inserted => Ok(inserted.map(|_| None)?),
        }
    }

    /// All that follows from a decision, new or not.
    pub(super) fn consequences(
        &mut self,
        filling: &mut Filling<'_>,
        decision: &Decision,
        event: u64,
        salt: &Salt,
    ) -> Result<(), CommitError> {
        let key = &decision.header.key;
        self.word(event, key)?;
        // Other events are found by their id through `seen`; a reused id is not, nor one that
        // another origin has used.
        let header = &decision.header;
        let elsewhere =
            header.origin.is_some() && header.identity != Identity::of(&header.source, &header.id);
        if decision.verdict == Verdict::Failed || elsewhere {
            self.word(event, &decision.header.id)?;
        }
        if let Some(transition) = &decision.transition {
            if transition.object != *key {
                self.word(event, &transition.object)?;
            }
            if transition.applied {
                let lifecycle = filling.name(&transition.lifecycle)?;
                self.object.execute(params![
                    lifecycle,
                    transition.object,
                    transition.to,
                    row_id(event)
                ])?;
            }
        }
        if decision.parks {
            filling.park(key, event, nanoseconds(decision.now))?;
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
        let target = filling.name(&delivery.target)?;
        let mapping = filling.name(&delivery.mapping)?;
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
        filling.open.add(target, State::Due);
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
pub(super) struct Step<'a> {
    pub(super) lifecycle: Option<i64>,
    pub(super) object: Option<&'a str>,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) applied: Option<bool>,
}

pub(super) fn step<'d>(
    filling: &mut Filling<'_>,
    decision: &'d Decision,
) -> Result<Step<'d>, CommitError> {
    let Some(transition) = &decision.transition else { return Ok(Step::default()) };
    Ok(Step {
        lifecycle: Some(filling.name(&transition.lifecycle)?),
        object: Some(&transition.object),
        from: transition.from.as_deref(),
        to: Some(&transition.to),
        applied: Some(transition.applied),
    })
}

pub(super) fn event_line<'a>(
    decision: &'a Decision,
    event: u64,
    commitment: &'a Digest,
) -> EventLine<'a> {
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

pub(super) fn event_commitment(salt: &Salt, decision: &Decision, causes: &str) -> Digest {
    let header = &decision.header;
    let step = decision.transition.as_ref().map(|step| StepValues {
        lifecycle: &step.lifecycle,
        object: &step.object,
        from: step.from.as_deref(),
        to: &step.to,
        applied: step.applied,
    });
    let head = [&*header.id, &*header.kind, &*header.key, &*header.time, causes];
    let trace = header.trace.as_ref().map(|trace| [trace.parent(), trace.state()]);
    commit_event(salt, head, step, trace, header.origin.as_deref())
}

/// The causes in one column, one per line.
pub(super) fn one_text(causes: &[String]) -> String {
    match causes {
        [] => String::new(),
        [one] if !one.contains('\n') => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|cause| cause.replace('\n', " ")).collect();
            lines.join("\n")
        }
    }
}
