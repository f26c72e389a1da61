//! What is open in an EDIFACT input.

use crate::document::{Document, Kind};
use crate::segment::{INTERCHANGE, Level, References};

/// The open interchange.
#[derive(Debug)]
pub(super) struct Interchange {
    pub(super) level: Level,
    /// UNA, UNB and UNG, to be copied into every message.
    pub(super) envelope: Document,
    /// Whether there is no UNB: messages, or what is no message, on their own.
    pub(super) is_implicit: bool,
    pub(super) groups: u64,
    pub(super) bare_messages: u64,
    pub(super) references: References,
}

impl Interchange {
    pub(super) fn new(mut level: Level, is_implicit: bool) -> Self {
        level.builder.open(Kind::Group, INTERCHANGE, 0);
        Self {
            level,
            envelope: Document::default(),
            is_implicit,
            groups: 0,
            bare_messages: 0,
            references: References::default(),
        }
    }
}

/// The open group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) level: Level,
    pub(super) kind: Vec<u8>,
    /// The envelope of the interchange, without the group.
    pub(super) outer: Document,
}
