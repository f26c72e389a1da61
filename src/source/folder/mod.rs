//! A folder that others drop files into.
//!
//! [`run`] is the supervisor: it takes the folder, works on it and, whatever ends a session (a
//! share that is gone, a disk that is full), begins another one. A file goes through these steps,
//! and a crash between any two of them is mended by doing the next one:
//!
//! 1. [`judge`] says that it is whole, [`place`] claims it by renaming it into `.work/`;
//! 2. pass 1 ([`documents`]): digest, framing, count; the journal begins the file;
//! 3. pass 2: its documents go to the intake in their order, each with its position, which the
//!    journal moves on in the transaction that takes the document;
//! 4. when all of them are durable, what failed is written into `rejected/`, the file is renamed
//!    into `done/`, and the journal ends the file.
//!
//! An error that belongs to one file leaves that file where it is, to be tried again later
//! ([`troubles`]); the others go on. Any other error ends the session.
//!
//! A session begins when what was handed over before it is answered: only then the journal knows how
//! far a file has come.
//!
//! What is in memory is bounded by a gate that counts bytes, and each document as 8 KiB at least.

pub mod documents;
mod finish;
pub mod judge;
pub mod look;
mod names;
pub mod place;
mod recover;
mod session;
mod troubles;
mod watch;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch as state};
use tokio::time::sleep;

use crate::config::FolderSource;
use crate::dispatch::retry;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::source::Taken;
use crate::source::folder::session::{LEAST_PERMITS, PERMIT};
use crate::source::folder::troubles::Troubles;

/// The least and the greatest pause between two sessions.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// What documents hold of memory, from being handed over until they are answered. Clones are one.
#[derive(Clone, Debug)]
pub struct Gate {
    room: Arc<Semaphore>,
    all: u32,
}

impl Gate {
    /// For so many bytes.
    pub fn new(in_flight: u64) -> Self {
        let all = in_flight.div_ceil(PERMIT).clamp(u64::from(LEAST_PERMITS), 1 << 20);
        let all = u32::try_from(all).unwrap_or(LEAST_PERMITS);
        Self { room: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Whether every document that was handed over is answered.
    pub fn is_settled(&self) -> bool {
        self.room.available_permits() == self.all as usize
    }

    /// Waits until it is so.
    async fn settled(&self) {
        // It is never closed.
        let _all = self.room.acquire_many(self.all).await;
    }
}

/// The right to acknowledge one document: what it held is free again when this is dropped. Whether
/// the document is durable is not told by this but by the journal.
#[derive(Debug)]
pub struct Receipt {
    _permit: OwnedSemaphorePermit,
}

impl Receipt {
    /// For a document that holds this much of the gate.
    pub fn of(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

/// What the supervisor needs of the agent.
#[derive(Debug)]
pub struct Context {
    /// The source's name.
    pub name: Arc<str>,
    /// What its configuration says.
    pub source: FolderSource,
    /// The folder.
    pub path: PathBuf,
    /// The intake's queue of this source.
    pub queue: mpsc::Sender<Taken>,
    /// What its documents hold.
    pub gate: Gate,
    /// What those of the worker before this one hold, whose place it takes.
    pub before: Option<Gate>,
    /// Where the state of files is kept.
    pub journal: Journal,
    /// Whether the source may take files: off while the journal has no room.
    pub open: state::Receiver<bool>,
    /// Turns true once, when the agent stops.
    pub stop: state::Receiver<bool>,
    /// The agent's metrics.
    pub metrics: Arc<Metrics>,
    /// Now.
    pub clock: fn() -> Timestamp,
}

impl Context {
    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until what was handed over before is answered, by this worker or the one before it: the
    /// journal does not know yet how far their files have come. `false` when the agent stops.
    async fn settle(&mut self) -> bool {
        let Self { gate, before, stop, .. } = self;
        let settled = async {
            if let Some(before) = before {
                before.settled().await;
            }
            gate.settled().await;
        };
        tokio::select! {
            () = settled => {}
            _ = stop.wait_for(|stop| *stop) => return false,
        }
        self.before = None;
        true
    }

    fn count(&self, outcome: &str) {
        self.metrics.files.with_label_values(&[&self.name, outcome]).inc();
    }
}

/// Takes files until the agent stops. What is in the middle of a file goes on at the next start.
pub async fn run(mut context: Context) {
    let up = context.metrics.source_up.with_label_values(&[&context.name]);
    let mut failures: u32 = 0;
    let mut number = 0;
    let mut troubles = Troubles::default();
    while !context.is_stopping() {
        number += 1;
        up.set(0);
        let mut worked = false;
        let error = match session::run(&mut context, &mut troubles, &mut worked).await {
            Ok(()) => break,
            Err(error) => error,
        };
        // A session that worked counts anew; one that only took the folder did not work yet.
        failures = if worked { 1 } else { failures.saturating_add(1) };
        let pause = retry::backoff(PAUSE.0, PAUSE.1, failures.min(16), number);
        tracing::warn!(source = %context.name, %error, again_in = ?pause, "source is down");
        up.set(0);
        tokio::select! {
            () = sleep(pause) => {}
            _ = context.stop.changed() => {}
        }
    }
    up.set(0);
}

/// Does what waits for a disk on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
