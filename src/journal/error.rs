//! What can go wrong. No message carries payload text, a key or an id.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::delivery::State;
use crate::event::Verdict;
use crate::journal::query::ReadError;

/// The journal cannot be opened or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// SQLite's answer.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// The error.
        source: rusqlite::Error,
    },
    /// A file beside the database.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// A library with the WAL-reset fault.
    #[error("SQLite {found} is linked, but at least 3.51.3 is needed")]
    Library {
        /// Its version.
        found: &'static str,
    },
    /// Written by a newer waybill.
    #[error("{}: journal version {found} is newer than this waybill knows ({known}); run the newer waybill, or restore the backup that was made before the upgrade", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// Written by an older waybill, and not opened by this one yet.
    #[error("{}: journal version {found} is older than this waybill's ({known}); its agent brings it up to date when it starts, and keeps a backup", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that is known here.
        known: i64,
    },
    /// No journal is there to read.
    #[error("{}: not a waybill journal", path.display())]
    NotAJournal {
        /// The database.
        path: PathBuf,
    },
    /// Another process owns the directory.
    #[error("{}: in use by process {pid}; two agents must not share a data_dir", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The owner's process id, or `unknown`.
        pid: String,
    },
    /// A process that is no agent, or one that is just starting, holds the lock.
    #[error("{}: process {pid} holds the lock and did not write its number into it: it is no agent, or one that is just starting; end it (ps -p {pid})", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
        /// The holder's process id.
        pid: String,
    },
    /// A file system on which SQLite's locks and shared memory do not hold.
    #[error("{}: the data_dir is on {kind}; put it on a local disk or a block volume", path.display())]
    NetworkFs {
        /// The directory.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The side file of the numbers cannot be understood.
    #[error("{}:{line}: not a record of reserved numbers", path.display())]
    SideFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Restored too often.
    #[error("{}: restored 99 times; give the agent a new instance number and a new journal", path.display())]
    Epochs {
        /// The database.
        path: PathBuf,
    },
    /// Not a number of three digits.
    #[error("instance {0} is not in 0..=999")]
    Instance(u16),
    /// A value in the database that no waybill writes.
    #[error("{}: {what} {id} has a value that this waybill does not know", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The kind of row.
        what: &'static str,
        /// Its number.
        id: u64,
    },
    /// A column holds what no waybill writes there.
    #[error("{}: column {column} holds {found}, which no waybill writes there; `waybill audit verify` names the row", path.display())]
    Column {
        /// The database.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its storage class.
        found: String,
    },
    /// The database is damaged, or it is none.
    #[error("{}: the database is damaged ({reason}); stop the agent, keep the files, and restore a backup", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// The operating system gives no random numbers or no thread.
    #[error("the operating system refuses {what}: {reason}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The commit that it needed failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl JournalError {
    /// The reason without paths and words of others, for anybody who asks.
    pub fn brief(&self) -> &'static str {
        match self {
            Self::Commit(error) => error.brief(),
            Self::Corrupt { .. } | Self::Column { .. } | Self::Damaged { .. } => "it is damaged",
            _ => "it cannot be read",
        }
    }

    pub(super) fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            if is_damage(&source) {
                return Self::Corrupt { path, reason: source.to_string() };
            }
            Self::Sqlite { path, source }
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Whether the file is not what SQLite wrote: other than a full disk, time does not mend that.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// A command was not committed. Nothing of it is in the journal.
///
/// One caveat that every database shares: after [`CommitError::Io`] and a crash right behind it,
/// the transaction may turn out to be whole on the disk after all. A batch that is then offered
/// again is a redelivery, and a settlement is the same settlement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// The disk, or the quota, is full.
    #[error("the journal's disk is full")]
    Full,
    /// Writing or syncing failed.
    #[error("the journal cannot write: {reason}")]
    Io {
        /// The operating system's or SQLite's words.
        reason: String,
    },
    /// Another process has a lock on the database.
    #[error(
        "the journal is locked by another process ({reason}); find it with `fuser` on the journal's files, and end it"
    )]
    Locked {
        /// SQLite's words.
        reason: String,
    },
    /// The database is damaged, or it is none.
    #[error(
        "the journal is damaged ({reason}); stop the agent, keep the files, and restore a backup"
    )]
    Corrupt {
        /// SQLite's words.
        reason: String,
    },
    /// The identity of this decision is in the journal already, or twice in the batch.
    #[error("decision {index} of the batch has an identity that is already recorded")]
    Duplicate {
        /// Which decision of the batch, from 0.
        index: usize,
    },
    /// A document or payload beyond what one row can hold.
    #[error("a row of decision {index} of the batch is too big for the journal")]
    TooBig {
        /// Which decision of the batch, from 0.
        index: usize,
    },
    /// The event to be decided again is not there, or its bytes are gone.
    #[error("event {event} is not in the journal any more")]
    UnknownEvent {
        /// Its number.
        event: u64,
    },
    /// Only what was not accepted can be decided again.
    #[error("event {event} is {} already", verdict.as_str())]
    NotAgain {
        /// Its number.
        event: u64,
        /// Its verdict.
        verdict: Verdict,
    },
    /// No such delivery.
    #[error("there is no delivery {delivery}")]
    UnknownDelivery {
        /// Its number.
        delivery: u64,
    },
    /// The action is not possible in this state.
    #[error("delivery {delivery} is {}", state.as_str())]
    WrongState {
        /// Its number.
        delivery: u64,
        /// The state that it is in.
        state: State,
    },
    /// The key is not parked.
    #[error("the key is not parked")]
    NotParked,
    /// The range has used up its eleven digits.
    #[error("the number range {range} is used up")]
    NumbersUsedUp {
        /// Its name.
        range: String,
    },
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
    /// Anything else that SQLite says.
    #[error("the journal refuses: {reason}")]
    Refused {
        /// SQLite's words.
        reason: String,
    },
}

impl CommitError {
    /// Whether the reason lies in the place and not in the data: the same command can succeed
    /// later, at the latest after a restore.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full | Self::Io { .. } | Self::Locked { .. } | Self::Corrupt { .. })
    }
}

impl CommitError {
    /// The reason without words of SQLite or of the operating system, for anybody who asks.
    pub fn brief(&self) -> &'static str {
        match self {
            Self::Full => "its disk is full",
            Self::Io { .. } => "it cannot be written",
            Self::Locked { .. } => "it is locked by another process",
            Self::Corrupt { .. } => "it is damaged",
            Self::Closed => "it is closed",
            _ => "it refuses a commit",
        }
    }
}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
            OutOfMemory, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            _ if is_damage(&error) => Self::Corrupt { reason: error.to_string() },
            Some(DiskFull) => Self::Full,
            Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed) => {
                Self::Locked { reason: error.to_string() }
            }
            Some(SystemIoFailure | CannotOpen | ReadOnly | OutOfMemory) => {
                Self::Io { reason: error.to_string() }
            }
            _ => Self::Refused { reason: error.to_string() },
        }
    }
}

impl From<ReadError> for CommitError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Sqlite(error) => error.into(),
            ReadError::Damaged { what, id } => {
                Self::Refused { reason: format!("{what} {id} has a value that is not known") }
            }
            ReadError::Column { column, found } => {
                Self::Refused { reason: format!("column {column} holds {found}") }
            }
        }
    }
}

/// Says which decision of the batch it was.
pub(super) fn at(error: CommitError, place: usize) -> CommitError {
    match error {
        CommitError::Duplicate { .. } => CommitError::Duplicate { index: place },
        CommitError::TooBig { .. } => CommitError::TooBig { index: place },
        other => other,
    }
}

/// The error that lies in the size of a value; the caller knows which decision it is.
pub(super) fn size_error(error: rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::TooBig) => CommitError::TooBig { index: 0 },
        _ => error.into(),
    }
}
