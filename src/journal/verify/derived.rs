//! What follows from an event: the identity by which it is recognised, the words by which it is
//! found, the status of its object.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, params};

use crate::event::{Digest, Identity, Verdict};
use crate::journal::query::{ReadError, in_row};
use crate::journal::schema::{BUCKET_BITS, hash, number, row_id};
use crate::journal::verify::events::Stored;
use crate::journal::verify::lines::Lines;
use crate::journal::verify::walk::Walk;
use crate::trace::Trace;

impl Stored {
    /// The identities that it may have: its own, that with its origin, and of each the one of an
    /// event that used it again.
    pub(super) fn identities(&self) -> [Identity; 4] {
        let own = Identity::of(&self.source, &self.head[0]);
        let sent_by = own.sent_by(self.origin.as_deref());
        [own, sent_by, own.reused_by(&self.digest), sent_by.reused_by(&self.digest)]
    }

    /// The hashes of the words by which it is found.
    pub(super) fn words(&self, by_id: bool, deliveries: &[[String; 3]]) -> BTreeSet<i64> {
        let [id, _, key, ..] = &self.head;
        let trace = self.trace.as_ref().and_then(|[parent, state]| Trace::read(parent, state));
        let mut words = vec![key.as_str()];
        if by_id || self.verdict == Verdict::Failed {
            words.push(id);
        }
        words.extend(self.step.iter().map(|step| step.object.as_str()));
        words.extend(trace.iter().map(Trace::id));
        words.extend(deliveries.iter().flatten().map(String::as_str));
        words.into_iter().filter(|word| !word.is_empty()).map(hash).collect()
    }
}

impl Walk<'_> {
    /// The event that has an identity, if any, and the digest of its bytes.
    fn seen(&self, identity: Identity) -> Result<Option<(u64, Option<Digest>)>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT event, digest FROM seen WHERE identity = ?1")?;
        let found = statement.query_row([&identity.0[..]], |row| {
            // What cannot be read is none of it.
            Ok((row.get(0).map(number).unwrap_or(0), row.get(1).ok().map(Digest)))
        });
        Ok(found.optional()?)
    }

    /// One of its identities leads to it, or to the event that took its place.
    pub(super) fn recognised(&mut self, commit: u64, row: &Stored) -> Result<(), ReadError> {
        for identity in row.identities() {
            let Some((event, digest)) = self.seen(identity)? else { continue };
            if event == row.event {
                self.at.explain("seen");
                if digest != Some(row.digest) {
                    let what = "the digest by which it is recognised is not what was recorded";
                    self.broken(commit, format!("event {event}: {what}"));
                }
                return Ok(());
            }
            if event > row.event && self.took_the_place_of(event, row)? {
                return Ok(());
            }
        }
        self.broken(commit, format!("event {}: nothing in `seen` recognises it", row.event));
        Ok(())
    }

    fn took_the_place_of(&self, event: u64, row: &Stored) -> Result<bool, ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT external = ?2 AND name = ?3 FROM events JOIN names ON names.id = source
             WHERE events.id = ?1",
        )?;
        let same = statement
            .query_row(params![row_id(event), row.head[0], row.source], |row| row.get(0))
            .optional()?;
        Ok(same.unwrap_or(false))
    }

    /// Whether an event is found by its id without a word for it.
    fn is_found_by_seen(&self, row: &Stored) -> Result<bool, ReadError> {
        let own = Identity::of(&row.source, &row.head[0]);
        Ok(self.seen(own)?.is_some_and(|(event, _)| event == row.event))
    }

    /// Keys, names and references of an event's deliveries.
    pub(super) fn names_of_deliveries(&self, row: &Stored) -> Result<Vec<[String; 3]>, ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key, name, reference FROM deliveries WHERE id >= ?1 AND id < ?1 + ?2",
        )?;
        let mut rows = statement.query([row.first_delivery, row.deliveries])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let names = in_row(row, |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]));
            // What cannot be read is a finding where the delivery is looked at.
            all.extend(names.ok());
        }
        Ok(all)
    }

    /// All words by which an event must be found.
    pub(super) fn words_of(&self, row: &Stored) -> Result<BTreeSet<i64>, ReadError> {
        let by_id = !self.is_found_by_seen(row)?;
        Ok(row.words(by_id, &self.names_of_deliveries(row)?))
    }

    pub(super) fn found_by_words(&mut self, commit: u64, row: &Stored) -> Result<(), ReadError> {
        let event = row_id(row.event);
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM words WHERE bucket = ?1 AND hash = ?2 AND event = ?3")?;
        for word in self.words_of(row)? {
            if statement.exists([event >> BUCKET_BITS, word, event])? {
                self.at.explain("words");
            } else {
                let what = "a word by which it is found is gone";
                self.broken(commit, format!("event {event}: {what}"));
            }
        }
        Ok(())
    }

    /// The object of an applied step has its status, or one that a later event gave it.
    pub(super) fn object(
        &mut self,
        commit: u64,
        row: &Stored,
        lines: &Lines<'_>,
    ) -> Result<(), ReadError> {
        let Some(step) = row.step.as_ref().filter(|step| step.applied) else { return Ok(()) };
        let gave = Gave { event: row.event, lifecycle: step.lifecycle, object: &step.object };
        self.has_status(commit, (&gave, &step.to), lines)
    }

    /// The same for what stands of an earlier decision of an event.
    pub(super) fn standing(
        &mut self,
        commit: u64,
        standing: u64,
        lines: &Lines<'_>,
    ) -> Result<(), ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT event, lifecycle, object, status FROM standing WHERE id = ?1",
        )?;
        let mut rows = statement.query([row_id(standing)])?;
        // That it is gone, or cannot be read, is a finding of the row itself.
        let Some(row) = rows.next()? else { return Ok(()) };
        let read = in_row(row, |row| {
            let (object, status): (String, String) = (row.get(2)?, row.get(3)?);
            Ok((number(row.get(0)?), row.get(1)?, object, status))
        });
        let Ok((event, lifecycle, object, status)) = read else { return Ok(()) };
        let gave = Gave { event, lifecycle, object: &object };
        self.has_status(commit, (&gave, &status), lines)
    }

    fn has_status(
        &mut self,
        commit: u64,
        (gave, expected): (&Gave<'_>, &str),
        lines: &Lines<'_>,
    ) -> Result<(), ReadError> {
        let Gave { event: own, lifecycle, object } = *gave;
        let mut statement = self.connection.prepare_cached(
            "SELECT status, event FROM objects WHERE lifecycle = ?1 AND object = ?2",
        )?;
        let mut found = statement.query(params![lifecycle, object])?;
        let Some(found) = found.next()? else {
            self.broken(commit, format!("event {own}: the status of its object is gone"));
            return Ok(());
        };
        let read = in_row(found, |row| Ok((row.get::<_, String>(0)?, number(row.get(1)?))));
        let of = format!("of event {own}");
        let Some((status, event)) = self.readable(commit, ("objects", of), read)? else {
            return Ok(());
        };
        let what = if event == own {
            self.at.explain("objects");
            (status != expected).then_some("the status of its object is not what was recorded")
        } else {
            let later = self.is_later(commit, (gave, event), lines)?;
            (!later).then_some("its object has the status of an event that is not later")
        };
        if let Some(what) = what {
            self.broken(commit, format!("event {own}: {what}"));
        }
        Ok(())
    }

    /// Whether another event gave the object its status after this commit, or later in it.
    fn is_later(
        &self,
        commit: u64,
        (gave, other): (&Gave<'_>, u64),
        lines: &Lines<'_>,
    ) -> Result<bool, ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT committed, applied IS 1 AND lifecycle IS ?2 AND object IS ?3 FROM events
             WHERE id = ?1",
        )?;
        let found = statement
            .query_row(params![row_id(other), gave.lifecycle, gave.object], |row| {
                Ok(in_row(row, |row| Ok((number(row.get(0)?), row.get::<_, bool>(1)?))))
            })
            .optional()?;
        let (committed, gives) = match found {
            None => return Ok(false),
            Some(Ok(found)) => found,
            // What cannot be read is a finding of the other event.
            Some(Err(_)) => return Ok(true),
        };
        let place = |event: u64| lines.events.get(&event).map(|said| said.place);
        let later = committed > commit || (committed == commit && place(other) > place(gave.event));
        Ok(later && (gives || self.stands(other, (gave.lifecycle, gave.object), None)?))
    }

    /// Whether an earlier decision of an event gave an object its status, or that one.
    pub(super) fn stands(
        &self,
        event: u64,
        (lifecycle, object): (i64, &str),
        status: Option<&str>,
    ) -> Result<bool, ReadError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM standing WHERE event = ?1 AND lifecycle = ?2 AND object = ?3
             AND (?4 IS NULL OR status = ?4)",
        )?;
        Ok(statement.exists(params![row_id(event), lifecycle, object, status])?)
    }
}

/// The event that gave an object its status.
struct Gave<'a> {
    event: u64,
    lifecycle: i64,
    object: &'a str,
}
