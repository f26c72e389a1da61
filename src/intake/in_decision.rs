//! What is being decided right now, since when, and how often it was when the agent ended badly.
//!
//! An event that ends the agent, by its memory or by a fault of ours, is not acknowledged: the
//! broker sends it again after the restart, together with hundreds of innocent ones. So the agent
//! notes which events are in decision, in a small file beside the journal. What stands there at the
//! start was in decision at an unclean end. After [`ALONE`] such ends an event is decided alone,
//! so that nothing else shares its fate, and after [`GIVEN_UP`] it is recorded as failed without
//! being decided.
//!
//! The file is written without a sync: it has to survive the process, not the machine. Where it
//! cannot be written, events are decided all the same.

mod record;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::event::Arrival;

/// Unclean ends after which an event is decided alone.
pub const ALONE: u32 = 2;
/// Unclean ends after which an event is not decided any more: it was alone for two of them.
pub const GIVEN_UP: u32 = 4;
/// Events that are remembered from unclean ends; more would be those of several full batches.
const MOST_REMEMBERED: usize = 1024;

/// A short name for an event whose content nobody has looked into: its source and its bytes.
pub(super) type Fingerprint = u64;

/// The events in decision. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct InDecision(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// Events that were in decision at unclean ends and were not decided since, with how many ends.
    remembered: BTreeMap<Fingerprint, u32>,
    since: Option<Timestamp>,
}

impl InDecision {
    /// As the file at `path` has it, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// The file cannot be opened or read. One whose content makes no sense counts as empty.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).mode(0o600).open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(record::MOST_BYTES).read_to_end(&mut bytes)?;
        let remembered = worst(record::read(&bytes));
        if !remembered.is_empty() {
            let events = remembered.len();
            tracing::warn!(events, "the agent ended while events were being decided");
        }
        let state = State { file: Some(file), remembered, since: None };
        state.write(&[]);
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Since when the current batch is in decision.
    pub fn since(&self) -> Option<Timestamp> {
        self.state().since
    }

    /// How many unclean ends an event saw.
    pub(super) fn ends(&self, arrival: &Arrival) -> u32 {
        let state = self.state();
        if state.remembered.is_empty() {
            return 0;
        }
        state.remembered.get(&fingerprint(arrival)).copied().unwrap_or(0)
    }

    /// Cuts a batch so that each event that has to be decided alone is a part of its own. The parts
    /// are in the order of the batch.
    pub(super) fn cut(&self, arrivals: Vec<Arrival>) -> Vec<Vec<Arrival>> {
        if self.state().remembered.is_empty() {
            return vec![arrivals];
        }
        let mut parts: Vec<Vec<Arrival>> = Vec::new();
        let mut was_alone = true;
        for arrival in arrivals {
            let alone = self.ends(&arrival) >= ALONE;
            match parts.last_mut() {
                Some(part) if !alone && !was_alone => part.push(arrival),
                _ => parts.push(vec![arrival]),
            }
            was_alone = alone;
        }
        parts
    }

    /// Notes that these are being decided, until the answer is dropped.
    pub fn begin(&self, arrivals: &[Arrival], now: Timestamp) -> Deciding {
        let events: Vec<_> = arrivals.iter().map(fingerprint).collect();
        let mut state = self.state();
        state.since = Some(now);
        state.write(&events);
        Deciding { of: self.clone(), events, decided: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events in decision, until it is dropped; a panic is an unclean end.
#[derive(Debug)]
pub struct Deciding {
    of: InDecision,
    events: Vec<Fingerprint>,
    /// How many of them, from the first, were decided.
    decided: usize,
}

impl Deciding {
    /// The first `count` of them were decided, and are no danger.
    pub fn decided(mut self, count: usize) {
        self.decided = count;
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut state = self.of.state();
        state.since = None;
        for event in self.events.iter().take(self.decided) {
            state.remembered.remove(event);
        }
        state.write(&[]);
    }
}

impl State {
    fn write(&self, events: &[Fingerprint]) {
        let Some(file) = &self.file else { return };
        let bytes = record::write(&self.remembered, events);
        if let Err(error) = file.write_all_at(&bytes, 0) {
            tracing::debug!(%error, "the events in decision are not noted");
        }
    }
}

/// Those that saw the most unclean ends, as many as are remembered.
fn worst(mut events: BTreeMap<Fingerprint, u32>) -> BTreeMap<Fingerprint, u32> {
    if events.len() > MOST_REMEMBERED {
        let mut list: Vec<_> = std::mem::take(&mut events).into_iter().collect();
        list.sort_unstable_by_key(|(_, ends)| std::cmp::Reverse(*ends));
        events.extend(list.into_iter().take(MOST_REMEMBERED));
    }
    events
}

fn fingerprint(arrival: &Arrival) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    arrival.source.hash(&mut hasher);
    arrival.raw.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
