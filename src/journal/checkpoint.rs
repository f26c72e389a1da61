//! When the write-ahead log goes into the database.
//!
//! SQLite would do it inside of whichever commit crosses a bound, and that commit would wait for
//! it. Here a thread with a connection of its own does the bulk while the writer goes on. Only
//! the writer can bring it to an end under load, because it adds to the log itself: above a
//! higher bound it does the rest, which is little by then, and the log begins anew.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// Pages of the log that wake the thread: 4 MiB.
const WAKE: u64 = 512;

/// Pages of the log above which the writer brings it to an end: 16 MiB.
const FULL: u64 = 2_048;

/// Bytes above which the file of the log is cut back once nobody waits.
const LARGE: u64 = 128 * 1024 * 1024;

/// Free pages that are given back to the file system at a time.
const VACUUM: u32 = 512;

/// The care of the log.
#[derive(Debug)]
pub(super) struct Checkpoint {
    wal: PathBuf,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where the log stands, in pages.
struct Log {
    /// All of it.
    pages: u64,
    /// What is not in the database yet.
    open: u64,
}

impl Checkpoint {
    /// For the log `wal`; `connection` becomes the thread's own.
    pub(super) fn start(wal: &Path, connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || work(connection, &woken))?;
        Ok(Self { wal: wal.to_owned(), wake: Some(wake), thread: Some(thread) })
    }

    /// To be called after every commit; `idle` says that nobody waits.
    pub(super) fn after_commit(&self, connection: &Connection, idle: bool) {
        // What fails here is tried again after the next commit; nothing is lost meanwhile.
        let Ok(log) = run(connection, "NOOP") else { return };
        if log.open < WAKE && log.pages < FULL {
            return;
        }
        if let Some(wake) = &self.wake {
            // A thread that is awake already need not be woken.
            let _ = wake.try_send(());
        }
        if log.pages < FULL || (log.open > 2 * WAKE && log.pages < 4 * FULL) {
            return;
        }
        let _ = run(connection, "PASSIVE");
        if idle && std::fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > LARGE) {
            let _ = run(connection, "TRUNCATE");
            let _ = connection.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM})"));
        }
    }

    /// To be called when the disk was full: whatever the log can be emptied of becomes room.
    pub(super) fn make_room(&self, connection: &Connection) {
        // Where the disk has no room for that either, the next full commit tries again.
        let _ = run(connection, "TRUNCATE");
    }

    /// The log is emptied, so that a copy of the one file is a whole backup.
    pub(super) fn at_close(mut self, connection: Connection) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            // It has no result; a panic in it takes nothing with it.
            let _ = thread.join();
        }
        let _ = run(&connection, "TRUNCATE");
        // Closing the last connection does the same once more; an error leaves the log behind,
        // and the next open reads it.
        let _ = connection.close();
    }
}

fn work(connection: Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // The writer asks again after its next commit.
        let _ = run(&connection, "PASSIVE");
    }
    // Reading does not depend on it.
    let _ = connection.close();
}

fn run(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?.query_row([], |row| {
        let (pages, done): (i64, i64) = (row.get(1)?, row.get(2)?);
        let count = |pages: i64| u64::try_from(pages).unwrap_or(0);
        Ok(Log { pages: count(pages), open: count(pages - done) })
    })
}
