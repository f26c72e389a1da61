//! The row of a delivery, and its document.

use rusqlite::{OptionalExtension as _, Row};

use crate::delivery::State;
use crate::event::Digest;
use crate::journal::entries::{commitment, word};
use crate::journal::filling::salt;
use crate::journal::query::{ReadError, in_row, state};
use crate::journal::schema::{number, row_id};
use crate::journal::verify::lines::Lines;
use crate::journal::verify::walk::Walk;

/// A delivery as it is stored.
struct Stored {
    event: u64,
    target: String,
    mapping: String,
    state: State,
    prepared: i64,
    due: i64,
    attempts: u32,
    settled: Option<i64>,
    committed: u64,
    digest: Digest,
    /// Key, name and reference.
    names: [String; 3],
    answer: String,
}

const STORED: &str = "SELECT deliveries.id, event, t.name AS target, m.name AS mapping, state,
    prepared, due, attempts, settled, committed, digest, key, deliveries.name, reference, answer
    FROM deliveries LEFT JOIN names t ON t.id = target LEFT JOIN names m ON m.id = mapping
    WHERE deliveries.id = ?1";

impl Stored {
    fn read(row: &Row<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            event: number(row.get(1)?),
            target: row.get(2)?,
            mapping: row.get(3)?,
            state: state(row, 0, 4)?,
            prepared: row.get(5)?,
            due: row.get(6)?,
            attempts: row.get(7)?,
            settled: row.get(8)?,
            committed: number(row.get(9)?),
            digest: Digest(row.get(10)?),
            names: [row.get(11)?, row.get(12)?, row.get(13)?],
            answer: row.get(14)?,
        })
    }
}

impl Walk<'_> {
    fn delivery(&mut self, commit: u64, delivery: u64) -> Result<Option<Stored>, ReadError> {
        let mut statement = self.connection.prepare_cached(STORED)?;
        let mut rows = statement.query([row_id(delivery)])?;
        let Some(row) = rows.next()? else {
            self.broken(commit, format!("delivery {delivery} is gone"));
            return Ok(None);
        };
        let read = in_row(row, Stored::read);
        self.readable(commit, ("deliveries", delivery), read)
    }

    fn differs(&mut self, commit: u64, delivery: u64, wrong: Vec<&'static str>) {
        for what in wrong {
            self.broken(
                commit,
                format!("delivery {delivery}: its {what} is not what was recorded"),
            );
        }
    }

    /// Compares a delivery with the line that announces it.
    pub(super) fn made(
        &mut self,
        commit: u64,
        delivery: u64,
        words: &[&str],
        lines: &Lines<'_>,
    ) -> Result<(), ReadError> {
        let Some(row) = self.delivery(commit, delivery)? else { return Ok(()) };
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
        if let Some(salt) = salt(self.connection, row_id(row.event)).unwrap_or_default() {
            let values = row.names.each_ref().map(String::as_str);
            check(hidden == commitment(&salt, &values).to_string(), "key, name or reference");
        }
        let changed = lines.deliveries.contains_key(&delivery);
        if !changed && self.is_last(commit, row.committed, (delivery, "delivery")) {
            let decided = event.parse().ok().and_then(|event| lines.events.get(&event));
            let decided = decided.and_then(|said| said.words.get(7));
            check(row.state == State::Due && row.attempts == 0, "state");
            check(row.prepared == 0 && row.settled.is_none(), "state");
            check(row.answer.is_empty(), "answer");
            check(decided.is_some_and(|at| *at == row.due.to_string()), "due time");
        }
        self.differs(commit, delivery, wrong);
        self.document(commit, delivery, &row)
    }

    fn document(&mut self, commit: u64, delivery: u64, row: &Stored) -> Result<(), ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT bytes FROM documents WHERE delivery = ?1")?;
        let found = statement
            .query_row([row_id(delivery)], |row| {
                Ok(in_row(row, |row| {
                    let bytes: Vec<u8> = row.get(0)?;
                    Ok(Digest::of(&bytes))
                }))
            })
            .optional()?;
        match found {
            None => self.at.said.miss(commit, "document", (delivery, row.event)),
            Some(read) => {
                let digest = self.readable(commit, ("documents", delivery), read)?;
                if digest.is_some_and(|digest| digest != row.digest) {
                    self.differs(commit, delivery, vec!["document"]);
                }
            }
        }
        Ok(())
    }

    /// Compares a delivery with the line of its last change.
    pub(super) fn settled(
        &mut self,
        commit: u64,
        delivery: u64,
        words: &[&str],
    ) -> Result<(), ReadError> {
        let Some(row) = self.delivery(commit, delivery)? else { return Ok(()) };
        if !self.is_last(commit, row.committed, (delivery, "delivery")) {
            return Ok(());
        }
        let &[_, _, state, attempts, at, due, hidden, ..] = words else {
            self.broken(commit, format!("the settlement of delivery {delivery} is not whole"));
            return Ok(());
        };
        let mut wrong = Vec::new();
        let mut check = |same: bool, what| wrong.extend((!same).then_some(what));
        check(State::parse(state) == Some(row.state), "state");
        check(attempts == row.attempts.to_string(), "number of attempts");
        check(row.settled.is_some_and(|settled| at == settled.to_string()), "time");
        check(due == row.due.to_string(), "due time");
        let prepared = i64::from(self.at.said.prepared.contains(&delivery));
        check(!self.at.whole || row.prepared == prepared, "preparation");
        let salt = salt(self.connection, row_id(row.event)).unwrap_or_default();
        match (row.state, row.answer.as_str(), salt) {
            (State::Delivered, "", _) => check(hidden == "-", "answer"),
            (State::Delivered, answer, Some(salt)) => {
                check(hidden == commitment(&salt, &[answer]).to_string(), "answer");
            }
            (State::Delivered, _, None) => {}
            (_, answer, _) => check(answer.is_empty(), "answer"),
        }
        if row.state.is_final() {
            self.at.said.prepared.remove(&delivery);
        }
        self.differs(commit, delivery, wrong);
        Ok(())
    }
}
