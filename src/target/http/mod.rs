//! A URL that takes documents.
//!
//! One request for each delivery, each with the delivery's id in a header. What an answer means is
//! in [`answer`]; what no answer means:
//!
//! | what happened | answer |
//! |---|---|
//! | no connection, no TLS | unavailable: nothing was sent |
//! | the certificate was refused before anybody had answered | unavailable: nothing was read |
//! | the connection was lost, or the time was up, before the answer began | in doubt |
//! | the answer began and did not end | as its status says |
//!
//! **Logins.** A credential that nobody has accepted yet, or not for a minute, is tried by one
//! request alone; the others wait for it. Not every answer accepts it: see [`answer::proves`].
//! Refused, it is not tried again: [`Poster::keep`] looks at its files once a second, and the target
//! waits until one of them was written anew and stands still.
//!
//! **Who answers.** Where the configuration expects a system, nothing is sent before it has said
//! that it is the one ([`identity`]); until then the target is down and is asked now and then.
//!
//! **The breaker.** After [`BREAKER`] failures in a row nothing counts any more, and the dispatcher
//! sends one delivery as a probe from time to time, until one arrives.

pub mod answer;
mod exchange;
mod identity;
pub mod probe;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::sleep;

use crate::amqp::CREDENTIAL_POLL;
use crate::config::OnDoubt;
use crate::config::http::{Dedupes, HttpTarget};
use crate::delivery::{Consignment, DeliveryId};
use crate::event::Digest;
use crate::target::http::identity::Said;
use crate::target::http::session::{Materials, Session};
use crate::target::{Answer, Begun, Reason, Why};
use crate::tls::look::Look;

/// So many failures in a row, and the target counts as down.
pub const BREAKER: u32 = 10;

/// What sends to one URL; cheap to clone.
#[derive(Clone, Debug)]
pub struct Poster {
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    config: HttpTarget,
    /// The folder that relative paths of the configuration start from.
    base: PathBuf,
    clock: fn() -> Timestamp,
    state: watch::Sender<State>,
    /// Held by the one request that tries a credential.
    first: Arc<Mutex<()>>,
    /// Failures since the last answer that was none.
    failures: AtomicU32,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing can be sent; why.
    Down(String),
    /// Who we are was not accepted.
    Refused { stamp: Digest, why: String },
    /// Requests may be sent.
    Up(Arc<Session>),
}

/// The right to send one request.
#[derive(Debug)]
pub struct Pass {
    poster: Poster,
    session: Arc<Session>,
    /// Where this request tries the credential for all.
    first: Option<OwnedMutexGuard<()>>,
}

impl Pass {
    /// Sends what it was taken for: one delivery, since deliveries to a URL form no groups.
    pub(super) async fn send(self, list: Vec<Consignment>) -> Vec<(DeliveryId, Answer)> {
        let answers = join_all(list.iter().map(async |one| (one.id, self.one(one).await))).await;
        // Now others may enter.
        drop(self.first);
        answers
    }

    async fn one(&self, consignment: &Consignment) -> Answer {
        let Self { poster, session, .. } = self;
        let answer = match session.exchange(consignment, (poster.shared.clock)()).await {
            exchange::Outcome::Answered { answer, proof } => {
                if proof {
                    session.prove();
                }
                answer
            }
            exchange::Outcome::Unheard(answer) => {
                session.identity.forget();
                answer
            }
            exchange::Outcome::Refused(reason) => poster.refused(session, reason),
            exchange::Outcome::Disowned(reason) => {
                poster.renew(session);
                Answer::InDoubt(reason)
            }
        };
        poster.count(answer)
    }
}

impl State {
    /// Of what was read last and could be used.
    fn stamp(&self) -> Option<Digest> {
        match self {
            Self::Down(_) => None,
            Self::Refused { stamp, .. } => Some(*stamp),
            Self::Up(session) => Some(session.stamp()),
        }
    }
}

impl Poster {
    /// A poster that has not read its secrets yet.
    pub fn new(
        name: Arc<str>,
        config: HttpTarget,
        base: PathBuf,
        clock: fn() -> Timestamp,
    ) -> Self {
        let (sender, state) = watch::channel(State::Down("not ready yet".to_owned()));
        let (first, failures) = (Arc::default(), AtomicU32::default());
        let shared = Shared { name, config, base, clock, state: sender, first, failures };
        Self { shared: Arc::new(shared), state }
    }

    /// What is done about a document that may have arrived.
    pub(super) fn begun(&self) -> Begun {
        let config = &self.shared.config;
        match (config.dedupes, config.on_doubt) {
            (Dedupes::Nothing, OnDoubt::Hold) => Begun::Hold,
            _ if self.failing().is_some() => Begun::Resend,
            _ => Begun::Again,
        }
    }

    pub(super) fn marks_start(&self) -> bool {
        self.shared.config.dedupes == Dedupes::Nothing
    }

    /// Whether requests may be sent now.
    pub(super) fn ready(&self) -> Result<(), Answer> {
        self.session().map(|_| ())
    }

    pub(super) fn failing(&self) -> Option<Reason> {
        let failures = self.shared.failures.load(Ordering::Acquire);
        let why = || format!("{failures} attempts in a row have failed").into();
        (failures >= BREAKER).then(why)
    }

    /// Waits until [`Self::ready`] may say something else.
    pub(super) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// A session, and the right to be the first of it where nobody was yet.
    pub(super) async fn enter(&self, mut stop: watch::Receiver<bool>) -> Result<Pass, Answer> {
        loop {
            let session = self.session()?;
            if session.is_proven() && session.is_identified() {
                return Ok(Pass { poster: self.clone(), session, first: None });
            }
            let asked = session.identity.asked();
            let first = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {
                    return Err(Answer::Unavailable("it was not its turn before the end".into()));
                }
                first = self.shared.first.clone().lock_owned() => first,
            };
            // Whoever was first has proven it, or it is gone.
            let now = self.session()?;
            if !Arc::ptr_eq(&session, &now) {
                continue;
            }
            if let Some(answer) = now.identity.refused_since(asked, tokio::time::Instant::now()) {
                return Err(answer);
            }
            self.identify(&now, &mut stop).await?;
            if !now.is_proven() {
                return Ok(Pass { poster: self.clone(), session: now, first: Some(first) });
            }
        }
    }

    /// Asks who answers, where that is not known. Nothing goes to anybody but the system expected.
    async fn identify(
        &self,
        session: &Arc<Session>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Answer> {
        let Some(expect) = session.rules.expected().filter(|_| !session.is_identified()) else {
            return Ok(());
        };
        let said = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {
                return Err(Answer::Unavailable("it was not its turn before the end".into()));
            }
            said = session.identify(expect) => said,
        };
        let refused = match said {
            Said::Known(said) => {
                tracing::info!(target = %self.shared.name, %said, "it is the system expected");
                None
            }
            Said::Unknown(why) => Some(Answer::Unavailable(why.into())),
            Said::Refused(reason) => Some(self.refused(session, reason)),
        };
        session.identity.settle(tokio::time::Instant::now(), refused.clone());
        refused.map_or(Ok(()), Err)
    }

    fn session(&self) -> Result<Arc<Session>, Answer> {
        match &*self.shared.state.borrow() {
            State::Up(session) => Ok(session.clone()),
            State::Down(why) | State::Refused { why, .. } => {
                Err(Answer::Unavailable(why.as_str().into()))
            }
        }
    }

    /// Who we are was not accepted. Trying again with the same credential only locks the user.
    fn refused(&self, session: &Arc<Session>, reason: Reason) -> Answer {
        if !session.has_credential() {
            // Nobody to lock, and nothing that could be corrected here.
            return Answer::Unavailable(reason);
        }
        let shared = &self.shared;
        let refused = shared.state.send_if_modified(|state| match state {
            State::Up(now) if Arc::ptr_eq(now, session) => {
                let why = format!("{reason}; waiting for another credential");
                *state = State::Refused { stamp: session.stamp(), why };
                true
            }
            _ => false,
        });
        if refused {
            tracing::error!(
                target = %shared.name,
                %reason,
                "the login was refused; waiting for another credential (no restart needed)"
            );
        }
        Answer::Unavailable(reason)
    }

    /// Begins again with new connections only: of those a refusal says for certain that nothing was
    /// read, so that no more than what was under way is in doubt.
    fn renew(&self, session: &Arc<Session>) {
        let fresh = match session.anew() {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                let target = &self.shared.name;
                tracing::warn!(%target, %error, "the certificate is not accepted any more");
                return;
            }
        };
        self.shared.state.send_if_modified(|state| match state {
            State::Up(now) if Arc::ptr_eq(now, session) => {
                *state = State::Up(fresh);
                true
            }
            _ => false,
        });
    }

    /// Follows the failures in a row. Beyond the breaker an attempt does not count.
    fn count(&self, answer: Answer) -> Answer {
        let failures = &self.shared.failures;
        match answer {
            Answer::Delivered { .. } | Answer::Reject(_) => {
                failures.store(0, Ordering::Release);
                answer
            }
            Answer::Retry { ref reason, .. } => {
                if failures.fetch_add(1, Ordering::AcqRel) >= BREAKER {
                    return Answer::Unavailable(reason.clone());
                }
                answer
            }
            Answer::InDoubt(_) => {
                failures.fetch_add(1, Ordering::AcqRel);
                answer
            }
            Answer::Unavailable(_) => answer,
        }
    }

    /// Looks at the secrets and certificates until `end` turns true.
    pub(super) async fn keep(self, mut end: watch::Receiver<bool>) {
        let mut look = Look::First;
        while !*end.borrow() {
            look = self.look(look);
            tokio::select! {
                () = sleep(CREDENTIAL_POLL) => {}
                _ = end.changed() => {}
            }
        }
    }

    /// Reads secrets and certificates, and replaces the session where they are others and stand
    /// still. Requests under way end on the connections that they began on.
    fn look(&self, before: Look) -> Look {
        let Shared { name, config, base, state, .. } = &*self.shared;
        let read = Materials::read(config, base);
        let now = Look::Saw(read.as_ref().ok().map(|materials| materials.stamp));
        let opened = read.and_then(|materials| {
            let stamp = materials.stamp;
            let new = state.borrow().stamp() != Some(stamp) && before.agrees(stamp);
            new.then(|| Session::open(config, materials)).transpose()
        });
        match opened {
            Ok(None) => {}
            Ok(Some(session)) => {
                // Looked at again: it may have been refused in the meantime.
                let taken = state.send_if_modified(|state| {
                    let new = state.stamp() != Some(session.stamp());
                    if new {
                        *state = State::Up(Arc::new(session));
                    }
                    new
                });
                if taken {
                    tracing::info!(target = %name, "target is ready");
                }
            }
            Err(error) => {
                state.send_if_modified(|state| match state {
                    // What was read before serves on: files are often replaced one by one.
                    State::Up(_) | State::Refused { .. } => false,
                    State::Down(why) if *why == error.to_string() => false,
                    State::Down(why) => {
                        tracing::error!(target = %name, %error, "target is not ready");
                        *why = error.to_string();
                        true
                    }
                });
            }
        }
        now
    }
}

/// Of an answer that says: not now.
fn busy(reason: Reason, after: Option<std::time::Duration>) -> Answer {
    Answer::Retry { why: Why::Busy, reason, after }
}
