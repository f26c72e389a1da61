//! The one thread that writes: group commit.
//!
//! It takes every command that is queued, does them in one transaction with one sync, and answers
//! them all after that. There are no timers: while one group is synced, the next one gathers. A
//! command that fails for a reason that lies in its data is left out, and the transaction is made
//! again without it; that is rare, and cheaper than a savepoint per command, which copies every
//! page that is touched.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::delivery::Settlement;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::entries::{Entries, link};
use crate::journal::error::CommitError;
use crate::journal::files::{self, FileOutcome, NewFile};
use crate::journal::filling::{Filling, Head, Names};
use crate::journal::numbers::{COUNTERS, SideFile};
use crate::journal::open::{Changes, Open};
use crate::journal::operate::act;
use crate::journal::owner::Owner;
use crate::journal::place;
use crate::journal::record::record;
use crate::journal::request::{Action, ActionDone, Batch, Committed};
use crate::journal::schema::{nanoseconds, number, row_id};
use crate::journal::settle::settle;

/// Commands that may wait; whoever comes after that waits to put one in.
pub(super) const QUEUE: usize = 256;

/// Where the answer goes. Nobody may be waiting any more; that is no error.
type Reply<T> = oneshot::Sender<Result<T, CommitError>>;

/// What the writer is asked to do.
pub(super) enum Command {
    Batch(Arc<Batch>, Reply<Committed>),
    Settle(Vec<Settlement>, Reply<()>),
    Act(Action, Reply<ActionDone>),
    Reserve {
        range: String,
        count: u64,
        reply: Reply<Range<u64>>,
    },
    BeginFiles {
        files: Vec<NewFile>,
        at: Timestamp,
        reply: Reply<Vec<u64>>,
    },
    EndFiles {
        files: Vec<(u64, FileOutcome)>,
        at: Timestamp,
        reply: Reply<()>,
    },
    Place {
        target: String,
        place: String,
        reply: Reply<()>,
    },
    Close(oneshot::Sender<()>),
    #[cfg(test)]
    Sql(String, oneshot::Sender<rusqlite::Result<()>>),
}

/// The answer of one command before it is known whether the group stands.
enum Answer {
    Committed(Committed),
    Done,
    Acted(ActionDone),
    Numbers(Range<u64>),
    Files(Vec<u64>),
}

impl Command {
    /// The time that it brings; a reservation brings none.
    fn at(&self) -> i64 {
        match self {
            Self::Batch(batch, _) => nanoseconds(batch.at),
            Self::Settle(settlements, _) => {
                settlements.iter().map(|settlement| nanoseconds(settlement.at)).max().unwrap_or(0)
            }
            Self::Act(action, _) => nanoseconds(action.at),
            Self::BeginFiles { at, .. } | Self::EndFiles { at, .. } => nanoseconds(*at),
            _ => 0,
        }
    }

    fn answer(self, answer: Result<Answer, CommitError>) {
        // A receiver that is gone does not want to know.
        match (self, answer) {
            (Self::Batch(_, reply), Ok(Answer::Committed(it))) => drop(reply.send(Ok(it))),
            (Self::Batch(_, reply), Err(error)) => drop(reply.send(Err(error))),
            (Self::Settle(_, reply), answer) => drop(reply.send(answer.map(|_| ()))),
            (Self::Act(_, reply), Ok(Answer::Acted(it))) => drop(reply.send(Ok(it))),
            (Self::Act(_, reply), Err(error)) => drop(reply.send(Err(error))),
            (Self::Reserve { reply, .. }, Ok(Answer::Numbers(it))) => drop(reply.send(Ok(it))),
            (Self::Reserve { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Self::BeginFiles { reply, .. }, Ok(Answer::Files(it))) => drop(reply.send(Ok(it))),
            (Self::BeginFiles { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Self::EndFiles { reply, .. } | Self::Place { reply, .. }, answer) => {
                drop(reply.send(answer.map(|_| ())));
            }
            // The other pairs do not occur; their callers see a closed channel.
            _ => {}
        }
    }
}

/// The writer's own.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) head: Head,
    pub(super) side: SideFile,
    pub(super) names: Names,
    pub(super) entries: Entries,
    pub(super) checkpoint: Checkpoint,
    /// How many keys are parked, for those who ask often.
    pub(super) parked: Arc<AtomicU64>,
    /// Deliveries that are not final, for the same.
    pub(super) open: Open,
    pub(super) changes: Changes,
}

impl Writer {
    /// Works until it is told to close or nobody can tell it anything any more.
    pub(super) fn run(mut self, owner: Owner) {
        let mut group = Vec::new();
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = self.commands.blocking_recv() else { break };
            closing = self.take(first, &mut group);
            while closing.is_none() && group.len() < QUEUE {
                let Ok(next) = self.commands.try_recv() else { break };
                closing = self.take(next, &mut group);
            }
            self.commit(std::mem::take(&mut group));
            self.checkpoint.after_commit(&self.connection, self.commands.is_empty());
        }
        self.commands.close();
        while let Ok(late) = self.commands.try_recv() {
            late.answer(Err(CommitError::Closed));
        }
        let Self { connection, checkpoint, .. } = self;
        checkpoint.at_close(connection);
        drop(owner);
        if let Some(done) = closing {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }

    /// Adds a command to the group, or says that it was the last one.
    fn take(&self, command: Command, group: &mut Vec<Command>) -> Option<oneshot::Sender<()>> {
        match command {
            Command::Close(done) => return Some(done),
            #[cfg(test)]
            Command::Sql(sql, reply) => drop(reply.send(self.connection.execute_batch(&sql))),
            command => group.push(command),
        }
        None
    }

    fn commit(&mut self, group: Vec<Command>) {
        if group.is_empty() {
            return;
        }
        let mut failed: Vec<Option<CommitError>> = group.iter().map(|_| None).collect();
        let answers = loop {
            let before = self.head;
            match self.transaction(&group, &mut failed) {
                Ok(Some(answers)) => break Ok(answers),
                // One was left out: again without it.
                Ok(None) => self.undo(before),
                Err(error) => {
                    self.undo(before);
                    if error == CommitError::Full {
                        self.checkpoint.make_room(&self.connection);
                    }
                    break Err(error);
                }
            }
        };
        match answers {
            Ok(answers) => {
                for ((command, error), answer) in group.into_iter().zip(failed).zip(answers) {
                    command.answer(error.map_or(Ok(answer), Err));
                }
            }
            Err(error) => {
                for (command, own) in group.into_iter().zip(failed) {
                    command.answer(Err(own.unwrap_or_else(|| error.clone())));
                }
            }
        }
    }

    /// One try. `Ok(None)`: a command failed for its data and is now marked.
    fn transaction(
        &mut self,
        group: &[Command],
        failed: &mut [Option<CommitError>],
    ) -> Result<Option<Vec<Answer>>, CommitError> {
        self.entries.clear();
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut answers = Vec::with_capacity(group.len());
        let mut reserves = false;
        for (command, failed) in group.iter().zip(failed) {
            if failed.is_some() {
                answers.push(Answer::Done);
                continue;
            }
            reserves |= matches!(command, Command::Reserve { .. });
            match self.apply(command) {
                Ok(answer) => answers.push(answer),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => {
                    *failed = Some(error);
                    return Ok(None);
                }
            }
        }
        let at = group.iter().map(Command::at).max().unwrap_or(0).max(self.head.at);
        if reserves {
            self.side.write().map_err(side_file)?;
        }
        chain(&self.connection, &mut self.head, at, &self.entries)?;
        self.connection.execute_batch("COMMIT")?;
        self.parked.store(self.head.parked, Ordering::Relaxed);
        self.open.apply(&mut self.changes);
        if reserves {
            // Without this the numbers must not be used: a restore would not be noticed.
            self.side.confirm();
            self.side.write().map_err(side_file)?;
        }
        Ok(Some(answers))
    }

    fn apply(&mut self, command: &Command) -> Result<Answer, CommitError> {
        let mut filling = Filling {
            connection: &self.connection,
            head: &mut self.head,
            names: &mut self.names,
            entries: &mut self.entries,
            open: &mut self.changes,
        };
        match command {
            // Nothing but redeliveries: files move on.
            Command::Batch(batch, _) if batch.decisions.is_empty() => {
                files::advance(&mut filling, batch, &[])?;
                let commit = filling.head.number + u64::from(!filling.entries.is_empty());
                Ok(Answer::Committed(Committed { commit, events: vec![], deliveries: vec![] }))
            }
            Command::Batch(batch, _) => {
                let committed = record(&mut filling, batch)?;
                files::advance(&mut filling, batch, &committed.events)?;
                Ok(Answer::Committed(committed))
            }
            Command::Settle(settlements, _) => {
                settle(&mut filling, settlements).map(|()| Answer::Done)
            }
            Command::Act(action, _) => act(&mut filling, action).map(Answer::Acted),
            Command::BeginFiles { files, at, .. } => {
                files::begin(&mut filling, files, *at).map(Answer::Files)
            }
            Command::EndFiles { files, at, .. } => {
                files::end(&mut filling, files, *at).map(|()| Answer::Done)
            }
            Command::Place { target, place, .. } => {
                place::keep(&mut filling, target, place).map(|()| Answer::Done)
            }
            Command::Reserve { range, count, .. } => {
                let counters = reserve(&mut filling, range, *count)?;
                self.side.pending(range, &counters);
                Ok(Answer::Numbers(counters))
            }
            _ => Ok(Answer::Done),
        }
    }

    /// Back to where the transaction began.
    fn undo(&mut self, before: Head) {
        if !self.connection.is_autocommit() {
            // An error here leaves the transaction open; the next BEGIN then says so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.head = before;
        self.names.clear();
        self.changes.clear();
        self.side.withdraw();
    }
}

fn side_file(error: std::io::Error) -> CommitError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => CommitError::Full,
        _ => CommitError::Io { reason: format!("numbers.high: {error}") },
    }
}

/// Closes the transaction's entries into the chain. A transaction that says nothing (settlements
/// that were settled already) is no link.
pub(super) fn chain(
    connection: &Connection,
    head: &mut Head,
    at: i64,
    entries: &Entries,
) -> Result<(), CommitError> {
    if entries.is_empty() {
        return Ok(());
    }
    let next = head.number + 1;
    let hash = link(&head.hash, next, at, entries.as_bytes());
    connection
        .prepare_cached("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![row_id(next), at, head.hash.0, hash.0, entries.as_bytes()])?;
    *head = Head { number: next, at, hash, ..*head };
    Ok(())
}

/// Moves a range forward. Counters begin at 1: a DOCNUM of zeros is no DOCNUM.
fn reserve(filling: &mut Filling<'_>, range: &str, count: u64) -> Result<Range<u64>, CommitError> {
    let next: i64 = filling
        .connection
        .prepare_cached(
            "INSERT INTO numbers VALUES (?1, 1) ON CONFLICT DO UPDATE SET next = next
             RETURNING next",
        )?
        .query_row([range], |row| row.get(0))?;
    let from = number(next);
    let to = from.checked_add(count).filter(|to| *to < COUNTERS);
    let to = to.ok_or_else(|| CommitError::NumbersUsedUp { range: range.to_owned() })?;
    filling
        .connection
        .prepare_cached("UPDATE numbers SET next = ?2 WHERE range = ?1")?
        .execute(params![range, row_id(to)])?;
    filling.entries.numbers(range, from, to);
    Ok(from..to)
}
