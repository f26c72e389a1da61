//! The durable record of everything, and the only queue.
//!
//! **Contract.** What [`Journal::commit`], [`Journal::settle`], [`Journal::act`] and
//! [`Journal::reserve_numbers`] have answered with `Ok` is on the disk. What they answered with an
//! error is not in the journal, not even by half, and the journal goes on: the next command can
//! succeed. The identity of an event is unique. Deliveries have numbers in the order in which they
//! were decided. Every transaction is a link of a chain of hashes ([`Reader::verify`]).
//!
//! **Threads.** One thread writes ([`writer`]); readers never wait for it, nor it for them. Whatever
//! is not `async` here blocks on the disk and belongs on a thread that may block: from an async
//! worker use `tokio::task::spawn_blocking`.
//!
//! **Not here:** no clock (times come in with the commands), no log line, no decision.

mod again;
mod checkpoint;
mod entries;
mod error;
mod files;
mod filling;
mod known;
mod mend;
mod numbers;
mod open;
mod operate;
mod owner;
mod parked;
mod place;
mod query;
mod record;
mod request;
mod rows;
mod said;
mod schema;
mod settle;
mod store;
mod trail;
mod upgrade;
mod verify;
mod writer;

use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::delivery::Settlement;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::entries::Entries;
use crate::journal::filling::Names;
use crate::journal::open::{Changes, Open};
use crate::journal::owner::Owner;
use crate::journal::writer::{Command, QUEUE, Writer};

pub use crate::facts::{Asked, Facts, Needs};

pub use self::error::{CommitError, JournalError};
pub use self::files::{FailedPart, FileOutcome, FilePart, FileRow, NewFile};
pub use self::numbers::{counter, docnum};
pub use self::owner::{network_fs, owner_of};
pub use self::parked::{ParkedFilter, ParkedRow};
pub use self::query::Reader;
pub use self::request::{
    Action, ActionDone, Anchor, Batch, Committed, Done, Operator, Sizes, What,
};
pub use self::rows::{ActionRow, AttemptRow, DeliveryRow, EventRow, Outbox, Story, TransitionRow};
pub use self::trail::{DeliveryFilter, EventFilter};
pub use self::verify::{Break, MOST_BREAKS, Verification};

/// How a journal is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file. Its directory is the data_dir: it is created, and locked.
    pub path: PathBuf,
    /// The number of this agent among those that send to the same receivers, 0 to 999.
    pub instance: u16,
}

/// The journal of the agent that owns it; cheap to clone. It also is a [`Reader`] of itself.
///
/// It is closed by [`Journal::close`] or when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    reader: Reader,
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    instance: u16,
    epoch: u16,
    parked: Arc<AtomicU64>,
    open: Open,
}

/// An answer that is still to come: await it, or [`wait`](Pending::wait) for it on a thread that
/// may block. Dropping it does not take the command back.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, CommitError>>);

impl<T> Pending<T> {
    /// Blocks until the answer is there.
    pub fn wait(self) -> Result<T, CommitError> {
        self.0.blocking_recv().unwrap_or(Err(CommitError::Closed))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, CommitError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(CommitError::Closed)))
    }
}

impl Journal {
    /// Opens or creates a journal and takes the ownership of its directory.
    pub fn open(options: &Options, now: Timestamp) -> Result<Self, JournalError> {
        if options.instance > 999 {
            return Err(JournalError::Instance(options.instance));
        }
        let directory = store::directory_of(&options.path);
        owner::close(&options.path, directory)?;
        owner::refuse_network(directory)?;
        let owner = Owner::take(directory)?;
        let now = schema::nanoseconds(now);
        let opened = store::open_writer(&options.path, options.instance, now)?;
        let wal = store::wal_of(&options.path);
        let checkpoint =
            Checkpoint::start(&wal, store::open_plain(&options.path)?).map_err(no_thread)?;
        let (sender, commands) = mpsc::channel(QUEUE);
        let epoch = opened.epoch;
        let parked = Arc::new(AtomicU64::new(opened.head.parked));
        let open = Open::read(&opened.connection).map_err(JournalError::sqlite(&options.path))?;
        let writer = Writer {
            connection: opened.connection,
            commands,
            head: opened.head,
            side: opened.side,
            names: Names::default(),
            entries: Entries::default(),
            checkpoint,
            parked: parked.clone(),
            open: open.clone(),
            changes: Changes::default(),
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                writer.run(owner);
            })
            .map_err(no_thread)?;
        let shared = Shared {
            reader: Reader::new(&options.path),
            commands: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(thread)),
            instance: options.instance,
            epoch,
            parked,
            open,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens a journal for reading, beside the agent that owns it or without one.
    pub fn open_read_only(path: &Path) -> Result<Reader, JournalError> {
        let reader = Reader::new(path);
        reader.read(|_| Ok(()))?;
        Ok(reader)
    }

    /// The instance in its numbers.
    pub fn instance(&self) -> u16 {
        self.shared.instance
    }

    /// The epoch in its numbers: how often it was restored from a backup.
    pub fn epoch(&self) -> u16 {
        self.shared.epoch
    }

    /// How many keys are parked. It reads nothing from the disk.
    pub fn keys_parked(&self) -> u64 {
        self.shared.parked.load(Ordering::Relaxed)
    }

    /// Commits a batch. Events, bytes, verdicts, deliveries and objects are one transaction.
    ///
    /// The caller keeps its `Arc` and can offer the same batch again after an error.
    pub async fn commit(&self, batch: impl Into<Arc<Batch>>) -> Result<Committed, CommitError> {
        let batch = batch.into();
        self.ask(|reply| Command::Batch(batch, reply)).await
    }

    /// The same from a thread that may block.
    pub fn commit_blocking(&self, batch: impl Into<Arc<Batch>>) -> Result<Committed, CommitError> {
        self.submit(batch)?.wait()
    }

    /// Queues a batch from a thread that may block, so that it can go on until the answer comes.
    /// Batches are committed in the order in which they were queued.
    pub fn submit(&self, batch: impl Into<Arc<Batch>>) -> Result<Pending<Committed>, CommitError> {
        let batch = batch.into();
        self.ask_blocking(|reply| Command::Batch(batch, reply))
    }

    /// Records what came of attempts.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), CommitError> {
        if settlements.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Command::Settle(settlements, reply)).await
    }

    /// Does what an operator asked for, and records who and why.
    pub async fn act(&self, action: Action) -> Result<ActionDone, CommitError> {
        self.ask(|reply| Command::Act(action, reply)).await
    }

    /// Takes `count` counters out of a range, for ever. Blocks. They are made into numbers that
    /// no restore and no second agent repeats by [`docnum`].
    pub fn reserve_numbers(&self, range: &str, count: u64) -> Result<Range<u64>, JournalError> {
        let range = range.to_owned();
        let numbers =
            self.ask_blocking(|reply| Command::Reserve { range, count, reply })?.wait()?;
        Ok(numbers)
    }

    /// Does what is queued, empties the write-ahead log and gives up the ownership. Blocks. Clones
    /// that are left answer [`CommitError::Closed`]; they can still read.
    pub fn close(self) {
        if let Ok(sender) = self.sender() {
            let (done, closed) = oneshot::channel();
            if sender.blocking_send(Command::Close(done)).is_ok() {
                // An error means that the writer is gone, which is what was asked for.
                let _ = closed.blocking_recv();
            }
        }
        self.shared.join();
    }

    fn sender(&self) -> Result<mpsc::Sender<Command>, CommitError> {
        let sender = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        sender.clone().ok_or(CommitError::Closed)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Command,
    ) -> Result<T, CommitError> {
        let (reply, answer) = oneshot::channel();
        let sender = self.sender()?;
        sender.send(command(reply)).await.map_err(|_| CommitError::Closed)?;
        drop(sender);
        Pending(answer).await
    }

    fn ask_blocking<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Command,
    ) -> Result<Pending<T>, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.sender()?.blocking_send(command(reply)).map_err(|_| CommitError::Closed)?;
        Ok(Pending(answer))
    }
}

fn no_thread(error: std::io::Error) -> JournalError {
    JournalError::System { what: "a thread", reason: error.to_string() }
}

impl Deref for Journal {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.shared.reader
    }
}

impl Shared {
    /// Waits until the writer has ended and the lock is released.
    fn join(&self) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A writer that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.join();
    }
}

#[cfg(test)]
mod tests;
