//! One finished document due at one target.

use std::sync::Arc;

use jiff::Timestamp;

use crate::trace::Trace;

/// The journal's number of a delivery. It is also the order in which deliveries were decided.
pub type DeliveryId = u64;

/// A delivery that the pipeline made; the journal gives it its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The target's name in the configuration.
    pub target: Arc<str>,
    /// The lane: deliveries of one key leave in their order.
    pub key: String,
    /// What the target calls it: the file name, the message id. It is fixed here, so that a retry
    /// is the same.
    pub name: String,
    /// The number that the receiver will answer with (DOCNUM); empty where the format has none.
    pub reference: String,
    /// The mapping that made it.
    pub mapping: Arc<str>,
    /// The bytes that travel.
    pub document: Arc<[u8]>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// To be sent at its due time.
    Due,
    /// Made ready so that the next step cannot be repeated by mistake: the file is complete under
    /// its temporary name; the message may have been sent.
    Prepared,
    /// The target has it.
    Delivered,
    /// The target refused it for good, or its attempts are used up.
    Dead,
    /// Given up by an operator.
    Discarded,
    /// Its bytes may have arrived and no answer came.
    InDoubt,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Due, Self::Prepared, Self::Delivered, Self::Dead, Self::Discarded, Self::InDoubt];

    /// The word in the journal, the metrics and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Prepared => "prepared",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
            Self::InDoubt => "in-doubt",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing will change any more without an operator's new delivery.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Discarded)
    }
}

/// What dispatch needs to know of a delivery that is not final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The delivery.
    pub id: DeliveryId,
    /// Its target.
    pub target: Arc<str>,
    /// Its lane.
    pub key: Arc<str>,
    /// Due, prepared, dead or in doubt.
    pub state: State,
    /// Not before this time.
    pub due: Timestamp,
    /// Attempts that counted so far.
    pub attempts: u32,
}

/// What a target is given to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// The delivery.
    pub id: DeliveryId,
    /// Its name at the target.
    pub name: String,
    /// The bytes.
    pub document: Vec<u8>,
    /// Whether it was prepared before (see [`State::Prepared`]).
    pub prepared: bool,
    /// The trace context of the event that made it.
    pub trace: Option<Trace>,
}

/// What came of an attempt, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The delivery.
    pub id: DeliveryId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub outcome: Outcome,
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The step before the point of no return is durable.
    Prepared,
    /// Nothing of the last step is with the target: the delivery is not prepared any more.
    Unprepared,
    /// The target has it; what it called it, where it says.
    Delivered {
        /// The target's own reference, or empty.
        reference: String,
    },
    /// Not now; again at `due`.
    Retry {
        /// Not before.
        due: Timestamp,
        /// Why; no payload text, no secret.
        reason: String,
    },
    /// Never.
    Dead {
        /// Why; no payload text, no secret.
        reason: String,
    },
    /// Nobody knows.
    InDoubt {
        /// Why; no payload text, no secret.
        reason: String,
    },
}

impl Outcome {
    /// Whether it is a step towards an attempt, or back, and no attempt.
    pub fn is_step(&self) -> bool {
        matches!(self, Self::Prepared | Self::Unprepared)
    }
}
