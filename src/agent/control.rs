//! What operators ask of a running agent, over its control socket.
//!
//! `POST /deliveries/<id>/release`, `POST /deliveries/<id>/discard`, `POST /events/reprocess`,
//! `POST /events/unpark` and
//! `POST /reload`, each with who asks and why; and `GET /readyz`, with what the port does not tell
//! everybody. The command line is the client; the vocabulary is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::health::{Asker, Health};
use crate::agent::reload::{ReloadError, Reloaded};
use crate::delivery::DeliveryId;
use crate::dispatch;
use crate::event::Digest;
use crate::http::{Answer, Call, Handler, Peer};
use crate::intake::{self, Again};
use crate::journal::{Action, CommitError, Done, Journal, Operator, What};

/// Where the dispatcher of each target takes what operators ask for.
pub(super) type Acts = BTreeMap<Arc<str>, mpsc::Sender<dispatch::Command>>;
/// Where the answer to a reload goes.
pub(super) type ReloadAsked = oneshot::Sender<Result<Reloaded, ReloadError>>;

/// The parts that operators reach.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) journal: Journal,
    pub(super) acts: watch::Receiver<Acts>,
    pub(super) intake: mpsc::Sender<intake::Command>,
    pub(super) reload: mpsc::Sender<ReloadAsked>,
    pub(super) health: Arc<Health>,
    pub(super) clock: fn() -> Timestamp,
}

/// The uid of the process that asks.
fn uid(peer: Peer) -> Option<u32> {
    match peer {
        Peer::Local(uid) => Some(uid),
        Peer::Anybody | Peer::Stranger | Peer::Known => None,
    }
}

/// The body of every request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who asks.
    pub who: String,
    /// Why.
    pub why: String,
    /// The events, for `reprocess`; for `unpark`, those that parked the keys.
    #[serde(default)]
    pub events: Vec<u64>,
    /// The key, for `unpark`.
    #[serde(default)]
    pub key: Option<String>,
}

/// The answer to `release` and `discard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The state before.
    pub was: String,
    /// The state now.
    pub now: String,
}

impl Control {
    pub(super) fn handler(self: Arc<Self>) -> Handler {
        Arc::new(move |call| {
            let control = self.clone();
            Box::pin(async move { control.answer(call).await })
        })
    }

    async fn answer(&self, call: Call) -> Answer {
        if call.path == "/readyz" {
            return match call.method {
                Method::GET => self.health.readiness(Asker::Operator),
                _ => Answer::other_method("GET"),
            };
        }
        if call.method != Method::POST {
            return Answer::other_method("POST");
        }
        let request: Request = match serde_json::from_slice(&call.body) {
            Ok(request) => request,
            Err(error) => return Answer::text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let Request { who, why, events, key } = request;
        let operator = Operator { who, why, uid: uid(call.peer) };
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["events", "reprocess"] => self.decide_again(Again::Events(events), operator).await,
            ["events", "unpark"] => match key {
                Some(key) => self.decide_again(Again::Unparked(key), operator).await,
                None if !events.is_empty() => {
                    self.decide_again(Again::UnparkedBy(events), operator).await
                }
                None => Answer::text(StatusCode::BAD_REQUEST, "which key?"),
            },
            ["reload"] => self.reload(operator).await,
            ["deliveries", id, verb @ ("release" | "discard")] => match id.parse() {
                Ok(id) if *verb == "release" => self.act(What::Release(id), id, operator).await,
                Ok(id) => self.act(What::Discard(id), id, operator).await,
                Err(_) => Answer::text(StatusCode::BAD_REQUEST, "a delivery has a number"),
            },
            _ => Answer::text(StatusCode::NOT_FOUND, "no such action"),
        }
    }

    async fn act(&self, what: What, id: DeliveryId, operator: Operator) -> Answer {
        let Some((target, key)) = self.lane_of(id).await else {
            return Answer::text(StatusCode::NOT_FOUND, format!("there is no delivery {id}"));
        };
        let action = Action { operator, at: (self.clock)(), what };
        let dispatcher = self.acts.borrow().get(&*target).cloned();
        let done = match dispatcher {
            Some(dispatcher) => {
                let (answer, done) = oneshot::channel();
                let command = dispatch::Command { action, key, answer };
                if dispatcher.send(command).await.is_err() {
                    return stopping();
                }
                match done.await {
                    Ok(done) => done.map_err(|error| error.to_string()),
                    Err(_) => return stopping(),
                }
            }
            // The target is not configured any more: nobody is sending it.
            None => self.journal.act(action).await.map_err(|error| error.to_string()),
        };
        match done.map(|done| done.on) {
            Ok(Done::Delivery { now, was }) => {
                let (was, now) = (was.as_str().to_owned(), now.state.as_str().to_owned());
                Answer::json(StatusCode::OK, &Acted { delivery: id, was, now })
            }
            Ok(Done::Unparked { .. } | Done::Reloaded) => Answer::text(StatusCode::OK, "done"),
            Err(error) => Answer::text(StatusCode::CONFLICT, error),
        }
    }

    async fn lane_of(&self, id: DeliveryId) -> Option<(String, String)> {
        let journal = self.journal.clone();
        let row = tokio::task::spawn_blocking(move || journal.delivery(id)).await.ok()?;
        match row {
            Ok(row) => row.map(|row| (row.target, row.key)),
            Err(error) => {
                tracing::error!(%error, "the journal cannot be read");
                None
            }
        }
    }

    /// A reload that was taken is an action in the journal, with the plan that is in force by it.
    async fn reload(&self, operator: Operator) -> Answer {
        let (answer, done) = oneshot::channel();
        if self.reload.send(answer).await.is_err() {
            return stopping();
        }
        match done.await {
            Ok(Ok(done)) => match self.record_reload(operator, &done).await {
                Ok(()) => Answer::json(StatusCode::OK, &done),
                Err(error) => {
                    let text = format!("the configuration is in force, but not recorded: {error}");
                    Answer::text(StatusCode::CONFLICT, text)
                }
            },
            Ok(Err(error)) => Answer::text(StatusCode::CONFLICT, error.to_string()),
            Err(_) => stopping(),
        }
    }

    async fn record_reload(&self, operator: Operator, done: &Reloaded) -> Result<(), CommitError> {
        let (generation, plan) = (done.generation, Digest::parse(&done.plan));
        let what = What::Reload { plan: plan.unwrap_or(Digest([0; 32])), generation };
        self.journal.act(Action { operator, at: (self.clock)(), what }).await?;
        Ok(())
    }

    async fn decide_again(&self, what: Again, operator: Operator) -> Answer {
        let (answer, done) = oneshot::channel();
        let command = intake::Command::Reprocess { what, operator, answer };
        if self.intake.send(command).await.is_err() {
            return stopping();
        }
        match done.await {
            Ok(Ok(done)) => Answer::json(StatusCode::OK, &done),
            Ok(Err(error)) => Answer::text(StatusCode::CONFLICT, error.to_string()),
            Err(_) => stopping(),
        }
    }
}

fn stopping() -> Answer {
    Answer::text(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping")
}
