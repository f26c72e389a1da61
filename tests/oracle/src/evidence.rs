//! What the judge is given: the publisher's log, the consumer's log, the times of the kills.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::workload::Kind;

/// Microseconds since 1970.
pub type Micros = u64;

/// The time now.
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A message that the broker has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What it was, and so what had to come of it.
    pub kind: Kind,
    /// The id of the event; empty for a malformed one.
    pub event_id: String,
    /// The vehicle.
    pub vin: String,
    /// The status code that its file must carry.
    pub code: &'static str,
    /// When it was handed to the broker for the first time.
    pub at: Micros,
}

/// A file that was taken out of the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Consumed {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// The number in its control record.
    pub docnum: String,
    /// The vehicle.
    pub vin: String,
    /// The event.
    pub event_id: String,
    /// The status code.
    pub code: String,
    /// The receiving partner and the plant in it.
    pub marks: (String, String),
    /// When it was seen in the folder.
    pub seen: Micros,
    /// When it came to stand there (its inode's change time), in nanoseconds, as exact as the
    /// kernel's clock tick. Two files taken in one look are told apart by it.
    pub appeared: i64,
    /// Why it could not be read, if so.
    pub problem: Option<String>,
}

/// Everything the judge may know.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// In the order of publication.
    pub published: Vec<Published>,
    /// In the order of consumption.
    pub consumed: Vec<Consumed>,
    /// When the agent was killed.
    pub kills: Vec<Micros>,
}
