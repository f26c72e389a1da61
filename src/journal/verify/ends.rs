//! The end of the chain: what is still open, the small tables, and the tables themselves.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::event::Digest;
use crate::journal::entries::{commitment, word};
use crate::journal::filling::salt;
use crate::journal::place::PLACE;
use crate::journal::query::{ReadError, in_row};
use crate::journal::schema::{MIGRATIONS, number, row_id};
use crate::journal::verify::memory::Missing;
use crate::journal::verify::scan::Scan;
use crate::journal::verify::walk::Walk;

/// Tables, indexes and triggers by kind and name, as they were written.
type Objects = BTreeMap<String, Option<String>>;

/// Those of this version.
static EXPECTED: OnceLock<Objects> = OnceLock::new();

/// Tables whose rows have the numbers that the chain gives them, and whose numbers these are.
const NUMBERED: &[(&str, &str)] = &[
    ("events", "events"),
    ("payloads", "events"),
    ("deliveries", "deliveries"),
    ("documents", "deliveries"),
    ("files", "files"),
    ("actions", "actions"),
    ("attempts", "attempts"),
    ("standing", "standing"),
];

/// Tables of which as many rows must be there as were explained.
const COUNTED: &[&str] = &["seen", "words", "objects"];

impl Walk<'_> {
    /// What is still open at the end of the chain, and rows that no entry announced.
    pub(super) fn end(&mut self) -> Result<(), ReadError> {
        let own = self.at.last.map_or(0, |last| last.number);
        if let Some(anchor) = self.at.anchor.filter(|_| !self.at.anchored) {
            self.broken(anchor.number, "was anchored and is not there");
        }
        for ((what, id), commit) in std::mem::take(&mut self.at.open) {
            let text = format!("{what} {id} names this commit, which did not change it");
            self.broken(commit, text);
        }
        for gone in std::mem::take(&mut self.at.said.missing) {
            let Missing { commit, what, first, last } = gone;
            let which = if first == last {
                format!("{what} {} is", first.0)
            } else {
                format!("{what}s {} to {} are", first.0, last.0)
            };
            self.broken(commit, format!("{which} gone, and no pruning covers that"));
        }
        self.at.scans = Some(Vec::new());
        if !self.at.whole {
            return Ok(());
        }
        if self.at.said.format.is_none() {
            self.broken(own, "the chain does not say which of its events are of version 3");
        }
        self.meta(own)?;
        self.names(own)?;
        self.numbers(own)?;
        self.parked(own)?;
        self.tables(own)?;
        for (table, numbers) in NUMBERED {
            let highest = self.at.said.highest.get(numbers).copied().unwrap_or(0);
            self.unannounced(own, table, (highest, i64::MAX))?;
            self.below_one(own, table)?;
        }
        for table in COUNTED {
            if !self.is_all_explained(table)? {
                self.at.scans.get_or_insert_default().push(Scan::of(table));
            }
        }
        if !self.is_all_explained("file_failures")? {
            self.failures(own)?;
        }
        Ok(())
    }

    fn is_all_explained(&self, table: &str) -> Result<bool, ReadError> {
        let sql = format!("SELECT count(*) FROM {table}");
        let there = self.connection.query_row(&sql, [], |row| row.get(0)).map(number)?;
        Ok(there == self.at.explained.get(table).copied().unwrap_or(0))
    }

    /// The files that have more rows of failed documents than failed of them.
    fn failures(&mut self, commit: u64) -> Result<(), ReadError> {
        let mut statement = self.connection.prepare(
            "SELECT file, count(*) FROM file_failures GROUP BY file
             HAVING count(*) > coalesce((SELECT failed FROM files WHERE id = file), 0) LIMIT 100",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (file, amount): (i64, i64) = (row.get(0)?, row.get(1)?);
            let what = format!("table file_failures, file {file}: not all of {amount} rows are");
            self.broken(commit, format!("{what} announced by an entry"));
        }
        Ok(())
    }

    fn below_one(&mut self, commit: u64, table: &str) -> Result<(), ReadError> {
        let key = match table {
            "payloads" => "event",
            "documents" => "delivery",
            _ => "id",
        };
        let sql = format!("SELECT {key} FROM {table} WHERE {key} < 1 LIMIT 100");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            self.broken(commit, format!("table {table}, row {id}: no entry announces it"));
        }
        Ok(())
    }

    /// Compares the rows of a small table with what the chain says: both as name and text.
    fn same(
        &mut self,
        commit: u64,
        (table, sql): (&str, &str),
        mut said: BTreeMap<String, Value>,
    ) -> Result<(), ReadError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let read = in_row(row, |row| {
                let name = match row.get(0)? {
                    Value::Integer(number) => number.to_string(),
                    Value::Text(name) => name,
                    _ => row.get::<_, String>(0)?,
                };
                Ok((name, row.get::<_, Value>(1)?))
            });
            let Some((name, value)) = self.readable(commit, (table, "?"), read)? else { continue };
            let what = match said.remove(&name) {
                None => "no entry announces it",
                Some(said) if said != value => "its value is not what was recorded",
                Some(_) => continue,
            };
            self.broken(commit, format!("table {table}, row {}: {what}", word(&name)));
        }
        for name in said.keys() {
            self.broken(commit, format!("table {table}, row {}: is gone", word(name)));
        }
        Ok(())
    }

    fn meta(&mut self, commit: u64) -> Result<(), ReadError> {
        let mut said = BTreeMap::new();
        let whole = |text: &str| Value::Integer(text.parse().unwrap_or(-1));
        if let Some([id, instance, epoch]) = &self.at.said.journal {
            said.insert("journal".to_owned(), Value::Text(id.clone()));
            said.insert("instance".to_owned(), whole(instance));
            said.insert("epoch".to_owned(), whole(epoch));
        }
        said.extend(self.at.said.created.map(|at| ("created".to_owned(), Value::Integer(at))));
        let places = format!("SELECT name, value FROM meta WHERE substr(name, 1, 6) <> '{PLACE}'");
        self.same(commit, ("meta", &places), said)?;
        let mut places = std::mem::take(&mut self.at.said.places);
        let mut statement = self.connection.prepare(&format!(
            "SELECT name, value FROM meta WHERE substr(name, 1, 6) = '{PLACE}'"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let read = in_row(row, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
            let Some((name, place)) = self.readable(commit, ("meta", "?"), read)? else { continue };
            let target = word(name.strip_prefix(PLACE).unwrap_or_default());
            if places.remove(&target) != Some(Digest::of(place.as_bytes()).to_string()) {
                let what = format!("table meta, row {PLACE}{target}: is not what was recorded");
                self.broken(commit, what);
            }
        }
        for target in places.keys() {
            self.broken(commit, format!("table meta, row {PLACE}{target}: is gone"));
        }
        Ok(())
    }

    fn names(&mut self, commit: u64) -> Result<(), ReadError> {
        let said = std::mem::take(&mut self.at.said.names);
        let said = said.into_iter().map(|(id, name)| {
            (id.to_string(), Value::Text(crate::journal::entries::unescape(&name)))
        });
        self.same(commit, ("names", "SELECT id, name FROM names"), said.collect())
    }

    fn numbers(&mut self, commit: u64) -> Result<(), ReadError> {
        let said = std::mem::take(&mut self.at.said.numbers);
        let said = said.into_iter().map(|(range, next)| {
            (crate::journal::entries::unescape(&range), Value::Integer(row_id(next)))
        });
        self.same(commit, ("numbers", "SELECT range, next FROM numbers"), said.collect())
    }

    fn parked(&mut self, commit: u64) -> Result<(), ReadError> {
        let mut said = std::mem::take(&mut self.at.said.parked);
        let mut statement = self.connection.prepare("SELECT event, key, at FROM parked")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let read = in_row(row, |row| {
                let key: String = row.get(1)?;
                Ok((number(row.get(0)?), key, row.get::<_, i64>(2)?.to_string()))
            });
            let Some((event, key, at)) = self.readable(commit, ("parked", "?"), read)? else {
                continue;
            };
            let salt = salt(self.connection, row_id(event)).unwrap_or_default();
            let hidden = salt.map(|salt| commitment(&salt, &[&key]).to_string());
            let keys = said.entry(event).or_default();
            let found = keys.iter().position(|(since, own)| {
                *since == at && hidden.as_ref().is_none_or(|hidden| hidden == own)
            });
            match found {
                Some(found) => drop(keys.swap_remove(found)),
                None => {
                    let what = "no entry says so of this key and time";
                    self.broken(commit, format!("table parked, row of event {event}: {what}"));
                }
            }
        }
        for (event, _) in said.iter().filter(|(_, keys)| !keys.is_empty()) {
            self.broken(commit, format!("table parked, row of event {event}: is gone"));
        }
        Ok(())
    }

    /// The tables, indexes and triggers are those of this version.
    fn tables(&mut self, commit: u64) -> Result<(), ReadError> {
        let found = objects(self.connection)?;
        let expected = match EXPECTED.get() {
            Some(expected) => expected,
            None => {
                let fresh = fresh_objects()?;
                EXPECTED.get_or_init(|| fresh)
            }
        };
        for (name, sql) in &found {
            if expected.get(name) != Some(sql) {
                self.broken(commit, format!("{name} is not as this version makes it"));
            }
        }
        for name in expected.keys().filter(|name| !found.contains_key(*name)) {
            self.broken(commit, format!("{name} is gone"));
        }
        Ok(())
    }
}

/// What the migrations make.
fn fresh_objects() -> rusqlite::Result<Objects> {
    let fresh = Connection::open_in_memory()?;
    for step in MIGRATIONS {
        fresh.execute_batch(step)?;
    }
    objects(&fresh)
}

fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    let mut statement =
        connection.prepare("SELECT type || ' ' || name, sql FROM main.sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
