//! One group of deliveries on its way: enter, prepare, commit, send, settle.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::Retry;
use crate::delivery::{Consignment, DeliveryId, Due, Outcome, Settlement};
use crate::dispatch::room::{Portion, Room, portions};
use crate::dispatch::{Ids, retry};
use crate::journal::{CommitError, Journal, JournalError};
use crate::target::{Answer, Begun, Entered, Reason, Target, Why};
use crate::trace::{self, Trace};

/// The pause before a settlement that the journal did not take is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a group works with.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) name: Arc<str>,
    pub(super) target: Target,
    pub(super) journal: Journal,
    pub(super) retry: Retry,
    pub(super) clock: fn() -> Timestamp,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) room: Room,
}

/// What came of a group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) brought: Ids,
    pub(super) took: Duration,
}

/// What came of one delivery.
#[derive(Debug)]
pub(super) enum Brought {
    /// It is there.
    Delivered,
    /// It was tried and counts.
    Again {
        /// Not before.
        due: Timestamp,
        /// Why.
        why: Why,
    },
    /// It will never be there.
    Dead,
    /// It may be there; somebody has to decide.
    InDoubt,
    /// It may be there, and is sent again when the target is to be had.
    Resend(String),
    /// It was not tried; the target, or the journal, is not to be had.
    Down(String),
}

/// Brings the heads of lanes to the target, as many at once as there is room for. Where it turns out
/// to be down, the rest is not tried.
pub(super) async fn bring(tools: Arc<Tools>, heads: Vec<Due>) -> Group {
    let started = tokio::time::Instant::now();
    let ids: Vec<DeliveryId> = heads.iter().map(|due| due.id).collect();
    let (mut brought, mut down) = (Vec::with_capacity(ids.len()), None);
    let portions = match tools.read(move |journal| journal.document_sizes(&ids)).await {
        Ok(sizes) => portions(heads, &sizes),
        Err(error) => {
            down = Some(error.to_string());
            vec![Portion { heads, bytes: 0 }]
        }
    };
    for Portion { heads, bytes } in portions {
        if let Some(reason) = &down {
            brought.extend(heads.iter().map(|due| (due.id, Brought::Down(reason.clone()))));
            continue;
        }
        let _room = tools.room.take(bytes).await;
        let portion = bring_portion(tools.clone(), heads).await;
        down = portion.iter().find_map(|(_, brought)| match brought {
            Brought::Down(reason) | Brought::Resend(reason) => Some(reason.clone()),
            _ => None,
        });
        brought.extend(portion);
    }
    Group { brought, took: started.elapsed() }
}

async fn bring_portion(tools: Arc<Tools>, heads: Vec<Due>) -> Ids {
    let (fresh, unmarked, traces, brought) = (Vec::new(), Vec::new(), HashMap::new(), Vec::new());
    let mut way = Way { tools, heads, fresh, unmarked, traces, brought };
    let early = crate::fault::is_on("settle-before-rename");
    let mut answers = Vec::new();
    if let Some((target, list)) = way.prepare().await {
        if early {
            let delivered = || Outcome::Delivered { reference: String::new() };
            let all = list.iter().map(|one| way.settlement(one.id, delivered())).collect();
            settle(&way.tools, all).await;
        }
        crate::fault::point("before-send");
        answers = way.send(target, list).await;
    }
    crate::fault::point("before-settle");
    way.conclude(answers, early).await;
    crate::fault::point("after-settle");
    way.brought
}

impl Tools {
    /// Reads the journal on a thread of its own.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let journal = self.journal.clone();
        match tokio::task::spawn_blocking(move || read(&journal)).await {
            Ok(read) => read,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// A group between its steps.
struct Way {
    tools: Arc<Tools>,
    heads: Vec<Due>,
    /// What was prepared by this attempt and by none before.
    fresh: Vec<DeliveryId>,
    /// What is sent without a durable sign of it, since its receiver knows what comes twice.
    unmarked: Vec<DeliveryId>,
    /// What log lines about them are found by.
    traces: HashMap<DeliveryId, Trace>,
    brought: Ids,
}

impl Way {
    /// Reads the consignments, waits for the target, makes the new ones ready and commits that.
    /// Returns those that may be sent.
    async fn prepare(&mut self) -> Option<(Entered, Vec<Consignment>)> {
        let ids: Vec<DeliveryId> = self.heads.iter().map(|due| due.id).collect();
        let list = match self.tools.read(move |journal| journal.consignments(&ids)).await {
            Ok(list) => list,
            Err(error) => {
                let down = |due: &Due| (due.id, Brought::Down(error.to_string()));
                self.brought.extend(self.heads.iter().map(down));
                return None;
            }
        };
        let traces = list.iter().filter_map(|one| Some((one.id, one.trace.clone()?)));
        self.traces = traces.collect();
        let (begun, fresh): (Vec<_>, Vec<_>) = list.into_iter().partition(|one| one.prepared);
        let mut ready = self.begun(begun).await;
        if ready.is_empty() && fresh.is_empty() {
            return None;
        }
        // Before anything is committed: what only waits for its turn is not in doubt after a kill.
        let target = match self.tools.target.enter(self.tools.stop.clone()).await {
            Ok(target) => target,
            Err(answer) => {
                let all = ready.iter().chain(&fresh).map(|one| (one.id, answer.clone())).collect();
                self.conclude(all, false).await;
                return None;
            }
        };
        let (mut new, mut answers) = (Vec::new(), Vec::new());
        for (consignment, result) in target.prepare(fresh).await {
            match result {
                Ok(()) => new.push(consignment),
                Err(answer) => answers.push((consignment.id, answer)),
            }
        }
        self.conclude(answers, false).await;
        if self.tools.target.marks_start() {
            new = self.mark(new).await;
        }
        ready.extend(new);
        (!ready.is_empty()).then_some((target, ready))
    }

    /// Commits that these are about to be sent. Returns those of which it is durable.
    async fn mark(&mut self, mut new: Vec<Consignment>) -> Vec<Consignment> {
        crate::fault::point("before-prepared");
        let prepared = new.iter().map(|one| self.settlement(one.id, Outcome::Prepared)).collect();
        if let Err(error) = self.tools.journal.settle(prepared).await {
            let down = |one: &Consignment| (one.id, Brought::Down(error.to_string()));
            self.brought.extend(new.iter().map(down));
            new.clear();
        }
        crate::fault::point("after-prepared");
        self.fresh = new.iter().map(|one| one.id).collect();
        new
    }

    async fn send(&mut self, target: Entered, list: Vec<Consignment>) -> Vec<(DeliveryId, Answer)> {
        let unmarked = list.iter().filter(|one| !one.prepared).map(|one| one.id);
        self.unmarked = unmarked.filter(|id| !self.fresh.contains(id)).collect();
        let answers = tokio::select! {
            answers = target.send(list) => answers,
            never = self.mark_at_the_end() => match never {},
        };
        if *self.tools.stop.borrow() {
            self.fresh.extend(&self.unmarked);
        }
        answers
    }

    /// Makes up for the sign once the dispatcher is to end: nobody may wait for the answers, and
    /// the next one may be told that the receiver does not know what comes twice.
    async fn mark_at_the_end(&self) -> Infallible {
        let mut stop = self.tools.stop.clone();
        if stop.wait_for(|stop| *stop).await.is_ok() && !self.unmarked.is_empty() {
            let unmarked = self.unmarked.iter();
            let prepared = unmarked.map(|id| self.settlement(*id, Outcome::Prepared)).collect();
            if let Err(error) = self.tools.journal.settle(prepared).await {
                tracing::warn!(%error, target = %self.tools.name, "what is under way is not recorded");
            }
        }
        std::future::pending().await
    }

    /// What an attempt began of which nobody knows the end. Returns those that go on.
    async fn begun(&mut self, list: Vec<Consignment>) -> Vec<Consignment> {
        if self.unfinished() != Begun::Hold {
            return list;
        }
        let reason = Reason::from("the agent ended while it was being sent");
        let doubt = |one: Consignment| (one.id, Answer::InDoubt(reason.clone()));
        self.conclude(list.into_iter().map(doubt).collect(), false).await;
        Vec::new()
    }

    /// Settles what the target said, in one commit. `settled`: what was delivered was settled
    /// before.
    async fn conclude(&mut self, answers: Vec<(DeliveryId, Answer)>, settled: bool) {
        let mut settlements = Vec::with_capacity(answers.len());
        let mut brought = Vec::with_capacity(answers.len());
        for (id, answer) in answers {
            let span = trace::span(self.traces.get(&id));
            let (outcome, what) = span.in_scope(|| self.follows(id, answer));
            let again =
                matches!(what, Brought::Resend(_) | Brought::Again { why: Why::InDoubt, .. });
            let arrived = again || matches!(what, Brought::Delivered | Brought::InDoubt);
            // Also where the receiver knows ids: it may be configured not to, next time.
            if again && self.unmarked.contains(&id) {
                settlements.push(self.settlement(id, Outcome::Prepared));
            }
            // Where the prepared step can be repeated it stays: the next attempt looks for it.
            let undone = self.tools.target.begun() != Begun::Finish && self.fresh.contains(&id);
            if undone && !arrived {
                settlements.push(self.settlement(id, Outcome::Unprepared));
            }
            if !(settled && matches!(what, Brought::Delivered)) {
                settlements.extend(outcome.map(|outcome| self.settlement(id, outcome)));
            }
            brought.push((id, what));
        }
        if !settlements.is_empty() {
            settle(&self.tools, settlements).await;
        }
        self.brought.extend(brought);
    }

    /// What follows from an answer: for the journal and for the lane.
    fn follows(&self, id: DeliveryId, answer: Answer) -> (Option<Outcome>, Brought) {
        let target = &self.tools.name;
        match answer {
            Answer::Delivered { reference } => {
                tracing::debug!(target = %target, delivery = id, "delivered");
                (Some(Outcome::Delivered { reference }), Brought::Delivered)
            }
            Answer::Unavailable(reason) => (None, Brought::Down(reason.text)),
            Answer::Retry { why, reason, after } => {
                let later = self.later(id, &reason, after);
                later.map_or_else(
                    |last| self.follows(id, Answer::Reject(last)),
                    |due| again(due, why, &reason),
                )
            }
            Answer::Reject(reason) => {
                tracing::error!(target = %target, delivery = id, %reason, "delivery is dead");
                (Some(Outcome::Dead { reason: reason.whole() }), Brought::Dead)
            }
            Answer::InDoubt(reason) => self.doubt(id, reason),
        }
    }

    /// What the target's deliveries need of which nobody knows the end.
    fn unfinished(&self) -> Begun {
        match self.tools.target.begun() {
            Begun::Hold if crate::fault::is_on("retry-in-doubt") => Begun::Again,
            begun => begun,
        }
    }

    /// What follows where nobody knows whether it arrived.
    fn doubt(&self, id: DeliveryId, reason: Reason) -> (Option<Outcome>, Brought) {
        let target = &self.tools.name;
        let reason = match self.unfinished() {
            Begun::Resend => {
                tracing::warn!(
                    target = %target,
                    delivery = id,
                    %reason,
                    "delivery is in doubt and will be sent again with the same id"
                );
                return (None, Brought::Resend(reason.text));
            }
            Begun::Again => match self.later(id, &reason, None) {
                Ok(due) => return again(due, Why::InDoubt, &reason),
                // That it is dead is more than is known.
                Err(last) => last,
            },
            Begun::Hold | Begun::Finish => reason,
        };
        tracing::error!(target = %target, delivery = id, %reason, "delivery is in doubt");
        (Some(Outcome::InDoubt { reason: reason.whole() }), Brought::InDoubt)
    }

    /// When a delivery is tried again whose attempt counts: as the policy says, and not before the
    /// receiver wants it. The error is the reason where its attempts are used up.
    fn later(
        &self,
        id: DeliveryId,
        reason: &Reason,
        after: Option<Duration>,
    ) -> Result<Timestamp, Reason> {
        let before = self.heads.iter().find(|due| due.id == id).map_or(0, |due| due.attempts);
        let (attempts, now) = (before + 1, (self.tools.clock)());
        let Some(due) = retry::next(self.tools.retry, id, attempts, now) else {
            let text = format!("{reason}; attempt {attempts} was the last");
            return Err(Reason { text, said: reason.said.clone() });
        };
        tracing::warn!(target = %self.tools.name, delivery = id, attempts, %reason, "delivery will be tried again");
        Ok(after.map_or(due, |after| due.max(retry::later(now, after))))
    }

    fn settlement(&self, id: DeliveryId, outcome: Outcome) -> Settlement {
        Settlement { id, at: (self.tools.clock)(), outcome }
    }
}

fn again(due: Timestamp, why: Why, reason: &Reason) -> (Option<Outcome>, Brought) {
    (Some(Outcome::Retry { due, reason: reason.whole() }), Brought::Again { due, why })
}

/// Settles, however long the journal takes: what happened must be recorded before the lane moves
/// on. Only the end of the agent ends the waiting; then the next start finds out by itself.
async fn settle(tools: &Arc<Tools>, settlements: Vec<Settlement>) {
    let mut stop = tools.stop.clone();
    loop {
        match tools.journal.settle(settlements.clone()).await {
            Ok(()) | Err(CommitError::Closed) => return,
            Err(error) if *stop.borrow() => {
                tracing::warn!(%error, "settlement not recorded; it will be found out at the start");
                return;
            }
            Err(error) => {
                tracing::error!(%error, target = %tools.name, "settlement not recorded yet");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = stop.changed() => {}
                }
            }
        }
    }
}
