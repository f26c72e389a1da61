//! What version 3 kept and the chain did not say: said once, when the tables are brought up to
//! date, so that no later change of it goes unseen. What was changed before that is not seen.
//!
//! It is part of the migration's transaction: either all of it is there or nothing.

use rusqlite::{Connection, params};

use crate::journal::entries::{Entries, Salt, commitment, salts};
use crate::journal::error::CommitError;
use crate::journal::filling::{Head, salt};
use crate::journal::place::PLACE;
use crate::journal::query::ReadError;
use crate::journal::said;
use crate::journal::schema::{number, row_id};
use crate::journal::store::read_head;
use crate::journal::writer::chain;

/// Rows of one commit.
const SLICE: usize = 2_000;

/// Says everything that is there.
pub(super) fn say_all(connection: &Connection, now: i64) -> Result<(), CommitError> {
    let head = read_head(connection)?;
    let at = now.max(head.at);
    let mut upgrade = Upgrade { connection, head, at, entries: Entries::default(), rows: 0 };
    upgrade.entries.format(head.event - 1);
    upgrade.names()?;
    upgrade.numbers()?;
    upgrade.places()?;
    upgrade.parked()?;
    upgrade.objects()?;
    upgrade.files()?;
    upgrade.by_id("actions", said::action)?;
    upgrade.by_id("attempts", said::attempt)?;
    upgrade.failures()?;
    upgrade.link()
}

struct Upgrade<'c> {
    connection: &'c Connection,
    head: Head,
    at: i64,
    entries: Entries,
    rows: usize,
}

impl Upgrade<'_> {
    /// Closes what was said into the chain.
    fn link(&mut self) -> Result<(), CommitError> {
        chain(self.connection, &mut self.head, self.at, &self.entries)?;
        self.entries.clear();
        self.rows = 0;
        Ok(())
    }

    /// One more row was said.
    fn row(&mut self) -> Result<(), CommitError> {
        self.rows += 1;
        if self.rows < SLICE { Ok(()) } else { self.link() }
    }

    fn names(&mut self) -> Result<(), CommitError> {
        let mut statement = self.connection.prepare("SELECT id, name FROM names ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            self.entries.name(number(id), &name);
            self.row()?;
        }
        Ok(())
    }

    fn numbers(&mut self) -> Result<(), CommitError> {
        let mut statement = self.connection.prepare("SELECT range, next FROM numbers")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (range, next): (String, i64) = (row.get(0)?, row.get(1)?);
            self.entries.numbers(&range, number(next), number(next));
            self.row()?;
        }
        Ok(())
    }

    fn places(&mut self) -> Result<(), CommitError> {
        let mut statement = self.connection.prepare("SELECT name, value FROM meta")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if let Some(target) = name.strip_prefix(PLACE) {
                let place: String = row.get(1)?;
                self.entries.place(target, &place);
                self.row()?;
            }
        }
        Ok(())
    }

    fn parked(&mut self) -> Result<(), CommitError> {
        let mut statement =
            self.connection.prepare("SELECT event, key, at FROM parked ORDER BY event")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (event, key, at): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let salt = salt(self.connection, event)?;
            let hidden = salt.map(|salt| commitment(&salt, &[&key]));
            self.entries.park(number(event), at, hidden.as_ref());
            self.row()?;
        }
        Ok(())
    }

    /// Objects whose status an event gave that says nothing of them since it was decided again.
    fn objects(&mut self) -> Result<(), CommitError> {
        self.connection.execute(
            "INSERT INTO standing (event, lifecycle, object, status)
             SELECT o.event, o.lifecycle, o.object, o.status FROM objects o
             JOIN events e ON e.id = o.event
             WHERE NOT (e.applied IS 1 AND e.lifecycle IS o.lifecycle AND e.object IS o.object)",
            [],
        )?;
        self.by_id("standing", said::standing)
    }

    fn files(&mut self) -> Result<(), CommitError> {
        let mut file = 0;
        while let Some(next) = self.next("files", file)? {
            file = next;
            let salt: Salt = salts(1)?.into_iter().next().unwrap_or_default();
            self.connection
                .prepare_cached("UPDATE files SET salt = ?2, committed = ?3 WHERE id = ?1")?
                .execute(params![file, salt, row_id(self.head.number + 1)])?;
            said::file(self.connection, file, &mut self.entries)?;
            self.row()?;
        }
        Ok(())
    }

    /// The rows of a table that has an `id`.
    fn by_id(
        &mut self,
        table: &str,
        say: fn(&Connection, i64, &mut Entries) -> Result<(), ReadError>,
    ) -> Result<(), CommitError> {
        let mut id = 0;
        while let Some(next) = self.next(table, id)? {
            id = next;
            say(self.connection, id, &mut self.entries)?;
            self.row()?;
        }
        Ok(())
    }

    fn next(&self, table: &str, after: i64) -> rusqlite::Result<Option<i64>> {
        let sql = format!("SELECT min(id) FROM {table} WHERE id > ?1");
        self.connection.prepare_cached(&sql)?.query_row([after], |row| row.get(0))
    }

    fn failures(&mut self) -> Result<(), CommitError> {
        let mut statement = self.connection.prepare("SELECT file, place FROM file_failures")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let at = (number(row.get(0)?), number(row.get(1)?));
            said::failure(self.connection, at, &mut self.entries)?;
            self.row()?;
        }
        Ok(())
    }
}
