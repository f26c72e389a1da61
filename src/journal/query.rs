//! What is read: short transactions on connections of their own, never the writer's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::delivery::{Consignment, DeliveryId, Due, State};
use crate::event::{Arrival, Beside, Digest};
use crate::journal::error::JournalError;
use crate::journal::request::{Anchor, Sizes};
use crate::journal::rows::trace;
use crate::journal::schema::{number, row_id, state_of, timestamp};
use crate::journal::store;
use crate::journal::trail::words_since;

/// Connections that are kept for the next reader.
const KEPT: usize = 4;

/// The reading side of a journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Reader {
    /// Reads the journal at `path`.
    pub(super) fn new(path: &Path) -> Self {
        let shared = Shared { path: path.to_owned(), idle: Mutex::new(Vec::new()) };
        Self { shared: Arc::new(shared) }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `read` in one transaction, so that all of it sees the same moment.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, JournalError> {
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => store::open_reader(&self.shared.path)?,
        };
        let result = connection
            .unchecked_transaction()
            .map_err(ReadError::from)
            .and_then(|transaction| read(&transaction));
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        result.map_err(|error| error.at(&self.shared.path))
    }

    /// The deliveries of a target that are not final, in their order, from the one behind `after`.
    pub fn due(
        &self,
        target: &str,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<Due>, JournalError> {
        self.read(|connection| {
            let Some(number) = name_number(connection, target)? else { return Ok(Vec::new()) };
            let target: Arc<str> = Arc::from(target);
            let mut statement = connection.prepare_cached(
                "SELECT id, key, state, due, attempts FROM deliveries
                 WHERE target = ?1 AND state < 10 AND id > ?2 ORDER BY id LIMIT ?3",
            )?;
            let rows = statement.query(params![number, row_id(after), count(limit)])?;
            all_due(rows, &target)
        })
    }

    /// The same for one lane of a target. It costs a look at every 4096 events since the oldest
    /// that is not final: for a lane whose tail is not in memory, not for every step.
    pub fn due_of_key(
        &self,
        target: &str,
        key: &str,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<Due>, JournalError> {
        self.read(|connection| {
            let Some(number) = name_number(connection, target)? else { return Ok(Vec::new()) };
            let first = connection
                .prepare_cached(
                    "SELECT event FROM deliveries WHERE target = ?1 AND state < 10 AND id > ?2
                     ORDER BY id LIMIT 1",
                )?
                .query_row([number, row_id(after)], |row| row.get(0))
                .optional()?;
            let Some(first) = first else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT d.id, d.key, d.state, d.due, d.attempts FROM events e JOIN deliveries d
                 ON d.id >= e.first_delivery AND d.id < e.first_delivery + e.deliveries
                 WHERE e.id = ?1 AND d.target = ?2 AND d.key = ?3 AND d.id > ?4
                 AND +d.state < 10 ORDER BY d.id",
            )?;
            let target: Arc<str> = Arc::from(target);
            let mut due = Vec::new();
            for event in words_since(connection, key, first)? {
                let rows = statement.query(params![event, number, key, row_id(after)])?;
                due.extend(all_due(rows, &target)?);
            }
            // An event that was decided again has newer deliveries than the events behind it.
            due.sort_unstable_by_key(|due| due.id);
            due.truncate(limit);
            Ok(due)
        })
    }

    /// What is to be sent, in the order of `ids`; what is not there is left out.
    pub fn consignments(&self, ids: &[DeliveryId]) -> Result<Vec<Consignment>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT deliveries.name, bytes, prepared, traceparent, tracestate FROM deliveries
                 JOIN documents ON delivery = deliveries.id JOIN events ON events.id = event
                 WHERE deliveries.id = ?1",
            )?;
            let mut consignments = Vec::with_capacity(ids.len());
            for id in ids {
                let found = statement.query_row([row_id(*id)], |row| {
                    let (name, document, prepared) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(Consignment { id: *id, name, document, prepared, trace: trace(row, 3)? })
                });
                consignments.extend(found.optional()?);
            }
            Ok(consignments)
        })
    }

    /// How many bytes the documents of these deliveries have; 0 for one that is not there. They
    /// are not read.
    pub fn document_sizes(&self, ids: &[DeliveryId]) -> Result<Vec<u64>, JournalError> {
        self.read(|connection| {
            let sql = "SELECT length(bytes) FROM documents WHERE delivery = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let size = |id: &DeliveryId| {
                let size = statement.query_row([row_id(*id)], |row| row.get(0)).optional()?;
                Ok(number(size.unwrap_or(0)))
            };
            ids.iter().map(size).collect()
        })
    }

    /// The bytes of an event, while they are kept.
    pub fn event_raw(&self, event: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(|connection| {
            let raw = connection
                .prepare_cached("SELECT raw FROM payloads WHERE event = ?1")?
                .query_row([row_id(event)], |row| row.get(0));
            Ok(raw.optional()?)
        })
    }

    /// An event as it came in, while its bytes are kept, so that it can be decided again.
    pub fn arrival(&self, event: u64) -> Result<Option<Arrival>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, raw, external, received, traceparent, tracestate FROM events
                 JOIN payloads ON event = events.id JOIN names ON names.id = source
                 WHERE events.id = ?1",
            )?;
            let arrival = statement.query_row([row_id(event)], |row| {
                let (source, raw): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                Ok(Arrival {
                    source: source.into(),
                    raw: raw.into(),
                    message_id: Some(row.get(2)?),
                    received: timestamp(row.get(3)?),
                    position: None,
                    // What came in headers was put into the bytes.
                    beside: Beside { head: None, trace: trace(row, 4)? },
                })
            });
            Ok(arrival.optional()?)
        })
    }

    /// The events that wait behind a parked key, in their order, from the one behind `after`.
    pub fn waiting_of_key(
        &self,
        key: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<u64>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id FROM events WHERE key = ?1 AND verdict = 5 AND id > ?2
                 ORDER BY id LIMIT ?3",
            )?;
            let ids =
                statement.query_map(params![key, row_id(after), count(limit)], |row| row.get(0))?;
            Ok(ids.map(|id| id.map(number)).collect::<Result<_, _>>()?)
        })
    }

    /// The keys that are free and have events that wait all the same, in the order of these.
    pub fn free_keys_with_waiting(&self) -> Result<Vec<String>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key FROM events WHERE verdict = 5
                 AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = events.key)
                 GROUP BY key ORDER BY min(id)",
            )?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The head of the chain.
    pub fn anchor(&self) -> Result<Anchor, JournalError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1")?;
            let anchor = statement.query_row([], |row| {
                Ok(Anchor { number: number(row.get(0)?), hash: Digest(row.get(1)?) })
            })?;
            Ok(anchor)
        })
    }

    /// When the last commit was made, if there is any.
    pub fn last_commit(&self) -> Result<Option<Timestamp>, JournalError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT at FROM commits ORDER BY number DESC LIMIT 1")?;
            let at: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
            Ok(at.map(timestamp))
        })
    }

    /// What the journal takes and what is left for it.
    pub fn sizes(&self) -> Result<Sizes, JournalError> {
        let path = self.path();
        let io = JournalError::io;
        let database = std::fs::metadata(path).map_err(io(path))?.len();
        let wal = std::fs::metadata(store::wal_of(path)).map_or(0, |wal| wal.len());
        let directory = store::directory_of(path);
        let facts = rustix::fs::statvfs(directory).map_err(|error| io(directory)(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
        let (free, total) = (bytes(facts.f_bavail), bytes(facts.f_blocks));
        Ok(Sizes { database, wal, free, total })
    }
}

/// Why a read failed, before the place is known.
#[derive(Debug)]
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    Damaged {
        what: &'static str,
        id: u64,
    },
    /// A column holds what no waybill writes there.
    Column {
        column: String,
        found: String,
    },
}

/// Reads a row; where a column holds another storage class, the error names the column.
pub(super) fn in_row<T>(
    row: &Row<'_>,
    read: impl FnOnce(&Row<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    read(row).map_err(|error| {
        let (index, found) = match &error {
            ReadError::Sqlite(InvalidColumnType(index, _, found)) => (*index, found.to_string()),
            ReadError::Sqlite(FromSqlConversionFailure(index, found, _)) => {
                (*index, format!("{found} of a form that is not known"))
            }
            ReadError::Sqlite(IntegralValueOutOfRange(index, _)) => {
                (*index, "an integer out of range".to_owned())
            }
            _ => return error,
        };
        let column = row.as_ref().column_name(index).unwrap_or("?").to_owned();
        ReadError::Column { column, found }
    })
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl ReadError {
    fn at(self, path: &Path) -> JournalError {
        match self {
            Self::Sqlite(error) => JournalError::sqlite(path)(error),
            Self::Damaged { what, id } => JournalError::Damaged { path: path.to_owned(), what, id },
            Self::Column { column, found } => {
                JournalError::Column { path: path.to_owned(), column, found }
            }
        }
    }
}

/// The number of a configured name, if any row ever had it.
pub(super) fn name_number(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM names WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// A limit as SQLite wants it.
pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn all_due(mut rows: rusqlite::Rows<'_>, target: &Arc<str>) -> Result<Vec<Due>, ReadError> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(Due {
            id: number(row.get(0)?),
            target: target.clone(),
            key: Arc::from(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?),
            state: state(row, 0, 2)?,
            due: timestamp(row.get(3)?),
            attempts: row.get(4)?,
        });
    }
    Ok(all)
}

/// The state in column `code` of the delivery in column `id`.
pub(super) fn state(row: &Row<'_>, id: usize, code: usize) -> Result<State, ReadError> {
    let id = number(row.get(id)?);
    state_of(row.get(code)?).ok_or(ReadError::Damaged { what: "delivery", id })
}
