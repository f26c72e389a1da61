//! Rows as they are shown: plain values, ready for `--json`.

use std::fmt::Display;

use jiff::Timestamp;
use rusqlite::Row;
use serde::{Serialize, Serializer};

use crate::delivery::{DeliveryId, State};
use crate::event::{Digest, Verdict};
use crate::journal::query::{ReadError, state};
use crate::journal::schema::{number, timestamp, verdict_of};
use crate::trace::Trace;

/// An event and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// The journal's number.
    pub event: u64,
    /// The source.
    pub source: String,
    /// The id at the source.
    pub id: String,
    /// What happened.
    pub kind: String,
    /// The key.
    pub key: String,
    /// When it happened, as the sender wrote it.
    pub time: String,
    /// When it was received.
    #[serde(serialize_with = "text")]
    pub received: Timestamp,
    /// When it was decided, for the last time.
    #[serde(serialize_with = "text")]
    pub decided: Timestamp,
    /// The word.
    #[serde(serialize_with = "verdict")]
    pub verdict: Verdict,
    /// Why.
    pub causes: Vec<String>,
    /// The lifecycle step that was asked for.
    pub transition: Option<TransitionRow>,
    /// SHA-256 of its bytes.
    #[serde(serialize_with = "text")]
    pub digest: Digest,
    /// Its deliveries are this many…
    pub deliveries: u64,
    /// …from this number on.
    pub first_delivery: DeliveryId,
    /// The commit that last decided it.
    pub commit: u64,
    /// The trace context that it came with.
    #[serde(flatten, serialize_with = "context")]
    pub trace: Option<Trace>,
    /// Who published it: the attribute `source` of a CloudEvent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A lifecycle step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransitionRow {
    /// The lifecycle.
    pub lifecycle: String,
    /// The object.
    pub object: String,
    /// The status before.
    pub from: Option<String>,
    /// The status asked for.
    pub to: String,
    /// Whether the object got it.
    pub applied: bool,
}

/// A delivery and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryRow {
    /// The journal's number.
    pub delivery: DeliveryId,
    /// The event that made it.
    pub event: u64,
    /// The target.
    pub target: String,
    /// The lane.
    pub key: String,
    /// Its name at the target.
    pub name: String,
    /// The number that the receiver answers with.
    pub reference: String,
    /// The mapping that made it.
    pub mapping: String,
    /// SHA-256 of the document.
    #[serde(serialize_with = "text")]
    pub digest: Digest,
    /// Where it stands.
    #[serde(serialize_with = "state_word")]
    pub state: State,
    /// Not before.
    #[serde(serialize_with = "text")]
    pub due: Timestamp,
    /// Attempts that counted.
    pub attempts: u32,
    /// When it last changed, if ever.
    #[serde(serialize_with = "optional")]
    pub settled: Option<Timestamp>,
    /// What the target called it.
    pub answer: String,
    /// The commit that last changed it.
    pub commit: u64,
}

/// An attempt that was not plain success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptRow {
    /// When.
    #[serde(serialize_with = "text")]
    pub at: Timestamp,
    /// Which.
    pub attempt: u32,
    /// The state that it led to.
    #[serde(serialize_with = "state_word")]
    pub state: State,
    /// When it is due again, for a retry.
    #[serde(serialize_with = "text")]
    pub due: Timestamp,
    /// Why.
    pub reason: String,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionRow {
    /// When.
    #[serde(serialize_with = "text")]
    pub at: Timestamp,
    /// The user, as the user says.
    pub who: String,
    /// The user, as the operating system says; unknown for what the agent did by itself, and for
    /// what version 3 recorded.
    pub uid: Option<u32>,
    /// The reason.
    pub why: String,
    /// `release`, `discard`, `unpark`, `reprocess` or `reload`.
    pub verb: String,
    /// About which event, if about one.
    pub event: Option<u64>,
    /// To which delivery, if to one.
    pub delivery: Option<DeliveryId>,
    /// The commit.
    pub commit: u64,
}

/// Everything about one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The event.
    pub event: EventRow,
    /// Its deliveries, each with its attempts.
    pub deliveries: Vec<(DeliveryRow, Vec<AttemptRow>)>,
    /// What operators did about it.
    pub actions: Vec<ActionRow>,
}

/// What stands in front of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outbox {
    /// To be sent, prepared ones included.
    pub due: u64,
    /// Dead.
    pub dead: u64,
    /// In doubt.
    pub in_doubt: u64,
    /// When the oldest of those to be sent was decided.
    #[serde(serialize_with = "optional")]
    pub oldest: Option<Timestamp>,
}

/// The columns of [`EventRow::read`], in their order.
pub(super) const EVENT: &str = "SELECT events.id, s.name AS source, external, kind, key, time,
    received, decided, verdict, causes, l.name AS lifecycle, object, status_from, status_to, applied,
    digest, deliveries, first_delivery, committed, traceparent, tracestate, origin
    FROM events LEFT JOIN names s ON s.id = source LEFT JOIN names l ON l.id = lifecycle";

/// The columns of [`DeliveryRow::read`], in their order.
pub(super) const DELIVERY: &str = "SELECT deliveries.id, event, t.name AS target, key,
    deliveries.name, reference, m.name AS mapping, digest, state, due, attempts, settled, answer,
    committed
    FROM deliveries LEFT JOIN names t ON t.id = target LEFT JOIN names m ON m.id = mapping";

/// The columns of [`AttemptRow::read`], in their order.
pub(super) const ATTEMPT: &str = "SELECT delivery, at, attempt, state, due, reason FROM attempts";

/// The columns of [`ActionRow::read`], in their order.
pub(super) const ACTION: &str = "SELECT at, who, why, verb, delivery, committed,
    uid, event FROM actions";

impl EventRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        let event = number(row.get(0)?);
        let verdict = verdict_of(row.get(8)?);
        let causes: String = row.get(9)?;
        Ok(Self {
            event,
            source: row.get(1)?,
            id: row.get(2)?,
            kind: row.get(3)?,
            key: row.get(4)?,
            time: row.get(5)?,
            received: timestamp(row.get(6)?),
            decided: timestamp(row.get(7)?),
            verdict: verdict.ok_or(ReadError::Damaged { what: "event", id: event })?,
            causes: causes.lines().map(str::to_owned).collect(),
            transition: TransitionRow::read(row)?,
            digest: Digest(row.get(15)?),
            deliveries: number(row.get(16)?),
            first_delivery: number(row.get(17)?),
            commit: number(row.get(18)?),
            trace: trace(row, 19)?,
            origin: row.get(21)?,
        })
    }
}

/// The trace context in column `parent` and the one behind it.
pub(super) fn trace(row: &Row<'_>, parent: usize) -> rusqlite::Result<Option<Trace>> {
    let (parent, state): (Option<String>, Option<String>) =
        (row.get(parent)?, row.get(parent + 1)?);
    Ok(parent.and_then(|parent| Trace::read(&parent, &state.unwrap_or_default())))
}

impl TransitionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(lifecycle) = row.get(10)? else { return Ok(None) };
        Ok(Some(Self {
            lifecycle,
            object: row.get(11)?,
            from: row.get(12)?,
            to: row.get(13)?,
            applied: row.get(14)?,
        }))
    }
}

impl DeliveryRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            delivery: number(row.get(0)?),
            event: number(row.get(1)?),
            target: row.get(2)?,
            key: row.get(3)?,
            name: row.get(4)?,
            reference: row.get(5)?,
            mapping: row.get(6)?,
            digest: Digest(row.get(7)?),
            state: state(row, 0, 8)?,
            due: timestamp(row.get(9)?),
            attempts: row.get(10)?,
            settled: row.get::<_, Option<i64>>(11)?.map(timestamp),
            answer: row.get(12)?,
            commit: number(row.get(13)?),
        })
    }
}

impl AttemptRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            at: timestamp(row.get(1)?),
            attempt: row.get(2)?,
            state: state(row, 0, 3)?,
            due: timestamp(row.get(4)?),
            reason: row.get(5)?,
        })
    }
}

impl ActionRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            at: timestamp(row.get(0)?),
            who: row.get(1)?,
            why: row.get(2)?,
            verb: row.get(3)?,
            delivery: row.get::<_, Option<i64>>(4)?.map(number),
            commit: number(row.get(5)?),
            uid: row.get(6)?,
            event: Some(number(row.get(7)?)).filter(|event| *event > 0),
        })
    }
}

/// As `traceparent` and `tracestate`, where there are any.
fn context<S: Serializer>(trace: &Option<Trace>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(trace.iter().flat_map(Trace::headers))
}

/// As text, in JSON.
pub(super) fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn verdict<S: Serializer>(value: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_str())
}

fn state_word<S: Serializer>(value: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_str())
}
