//! One commit after the other: does it follow from the one before, and do its rows agree with it?

use rusqlite::Connection;

use crate::event::Digest;
use crate::journal::entries::{Entries, link};
use crate::journal::filling::salt;
use crate::journal::query::{ReadError, in_row};
use crate::journal::request::Anchor;
use crate::journal::said;
use crate::journal::schema::{number, row_id};
use crate::journal::verify::lines::Lines;
use crate::journal::verify::memory::Progress;

/// Commits that are read in one transaction.
const SLICE: i64 = 1_000;

pub(super) struct Walk<'c> {
    pub(super) connection: &'c Connection,
    pub(super) at: Progress,
}

/// One commit as it is stored.
struct Link {
    number: u64,
    at: i64,
    previous: Digest,
    hash: Digest,
    entries: Vec<u8>,
}

/// The words of a file's line.
const FILE: &[&str] = &[
    "file",
    "number",
    "source",
    "digest",
    "size",
    "documents",
    "begin",
    "name",
    "offset",
    "index",
    "duplicates",
    "failures",
    "end",
    "outcome",
];

/// The words of an action's line.
const ACTION: &[&str] =
    &["action", "number", "time", "who", "why", "uid", "verb", "event", "delivery", "commit"];

/// The words of an attempt's line.
const ATTEMPT: &[&str] =
    &["attempt", "delivery", "state", "count", "time", "due time", "reason", "number"];

/// The words of the line of a status that stands.
const STANDS: &[&str] = &["stands", "number", "event", "lifecycle, object or status"];

/// The words of the line of a document that failed.
const FAILURE: &[&str] = &["failure", "file", "place", "event", "start", "length"];

impl Walk<'_> {
    pub(super) fn broken(&mut self, commit: u64, what: impl Into<String>) {
        self.at.broken(commit, what);
    }

    /// What was read of a row. A value that no waybill writes is a finding, and nothing was read.
    pub(super) fn readable<T>(
        &mut self,
        commit: u64,
        (table, row): (&str, impl std::fmt::Display),
        read: Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(ReadError::Column { column, found }) => {
                let what = format!("table {table}, row {row}, column {column}: holds {found}");
                self.broken(commit, what);
                Ok(None)
            }
            Err(ReadError::Damaged { .. }) => {
                self.broken(commit, format!("table {table}, row {row}: a value is not known"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Some commits on. Whether there are more.
    pub(super) fn slice(&mut self) -> Result<bool, ReadError> {
        let after = self.at.last.map_or(i64::MIN, |last| row_id(last.number));
        let mut statement = self.connection.prepare_cached(
            "SELECT number, at, previous, hash, entries FROM commits WHERE number > ?1
             ORDER BY number LIMIT ?2",
        )?;
        let mut rows = statement.query([after, SLICE])?;
        let mut amount = 0;
        while let Some(row) = rows.next()? {
            let own = number(row.get(0)?);
            let read = in_row(row, |row| {
                let (previous, hash) = (Digest(row.get(2)?), Digest(row.get(3)?));
                let (at, entries) = (row.get(1)?, row.get(4)?);
                Ok(Link { number: own, at, previous, hash, entries })
            });
            match self.readable(own, ("commits", own), read)? {
                Some(link) => {
                    self.link(&link);
                    self.rows(&link)?;
                    self.at.last = Some(Anchor { number: own, hash: link.hash });
                }
                None => self.at.last = Some(Anchor { number: own, hash: Digest([0; 32]) }),
            }
            self.at.found.commits += 1;
            amount += 1;
        }
        Ok(amount == SLICE)
    }

    fn link(&mut self, it: &Link) {
        let last = self.at.last.unwrap_or(Anchor { number: 0, hash: Digest([0; 32]) });
        if it.number != last.number + 1 {
            let (from, to) = (last.number + 1, it.number.saturating_sub(1));
            self.broken(it.number, format!("commits {from} to {to} are missing"));
        } else if it.previous != last.hash {
            self.broken(it.number, "does not follow the commit before");
        }
        if link(&it.previous, it.number, it.at, &it.entries) != it.hash {
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
    fn rows(&mut self, link: &Link) -> Result<(), ReadError> {
        let commit = link.number;
        let Ok(text) = std::str::from_utf8(&link.entries) else {
            self.broken(commit, "its entries are no text");
            return Ok(());
        };
        let lines = Lines::read(text, link.at, &mut self.at.said);
        for what in &lines.wrong {
            self.broken(commit, *what);
        }
        for (event, said) in &lines.events {
            if said.words.first() == Some(&"event") {
                self.at.found.events += 1;
                self.announced(commit, "events", *event)?;
            }
            self.event(commit, *event, &lines)?;
        }
        for (delivery, words) in &lines.made {
            self.at.found.deliveries += 1;
            self.announced(commit, "deliveries", *delivery)?;
            self.made(commit, *delivery, words, &lines)?;
        }
        for (delivery, words) in &lines.deliveries {
            self.settled(commit, *delivery, words)?;
        }
        for (file, line) in &lines.files {
            self.file(commit, *file, line)?;
        }
        for line in &lines.rows {
            self.row(commit, line, &lines)?;
        }
        Ok(())
    }

    /// A row of that number was announced: there is none between it and the one before.
    fn announced(&mut self, commit: u64, table: &'static str, id: u64) -> Result<(), ReadError> {
        let highest = self.at.said.highest.entry(table).or_insert(if self.at.whole {
            0
        } else {
            id.saturating_sub(1)
        });
        let before = *highest;
        *highest = before.max(id);
        if id > before + 1 {
            self.unannounced(commit, table, (before, row_id(id)))?;
        }
        Ok(())
    }

    /// Names the rows between two numbers.
    pub(super) fn unannounced(
        &mut self,
        commit: u64,
        table: &'static str,
        (after, before): (u64, i64),
    ) -> Result<(), ReadError> {
        let key = if matches!(table, "payloads") { "event" } else { "id" };
        let key = if matches!(table, "documents") { "delivery" } else { key };
        let sql = format!("SELECT {key} FROM {table} WHERE {key} > ?1 AND {key} < ?2 LIMIT 100");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([row_id(after), before])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            self.broken(commit, format!("table {table}, row {id}: no entry announces it"));
        }
        Ok(())
    }

    /// Whether a row was last changed by this commit. A later one is remembered until it comes.
    pub(super) fn is_last(
        &mut self,
        commit: u64,
        changed: u64,
        (id, what): (u64, &'static str),
    ) -> bool {
        if changed > commit {
            self.at.open.insert((what, id), changed);
            return false;
        }
        self.at.open.remove(&(what, id));
        if changed < commit {
            self.broken(commit, format!("{what} {id} is as it was before this commit"));
        }
        changed == commit
    }

    fn file(&mut self, commit: u64, file: u64, line: &str) -> Result<(), ReadError> {
        self.announced(commit, "files", file)?;
        let changed = self
            .connection
            .prepare_cached("SELECT committed FROM files WHERE id = ?1")?
            .query_row([row_id(file)], |row| Ok(in_row(row, |row| Ok(row.get(0)?))));
        let changed = match changed {
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                self.broken(commit, format!("file {file} is gone"));
                return Ok(());
            }
            changed => self.readable(commit, ("files", file), changed?)?,
        };
        if changed.is_some_and(|at| self.is_last(commit, number(at), (file, "file"))) {
            let mut entries = Entries::default();
            let said = said::file(self.connection, row_id(file), &mut entries);
            if self.readable(commit, ("files", file), said)?.is_some() {
                self.compare(commit, (line, &entries), FILE);
            }
        }
        Ok(())
    }

    /// A row that never changes.
    fn row(&mut self, commit: u64, line: &str, lines: &Lines<'_>) -> Result<(), ReadError> {
        let words: Vec<&str> = line.split(' ').collect();
        let at = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
        let mut entries = Entries::default();
        let (table, labels, id) = match words.first() {
            Some(&"action") => ("actions", ACTION, at(1)),
            Some(&"attempt") => ("attempts", ATTEMPT, at(7)),
            Some(&"stands") => ("standing", STANDS, at(1)),
            _ => ("file_failures", FAILURE, at(1)),
        };
        let Some(id) = id else {
            self.broken(commit, format!("an entry of {table} is not whole"));
            return Ok(());
        };
        let said = match table {
            "actions" => said::action(self.connection, row_id(id), &mut entries),
            "attempts" => said::attempt(self.connection, row_id(id), &mut entries),
            "standing" => said::standing(self.connection, row_id(id), &mut entries),
            _ => said::failure(self.connection, (id, at(2).unwrap_or_default()), &mut entries),
        };
        if table == "file_failures" {
            self.at.explain("file_failures");
        } else {
            self.announced(commit, table, id)?;
        }
        if self.readable(commit, (table, id), said)?.is_none() {
            return Ok(());
        }
        if table == "standing" {
            self.standing(commit, id, lines)?;
        }
        if table == "attempts" && self.is_pruned(at(1).unwrap_or_default())? {
            return Ok(());
        }
        self.compare(commit, (line, &entries), labels);
        Ok(())
    }

    /// Whether the commitments of a delivery's event cannot be made any more.
    fn is_pruned(&self, delivery: u64) -> Result<bool, ReadError> {
        let event = self
            .connection
            .prepare_cached("SELECT event FROM deliveries WHERE id = ?1")?
            .query_row([row_id(delivery)], |row| row.get(0));
        match event {
            Ok(event) => Ok(salt(self.connection, event)?.is_none()),
            // That it is gone, or what it holds, is a finding of its own.
            Err(_) => Ok(false),
        }
    }

    /// Compares a line with what the row would say now.
    fn compare(&mut self, commit: u64, (line, now): (&str, &Entries), labels: &[&str]) {
        let now = String::from_utf8_lossy(now.as_bytes());
        let words: Vec<&str> = line.split(' ').collect();
        let (what, id) = (words.first().unwrap_or(&""), words.get(1).unwrap_or(&""));
        if now.is_empty() {
            return self.broken(commit, format!("{what} {id} is gone"));
        }
        let now: Vec<&str> = now.trim_end_matches('\n').split(' ').collect();
        for (index, label) in labels.iter().enumerate() {
            if words.get(index) != now.get(index) {
                self.broken(commit, format!("{what} {id}: its {label} is not what was recorded"));
            }
        }
    }
}
