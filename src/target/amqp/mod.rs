//! An exchange of an AMQP 0-9-1 broker.
//!
//! Messages are CloudEvents, persistent, confirmed by the broker and, unless the configuration
//! says otherwise, mandatory. What the answers mean:
//!
//! | the broker | answer |
//! |---|---|
//! | confirms | delivered |
//! | gives it back (no queue is bound) | reject: nobody waits for it, and nobody would later |
//! | says no (a queue is full) | retry: counts |
//! | is not there, is blocked, has no such exchange | unavailable: nothing was sent |
//! | closes the channel over a message that is alone on it | unavailable, or reject |
//! | goes away with messages unconfirmed, or confirms nothing for [`CONFIRM`] | in doubt |
//!
//! The steps, each for a group of messages at once: is the broker there; the journal commits
//! *prepared*: from here on a message may have been sent; the messages are sent; the journal
//! settles. After a crash a prepared delivery is in doubt. What follows is the policy `on_doubt`:
//! the same bytes again under the same message id, or a lane that waits for an operator. What is
//! known not to have arrived (the broker said no, or nothing was written) is not prepared any more.
//!
//! [`Publisher::keep`] is the supervisor: whatever ends a session, it begins another one, for
//! ever. The connection is our own, never one that consumes: a broker that is short of memory
//! stops reading from connections that publish. The client library's own recovery is off, because
//! it hides outages.

mod send;
mod session;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::Event;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::amqp::{self, GOOD, PAUSE};
use crate::config::{AmqpTarget, OnDoubt};
use crate::delivery::DeliveryId;
use crate::event::Digest;
use crate::target::Answer;
use crate::target::amqp::session::{Session, SessionError};

pub use self::send::CONFIRM;

/// How often a connection is looked at that says nothing.
const LOOK: Duration = Duration::from_secs(1);

/// What publishes to one exchange; cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    link: watch::Receiver<Link>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    config: AmqpTarget,
    /// The folder that relative paths of the configuration start from.
    base: PathBuf,
    link: watch::Sender<Link>,
    /// Deliveries that were on a channel which the broker closed: one of them may be the reason,
    /// and each goes alone until it is answered.
    suspects: Mutex<HashSet<DeliveryId>>,
}

/// The state of the connection.
#[derive(Clone, Debug)]
enum Link {
    /// There is none; why.
    Down(String),
    /// It is there, and the broker takes nothing; why.
    Blocked(String),
    /// Messages may be sent.
    Up(Arc<Session>),
}

impl Publisher {
    /// A publisher that is not connected yet.
    pub fn new(name: Arc<str>, config: AmqpTarget, base: PathBuf) -> Self {
        let (sender, link) = watch::channel(Link::Down("not connected yet".to_owned()));
        let suspects = Mutex::default();
        Self { shared: Arc::new(Shared { name, config, base, link: sender, suspects }), link }
    }

    /// What is done about a message that may have arrived.
    pub fn on_doubt(&self) -> OnDoubt {
        self.shared.config.on_doubt
    }

    /// Whether messages may be sent now.
    pub(super) fn ready(&self) -> Result<(), Answer> {
        self.session().map(|_| ())
    }

    /// Waits until [`Self::ready`] may say something else.
    pub(super) async fn changed(&mut self) {
        if self.link.changed().await.is_err() {
            std::future::pending().await
        }
    }

    fn session(&self) -> Result<Arc<Session>, Answer> {
        match &*self.shared.link.borrow() {
            Link::Up(session) if session.is_blocked() => {
                Err(Answer::Unavailable("the broker has blocked the connection".into()))
            }
            Link::Up(session) if session.is_connected() => Ok(session.clone()),
            Link::Up(_) => Err(Answer::Unavailable(SessionError::Gone.to_string().into())),
            Link::Down(why) | Link::Blocked(why) => Err(Answer::Unavailable(why.as_str().into())),
        }
    }

    /// Connects, and connects again, until `end` turns true.
    pub(super) async fn keep(self, mut end: watch::Receiver<bool>, pause: fn(u32) -> Duration) {
        let name = &self.shared.name;
        let mut failures: u32 = 0;
        while !*end.borrow() {
            let started = tokio::time::Instant::now();
            let ended = self.one_session(&mut end).await;
            if *end.borrow() {
                break;
            }
            let error = ended.err().unwrap_or(SessionError::Gone);
            self.shared.link.send_replace(Link::Down(error.to_string()));
            failures = if started.elapsed() >= GOOD { 1 } else { failures.saturating_add(1) };
            if let SessionError::Login { stamp } = error {
                self.wait_for_credential(&mut end, stamp).await;
            } else {
                let strange = error.strange();
                let pause = if strange.is_some() { PAUSE.1 } else { pause(failures) };
                tracing::warn!(target = %name, %error, again_in = ?pause, "target is down");
                self.wait(&mut end, strange, pause).await;
            }
        }
    }

    async fn one_session(&self, end: &mut watch::Receiver<bool>) -> Result<(), SessionError> {
        let (name, config) = (&self.shared.name, &self.shared.config);
        let session = tokio::select! {
            opened = session::open(name, config, &self.shared.base) => Arc::new(opened?),
            _ = end.changed() => return Ok(()),
        };
        tracing::info!(target = %name, exchange = %config.exchange, "target is up");
        self.shared.link.send_replace(Link::Up(session.clone()));
        let (ended, session) = self.follow(session, end).await;
        self.shared.link.send_replace(Link::Down("the connection is closing".to_owned()));
        session.close().await;
        ended
    }

    /// Follows a session, and the ones that take its place when credential or certificate are
    /// new. Returns the last one. What the broker refused meanwhile is not tried again when the
    /// session ends.
    async fn follow(
        &self,
        mut session: Arc<Session>,
        end: &mut watch::Receiver<bool>,
    ) -> (Result<(), SessionError>, Arc<Session>) {
        let Shared { name, config, base, link, .. } = &*self.shared;
        let (mut known, mut refused) = (session.stamp(), None);
        loop {
            let new = tokio::select! {
                ended = self.watch(&session, end) => {
                    return (ended.map_err(|error| self.since(refused, error)), session);
                }
                new = amqp::rotated(&config.url, &config.tls, base, known) => new,
            };
            let Some(opened) = self.open_beside(&session, end).await else {
                return (Ok(()), session);
            };
            match opened {
                Ok(opened) => {
                    tracing::info!(target = %name, "connected anew with a new credential or certificate");
                    (known, refused) = (opened.stamp(), None);
                    let old = std::mem::replace(&mut session, Arc::new(opened));
                    link.send_replace(Link::Up(session.clone()));
                    tokio::spawn(retire(old));
                }
                // What is there works on.
                Err(error) => {
                    tracing::error!(
                        target = %name,
                        %error,
                        "the new credential or certificate is of no use; the connection stays"
                    );
                    refused = error.refused();
                    known = refused.unwrap_or(new);
                }
            }
        }
    }

    /// Opens another session while this one is followed. `None` when `end` turns true.
    async fn open_beside(
        &self,
        session: &Arc<Session>,
        end: &mut watch::Receiver<bool>,
    ) -> Option<Result<Session, SessionError>> {
        let Shared { name, config, base, link, .. } = &*self.shared;
        let mut opening = pin!(session::open(name, config, base));
        tokio::select! {
            opened = &mut opening => return Some(opened),
            ended = self.watch(session, end) => {
                // A login under way may be refused: that has to be heard.
                let error = ended.err()?;
                tracing::warn!(target = %name, %error, "the connection ended before the new one stood");
                link.send_replace(Link::Down(error.to_string()));
            }
        }
        tokio::select! {
            opened = opening => Some(opened),
            _ = end.changed() => None,
        }
    }

    /// Why a session ended: where the credential that is there now was refused, the next session
    /// waits for another one.
    fn since(&self, refused: Option<Digest>, error: SessionError) -> SessionError {
        let Some(stamp) = refused else { return error };
        tracing::warn!(target = %self.shared.name, %error, "the connection ended");
        SessionError::Login { stamp }
    }

    /// Follows a session until it ends or `end` turns true.
    async fn watch(
        &self,
        session: &Arc<Session>,
        end: &mut watch::Receiver<bool>,
    ) -> Result<(), SessionError> {
        let name = &self.shared.name;
        let mut events = pin!(session.events());
        self.reconcile(session);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sleep(LOOK) => None,
                _ = end.changed() => return Ok(()),
            };
            match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(target = %name, reason, "the broker takes no messages");
                    let why = format!("the broker has blocked the connection: {reason}");
                    self.shared.link.send_replace(Link::Blocked(why));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!(target = %name, "the broker takes messages again");
                    self.shared.link.send_replace(Link::Up(session.clone()));
                }
                // A channel's error comes here too, and is none of the connection.
                Some(Event::Error(error)) if !session.is_connected() => return Err(error.into()),
                _ if !session.is_connected() => return Err(SessionError::Gone),
                _ => self.reconcile(session),
            }
        }
    }

    /// Sets right what is said of a session: between two listeners an event is lost.
    fn reconcile(&self, session: &Arc<Session>) {
        self.shared.link.send_if_modified(|link| {
            let right = match link {
                Link::Blocked(_) if session.is_connected() && !session.is_blocked() => {
                    Link::Up(session.clone())
                }
                Link::Up(_) if session.is_blocked() => {
                    Link::Blocked("the broker has blocked the connection".to_owned())
                }
                _ => return false,
            };
            *link = right;
            true
        });
    }

    async fn wait(
        &self,
        end: &mut watch::Receiver<bool>,
        strange: Option<Digest>,
        pause: Duration,
    ) {
        let Shared { config, base, .. } = &*self.shared;
        tokio::select! {
            () = amqp::pause((&config.url, &config.tls, base), strange, pause) => {}
            _ = end.changed() => {}
        }
    }

    /// The broker refused the login: trying again with the same credential only locks the user.
    /// Waits until the secret was written anew.
    async fn wait_for_credential(&self, end: &mut watch::Receiver<bool>, refused: Digest) {
        let Shared { name, config, base, .. } = &*self.shared;
        tracing::error!(
            target = %name,
            "the broker refused the login; waiting for another credential (no restart needed)"
        );
        tokio::select! {
            _ = amqp::rotated(&config.url, &config.tls, base, refused) => {}
            _ = end.changed() => {}
        }
    }
}

/// Ends a session that another one has taken the place of, when its last messages are confirmed.
async fn retire(session: Arc<Session>) {
    let confirmed = async {
        while Arc::strong_count(&session) > 1 {
            sleep(LOOK / 10).await;
        }
    };
    if tokio::time::timeout(CONFIRM, confirmed).await.is_err() {
        tracing::warn!("the old connection ends with messages unconfirmed");
    }
    session.close().await;
}
