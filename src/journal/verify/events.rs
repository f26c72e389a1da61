//! The row of an event, and its payload.

use rusqlite::Row;

use crate::event::{Digest, Verdict};
use crate::journal::entries::{Salt, StepValues, commit_event, word};
use crate::journal::query::{ReadError, in_row};
use crate::journal::schema::{number, row_id, verdict_of};
use crate::journal::verify::lines::{EventWords, Lines};
use crate::journal::verify::walk::Walk;

/// An event as it is stored.
pub(super) struct Stored {
    pub(super) event: u64,
    pub(super) source: String,
    /// Id, kind, key, time and causes.
    pub(super) head: [String; 5],
    received: i64,
    decided: i64,
    pub(super) verdict: Verdict,
    pub(super) step: Option<Step>,
    pub(super) digest: Digest,
    pub(super) first_delivery: i64,
    pub(super) deliveries: i64,
    pub(super) committed: u64,
    pub(super) trace: Option<[String; 2]>,
    pub(super) origin: Option<String>,
    salt: Option<Salt>,
    payload: Option<Payload>,
}

/// A lifecycle step as it is stored.
pub(super) struct Step {
    pub(super) lifecycle: i64,
    pub(super) name: String,
    pub(super) object: String,
    from: Option<String>,
    pub(super) to: String,
    pub(super) applied: bool,
}

struct Payload {
    salt: Vec<u8>,
    digest: Digest,
}

const STORED: &str = "SELECT events.id, s.name AS source, external, kind, key, time, causes,
    received, decided, verdict, lifecycle, l.name AS \"names.name\", object, status_from, status_to,
    applied, digest, first_delivery, deliveries, committed, traceparent, tracestate, origin,
    events.salt, p.event, p.salt AS \"payloads.salt\", p.raw AS \"payloads.raw\"
    FROM events LEFT JOIN names s ON s.id = source LEFT JOIN names l ON l.id = lifecycle
    LEFT JOIN payloads p ON p.event = events.id WHERE events.id = ?1";

impl Stored {
    fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        let event = number(row.get(0)?);
        let unknown = || ReadError::Damaged { what: "event", id: event };
        let (parent, state): (Option<String>, Option<String>) = (row.get(20)?, row.get(21)?);
        let trace = (parent.is_some() || state.is_some())
            .then(|| [parent.unwrap_or_default(), state.unwrap_or_default()]);
        let payload = match row.get::<_, Option<i64>>(24)? {
            None => None,
            Some(_) => {
                let raw = row.get_ref(26)?.as_blob();
                let digest = raw.map(Digest::of).map_err(|_| column("payloads.raw", row, 26))?;
                Some(Payload { salt: row.get(25)?, digest })
            }
        };
        Ok(Self {
            event,
            source: row.get(1)?,
            head: [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?],
            received: row.get(7)?,
            decided: row.get(8)?,
            verdict: verdict_of(row.get(9)?).ok_or_else(unknown)?,
            step: Step::read(row)?,
            digest: Digest(row.get(16)?),
            first_delivery: row.get(17)?,
            deliveries: row.get(18)?,
            committed: number(row.get(19)?),
            trace,
            origin: row.get(22)?,
            salt: row.get(23)?,
            payload,
        })
    }

    /// The salt of its commitment, wherever it is kept.
    fn salt(&self) -> Option<Salt> {
        self.salt.or_else(|| self.payload.as_ref()?.salt.as_slice().try_into().ok())
    }

    fn commitment(&self, salt: &Salt) -> Digest {
        let step = self.step.as_ref().map(|step| StepValues {
            lifecycle: &step.name,
            object: &step.object,
            from: step.from.as_deref(),
            to: &step.to,
            applied: step.applied,
        });
        let head = self.head.each_ref().map(String::as_str);
        let trace = self.trace.as_ref().map(|trace| trace.each_ref().map(String::as_str));
        commit_event(salt, head, step, trace, self.origin.as_deref())
    }
}

fn column(name: &str, row: &Row<'_>, index: usize) -> ReadError {
    let found = row.get_ref(index).map(|value| value.data_type().to_string());
    ReadError::Column { column: name.to_owned(), found: found.unwrap_or_default() }
}

impl Step {
    fn read(row: &Row<'_>) -> Result<Option<Self>, ReadError> {
        let Some(lifecycle) = row.get::<_, Option<i64>>(10)? else {
            for index in 12..=15 {
                // Without a lifecycle there is nothing else of a step.
                if row.get_ref(index)? != rusqlite::types::ValueRef::Null {
                    let name = row.as_ref().column_name(index).unwrap_or("?").to_owned();
                    return Err(column(&name, row, index));
                }
            }
            return Ok(None);
        };
        let applied: i64 = row.get(15)?;
        if !(0..=1).contains(&applied) {
            return Err(column("applied", row, 15));
        }
        Ok(Some(Self {
            lifecycle,
            name: row.get(11)?,
            object: row.get(12)?,
            from: row.get(13)?,
            to: row.get(14)?,
            applied: applied == 1,
        }))
    }
}

impl Walk<'_> {
    /// An event as it is stored, if it is there and can be read.
    pub(super) fn stored(&mut self, commit: u64, event: u64) -> Result<Option<Stored>, ReadError> {
        let mut statement = self.connection.prepare_cached(STORED)?;
        let mut rows = statement.query([row_id(event)])?;
        let Some(row) = rows.next()? else {
            self.broken(commit, format!("event {event} is gone"));
            return Ok(None);
        };
        let read = in_row(row, Stored::read);
        self.readable(commit, ("events", event), read)
    }

    /// Compares an event with its line, where that is the last one about it.
    pub(super) fn event(
        &mut self,
        commit: u64,
        event: u64,
        lines: &Lines<'_>,
    ) -> Result<(), ReadError> {
        let (Some(said), Some(row)) = (lines.events.get(&event), self.stored(commit, event)?)
        else {
            return Ok(());
        };
        if !self.is_last(commit, row.committed, (event, "event")) {
            return Ok(());
        }
        for what in self.differences(&row, said) {
            self.broken(commit, format!("event {event}: its {what} is not what was recorded"));
        }
        if row.payload.is_none() {
            self.at.said.miss(commit, "payload", (event, event));
        }
        self.recognised(commit, &row)?;
        self.found_by_words(commit, &row)?;
        self.object(commit, &row, lines)
    }

    fn differences(&self, row: &Stored, said: &EventWords<'_>) -> Vec<&'static str> {
        let &[_, _, verdict, source, digest, hidden, received, decided] = &said.words[..] else {
            return vec!["entry"];
        };
        let mut wrong = Vec::new();
        let mut check = |same: bool, what| wrong.extend((!same).then_some(what));
        check(Verdict::parse(verdict) == Some(row.verdict), "verdict");
        check(source == word(&row.source), "source");
        check(digest == row.digest.to_string(), "digest");
        check(received == row.received.to_string(), "time of receipt");
        check(decided == row.decided.to_string(), "time of decision");
        let (first, amount) = said.deliveries;
        check(row.deliveries == row_id(amount), "number of deliveries");
        check(first.is_none_or(|first| row.first_delivery == row_id(first)), "first delivery");
        let bytes = row.payload.as_ref().map(|payload| payload.digest);
        check(bytes.is_none_or(|digest| digest == row.digest), "bytes");
        let hidden_is = |salt| hidden == row.commitment(&salt).to_string();
        match row.salt() {
            Some(salt) => {
                check(hidden_is(salt), "id, kind, key, time, step, trace, origin or causes")
            }
            // Version 3 kept it beside the payload; that this is gone is said elsewhere.
            None => check(row.salt.is_none() && row.payload.is_none(), "salt"),
        }
        let own_salt = row.salt.is_some();
        let beside = row.payload.as_ref().map(|payload| payload.salt.len());
        let is_old = self.at.said.is_old(row.event, self.at.whole).unwrap_or(!own_salt);
        let kept = if is_old { (false, 16) } else { (true, 0) };
        check(own_salt == kept.0 && beside.is_none_or(|length| length == kept.1), "salt");
        wrong
    }
}
