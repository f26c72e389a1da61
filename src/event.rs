//! One thing that came in, and what was decided about it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::cloudevent::binary::Head;
use crate::delivery::NewDelivery;
use crate::trace::Trace;

mod shortened;

pub use self::shortened::{KEPT, Shortened};

/// What a source took from the outside, before anybody looked into it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The name of the source in the configuration.
    pub source: Arc<str>,
    /// The bytes as they came.
    pub raw: Arc<[u8]>,
    /// The id that the transport carried beside the bytes (AMQP `message-id`), if any.
    pub message_id: Option<String>,
    /// When the source had all of it.
    pub received: Timestamp,
    /// Where it stood, if it came in a file with others.
    pub position: Option<FilePosition>,
    /// What else the transport carried beside the bytes.
    pub beside: Beside,
}

/// What a transport may carry beside the bytes of an event.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The attributes of a CloudEvent whose data the bytes are (binary mode).
    pub head: Option<Arc<Head>>,
    /// The trace context of the transport. It is no part of the event: a sender that sends an event
    /// again may do so in another span.
    pub trace: Option<Trace>,
}

/// The place of an arrival in a file that the journal knows. It is committed with the event, so
/// that after a restart the file goes on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// The journal's number of the file.
    pub file: u64,
    /// Its place among the documents of the file, from 0.
    pub index: u64,
    /// The offset of its first byte.
    pub start: u64,
    /// How many bytes it has.
    pub length: u64,
    /// The offset from which the next document is looked for.
    pub next_offset: u64,
}

/// SHA-256 of the raw bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest that is written so: 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// (source, id) in 16 bytes: small enough for an index that lives as long as duplicates matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub [u8; 16]);

impl Identity {
    /// The identity of the event `id` of `source`.
    pub fn of(source: &str, id: &str) -> Self {
        Self::hash(&[source.as_bytes(), id.as_bytes()])
    }

    /// The identity of an event that `origin` sent, where another publisher of the same source has
    /// used its id before: ids are unique for each publisher only. An event without an origin has
    /// one of its own.
    pub fn sent_by(self, origin: Option<&str>) -> Self {
        match origin {
            Some(origin) => Self::hash(&[&self.0, b"origin", origin.as_bytes()]),
            None => Self::hash(&[&self.0, b"no origin"]),
        }
    }

    /// The identity of an event that reused this one with other bytes, so that its own
    /// redeliveries are recognised too.
    pub fn reused_by(self, digest: &Digest) -> Self {
        Self::hash(&[&self.0, &digest.0])
    }

    fn hash(parts: &[&[u8]]) -> Self {
        let mut sum = Sha256::new();
        for part in parts {
            sum.update((part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&sum.finalize()[..16]);
        Self(short)
    }
}

/// The head of an event: everything that is known without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The source that it came from.
    pub source: Arc<str>,
    /// Its id at that source; `sha256:…` of its bytes where it has none that can be read.
    pub id: String,
    /// What happened (`vehicle.status.changed`); empty where it could not be read.
    pub kind: String,
    /// The business object that orders its deliveries; empty where it could not be read.
    pub key: String,
    /// When it happened, as written by the sender; empty where it could not be read.
    pub time: String,
    /// When it was received.
    pub received: Timestamp,
    /// (source, id), or what stands for it where the id was reused or is also used by another
    /// origin.
    pub identity: Identity,
    /// Who published it: the attribute `source` of a CloudEvent. `None` for any other event.
    pub origin: Option<String>,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The work of its sender that it belongs to.
    pub trace: Option<Trace>,
}

/// The final word about an event (and `Waiting`, which is not final).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No route wants it.
    Ignored,
    /// Its deliveries are in the journal.
    Accepted,
    /// The lifecycle forbids the transition.
    Refused,
    /// It could not be decoded or mapped.
    Failed,
    /// An earlier event of its key failed and holds it back.
    Waiting,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Ignored, Self::Accepted, Self::Refused, Self::Failed, Self::Waiting];

    /// The word in the journal, the metrics and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }

    /// The verdict of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// A step of a lifecycle that an event asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The lifecycle.
    pub lifecycle: Arc<str>,
    /// The object: a claim number, a VIN.
    pub object: String,
    /// The status before; `None` for an object that was not known.
    pub from: Option<String>,
    /// The status asked for.
    pub to: String,
    /// Whether the lifecycle allows it, whatever its mode does about it.
    pub legal: bool,
    /// Whether the object now has it.
    pub applied: bool,
}

/// A mapping that could not translate an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedMapping {
    /// Its name.
    pub mapping: Arc<str>,
    /// Whether the document cost more than `limits` allow.
    pub over_budget: bool,
}

/// What the pipeline decided about one event: all that the journal commits for it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The event's head.
    pub header: Header,
    /// Its bytes.
    pub raw: Arc<[u8]>,
    /// The word.
    pub verdict: Verdict,
    /// Why, for people; it names paths and rules, never payload text. Empty for `Accepted`.
    pub causes: Vec<String>,
    /// The lifecycle step, where one was asked for.
    pub transition: Option<Transition>,
    /// The mappings that could not translate it.
    pub failed_mappings: Vec<FailedMapping>,
    /// Whether this failure parks its key.
    pub parks: bool,
    /// The deliveries, in the order of the routes' targets.
    pub deliveries: Vec<NewDelivery>,
    /// The time that the decision used; stored, so that its documents can be made again.
    pub now: Timestamp,
    /// The journal's number of the event that is decided again (`events reprocess`), or `None` for
    /// a new event.
    pub again: Option<u64>,
}

/// What the journal knows about an identity that it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The journal's number of the event.
    pub event: u64,
    /// The digest of its bytes.
    pub digest: Digest,
    /// It failed, so that other bytes under its identity are no misuse: the sender corrected it.
    pub failed: bool,
    /// Its identity with its origin ([`Identity::sent_by`]). `None` where it was recorded by a
    /// version that kept no origin: any may have sent it.
    pub sent_by: Option<Identity>,
}

impl Seen {
    /// Whether that origin, as [`Identity::sent_by`] has it, may have sent it.
    pub fn may_be_sent_by(&self, sent_by: Identity) -> bool {
        self.sent_by.is_none_or(|own| own == sent_by)
    }
}
