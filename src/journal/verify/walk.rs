//! One commit after the other: does it follow from the one before, and do its rows agree with it?

use rusqlite::{Connection, OptionalExtension as _};

use crate::delivery::State;
use crate::event::{Digest, Verdict};
use crate::journal::entries::{Salt, StepValues, commit_event, commitment, link, word};
use crate::journal::query::ReadError;
use crate::journal::request::Anchor;
use crate::journal::rows::{DELIVERY, DeliveryRow, EVENT, EventRow};
use crate::journal::schema::{nanoseconds, number, row_id};
use crate::journal::verify::lines::Lines;
use crate::journal::verify::{Break, MOST_BREAKS, Progress};

/// Commits that are read in one transaction.
const SLICE: i64 = 1_000;

pub(super) struct Walk<'c> {
    pub(super) connection: &'c Connection,
    pub(super) at: Progress,
}

/// One commit as it is stored.
struct Link<'r> {
    number: u64,
    at: i64,
    previous: Digest,
    hash: Digest,
    entries: &'r [u8],
}

impl Walk<'_> {
    fn broken(&mut self, commit: u64, what: impl Into<String>) {
        if self.at.found.breaks.len() < MOST_BREAKS {
            self.at.found.breaks.push(Break { commit, what: what.into() });
        }
    }

    /// Some commits on. Whether there are more.
    pub(super) fn slice(&mut self) -> Result<bool, ReadError> {
        let after = self.at.last.map_or(i64::MIN, |last| row_id(last.number));
        let mut statement = self.connection.prepare(
            "SELECT number, at, previous, hash, entries FROM commits WHERE number > ?1
             ORDER BY number LIMIT ?2",
        )?;
        let mut rows = statement.query([after, SLICE])?;
        let mut amount = 0;
        while let Some(row) = rows.next()? {
            let link = Link {
                number: number(row.get(0)?),
                at: row.get(1)?,
                previous: Digest(row.get(2)?),
                hash: Digest(row.get(3)?),
                entries: row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?,
            };
            self.link(&link);
            self.rows(link.number, link.entries)?;
            self.at.found.commits += 1;
            self.at.last = Some(Anchor { number: link.number, hash: link.hash });
            amount += 1;
        }
        Ok(amount == SLICE)
    }

    fn link(&mut self, it: &Link<'_>) {
        let last = self.at.last.unwrap_or(Anchor { number: 0, hash: Digest([0; 32]) });
        if it.number != last.number + 1 {
            let (from, to) = (last.number + 1, it.number.saturating_sub(1));
            self.broken(it.number, format!("commits {from} to {to} are missing"));
        } else if it.previous != last.hash {
            self.broken(it.number, "does not follow the commit before");
        }
        if link(&it.previous, it.number, it.at, it.entries) != it.hash {
            self.broken(it.number, "its entries are not what its hash was made of");
        }
        if let Some(anchor) = self.at.anchor.filter(|anchor| anchor.number == it.number) {
            self.at.anchored = true;
            if anchor.hash != it.hash {
                self.broken(it.number, "is not the commit that was anchored");
            }
        }
    }

    /// Compares what a commit says with the rows that it was the last to change.
    fn rows(&mut self, commit: u64, entries: &[u8]) -> Result<(), ReadError> {
        let Ok(text) = std::str::from_utf8(entries) else {
            self.broken(commit, "its entries are no text");
            return Ok(());
        };
        let lines = Lines::read(text);
        for _ in &lines.unknown {
            self.broken(commit, "has an entry of a kind that is not known");
        }
        for (event, words) in &lines.events {
            self.at.found.events += u64::from(words.first() == Some(&"event"));
            self.event(commit, *event, words)?;
        }
        for (delivery, words) in &lines.made {
            self.at.found.deliveries += 1;
            self.made(commit, *delivery, words, lines.deliveries.contains_key(delivery))?;
        }
        for (delivery, words) in &lines.deliveries {
            self.settled(commit, *delivery, words)?;
        }
        Ok(())
    }

    fn event(&mut self, commit: u64, event: u64, words: &[&str]) -> Result<(), ReadError> {
        let sql = format!("{EVENT} WHERE events.id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([row_id(event)])?;
        let Some(row) = rows.next()? else {
            self.broken(commit, format!("event {event} is gone"));
            return Ok(());
        };
        let row = EventRow::read(row)?;
        if !self.is_last(commit, row.commit, (event, "event")) {
            return Ok(());
        }
        let &[_, _, verdict, source, digest, hidden, received, decided] = words else {
            self.broken(commit, format!("the entry of event {event} is not whole"));
            return Ok(());
        };
        let mut wrong = Vec::new();
        let mut check = |same: bool, what| wrong.extend((!same).then_some(what));
        check(Verdict::parse(verdict) == Some(row.verdict), "verdict");
        check(source == word(&row.source), "source");
        check(digest == row.digest.to_string(), "digest");
        check(received == nanoseconds(row.received).to_string(), "time of receipt");
        check(decided == nanoseconds(row.decided).to_string(), "time of decision");
        if let Some((salt, raw)) = self.payload(event)? {
            check(
                hidden == event_commitment(&salt, &row).to_string(),
                "id, key, step, trace or causes",
            );
            check(Digest::of(&raw) == row.digest, "bytes");
        }
        for what in wrong {
            self.broken(commit, format!("event {event}: its {what} is not what was recorded"));
        }
        Ok(())
    }

    fn made(
        &mut self,
        commit: u64,
        delivery: u64,
        words: &[&str],
        changed: bool,
    ) -> Result<(), ReadError> {
        let Some(row) = self.delivery(delivery)? else {
            self.broken(commit, format!("delivery {delivery} is gone"));
            return Ok(());
        };
        let &[_, _, event, target, mapping, document, hidden] = words else {
            self.broken(commit, format!("the entry of delivery {delivery} is not whole"));
            return Ok(());
        };
        let mut wrong = Vec::new();
        let mut check = |same: bool, what| wrong.extend((!same).then_some(what));
        check(event == row.event.to_string(), "event");
        check(target == word(&row.target), "target");
        check(mapping == word(&row.mapping), "mapping");
        check(document == row.digest.to_string(), "digest");
        let bytes = self
            .connection
            .prepare_cached("SELECT bytes FROM documents WHERE delivery = ?1")?
            .query_row([row_id(delivery)], |row| row.get(0))
            .optional()?;
        let bytes: Option<Vec<u8>> = bytes;
        check(bytes.is_none_or(|bytes| Digest::of(&bytes) == row.digest), "document");
        if let Some(salt) = self.salt(row.event)? {
            let values = [&*row.key, &*row.name, &*row.reference];
            check(hidden == commitment(&salt, &values).to_string(), "key, name or reference");
        }
        if !changed && self.is_last(commit, row.commit, (delivery, "delivery")) {
            check(row.state == State::Due && row.attempts == 0, "state");
        }
        for what in wrong {
            self.broken(
                commit,
                format!("delivery {delivery}: its {what} is not what was recorded"),
            );
        }
        Ok(())
    }

    fn settled(&mut self, commit: u64, delivery: u64, words: &[&str]) -> Result<(), ReadError> {
        // A delivery that is gone was reported where it was made.
        let Some(row) = self.delivery(delivery)? else { return Ok(()) };
        if !self.is_last(commit, row.commit, (delivery, "delivery")) {
            return Ok(());
        }
        let &[_, _, state, attempts, _, due, hidden] = words else {
            self.broken(commit, format!("the settlement of delivery {delivery} is not whole"));
            return Ok(());
        };
        let mut wrong = Vec::new();
        let mut check = |same: bool, what| wrong.extend((!same).then_some(what));
        check(State::parse(state) == Some(row.state), "state");
        check(attempts == row.attempts.to_string(), "number of attempts");
        check(due == nanoseconds(row.due).to_string(), "due time");
        if row.state == State::Delivered
            && let Some(salt) = self.salt(row.event)?
        {
            let answer = match row.answer.as_str() {
                "" => "-".to_owned(),
                answer => commitment(&salt, &[answer]).to_string(),
            };
            check(hidden == answer, "answer");
        }
        for what in wrong {
            self.broken(
                commit,
                format!("delivery {delivery}: its {what} is not what was recorded"),
            );
        }
        Ok(())
    }

    /// Whether a row was last changed by this commit. A later one is remembered until it comes.
    fn is_last(&mut self, commit: u64, changed: u64, (id, what): (u64, &'static str)) -> bool {
        let open =
            if what == "event" { &mut self.at.open_events } else { &mut self.at.open_deliveries };
        if changed > commit {
            open.insert(id, changed);
            return false;
        }
        open.remove(&id);
        if changed < commit {
            self.broken(commit, format!("{what} {id} is as it was before this commit"));
        }
        changed == commit
    }

    /// What is still open at the end, and rows that no entry announced.
    pub(super) fn end(&mut self) -> Result<(), ReadError> {
        if let Some(anchor) = self.at.anchor.filter(|_| !self.at.anchored) {
            self.broken(anchor.number, "was anchored and is not there");
        }
        let events = std::mem::take(&mut self.at.open_events);
        let deliveries = std::mem::take(&mut self.at.open_deliveries);
        for (what, open) in [("event", events), ("delivery", deliveries)] {
            for (id, commit) in open {
                self.broken(
                    commit,
                    format!("{what} {id} names this commit, which did not change it"),
                );
            }
        }
        if !self.at.whole {
            return Ok(());
        }
        for (table, announced) in
            [("events", self.at.found.events), ("deliveries", self.at.found.deliveries)]
        {
            let there = self
                .connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                .map(number)?;
            if there > announced {
                let more = there - announced;
                self.broken(
                    self.at.found.commits,
                    format!("{more} {table} that no entry announces"),
                );
            }
        }
        Ok(())
    }

    fn delivery(&self, delivery: u64) -> Result<Option<DeliveryRow>, ReadError> {
        let sql = format!("{DELIVERY} WHERE deliveries.id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([row_id(delivery)])?;
        rows.next()?.map(DeliveryRow::read).transpose()
    }

    fn payload(&self, event: u64) -> Result<Option<(Salt, Vec<u8>)>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT salt, raw FROM payloads WHERE event = ?1")?;
        let row = statement.query_row([row_id(event)], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(row.optional()?)
    }

    fn salt(&self, event: u64) -> Result<Option<Salt>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT salt FROM payloads WHERE event = ?1")?;
        Ok(statement.query_row([row_id(event)], |row| row.get(0)).optional()?)
    }
}

/// The commitment that the row of an event would have.
fn event_commitment(salt: &Salt, row: &EventRow) -> Digest {
    let step = row.transition.as_ref().map(|step| StepValues {
        lifecycle: &step.lifecycle,
        object: &step.object,
        from: step.from.as_deref(),
        to: &step.to,
        applied: step.applied,
    });
    let causes = row.causes.join("\n");
    let head = [&*row.id, &*row.kind, &*row.key, &*row.time, &*causes];
    commit_event(salt, head, step, row.trace.as_ref())
}
