//! Whether an event is new: ids are unique for each publisher of a source, and a message may come
//! again.

use jiff::Timestamp;

use crate::event::{Header, Identity};
use crate::facts::Facts;

/// What an event is to those that came before.
pub(super) enum Recognised {
    /// The first under its identity.
    New,
    /// That event, which failed, under the same id and with other bytes.
    Mended(u64),
    /// The journal has it, byte for byte.
    Redelivery,
    /// Another one under a used id, and why it cannot be taken.
    Reused(String),
}

/// Tells a new event from a redelivery and from another one under the same id.
pub(super) fn recognise(
    header: &mut Header,
    sent_by: Identity,
    facts: &Facts,
    now: Timestamp,
) -> Recognised {
    if crate::fault::is_on("skip-duplicate-check") {
        let salt = format!("{}{}{}", header.id, now.as_nanosecond(), facts.seen.len());
        header.identity = Identity::of(&header.source, &salt);
        return Recognised::New;
    }
    let Some(mut first) = facts.seen.get(&header.identity) else { return Recognised::New };
    if first.digest == header.digest {
        return Recognised::Redelivery;
    }
    // One that could not be read named no origin; whoever corrects it does.
    let unread = first.failed && first.may_be_sent_by(header.identity.sent_by(None));
    if !unread && !first.may_be_sent_by(sent_by) {
        // Another publisher has used the id: with its origin the event is one of its own.
        header.identity = sent_by;
        match facts.seen.get(&sent_by) {
            Some(own) => first = own,
            None => return Recognised::New,
        }
        if first.digest == header.digest {
            return Recognised::Redelivery;
        }
    }
    if first.failed {
        return Recognised::Mended(first.event);
    }
    header.identity = header.identity.reused_by(&header.digest);
    match facts.seen.get(&header.identity) {
        Some(_) => Recognised::Redelivery,
        None => Recognised::Reused("its id was used before with other bytes".to_owned()),
    }
}
