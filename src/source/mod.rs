//! Where events come from. A source hands over what it took together with a [`Receipt`]; the
//! receipt is acknowledged when the journal has the event, and a receipt that is dropped instead
//! leaves the message with its sender.

pub mod amqp;
pub mod folder;

use crate::event::Arrival;

/// Something that came in, and the way to say that it is safe.
#[derive(Debug)]
pub struct Taken {
    /// What came.
    pub arrival: Arrival,
    /// How to acknowledge it.
    pub receipt: Receipt,
}

/// The right to acknowledge one arrival.
#[derive(Debug)]
pub enum Receipt {
    /// Of an AMQP message.
    Amqp(amqp::Receipt),
    /// Of a document in a dropped file.
    Folder(folder::Receipt),
}

/// The receipts of AMQP messages. Those of files are dropped, which is all that they are for: the
/// journal tells the folder what became of its documents.
fn of_amqp(receipts: Vec<Receipt>) -> impl Iterator<Item = amqp::Receipt> {
    receipts.into_iter().filter_map(|receipt| match receipt {
        Receipt::Amqp(receipt) => Some(receipt),
        Receipt::Folder(_) => None,
    })
}

/// Acknowledges arrivals that are in the journal. They must be the oldest ones of their sources
/// that were not acknowledged yet, in their order.
pub async fn acknowledge(receipts: Vec<Receipt>) {
    amqp::acknowledge(of_amqp(receipts)).await;
}

/// Gives arrivals back to their senders, because they cannot be recorded. A later acknowledgement
/// must not cover them, so their sessions end.
pub async fn abandon(receipts: Vec<Receipt>) {
    amqp::abandon(of_amqp(receipts)).await;
}
