//! What is asked of the journal and what it answers.

use jiff::Timestamp;

use crate::delivery::{DeliveryId, Due, State};
use crate::event::{Decision, Digest};
use crate::journal::files::FilePart;
use crate::journal::rows::text;

/// Who asked for something, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The user, as the user says.
    pub who: String,
    /// The reason, in the user's words.
    pub why: String,
    /// The user, as the operating system says: of the process that asked. `None` for what the agent
    /// does by itself.
    pub uid: Option<u32>,
}

/// Events that were decided together and are committed together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The digest of the plan (mappings, schemas, tables, engine) that decided them.
    pub plan: Digest,
    /// The generation of the configuration.
    pub generation: u64,
    /// When.
    pub at: Timestamp,
    /// The operator who asked for it, where events are decided again.
    pub operator: Option<Operator>,
    /// The decisions, in the order in which the events came.
    pub decisions: Vec<Decision>,
    /// The documents of files among them, redeliveries included, in their order.
    pub files: Vec<FilePart>,
}

/// A batch that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of the commit in the chain.
    pub commit: u64,
    /// The number of each decision's event, in the order of the batch.
    pub events: Vec<u64>,
    /// The new deliveries, in their order.
    pub deliveries: Vec<Due>,
}

/// What an operator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Who asks, and why.
    pub operator: Operator,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// The kinds of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A delivery that is dead, in doubt or due later is due now, with no attempts counted.
    Release(DeliveryId),
    /// A delivery that is not final is given up.
    Discard(DeliveryId),
    /// A parked key goes on without the event that parked it.
    Unpark(String),
    /// The configuration was read again and is in force, changed or not.
    Reload {
        /// The digest of its plan.
        plan: Digest,
        /// Its generation.
        generation: u64,
    },
}

/// An action that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionDone {
    /// The number of the commit in the chain.
    pub commit: u64,
    /// What it was done to.
    pub on: Done,
}

/// What an action was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A delivery.
    Delivery {
        /// As it is now.
        now: Due,
        /// The state that it was in.
        was: State,
    },
    /// A key.
    Unparked {
        /// The event that had parked it.
        event: u64,
    },
    /// The configuration.
    Reloaded,
}

/// The head of the chain: kept outside, it proves that nothing before it was changed or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Anchor {
    /// The number of the last commit.
    pub number: u64,
    /// Its hash.
    #[serde(serialize_with = "text")]
    pub hash: Digest,
}

/// What the journal takes and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Bytes of the database file.
    pub database: u64,
    /// Bytes of the write-ahead log.
    pub wal: u64,
    /// Bytes that its file system has left for us.
    pub free: u64,
    /// Bytes of its whole file system.
    pub total: u64,
}
