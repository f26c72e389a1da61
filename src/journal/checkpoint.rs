//! When the write-ahead log goes into the database.
//!
//! SQLite would do it inside of whichever commit crosses a bound, and that commit would wait for
//! it. Here the writer does it when nobody waits, and otherwise only above a higher bound.

use std::path::PathBuf;

use rusqlite::Connection;

/// Pages of the log from which an idle writer moves them over: 4 MiB.
const IDLE: u64 = 512;

/// Pages of the log from which a busy writer moves them over too: 32 MiB.
const BUSY: u64 = 4_096;

/// Bytes above which the file of the log is cut back once it is empty.
const LARGE: u64 = 128 * 1024 * 1024;

/// Free pages that are given back to the file system at a time.
const VACUUM: u32 = 512;

/// The care of the log.
#[derive(Debug)]
pub(super) struct Checkpoint {
    wal: PathBuf,
}

impl Checkpoint {
    /// For the database whose log is `wal`.
    pub(super) fn new(wal: PathBuf) -> Self {
        Self { wal }
    }

    /// To be called after every commit; `idle` says that nobody waits.
    pub(super) fn after_commit(&self, connection: &Connection, idle: bool) {
        // What fails here is tried again after the next commit; nothing is lost meanwhile.
        let Ok(pages) = pages(connection) else { return };
        if pages < if idle { IDLE } else { BUSY } {
            return;
        }
        let _ = run(connection, "PASSIVE");
        let large = std::fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > LARGE);
        if large && idle {
            let _ = run(connection, "TRUNCATE");
            let _ = connection.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM})"));
        }
    }

    /// The log is emptied, so that a copy of the one file is a whole backup.
    pub(super) fn at_close(self, connection: Connection) {
        let _ = run(&connection, "TRUNCATE");
        // Closing the last connection does the same once more; an error leaves the log behind,
        // and the next open reads it.
        let _ = connection.close();
    }
}

/// Pages of the log that are not in the database yet.
fn pages(connection: &Connection) -> rusqlite::Result<u64> {
    run(connection, "NOOP")
}

fn run(connection: &Connection, mode: &str) -> rusqlite::Result<u64> {
    connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?.query_row([], |row| {
        let (log, done): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(u64::try_from(log - done).unwrap_or(0))
    })
}
