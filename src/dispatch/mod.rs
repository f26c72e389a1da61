//! Brings deliveries to their targets, in the order of their keys.
//!
//! One [`Dispatcher`] for each target. It keeps the [`lanes`] of what is due, takes heads in
//! groups, brings a group through the steps of its target and settles it; while one group waits
//! for the disk the next is under way. Everything it knows is in the journal: after a crash it
//! reads what is not final and goes on, with the same bytes under the same names.

pub mod feed;
pub mod lanes;
pub mod retry;

mod group;
mod moved;
mod room;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::amqp::PAUSE;
use crate::config;
use crate::delivery::{DeliveryId, Due};
use crate::dispatch::feed::Feed;
use crate::dispatch::group::{Brought, Group, Tools};
use crate::dispatch::lanes::{After, Lanes};
use crate::dispatch::room::Room;
use crate::journal::{Action, ActionDone, CommitError, Journal, JournalError};
use crate::metrics::{Metrics, Reason};
use crate::target::{Target, Why};

/// Deliveries kept in memory for each target: about 6 MB of heads and followers at most.
const WINDOW: usize = 20_000;
/// Deliveries read from the journal at once.
const PAGE: usize = 2_000;
/// Groups under way at once: one may write while another waits for its commit. Where deliveries go
/// one by one, each is a group.
const GROUPS: usize = 2;
/// The least and the greatest pause before a target that was down is probed.
const PROBE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What comes of attempts: the words of a metric's label.
pub const OUTCOMES: [&str; 5] = ["delivered", "retry", "dead", "in-doubt", "unavailable"];

/// What operators ask of a dispatcher.
#[derive(Debug)]
pub struct Command {
    /// What is to be done, to a delivery of this target.
    pub action: Action,
    /// The lane that the delivery is in.
    pub key: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<ActionDone, ActError>>,
}

/// Why an operator's action was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// Its answer is on the way.
    #[error("the head of its lane is being sent right now; try again in a moment")]
    Moving,
    /// The journal did not take it.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopping,
}

/// What brings the deliveries of one target.
#[derive(Debug)]
pub struct Dispatcher {
    /// What the configuration says of the target.
    pub target: config::Target,
    /// How it is reached.
    pub reached: Target,
    /// Where deliveries come from and are settled.
    pub journal: Journal,
    /// What the intake announces.
    pub feed: Arc<Feed>,
    /// What operators ask for.
    pub commands: mpsc::Receiver<Command>,
    /// Turns true once, when no new attempt may begin.
    pub stop: watch::Receiver<bool>,
    /// The agent's metrics.
    pub metrics: Arc<Metrics>,
    /// Now.
    pub clock: fn() -> Timestamp,
}

/// The state of a running dispatcher.
struct Running {
    lanes: Lanes,
    groups: JoinSet<Group>,
    moving: usize,
    /// How often in a row the target was not to be reached.
    failures: u32,
    /// Why, the last time.
    why: Option<String>,
    /// Nothing is tried before this time.
    not_before: Timestamp,
    /// The journal was read up to this delivery. An announcement of an earlier one comes late: the
    /// delivery may even be settled by now, and must not begin again.
    read_to: DeliveryId,
}

impl Dispatcher {
    /// Works until the agent stops; then waits for what is under way.
    pub async fn run(mut self) {
        let name = self.target.name.clone();
        let up = self.metrics.target_up.with_label_values(&[&name]);
        let held = self.metrics.lanes_held.with_label_values(&[&name]);
        up.set(i64::from(self.reached.is_up()));
        let (end, ended) = watch::channel(false);
        let mut keeper = JoinSet::new();
        keeper.spawn(self.reached.clone().keep(ended, reconnect_pause));
        let settled_in = self.settle_in().await;
        let skip = self.target.on_dead == config::OnDead::Skip;
        let mut running = Running {
            lanes: Lanes::new(WINDOW, skip),
            groups: JoinSet::new(),
            moving: 0,
            failures: 0,
            why: None,
            not_before: Timestamp::MIN,
            read_to: 0,
        };
        running.lanes.left_in_journal(1);
        let tools = self.tools();
        while settled_in && !*self.stop.borrow() {
            self.absorb(&mut running).await;
            self.start(&mut running, &tools);
            up.set(i64::from(self.show(&running)));
            held.set(running.lanes.held() as i64);
            self.wait(&mut running).await;
        }
        while let Some(group) = running.groups.join_next().await {
            self.finish(&mut running, group);
        }
        end.send_replace(true);
        while keeper.join_next().await.is_some() {}
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            reply(command.answer, Err(ActError::Stopping));
        }
        tracing::debug!(target = %name, "dispatcher has ended");
    }

    /// Whether the target takes deliveries; if not, `/readyz` says why.
    fn show(&self, running: &Running) -> bool {
        let (part, reasons) = (format!("target {}", self.target.name), &self.metrics.reasons);
        let down = self.reached.down().map(|reason| reason.text);
        match down.or_else(|| running.why.clone()) {
            Some(detail) => {
                let brief = match &self.target.kind {
                    config::TargetKind::File(_) => "folder unavailable",
                    config::TargetKind::Amqp(_) => "broker unavailable",
                    config::TargetKind::Http(_) => "service unavailable",
                };
                reasons.set(&part, Reason { brief, detail });
            }
            None => reasons.clear(&part),
        }
        running.failures == 0 && self.reached.is_up()
    }

    fn tools(&self) -> Arc<Tools> {
        Arc::new(Tools {
            name: self.target.name.clone(),
            target: self.reached.clone(),
            journal: self.journal.clone(),
            retry: self.target.retry,
            clock: self.clock,
            stop: self.stop.clone(),
            room: Room::default(),
        })
    }

    /// Takes over what was announced, and reads on in the journal where there is room.
    async fn absorb(&self, running: &mut Running) {
        let (new, left) = self.feed.take();
        for due in new.into_iter().filter(|due| due.id > running.read_to) {
            running.lanes.push(due);
        }
        if let Some(from) = left {
            running.lanes.left_in_journal(from);
        }
        let Some(from) = running.lanes.refill_from() else { return };
        let target = self.target.name.clone();
        let page = self.read(move |journal| journal.due(&target, from - 1, PAGE)).await;
        match page {
            Ok(page) => {
                running.lanes.refilling();
                let full = page.len() == PAGE;
                let last = page.last().map_or(from, |due| due.id);
                running.read_to = running.read_to.max(page.last().map_or(0, |due| due.id));
                page.into_iter().for_each(|due| running.lanes.push(due));
                if full {
                    running.lanes.left_in_journal(last + 1);
                }
            }
            Err(error) => {
                tracing::error!(target = %self.target.name, %error, "the journal cannot be read");
                tokio::time::sleep(PROBE.0).await;
            }
        }
    }

    async fn read(
        &self,
        read: impl FnOnce(&Journal) -> Result<Vec<Due>, JournalError> + Send + 'static,
    ) -> Result<Vec<Due>, JournalError> {
        let journal = self.journal.clone();
        match tokio::task::spawn_blocking(move || read(&journal)).await {
            Ok(read) => read,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Sends what may leave. A target that is down gets one delivery as a probe.
    fn start(&self, running: &mut Running, tools: &Arc<Tools>) {
        let now = (self.clock)();
        // Where it is known that nothing can be sent, nothing is tried: the connection is looked
        // after elsewhere.
        let up = self.reached.is_up();
        let most = self.most_groups();
        while up && running.groups.len() < most && now >= running.not_before {
            let room = match running.failures {
                0 => self.target.in_flight.saturating_sub(running.moving),
                _ => usize::from(running.moving == 0),
            };
            // An equal share of the room for each, so that the next need not wait for the last.
            let heads = running.lanes.take(now, room.div_ceil(most - running.groups.len()));
            if heads.is_empty() {
                return;
            }
            running.moving += heads.len();
            running.groups.spawn(group::bring(tools.clone(), heads));
        }
    }

    fn most_groups(&self) -> usize {
        if self.reached.takes_groups() { GROUPS } else { self.target.in_flight }
    }

    async fn wait(&mut self, running: &mut Running) {
        let next = running.lanes.next_due().map(|due| due.max(running.not_before));
        let up = self.reached.is_up();
        let free = up
            && running.groups.len() < self.most_groups()
            && running.moving < self.target.in_flight;
        // Due heads without room for them wait for a group, not for the clock.
        let timer = next.filter(|_| free && (running.failures == 0 || running.moving == 0));
        let timer = timer.map(|due| due.duration_since((self.clock)()));
        let sleep = timer.map(|wait| Duration::try_from(wait).unwrap_or(Duration::ZERO));
        tokio::select! {
            () = self.feed.changed() => {}
            _ = self.stop.changed() => {}
            () = self.reached.changed() => {
                // A connection that is new need not wait for the probe.
                if self.reached.is_up() {
                    running.not_before = Timestamp::MIN;
                }
            }
            Some(command) = self.commands.recv() => self.act(running, command).await,
            Some(group) = running.groups.join_next() => self.finish(running, group),
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
            else => {}
        }
    }

    fn finish(&self, running: &mut Running, group: Result<Group, tokio::task::JoinError>) {
        let group = match group {
            Ok(group) => group,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        running.moving -= group.brought.len();
        let name = &self.target.name;
        let seconds = self.metrics.delivery_seconds.with_label_values(&[name]);
        let mut down = None;
        for (id, brought) in group.brought {
            seconds.observe(group.took.as_secs_f64());
            let outcome = match &brought {
                Brought::Delivered => "delivered",
                Brought::Again { .. } => "retry",
                Brought::Dead => "dead",
                Brought::InDoubt | Brought::Resend(_) => "in-doubt",
                Brought::Down(_) => "unavailable",
            };
            self.metrics.deliveries.with_label_values(&[name, outcome]).inc();
            match brought {
                Brought::Delivered => running.lanes.settle(id, After::Gone),
                Brought::Dead => running.lanes.settle(id, After::Held),
                Brought::InDoubt => running.lanes.settle(id, After::Doubt),
                Brought::Again { due, why } => {
                    self.retried(why);
                    running.lanes.settle(id, After::Again(due));
                }
                Brought::Resend(reason) => {
                    self.retried(Why::InDoubt);
                    down = Some(reason);
                    running.lanes.put_back(id, (self.clock)());
                }
                Brought::Down(reason) => {
                    down = Some(reason);
                    running.lanes.put_back(id, (self.clock)());
                }
            }
        }
        match down.or_else(|| self.reached.failing().map(|reason| reason.text)) {
            // What was not begun any more says nothing of the target.
            Some(_) if *self.stop.borrow() => {}
            Some(reason) => self.target_down(running, &reason),
            None => {
                if running.failures > 0 {
                    tracing::info!(target = %name, "target is up again");
                }
                running.failures = 0;
                running.why = None;
                running.not_before = Timestamp::MIN;
            }
        }
    }

    fn retried(&self, why: Why) {
        self.metrics.retries.with_label_values(&[&self.target.name, why.as_str()]).inc();
    }

    fn target_down(&self, running: &mut Running, reason: &str) {
        if (self.clock)() < running.not_before {
            // What was under way when it went down says the same once more.
            return;
        }
        running.why = Some(reason.to_owned());
        running.failures = running.failures.saturating_add(1);
        let seed = u64::from(running.failures);
        let pause = retry::backoff(PROBE.0, PROBE.1, running.failures.min(16), seed);
        running.not_before = retry::later((self.clock)(), pause);
        tracing::warn!(target = %self.target.name, reason, probe_in = ?pause, "target is down");
    }

    /// Does what an operator asked for, between attempts, and reads the lane anew.
    async fn act(&self, running: &mut Running, command: Command) {
        if !running.lanes.forget(&command.key) {
            return reply(command.answer, Err(ActError::Moving));
        }
        let done = self.journal.act(command.action).await;
        let (target, key) = (self.target.name.clone(), command.key);
        let lane = self.read(move |journal| journal.due_of_key(&target, &key, 0, PAGE)).await;
        match lane {
            Ok(lane) => {
                let last = lane.last().map(|due| due.id).filter(|_| lane.len() == PAGE);
                lane.into_iter().for_each(|due| running.lanes.push(due));
                if let Some(last) = last {
                    running.lanes.left_in_journal(last + 1);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the lane cannot be read; all lanes are read again");
                running.lanes.left_in_journal(1);
            }
        }
        reply(command.answer, done.map_err(ActError::from));
    }
}

/// How long to wait for the next connection after so many that failed.
fn reconnect_pause(failures: u32) -> Duration {
    retry::backoff(PAUSE.0, PAUSE.1, failures.min(16), u64::from(failures))
}

fn reply(
    answer: oneshot::Sender<Result<ActionDone, ActError>>,
    done: Result<ActionDone, ActError>,
) {
    if answer.send(done).is_err() {
        tracing::debug!("nobody waits for the answer");
    }
}

/// What is under way, for [`Dispatcher::finish`].
type Ids = Vec<(DeliveryId, Brought)>;
