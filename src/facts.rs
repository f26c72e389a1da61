//! What deciding a batch has to know, and the answer: plain values between the pure pipeline and
//! the journal.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{Digest, Identity, Seen};

/// What deciding a batch has to know first.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// The events.
    pub identities: Vec<Asked>,
    /// (lifecycle, object) of every step that an event asks for.
    pub objects: Vec<(Arc<str>, String)>,
    /// The keys of the events.
    pub keys: Vec<String>,
}

/// An event that may have been seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// (source, id).
    pub identity: Identity,
    /// The same with its origin ([`Identity::sent_by`]).
    pub sent_by: Identity,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// What is known about that. What is absent is unknown.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The identities that were seen before. Where one is known with another digest than the one
    /// asked for, the identity with its origin is looked up as well; and of both
    /// [`Identity::reused_by`] of that digest.
    pub seen: HashMap<Identity, Seen>,
    /// The status of the objects that have one.
    pub objects: HashMap<(Arc<str>, String), String>,
    /// The keys that are parked, with the event that parked them.
    pub parked: HashMap<String, u64>,
}
