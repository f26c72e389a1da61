//! XML.

pub(crate) mod events;
