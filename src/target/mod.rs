//! Where documents go. Each target says what came of a consignment; what follows from it is for
//! [`dispatch`](crate::dispatch) to decide.

pub mod amqp;
pub mod file;
pub mod http;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::{self, OnDoubt, TargetKind};
use crate::delivery::{Consignment, DeliveryId};
use crate::target::amqp::Publisher;
use crate::target::file::{FileError, Folder};
use crate::target::http::{Pass, Poster};

/// A target.
#[derive(Clone, Debug)]
pub enum Target {
    /// A folder.
    File(Folder),
    /// An exchange.
    Amqp(Publisher),
    /// A URL.
    Http(Poster),
}

/// A target that may be sent to, once; given back by being dropped.
#[derive(Debug)]
pub enum Entered {
    /// A folder.
    File(Folder),
    /// An exchange.
    Amqp(Publisher),
    /// A URL.
    Http(Pass),
}

/// What a target says of one consignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it; what it called it, where it says.
    Delivered {
        /// The target's own reference, or empty.
        reference: String,
    },
    /// It is not to be had; nothing of the consignment is with it.
    Unavailable(Reason),
    /// It did not take it this time.
    Retry {
        /// Why, as a label.
        why: Why,
        /// Why, as a text.
        reason: Reason,
        /// It wants no other attempt before this time has passed.
        after: Option<Duration>,
    },
    /// It will never take it.
    Reject(Reason),
    /// It may have it; it did not say so.
    InDoubt(Reason),
}

/// Why something came as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// In our words: for logs, too.
    pub text: String,
    /// In the receiver's words, which may name persons: for the journal only.
    pub said: Option<String>,
}

impl Reason {
    /// All of it, for the journal.
    pub fn whole(&self) -> String {
        match &self.said {
            Some(said) => format!("{}: {said}", self.text),
            None => self.text.clone(),
        }
    }
}

impl<T: Into<String>> From<T> for Reason {
    fn from(text: T) -> Self {
        Self { text: text.into(), said: None }
    }
}

/// Without what the receiver said.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a delivery is tried again: the words of a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A file of that name is there.
    NameTaken,
    /// The broker said no.
    Nack,
    /// The receiver has no time for it now.
    Busy,
    /// It may have arrived, and is sent again with the same id.
    InDoubt,
}

impl Why {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameTaken => "name-taken",
            Self::Nack => "nack",
            Self::Busy => "busy",
            Self::InDoubt => "in-doubt",
        }
    }
}

/// What a delivery needs that was prepared by an attempt of which nobody knows the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The last step once more: the target sees whether it was done.
    Finish,
    /// To be sent again when the target is to be had: the receiver sees that it is the same.
    Resend,
    /// The same, but it counts: it may be this document alone that never gets an answer.
    Again,
    /// Somebody who decides.
    Hold,
}

impl Target {
    /// A target as it is configured; nothing is connected yet. `home` is where folders start from,
    /// `base` where secrets and certificates do.
    pub fn new(
        target: &config::Target,
        home: &Path,
        base: &Path,
        clock: fn() -> Timestamp,
    ) -> Self {
        let (name, base) = (target.name.clone(), base.to_owned());
        match &target.kind {
            TargetKind::File(file) => Self::File(Folder::new(home.join(&file.path), file.mode)),
            TargetKind::Amqp(amqp) => Self::Amqp(Publisher::new(name, amqp.clone(), base)),
            TargetKind::Http(http) => Self::Http(Poster::new(name, (**http).clone(), base, clock)),
        }
    }

    /// Where it stands, as far as that decides how a delivery is finished that was begun: a folder
    /// is looked into, the others are asked again wherever they are.
    pub fn place(&self) -> String {
        match self {
            Self::File(folder) => {
                let path = std::path::absolute(folder.path());
                path.unwrap_or_else(|_| folder.path().to_owned()).display().to_string()
            }
            Self::Amqp(_) => "amqp".to_owned(),
            Self::Http(_) => "http".to_owned(),
        }
    }

    /// What a delivery needs that was prepared before.
    pub fn begun(&self) -> Begun {
        match self {
            Self::File(_) => Begun::Finish,
            Self::Amqp(publisher) => match publisher.on_doubt() {
                OnDoubt::Resend => Begun::Resend,
                OnDoubt::Hold => Begun::Hold,
            },
            Self::Http(poster) => poster.begun(),
        }
    }

    /// Whether the start of an attempt must be durable before anything is sent. Not where the
    /// receiver knows what comes twice: then it does not matter whether it was sent before.
    pub fn marks_start(&self) -> bool {
        match self {
            Self::File(_) | Self::Amqp(_) => true,
            Self::Http(poster) => poster.marks_start(),
        }
    }

    /// Whether deliveries are brought in groups that are answered together. Where each has a
    /// request of its own, a slow answer must hold up no other.
    pub fn takes_groups(&self) -> bool {
        !matches!(self, Self::Http(_))
    }

    /// Waits until it may be sent to, where that is one after another. Gives up when `stop` turns
    /// true: what only waits has not begun.
    pub async fn enter(&self, stop: watch::Receiver<bool>) -> Result<Entered, Answer> {
        Ok(match self {
            Self::File(folder) => Entered::File(folder.clone()),
            Self::Amqp(publisher) => Entered::Amqp(publisher.clone()),
            Self::Http(poster) => Entered::Http(poster.enter(stop).await?),
        })
    }

    /// Whether anything can be sent, as far as is known without trying.
    pub fn is_up(&self) -> bool {
        self.down().is_none()
    }

    /// Why nothing can be sent, as far as is known without trying.
    pub fn down(&self) -> Option<Reason> {
        let ready = match self {
            Self::File(_) => Ok(()),
            Self::Amqp(publisher) => publisher.ready(),
            Self::Http(poster) => poster.ready(),
        };
        match ready {
            Err(Answer::Unavailable(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Why nobody should be sent anything but one delivery as a probe, although the target
    /// answers or is reached.
    pub fn failing(&self) -> Option<Reason> {
        match self {
            Self::File(_) | Self::Amqp(_) => None,
            Self::Http(poster) => poster.failing(),
        }
    }

    /// Waits until [`Self::is_up`] may have changed. Safe to be dropped and called again.
    pub async fn changed(&mut self) {
        match self {
            Self::File(_) => std::future::pending().await,
            Self::Amqp(publisher) => publisher.changed().await,
            Self::Http(poster) => poster.changed().await,
        }
    }

    /// Keeps the target's connection, where it has one, until `end` turns true. `pause` is how
    /// long to wait after so many failures in a row.
    pub async fn keep(self, end: watch::Receiver<bool>, pause: fn(u32) -> Duration) {
        match self {
            Self::File(_) => {}
            Self::Amqp(publisher) => publisher.keep(end, pause).await,
            Self::Http(poster) => poster.keep(end).await,
        }
    }
}

impl Entered {
    /// The step before the point of no return. What it is done for is committed as *prepared*
    /// before [`Self::send`].
    pub async fn prepare(&self, list: Vec<Consignment>) -> Vec<(Consignment, Result<(), Answer>)> {
        let ready = match self {
            Self::File(folder) => {
                let folder = folder.clone();
                return blocking(move || {
                    let results = folder.prepare(&list);
                    let answers = results.into_iter().map(|result| result.map_err(prepare_answer));
                    list.into_iter().zip(answers).collect()
                })
                .await;
            }
            Self::Amqp(publisher) => publisher.ready(),
            // Whoever has entered may send.
            Self::Http(_) => Ok(()),
        };
        list.into_iter().map(|one| (one, ready.clone())).collect()
    }

    /// The last step. One answer for each consignment, in any order.
    pub async fn send(self, list: Vec<Consignment>) -> Vec<(DeliveryId, Answer)> {
        match self {
            Self::File(folder) => {
                blocking(move || {
                    let results = folder.publish(&list);
                    let ids = list.into_iter().map(|consignment| consignment.id);
                    ids.zip(results.into_iter().map(publish_answer)).collect()
                })
                .await
            }
            Self::Amqp(publisher) => publisher.send(list).await,
            Self::Http(pass) => pass.send(list).await,
        }
    }
}

fn prepare_answer(error: FileError) -> Answer {
    match error {
        FileError::Unavailable { .. } | FileError::Untrusted { .. } | FileError::Lost { .. } => {
            Answer::Unavailable(error.to_string().into())
        }
        // A temporary name is ours alone: what is in its way does not go by itself.
        FileError::Taken { .. } | FileError::Refused { .. } => {
            Answer::Reject(error.to_string().into())
        }
    }
}

fn publish_answer(result: Result<(), FileError>) -> Answer {
    let error = match result {
        Ok(()) => return Answer::Delivered { reference: String::new() },
        Err(error) => error,
    };
    let reason = error.to_string().into();
    match error {
        FileError::Unavailable { .. } | FileError::Untrusted { .. } => Answer::Unavailable(reason),
        FileError::Lost { .. } => Answer::InDoubt(reason),
        FileError::Taken { .. } => Answer::Retry { why: Why::NameTaken, reason, after: None },
        FileError::Refused { .. } => Answer::Reject(reason),
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
