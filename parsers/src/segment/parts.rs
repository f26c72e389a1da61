//! What a reader of interchanges returns.

use crate::reading::Reading;

/// A piece of an interchange that is complete.
///
/// They come from the inside out: the messages of a group before the group, and everything before
/// its interchange. Whoever must not use a message of a faulty interchange waits for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A message (EDIFACT) or transaction set (X12).
    Message(Reading),
    /// The header and trailer of a group of messages, and what is wrong with them.
    Group(Reading),
    /// The headers and trailer of an interchange, and what is wrong with them and between the
    /// interchanges.
    Interchange(Reading),
}

impl Part {
    /// What was read.
    pub fn reading(&self) -> &Reading {
        match self {
            Self::Message(reading) | Self::Group(reading) | Self::Interchange(reading) => reading,
        }
    }

    /// The message, if it is one.
    pub fn into_message(self) -> Option<Reading> {
        match self {
            Self::Message(reading) => Some(reading),
            Self::Group(_) | Self::Interchange(_) => None,
        }
    }
}
