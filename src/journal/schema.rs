//! The tables, and how they came to be.
//!
//! What is touched for every event is appended at the end of a tree. Only `seen` and `objects`
//! are reached at random places, because a page that is touched is a page that is written;
//! `words` (what `trail` looks for) is cut into buckets of neighbouring events for that reason.
//! Times are nanoseconds since 1970.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::delivery::State;
use crate::event::Verdict;
use crate::journal::error::JournalError;
use crate::journal::upgrade;

/// Every step from an empty file to today's tables. A step that was released is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE commits (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, previous BLOB NOT NULL,
    hash BLOB NOT NULL, entries BLOB NOT NULL);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE events (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, external TEXT NOT NULL,
    kind TEXT NOT NULL, key TEXT NOT NULL, time TEXT NOT NULL, received INTEGER NOT NULL,
    decided INTEGER NOT NULL, verdict INTEGER NOT NULL, causes TEXT NOT NULL, digest BLOB NOT NULL,
    lifecycle INTEGER, object TEXT, status_from TEXT, status_to TEXT, applied INTEGER,
    first_delivery INTEGER NOT NULL, deliveries INTEGER NOT NULL, committed INTEGER NOT NULL);
CREATE INDEX events_verdict ON events (verdict) WHERE verdict > 2;
CREATE INDEX events_waiting ON events (key) WHERE verdict = 5;
CREATE TABLE payloads (event INTEGER PRIMARY KEY, salt BLOB NOT NULL, raw BLOB NOT NULL);
CREATE TABLE deliveries (id INTEGER PRIMARY KEY, event INTEGER NOT NULL, target INTEGER NOT NULL,
    state INTEGER NOT NULL, prepared INTEGER NOT NULL, due INTEGER NOT NULL,
    attempts INTEGER NOT NULL, settled INTEGER, committed INTEGER NOT NULL,
    mapping INTEGER NOT NULL, digest BLOB NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
    reference TEXT NOT NULL, answer TEXT NOT NULL);
CREATE INDEX deliveries_open ON deliveries (target) WHERE state < 10;
CREATE TABLE documents (delivery INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE attempts (id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, at INTEGER NOT NULL,
    attempt INTEGER NOT NULL, state INTEGER NOT NULL, due INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX attempts_delivery ON attempts (delivery);
CREATE TABLE actions (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, verb TEXT NOT NULL, event INTEGER NOT NULL, delivery INTEGER,
    committed INTEGER NOT NULL);
CREATE INDEX actions_event ON actions (event);
CREATE TABLE seen (identity BLOB PRIMARY KEY, event INTEGER NOT NULL, digest BLOB NOT NULL)
    WITHOUT ROWID;
CREATE TABLE objects (lifecycle INTEGER NOT NULL, object TEXT NOT NULL, status TEXT NOT NULL,
    event INTEGER NOT NULL, PRIMARY KEY (lifecycle, object)) WITHOUT ROWID;
CREATE TABLE parked (key TEXT PRIMARY KEY, event INTEGER NOT NULL, at INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE words (bucket INTEGER NOT NULL, hash INTEGER NOT NULL, event INTEGER NOT NULL,
    PRIMARY KEY (bucket, hash, event)) WITHOUT ROWID;
CREATE TABLE numbers (range TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
",
    "
CREATE TABLE files (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL,
    digest BLOB NOT NULL, size INTEGER NOT NULL, documents INTEGER NOT NULL,
    begun INTEGER NOT NULL, next_offset INTEGER NOT NULL, next_index INTEGER NOT NULL,
    duplicates INTEGER NOT NULL, failed INTEGER NOT NULL, ended INTEGER, outcome INTEGER);
CREATE INDEX files_open ON files (source) WHERE ended IS NULL;
CREATE INDEX files_digest ON files (digest);
CREATE TABLE file_failures (file INTEGER NOT NULL, place INTEGER NOT NULL, event INTEGER NOT NULL,
    start INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (file, place)) WITHOUT ROWID;
",
    "
ALTER TABLE events ADD COLUMN traceparent TEXT;
ALTER TABLE events ADD COLUMN tracestate TEXT;
",
    // Events of before keep their salt beside the payload, and none of them names an origin. What
    // no line of the chain said before is said once, by `upgrade`.
    "
ALTER TABLE events ADD COLUMN origin TEXT;
ALTER TABLE events ADD COLUMN salt BLOB;
ALTER TABLE actions ADD COLUMN uid INTEGER;
ALTER TABLE files ADD COLUMN salt BLOB;
ALTER TABLE files ADD COLUMN committed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX parked_event ON parked (event);
CREATE TABLE standing (id INTEGER PRIMARY KEY, event INTEGER NOT NULL, lifecycle INTEGER NOT NULL,
    object TEXT NOT NULL, status TEXT NOT NULL);
CREATE INDEX standing_event ON standing (event);
",
];

/// The version from which on the chain says everything that is read.
const SAID_WHOLE: i64 = 4;

/// Events per bucket of `words`, as a power of two.
pub(super) const BUCKET_BITS: u32 = 12;

/// Brings the tables up to date, after a backup of what was there.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
    now: i64,
) -> Result<(), JournalError> {
    let at = JournalError::sqlite;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = version(connection).map_err(at(path))?;
    if found > known {
        return Err(JournalError::Newer { path: path.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    if found > 0 {
        backup(connection, path, found)?;
    }
    let transaction = connection.transaction().map_err(at(path))?;
    for step in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(at(path))?;
    }
    if found > 0 && found < SAID_WHOLE && known >= SAID_WHOLE {
        upgrade::say_all(&transaction, now)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(at(path))?;
    transaction.commit().map_err(at(path))
}

/// The version of the tables; 0 for an empty file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A whole copy beside the database: `journal.db.v1`. It is written under another name first, so
/// that a copy that was cut short is never taken for a backup.
fn backup(connection: &Connection, path: &Path, version: i64) -> Result<(), JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}"));
    let mut part = name.clone();
    part.push(".part");
    let (name, part) = (Path::new(&name), Path::new(&part));
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(JournalError::io(part)(error));
        }
        _ => {}
    }
    connection
        .execute("VACUUM INTO ?1", [part.to_string_lossy()])
        .map_err(JournalError::sqlite(part))?;
    let file = std::fs::File::open(part).map_err(JournalError::io(part))?;
    file.sync_all().map_err(JournalError::io(part))?;
    std::fs::rename(part, name).map_err(JournalError::io(name))
}

/// The number of a verdict in the database.
pub(super) fn verdict_code(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Ignored => 1,
        Verdict::Accepted => 2,
        Verdict::Refused => 3,
        Verdict::Failed => 4,
        Verdict::Waiting => 5,
    }
}

/// The verdict of a number.
pub(super) fn verdict_of(code: i64) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|verdict| verdict_code(*verdict) == code)
}

/// The number of a state in the database. What is final is 10 and above: the indexes on what is
/// still to be done rest on it.
pub(super) fn state_code(state: State) -> i64 {
    match state {
        State::Due => 1,
        State::Prepared => 2,
        State::InDoubt => 3,
        State::Dead => 4,
        State::Delivered => 10,
        State::Discarded => 11,
    }
}

/// The state of a number.
pub(super) fn state_of(code: i64) -> Option<State> {
    State::ALL.into_iter().find(|state| state_code(*state) == code)
}

/// Nanoseconds since 1970; what lies outside of 1677 to 2262 becomes the nearer end.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    let exact = time.as_nanosecond();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// The reverse of [`nanoseconds`]; the ends become the ends of time, so that "never" stays never.
pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    match nanoseconds {
        i64::MAX => Timestamp::MAX,
        i64::MIN => Timestamp::MIN,
        exact => Timestamp::from_nanosecond(i128::from(exact)).unwrap_or(Timestamp::MAX),
    }
}

/// A row number as SQLite holds it.
pub(super) fn row_id(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The reverse of [`row_id`].
pub(super) fn number(row_id: i64) -> u64 {
    u64::try_from(row_id).unwrap_or(0)
}

/// FNV-1a, 64 bit: it must be the same in every version and only has to narrow a search.
pub(super) fn hash(text: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    i64::from_ne_bytes(hash.to_ne_bytes())
}
