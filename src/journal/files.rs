//! Files that a folder source works through: how far each has come, and what failed in it.
//!
//! A file is begun when its digest and its documents are known, it moves on with every commit that
//! takes documents of it (in the same transaction, so that none is taken twice and none left out),
//! and it ends when it has left the work folder. Each change is said in the chain: all of the row,
//! with its name in a commitment.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use crate::event::{Digest, FilePosition, Verdict};
use crate::journal::Journal;
use crate::journal::entries::salts;
use crate::journal::error::{CommitError, JournalError};
use crate::journal::filling::Filling;
use crate::journal::query::{ReadError, Reader, name_number};
use crate::journal::request::Batch;
use crate::journal::rows::text;
use crate::journal::said;
use crate::journal::schema::{nanoseconds, number, row_id, timestamp};
use crate::journal::writer::Command;

/// A file of which documents will come.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The source.
    pub source: Arc<str>,
    /// Its name in the folder.
    pub name: String,
    /// SHA-256 of all of it; of one that is rejected as a whole, of its first 8 MiB.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// How many documents it holds.
    pub documents: u64,
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileOutcome {
    /// All its documents are in the journal; what failed of it lies in `rejected/`.
    Done,
    /// It lies in `rejected/` as a whole.
    Rejected,
    /// It was taken out of the work folder by somebody else.
    Vanished,
}

impl FileOutcome {
    const ALL: [(Self, i64, &str); 3] =
        [(Self::Done, 1, "done"), (Self::Rejected, 2, "rejected"), (Self::Vanished, 3, "vanished")];

    /// The word in the chain, the metrics and the command line.
    pub fn as_str(self) -> &'static str {
        self.entry().2
    }

    /// The outcome of a number in the database.
    pub(super) fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == code).map(|(outcome, ..)| outcome)
    }

    fn entry(self) -> (Self, i64, &'static str) {
        let found = Self::ALL.into_iter().find(|(outcome, ..)| *outcome == self);
        found.unwrap_or(Self::ALL[0])
    }
}

/// A document of a file that came with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// Where it stood.
    pub position: FilePosition,
    /// The place of its decision in the batch; `None` for a redelivery.
    pub decision: Option<usize>,
}

/// A file and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// The journal's number.
    pub file: u64,
    /// Its name in the folder.
    pub name: String,
    /// SHA-256 of all of it; of one that is rejected as a whole, of its first 8 MiB.
    #[serde(serialize_with = "text")]
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// How many documents it holds.
    pub documents: u64,
    /// When it was begun.
    #[serde(serialize_with = "text")]
    pub begun: Timestamp,
    /// Documents before this offset are in the journal.
    pub next_offset: u64,
    /// How many of them there are.
    pub next_index: u64,
    /// How many of them the journal had before.
    pub duplicates: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How it ended.
    pub outcome: Option<FileOutcome>,
}

/// A document of a file that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedPart {
    /// Its place among the documents of the file, from 0.
    pub index: u64,
    /// Its event.
    pub event: u64,
    /// The offset of its first byte.
    pub start: u64,
    /// How many bytes it has.
    pub length: u64,
    /// Why, as last decided.
    pub causes: Vec<String>,
}

impl Journal {
    /// Begins files, in one transaction; their numbers, in their order.
    pub async fn begin_files(
        &self,
        files: Vec<NewFile>,
        at: Timestamp,
    ) -> Result<Vec<u64>, CommitError> {
        self.ask(|reply| Command::BeginFiles { files, at, reply }).await
    }

    /// Ends files, in one transaction.
    pub async fn end_files(
        &self,
        files: Vec<(u64, FileOutcome)>,
        at: Timestamp,
    ) -> Result<(), CommitError> {
        self.ask(|reply| Command::EndFiles { files, at, reply }).await
    }
}

/// Begins files.
pub(super) fn begin(
    filling: &mut Filling<'_>,
    files: &[NewFile],
    at: Timestamp,
) -> Result<Vec<u64>, CommitError> {
    let mut numbers = Vec::with_capacity(files.len());
    for (file, salt) in files.iter().zip(salts(files.len())?) {
        let source = filling.name(&file.source)?;
        filling
            .connection
            .prepare_cached(
                "INSERT INTO files (source, name, digest, size, documents, begun, next_offset,
                 next_index, duplicates, failed, salt, committed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0, ?7, ?8)",
            )?
            .execute(params![
                source,
                file.name,
                file.digest.0,
                row_id(file.size),
                row_id(file.documents),
                nanoseconds(at),
                salt,
                filling.commit(),
            ])?;
        let id = filling.connection.last_insert_rowid();
        said::file(filling.connection, id, filling.entries)?;
        numbers.push(number(id));
    }
    Ok(numbers)
}

/// Ends files; one that has ended already stays as it is.
pub(super) fn end(
    filling: &mut Filling<'_>,
    files: &[(u64, FileOutcome)],
    at: Timestamp,
) -> Result<(), CommitError> {
    for (file, outcome) in files {
        let ended = filling
            .connection
            .prepare_cached(
                "UPDATE files SET ended = ?2, outcome = ?3, committed = ?4
                 WHERE id = ?1 AND ended IS NULL",
            )?
            .execute(params![
                row_id(*file),
                nanoseconds(at),
                outcome.entry().1,
                filling.commit()
            ])?;
        if ended > 0 {
            said::file(filling.connection, row_id(*file), filling.entries)?;
        }
    }
    Ok(())
}

/// Moves the files of a batch on. A part that was counted before (the answer of its commit was
/// lost, and the batch was decided anew) is not counted again.
pub(super) fn advance(
    filling: &mut Filling<'_>,
    batch: &Batch,
    events: &[u64],
) -> Result<(), CommitError> {
    let mut parts = &batch.files[..];
    while let Some(first) = parts.first() {
        let file = first.position.file;
        let end = parts.iter().position(|part| part.position.file != file);
        let (of_file, rest) = parts.split_at(end.unwrap_or(parts.len()));
        advance_one(filling, of_file, batch, events)?;
        parts = rest;
    }
    Ok(())
}

fn advance_one(
    filling: &mut Filling<'_>,
    parts: &[FilePart],
    batch: &Batch,
    events: &[u64],
) -> Result<(), CommitError> {
    let Some(file) = parts.first().map(|part| row_id(part.position.file)) else { return Ok(()) };
    let connection = filling.connection;
    let next: Option<i64> = connection
        .prepare_cached("SELECT next_index FROM files WHERE id = ?1")?
        .query_row([file], |row| row.get(0))
        .optional()?;
    let Some(next) = next.map(number) else { return Ok(()) };
    let (mut duplicates, mut failed, mut last) = (0, 0, None);
    // One that was given back leaves a gap, and the file goes on from there.
    let counted = parts.iter().filter(|part| part.position.index >= next).zip(next..);
    for (part, _) in counted.take_while(|(part, expected)| part.position.index == *expected) {
        last = Some(part.position);
        let Some(at) = part.decision else {
            duplicates += 1;
            continue;
        };
        let verdict = batch.decisions.get(at).map(|decision| decision.verdict);
        if let (Some(Verdict::Failed), Some(event)) = (verdict, events.get(at)) {
            failed += 1;
            let position = &part.position;
            connection
                .prepare_cached("INSERT INTO file_failures VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    file,
                    row_id(position.index),
                    row_id(*event),
                    row_id(position.start),
                    row_id(position.length)
                ])?;
            let FilePosition { file, index, start, length, .. } = *position;
            filling.entries.failure(file, [index, *event, start, length]);
        }
    }
    let Some(last) = last else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE files SET next_offset = ?2, next_index = ?3, duplicates = duplicates + ?4,
             failed = failed + ?5, committed = ?6 WHERE id = ?1",
        )?
        .execute(params![
            file,
            row_id(last.next_offset),
            row_id(last.index + 1),
            duplicates,
            failed,
            filling.commit()
        ])?;
    Ok(said::file(connection, file, filling.entries)?)
}

/// The columns of a [`FileRow`].
const FILE: &str = "id, name, digest, size, documents, begun, next_offset, next_index, duplicates, \
                    failed, outcome";

impl Reader {
    /// A file.
    pub fn file(&self, file: u64) -> Result<Option<FileRow>, JournalError> {
        self.read(|connection| {
            let sql = format!("SELECT {FILE} FROM files WHERE id = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row([row_id(file)], file_row).optional()?)
        })
    }

    /// The files of a source that have not ended, in the order in which they were begun.
    pub fn open_files(&self, source: &str) -> Result<Vec<FileRow>, JournalError> {
        let sql = format!("SELECT {FILE} FROM files WHERE source = ?1 AND ended IS NULL");
        self.read(|connection| file_rows(connection, &sql, source))
    }

    /// The newest files of a source that had a name, at most `most` of them.
    pub fn files_named(
        &self,
        source: &str,
        name: &str,
        most: u32,
    ) -> Result<Vec<FileRow>, JournalError> {
        self.read(|connection| {
            let Some(source) = name_number(connection, source)? else { return Ok(Vec::new()) };
            // Without an index: there are few files beside events, and only a person asks.
            let sql = format!(
                "SELECT {FILE} FROM files WHERE source = ?1 AND name = ?2
                 ORDER BY id DESC LIMIT ?3"
            );
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params![source, name, most], file_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest ended file of a source with these bytes: it was dropped before.
    pub fn file_before(
        &self,
        source: &str,
        digest: &Digest,
    ) -> Result<Option<FileRow>, JournalError> {
        self.read(|connection| {
            let Some(source) = name_number(connection, source)? else { return Ok(None) };
            let sql = format!(
                "SELECT {FILE} FROM files WHERE digest = ?1 AND source = ?2 AND outcome = 1
                 ORDER BY id DESC LIMIT 1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row(params![digest.0, source], file_row).optional()?)
        })
    }

    /// What failed of a file, in its order.
    pub fn file_failures(&self, file: u64) -> Result<Vec<FailedPart>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT place, event, start, length, causes FROM file_failures
                 JOIN events ON events.id = event WHERE file = ?1 ORDER BY place",
            )?;
            let rows = statement.query_map([row_id(file)], |row| {
                let causes: String = row.get(4)?;
                Ok(FailedPart {
                    index: number(row.get(0)?),
                    event: number(row.get(1)?),
                    start: number(row.get(2)?),
                    length: number(row.get(3)?),
                    causes: causes.lines().map(str::to_owned).collect(),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn file_rows(connection: &Connection, sql: &str, source: &str) -> Result<Vec<FileRow>, ReadError> {
    let Some(source) = name_number(connection, source)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!("{sql} ORDER BY id"))?;
    let rows = statement.query_map([source], file_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let outcome: Option<i64> = row.get(10)?;
    Ok(FileRow {
        file: number(row.get(0)?),
        name: row.get(1)?,
        digest: Digest(row.get(2)?),
        size: number(row.get(3)?),
        documents: number(row.get(4)?),
        begun: timestamp(row.get(5)?),
        next_offset: number(row.get(6)?),
        next_index: number(row.get(7)?),
        duplicates: number(row.get(8)?),
        failed: number(row.get(9)?),
        outcome: outcome.and_then(FileOutcome::of_code),
    })
}
