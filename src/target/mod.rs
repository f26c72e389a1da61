//! Where documents go. Each target says what came of a consignment; what follows from it is for
//! [`dispatch`](crate::dispatch) to decide.

pub mod amqp;
pub mod file;

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::OnDoubt;
use crate::delivery::{Consignment, DeliveryId};
use crate::target::amqp::Publisher;
use crate::target::file::{FileError, Folder};

/// A target.
#[derive(Clone, Debug)]
pub enum Target {
    /// A folder.
    File(Folder),
    /// An exchange.
    Amqp(Publisher),
}

/// What a target says of one consignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Delivered,
    /// It is not to be had; nothing of the consignment is with it.
    Unavailable(String),
    /// It did not take it this time.
    Retry(Why, String),
    /// It will never take it.
    Reject(String),
    /// It may have it; it did not say so.
    InDoubt(String),
}

/// Why a delivery is tried again: the words of a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A file of that name is there.
    NameTaken,
    /// The broker said no.
    Nack,
    /// It may have arrived, and is sent again with the same id.
    InDoubt,
}

impl Why {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameTaken => "name-taken",
            Self::Nack => "nack",
            Self::InDoubt => "in-doubt",
        }
    }
}

/// What a delivery needs that was prepared by an attempt of which nobody knows the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The last step once more: the target sees whether it was done.
    Finish,
    /// To be sent again: the receiver sees that it is the same.
    Resend,
    /// Somebody who decides.
    Hold,
}

impl Target {
    /// What a delivery needs that was prepared before.
    pub fn begun(&self) -> Begun {
        match self {
            Self::File(_) => Begun::Finish,
            Self::Amqp(publisher) => match publisher.on_doubt() {
                OnDoubt::Resend => Begun::Resend,
                OnDoubt::Hold => Begun::Hold,
            },
        }
    }

    /// The step before the point of no return. What it is done for is committed as *prepared*
    /// before [`Self::send`].
    pub async fn prepare(&self, list: Vec<Consignment>) -> Vec<(Consignment, Result<(), Answer>)> {
        match self {
            Self::File(folder) => {
                let folder = folder.clone();
                blocking(move || {
                    let results = folder.prepare(&list);
                    let answers = results.into_iter().map(|result| result.map_err(prepare_answer));
                    list.into_iter().zip(answers).collect()
                })
                .await
            }
            Self::Amqp(publisher) => {
                let ready = publisher.ready();
                list.into_iter().map(|one| (one, ready.clone())).collect()
            }
        }
    }

    /// The last step. One answer for each consignment, in any order.
    pub async fn send(&self, list: Vec<Consignment>) -> Vec<(DeliveryId, Answer)> {
        match self {
            Self::File(folder) => {
                let folder = folder.clone();
                blocking(move || {
                    let results = folder.publish(&list);
                    let ids = list.into_iter().map(|consignment| consignment.id);
                    ids.zip(results.into_iter().map(publish_answer)).collect()
                })
                .await
            }
            Self::Amqp(publisher) => publisher.send(list).await,
        }
    }

    /// Whether anything can be sent, as far as is known without trying.
    pub fn is_up(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Amqp(publisher) => publisher.ready().is_ok(),
        }
    }

    /// Waits until [`Self::is_up`] may have changed. Safe to be dropped and called again.
    pub async fn changed(&mut self) {
        match self {
            Self::File(_) => std::future::pending().await,
            Self::Amqp(publisher) => publisher.changed().await,
        }
    }

    /// Keeps the target's connection, where it has one, until `end` turns true. `pause` is how
    /// long to wait after so many failures in a row.
    pub async fn keep(self, end: watch::Receiver<bool>, pause: fn(u32) -> Duration) {
        match self {
            Self::File(_) => {}
            Self::Amqp(publisher) => publisher.keep(end, pause).await,
        }
    }
}

fn prepare_answer(error: FileError) -> Answer {
    match error {
        FileError::Unavailable { .. } => Answer::Unavailable(error.to_string()),
        // A temporary name is ours alone: what is in its way does not go by itself.
        FileError::Taken { .. } | FileError::Refused { .. } => Answer::Reject(error.to_string()),
    }
}

fn publish_answer(result: Result<(), FileError>) -> Answer {
    match result {
        Ok(()) => Answer::Delivered,
        Err(error @ FileError::Unavailable { .. }) => Answer::Unavailable(error.to_string()),
        Err(error @ FileError::Taken { .. }) => Answer::Retry(Why::NameTaken, error.to_string()),
        Err(error @ FileError::Refused { .. }) => Answer::Reject(error.to_string()),
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
