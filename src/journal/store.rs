//! How the database is opened: version of the library, pragmas, tables, epoch.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::directory::Directory;
use crate::event::Digest;
use crate::journal::entries::{Entries, hex};
use crate::journal::error::{CommitError, JournalError};
use crate::journal::filling::Head;
use crate::journal::numbers::{LAST_EPOCH, SideFile};
use crate::journal::parked::count_parked;
use crate::journal::schema::{MIGRATIONS, migrate, number, row_id, version};
use crate::journal::writer::chain;

/// The first library without the WAL-reset fault, as SQLite counts versions.
const FIRST_SOUND: i32 = 3_051_003;

/// Statements that a connection keeps ready.
const STATEMENTS: usize = 64;

/// What the owner of a journal opens.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) head: Head,
    pub(super) side: SideFile,
    pub(super) epoch: u16,
}

/// The directory of a database file.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// The write-ahead log of a database file.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn check_library() -> Result<(), JournalError> {
    if rusqlite::version_number() < FIRST_SOUND {
        return Err(JournalError::Library { found: rusqlite::version() });
    }
    Ok(())
}

/// Opens for reading, beside a running owner or without one.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    check_library()?;
    let at = JournalError::sqlite;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(at(path))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -1024;",
        )
        .map_err(at(path))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match version(&connection).map_err(at(path))? {
        0 => Err(JournalError::NotAJournal { path: path.to_owned() }),
        found if found > known => Err(JournalError::Newer { path: path.to_owned(), found, known }),
        found if found < known => Err(JournalError::Older { path: path.to_owned(), found, known }),
        _ => Ok(connection),
    }
}

/// A connection beside the writer's, for moving the log.
pub(super) fn open_plain(path: &Path) -> Result<Connection, JournalError> {
    let at = JournalError::sqlite;
    let connection = Connection::open(path).map_err(at(path))?;
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .map_err(at(path))?;
    Ok(connection)
}

/// Opens for writing and brings everything up to date. The caller holds the owner's lock.
pub(super) fn open_writer(path: &Path, instance: u16, now: i64) -> Result<Opened, JournalError> {
    check_library()?;
    let at = JournalError::sqlite;
    make(path).map_err(JournalError::io(path))?;
    let mut connection = Connection::open(path).map_err(at(path))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if version(&connection).map_err(at(path))? == 0 {
        // These take hold in a file without tables, and cost a write in any other. Most of what
        // comes is appended, and fewer, larger pages make that a third cheaper than 4096 bytes.
        connection
            .execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;")
            .map_err(at(path))?;
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA busy_timeout = 5000;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8192;",
        )
        .map_err(at(path))?;
    migrate(&mut connection, path, MIGRATIONS, now)?;
    let mut head = read_head(&connection).map_err(at(path))?;
    let (epoch, side) = settle_epoch(&mut connection, path, instance, (&mut head, now))?;
    Ok(Opened { connection, head, side, epoch })
}

/// Makes a database file that is missing, for its owner alone: the library would ask the umask, and
/// gives the log and its index the mode of the database.
fn make(path: &Path) -> std::io::Result<()> {
    let directory = Directory::open(directory_of(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match directory.metadata(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            directory.create(&name).map(drop)
        }
        found => found.map(drop),
    }
}

/// Where a journal stands.
pub(super) fn read_head(connection: &Connection) -> rusqlite::Result<Head> {
    let last = |table: &str, column: &str| {
        let sql = format!("SELECT coalesce(max({column}), 0) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).map(number)
    };
    let link = connection
        .query_row("SELECT at, hash FROM commits ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, Digest(row.get(1)?)))
        })
        .optional()?;
    let (at, hash) = link.unwrap_or((i64::MIN, Digest([0; 32])));
    Ok(Head {
        number: last("commits", "number")?,
        at,
        hash,
        event: last("events", "id")? + 1,
        delivery: last("deliveries", "id")? + 1,
        parked: count_parked(connection)?,
    })
}

/// What a journal says of itself.
struct Meta {
    journal: String,
    instance: u16,
    epoch: u16,
}

/// Finds out whether the database came back from a backup, and goes on in a new epoch then.
fn settle_epoch(
    connection: &mut Connection,
    path: &Path,
    instance: u16,
    (mut head, now): (&mut Head, i64),
) -> Result<(u16, SideFile), JournalError> {
    let at = JournalError::sqlite;
    let side_path = SideFile::path_beside(path);
    let side = SideFile::read(&side_path)?;
    let meta = read_meta(connection).map_err(at(path))?;
    let mut next = read_numbers(connection).map_err(at(path))?;
    let (journal, epoch) = match (&meta, &side) {
        (None, None) => (new_id()?, 0),
        // Another journal was here: its numbers must not come again.
        (None, Some(side)) => {
            let journal = new_id()?;
            let epoch = side.restored(&journal, 0, &[]).unwrap_or(0);
            (journal, epoch)
        }
        (Some(meta), None) => (meta.journal.clone(), meta.epoch + 1),
        (Some(meta), Some(side)) => {
            let restored = side.restored(&meta.journal, meta.epoch, &next);
            (meta.journal.clone(), restored.unwrap_or(meta.epoch))
        }
    };
    if epoch > LAST_EPOCH {
        return Err(JournalError::Epochs { path: path.to_owned() });
    }
    let same = meta.is_some_and(|meta| meta.epoch == epoch && meta.instance == instance);
    if !same {
        let meta = Meta { journal: journal.clone(), instance, epoch };
        write_meta(connection, &meta, head, now)?;
    }
    if let Some(side) = &side {
        // Ranges that are too short for an epoch do not repeat either where this file is left.
        let ahead = side.ahead(&journal, &next);
        skip(connection, &ahead, (&mut head, now))?;
        next.retain(|(range, _)| ahead.iter().all(|(skipped, ..)| skipped != range));
        next.extend(ahead);
    }
    let settled = SideFile::new(&side_path, &journal, epoch, &next);
    // What says the same already is left alone: a journal can be opened on a full disk.
    if side.as_ref() != Some(&settled) {
        settled.write().map_err(JournalError::io(&side_path))?;
    }
    Ok((epoch, settled))
}

fn read_meta(connection: &Connection) -> rusqlite::Result<Option<Meta>> {
    connection
        .query_row(
            "SELECT j.value, i.value, e.value FROM meta j JOIN meta i JOIN meta e
             WHERE j.name = 'journal' AND i.name = 'instance' AND e.name = 'epoch'",
            [],
            |row| Ok(Meta { journal: row.get(0)?, instance: row.get(1)?, epoch: row.get(2)? }),
        )
        .optional()
}

fn read_numbers(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare("SELECT range, next FROM numbers")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, number(row.get(1)?))))?;
    rows.collect()
}

/// Gives out, unused, what ranges had come to before a restore.
fn skip(
    connection: &mut Connection,
    ahead: &[(String, u64)],
    (head, now): (&mut Head, i64),
) -> Result<(), CommitError> {
    let mut entries = Entries::default();
    let transaction = connection.transaction()?;
    for (range, next) in ahead {
        let from = transaction.query_row(
            "SELECT coalesce((SELECT next FROM numbers WHERE range = ?1), 1)",
            [range],
            |row| row.get(0).map(number),
        )?;
        transaction.execute(
            "INSERT INTO numbers VALUES (?1, ?2) ON CONFLICT DO UPDATE SET next = excluded.next",
            params![range, row_id(*next)],
        )?;
        entries.numbers(range, from, *next);
    }
    let at = now.max(head.at);
    chain(&transaction, head, at, &entries)?;
    Ok(transaction.commit()?)
}

fn write_meta(
    connection: &mut Connection,
    meta: &Meta,
    head: &mut Head,
    now: i64,
) -> Result<(), JournalError> {
    let mut entries = Entries::default();
    if head.number == 0 {
        entries.format(0);
    }
    entries.journal(&meta.journal, meta.instance, meta.epoch);
    let written = connection.transaction().and_then(|transaction| {
        let put =
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
        transaction.execute(put, params!["journal", meta.journal])?;
        transaction.execute(put, params!["instance", meta.instance])?;
        transaction.execute(put, params!["epoch", meta.epoch])?;
        transaction.execute("INSERT OR IGNORE INTO meta VALUES ('created', ?1)", [now])?;
        Ok(transaction)
    });
    let transaction = written.map_err(CommitError::from)?;
    let at = now.max(head.at);
    chain(&transaction, head, at, &entries)?;
    transaction.commit().map_err(CommitError::from)?;
    Ok(())
}

/// Random, so that a side file is never taken for another journal's.
fn new_id() -> Result<String, JournalError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| JournalError::System {
        what: "random bytes",
        reason: error.to_string(),
    })?;
    let mut id = String::new();
    hex(&mut id, &bytes);
    Ok(id)
}
