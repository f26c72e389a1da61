//! What people ask: which events, which deliveries, and what became of this vehicle.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, params, types::Value};

use crate::delivery::{DeliveryId, State};
use crate::event::{Identity, Verdict};
use crate::journal::error::JournalError;
use crate::journal::query::{ReadError, Reader, count, in_row};
use crate::journal::rows::{
    ACTION, ATTEMPT, ActionRow, AttemptRow, DELIVERY, DeliveryRow, EVENT, EventRow, Story,
};
use crate::journal::schema::{BUCKET_BITS, hash, nanoseconds, row_id, state_code, verdict_code};
use crate::trace::Trace;

/// Which events; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// Of this source.
    pub source: Option<String>,
    /// With this key.
    pub key: Option<String>,
    /// With this text in their causes.
    pub cause: Option<String>,
    /// Received at this time or later.
    pub since: Option<Timestamp>,
    /// Received before this time.
    pub until: Option<Timestamp>,
    /// Behind this event: for the next page.
    pub after: u64,
    /// The newest first instead of the oldest.
    pub newest: bool,
}

/// Which deliveries; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this target.
    pub target: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Of this lane.
    pub key: Option<String>,
    /// Behind this delivery: for the next page.
    pub after: DeliveryId,
    /// The newest first instead of the oldest.
    pub newest: bool,
}

impl Reader {
    /// Events, by number, at most `limit`.
    pub fn events(
        &self,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<EventRow>, JournalError> {
        self.read(|connection| {
            let mut asked = Asked::new("events", filter.after, filter.newest);
            if let Some(verdict) = filter.verdict {
                asked.and("verdict = ?", verdict_code(verdict).into());
                // Said once more in the words of the partial index, which is small.
                if !matches!(verdict, Verdict::Ignored | Verdict::Accepted) {
                    asked.sql.push_str(" AND verdict > 2");
                }
            }
            if let Some(source) = &filter.source {
                asked.and("s.name = ?", source.clone().into());
            }
            if let Some(key) = &filter.key {
                asked.one_of(&events_of_word(connection, key)?);
                asked.and("key = ?", key.clone().into());
            }
            if let Some(cause) = &filter.cause {
                asked.and("instr(causes, ?) > 0", cause.clone().into());
            }
            if let Some(since) = filter.since {
                asked.and("received >= ?", nanoseconds(since).into());
            }
            if let Some(until) = filter.until {
                asked.and("received < ?", nanoseconds(until).into());
            }
            asked.all(connection, EVENT, limit, EventRow::read)
        })
    }

    /// Deliveries, by number, at most `limit`.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, JournalError> {
        self.read(|connection| {
            let mut asked = Asked::new("deliveries", filter.after, filter.newest);
            if let Some(target) = &filter.target {
                asked.and("target = (SELECT id FROM names WHERE name = ?)", target.clone().into());
            }
            if let Some(state) = filter.state {
                asked.and("state = ?", state_code(state).into());
                if !state.is_final() {
                    asked.sql.push_str(" AND state < 10");
                }
            }
            if let Some(key) = &filter.key {
                asked.one_of(&deliveries_of_word(connection, key)?);
                asked.and("key = ?", key.clone().into());
            }
            asked.all(connection, DELIVERY, limit, DeliveryRow::read)
        })
    }

    /// Everything about a key, an object, an event's id, a trace's id, a reference (DOCNUM) or a file
    /// name, in the order in which the events were decided.
    pub fn trail(&self, word: &str) -> Result<Vec<Story>, JournalError> {
        self.read(|connection| {
            let mut stories = Vec::new();
            for event in events_of_word(connection, word)? {
                let Some(story) = story(connection, event)? else { continue };
                // The hash of another word may be the same.
                if is_about(&story, word) {
                    stories.push(story);
                }
            }
            Ok(stories)
        })
    }

    /// Everything about one event by its number in the journal.
    pub fn story(&self, event: u64) -> Result<Option<Story>, JournalError> {
        self.read(|connection| story(connection, row_id(event)))
    }

    /// What operators did, the newest first, at most `limit`.
    pub fn actions(&self, limit: usize) -> Result<Vec<ActionRow>, JournalError> {
        let sql = format!("{ACTION} ORDER BY id DESC LIMIT ?1");
        self.read(|connection| rows(connection, &sql, [count(limit)], ActionRow::read))
    }

    /// One delivery.
    pub fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryRow>, JournalError> {
        let filter = DeliveryFilter { after: delivery.saturating_sub(1), ..Default::default() };
        let next = self.deliveries(&filter, 1)?.into_iter().next();
        Ok(next.filter(|row| row.delivery == delivery))
    }
}

/// A question that grows a condition at a time.
struct Asked {
    table: &'static str,
    sql: String,
    values: Vec<Value>,
    newest: bool,
}

impl Asked {
    fn new(table: &'static str, after: u64, newest: bool) -> Self {
        let sql = format!(" WHERE {table}.id {} ?", if newest && after > 0 { '<' } else { '>' });
        Self { table, sql, values: vec![row_id(after).into()], newest }
    }

    fn and(&mut self, condition: &str, value: Value) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.push(value);
    }

    fn one_of(&mut self, ids: &BTreeSet<i64>) {
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        self.sql.push_str(&format!(" AND {}.id IN ({})", self.table, ids.join(",")));
    }

    fn all<T>(
        mut self,
        connection: &Connection,
        select: &str,
        limit: usize,
        read: impl Fn(&rusqlite::Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let order = if self.newest { "DESC" } else { "ASC" };
        self.values.push(count(limit).into());
        let sql = format!("{select}{} ORDER BY {}.id {order} LIMIT ?", self.sql, self.table);
        rows(connection, &sql, rusqlite::params_from_iter(self.values), read)
    }
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(in_row(row, &read)?);
    }
    Ok(all)
}

/// The events that may be about a word: a little too many, never too few.
fn events_of_word(connection: &Connection, word: &str) -> Result<BTreeSet<i64>, ReadError> {
    let mut events = words_since(connection, word, 0)?;
    let mut seen = connection.prepare_cached("SELECT event FROM seen WHERE identity = ?1")?;
    for source in rows(connection, "SELECT name FROM names", [], |row| Ok(row.get(0)?))? {
        let source: String = source;
        let identity = Identity::of(&source, word);
        events.extend(seen.query_row([&identity.0[..]], |row| row.get::<_, i64>(0)).optional()?);
    }
    Ok(events)
}

/// The events from `first` on that have the hash of a word.
pub(super) fn words_since(
    connection: &Connection,
    word: &str,
    first: i64,
) -> Result<BTreeSet<i64>, ReadError> {
    let mut events = BTreeSet::new();
    let last: i64 =
        connection.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))?;
    let mut of_bucket =
        connection.prepare_cached("SELECT event FROM words WHERE bucket = ?1 AND hash = ?2")?;
    for bucket in first >> BUCKET_BITS..=last >> BUCKET_BITS {
        let found = of_bucket.query_map([bucket, hash(word)], |row| row.get::<_, i64>(0))?;
        for event in found {
            events.insert(event?);
        }
    }
    Ok(events)
}

/// The deliveries of those events.
fn deliveries_of_word(connection: &Connection, word: &str) -> Result<BTreeSet<i64>, ReadError> {
    let mut span =
        connection.prepare_cached("SELECT first_delivery, deliveries FROM events WHERE id = ?1")?;
    let mut all = BTreeSet::new();
    for event in events_of_word(connection, word)? {
        let found = span.query_row([event], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (first, amount): (i64, i64) = found.unwrap_or_default();
        all.extend(first..first.saturating_add(amount));
    }
    Ok(all)
}

fn story(connection: &Connection, event: i64) -> Result<Option<Story>, ReadError> {
    let sql = format!("{EVENT} WHERE events.id = ?1");
    let Some(row) = rows(connection, &sql, [event], EventRow::read)?.pop() else {
        return Ok(None);
    };
    let sql = format!("{DELIVERY} WHERE deliveries.id >= ?1 AND deliveries.id < ?1 + ?2");
    let span = params![row_id(row.first_delivery), row_id(row.deliveries)];
    let mut deliveries = Vec::new();
    for delivery in rows(connection, &sql, span, DeliveryRow::read)? {
        let sql = format!("{ATTEMPT} WHERE delivery = ?1 ORDER BY id");
        let attempts = rows(connection, &sql, [row_id(delivery.delivery)], AttemptRow::read)?;
        deliveries.push((delivery, attempts));
    }
    let sql = format!("{ACTION} WHERE event = ?1 ORDER BY id");
    let actions = rows(connection, &sql, [event], ActionRow::read)?;
    Ok(Some(Story { event: row, deliveries, actions }))
}

fn is_about(story: &Story, word: &str) -> bool {
    let event = &story.event;
    let object = event.transition.as_ref().map(|transition| transition.object.as_str());
    let trace = event.trace.as_ref().map(Trace::id);
    [&*event.key, &*event.id].contains(&word)
        || object == Some(word)
        || trace == Some(word)
        || story.deliveries.iter().any(|(delivery, _)| {
            [&*delivery.key, &*delivery.name, &*delivery.reference].contains(&word)
        })
}
