//! From what arrived to what is durable: batches, decisions, commits, acknowledgements.
//!
//! One intake serves all sources, so that the journal's order is the order of arrival. There are
//! no timers: a batch is what arrived while the last one was committed, bounded in events and
//! bytes. Receipts are acknowledged only behind the commit; where a commit fails, they are kept
//! and the batch is tried again until it stands, and a single event that the journal refuses for
//! its data is recorded as failed.

mod adopt;
mod again;
mod decide;
mod in_decision;
mod inbox;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::adopt::AdoptError;
pub use self::again::{Again, Reprocessed};
pub use self::in_decision::{ALONE, Deciding, GIVEN_UP, InDecision};
pub use self::inbox::{Inbox, Pace, Waiting};
use crate::dispatch::feed::Feeds;
use crate::event::{Arrival, Decision, Verdict};
use crate::intake::decide::{DecidedBatch, Numbers, Reads, as_failed, decide};
use crate::journal::{Batch, CommitError, Journal, JournalError, Operator};
use crate::metrics::{Metrics, Reason};
use crate::plan::Plan;
use crate::source::{self, Taken};
use crate::trace;

/// The pause before a commit that failed is tried again.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);

/// What says why the journal takes no events, among the reasons of the metrics.
pub const JOURNAL: &str = "journal";

/// What the intake works with.
#[derive(Debug)]
pub struct Intake {
    /// Where everything goes.
    pub journal: Journal,
    /// The plan in force. It changes between two batches, never within one.
    pub plan: Arc<Plan>,
    /// What arrives.
    pub inbox: Inbox,
    /// What operators ask for.
    pub commands: mpsc::Receiver<Command>,
    /// Who is told of new deliveries.
    pub feeds: Feeds,
    /// Closed while the journal has no room.
    pub room: watch::Sender<bool>,
    /// The agent's metrics.
    pub metrics: Arc<Metrics>,
    /// What is being decided, and what was at unclean ends.
    pub in_decision: InDecision,
    /// Now.
    pub clock: fn() -> Timestamp,
}

/// What an operator asks of the intake.
#[derive(Debug)]
pub enum Command {
    /// Decide events again, past the duplicate check.
    Reprocess {
        /// Which.
        what: Again,
        /// Who, and why.
        operator: Operator,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Vec<Reprocessed>, ReprocessError>>,
    },
    /// Decide by another plan from here on.
    Adopt {
        /// The plan.
        plan: Arc<Plan>,
        /// Targets that it knows no more: they must have nothing left to deliver.
        gone: Vec<Arc<str>>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<(), AdoptError>>,
    },
}

/// Why events could not be decided again. Those before it in the list were.
#[derive(Debug, thiserror::Error)]
pub enum ReprocessError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal did not take it.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The event is not there.
    #[error("there is no event {0}")]
    Unknown(u64),
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopping,
}

impl ReprocessError {
    fn brief(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.brief(),
            Self::Commit(error) => error.brief(),
            Self::Unknown(_) => "an event is not there any more",
            Self::Stopping => "the agent is stopping",
        }
    }
}

impl Intake {
    /// Works until every source has ended and all that arrived is durable or given back.
    pub async fn run(mut self) {
        // Before anything new, which would overtake it.
        let mut numbers = self.catch_up(Numbers::default()).await;
        loop {
            tokio::select! {
                biased;
                Some(command) = self.commands.recv() => match command {
                    Command::Reprocess { what, operator, answer } => {
                        numbers = self.answer_again(what, &operator, answer, numbers).await;
                    }
                    Command::Adopt { plan, gone, answer } => {
                        // What sources left that have ended is theirs: the new plan may not know
                        // them.
                        let left = self.inbox.ended();
                        if !left.is_empty() {
                            numbers = self.take(left, numbers).await;
                        }
                        self.adopt(plan, gone, answer).await;
                    }
                },
                taken = self.inbox.batch() => {
                    if taken.is_empty() {
                        break;
                    }
                    numbers = self.take(taken, numbers).await;
                }
            }
        }
        self.stop_listening().await;
    }

    /// Whoever asked while we were stopping is told so.
    async fn stop_listening(&mut self) {
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            let answered = match command {
                Command::Reprocess { answer, .. } => {
                    answer.send(Err(ReprocessError::Stopping)).is_ok()
                }
                Command::Adopt { answer, .. } => answer.send(Err(AdoptError::Stopping)).is_ok(),
            };
            heard(answered);
        }
    }

    /// Decides, commits and acknowledges one batch, in this order, however long it takes.
    async fn take(&self, taken: Vec<Taken>, numbers: Numbers) -> Numbers {
        let (arrivals, receipts): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|taken| (taken.arrival, taken.receipt)).unzip();
        let mut receipts = Some(receipts);
        if crate::fault::is_on("ack-before-commit") {
            source::acknowledge(receipts.take().unwrap_or_default()).await;
        }
        let (numbers, durable) = self.make_durable(arrivals, numbers).await;
        let receipts = receipts.unwrap_or_default();
        if durable {
            crate::fault::point("before-ack");
            source::acknowledge(receipts).await;
            crate::fault::point("after-ack");
        } else {
            source::abandon(receipts).await;
        }
        numbers
    }

    /// Decides and commits until it stands. A failure of the place (a full disk) is waited out,
    /// and decided anew: the commit may have happened before its answer was lost. A batch that the
    /// journal refuses for its data is halved until the culprit is alone; that one is recorded as
    /// failed. `false` where not even that is possible.
    async fn make_durable(&self, arrivals: Vec<Arrival>, mut numbers: Numbers) -> (Numbers, bool) {
        let plan = self.plan.clone();
        let mut parts = self.in_decision.cut(arrivals);
        // Taken from the end.
        parts.reverse();
        while let Some(mut part) = parts.pop() {
            let decided = match self.decide(&plan, part.clone(), numbers).await {
                Ok(decided) => decided,
                Err(error) => {
                    numbers = Numbers::default();
                    self.wait_for_room(error.into()).await;
                    parts.push(part);
                    continue;
                }
            };
            numbers = decided.numbers;
            let rest = part.split_off(decided.taken);
            if !rest.is_empty() {
                parts.push(rest);
            }
            self.count_redeliveries(&decided.redeliveries);
            let batch = Arc::new(decided.batch);
            match self.commit(&batch).await {
                Ok(()) => {}
                Err(error) if error.is_temporary() => {
                    self.wait_for_room(error.into()).await;
                    parts.push(part);
                }
                Err(CommitError::Closed) => return (numbers, false),
                Err(error) if part.len() > 1 => {
                    tracing::warn!(%error, events = part.len(), "batch refused: halved");
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(error) => {
                    let failed = as_failed(&batch, &error);
                    if let Err(error) = self.commit(&Arc::new(failed)).await {
                        tracing::error!(%error, "an event could not be recorded at all");
                        return (numbers, false);
                    }
                }
            }
        }
        // Also where nothing was left to commit: what failed had been committed all the same.
        self.metrics.reasons.clear(JOURNAL);
        (numbers, true)
    }

    async fn commit(&self, batch: &Arc<Batch>) -> Result<(), CommitError> {
        if batch.decisions.is_empty() && batch.files.is_empty() {
            self.metrics.reasons.clear(JOURNAL);
            return Ok(());
        }
        crate::fault::point("before-commit");
        let started = tokio::time::Instant::now();
        let committed = self.journal.commit(batch.clone()).await?;
        self.metrics.journal_commit_seconds.observe(started.elapsed().as_secs_f64());
        crate::fault::point("after-commit");
        self.metrics.reasons.clear(JOURNAL);
        self.count(&batch.decisions, &committed.events);
        self.feeds.announce(committed.deliveries);
        Ok(())
    }

    /// Decides on a thread of its own: mapping is work, and facts are read from the disk.
    async fn decide(
        &self,
        plan: &Arc<Plan>,
        arrivals: Vec<Arrival>,
        numbers: Numbers,
    ) -> Result<DecidedBatch, JournalError> {
        let (plan, journal, now) = (plan.clone(), self.journal.clone(), (self.clock)());
        let in_decision = self.in_decision.clone();
        let deciding = move || {
            let reads = Reads { plan: &plan, in_decision: &in_decision };
            let deciding = in_decision.begin(&arrivals, now);
            let decided = decide(reads, &journal, arrivals, numbers, now)?;
            deciding.decided(decided.taken);
            Ok(decided)
        };
        match tokio::task::spawn_blocking(deciding).await {
            Ok(decided) => decided,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Counts decisions, and logs those that are not accepted with the numbers of their events.
    fn count(&self, decisions: &[Decision], events: &[u64]) {
        for (decision, event) in decisions.iter().zip(events) {
            let source = &decision.header.source;
            let verdict = decision.verdict.as_str();
            self.metrics.events.with_label_values(&[source, verdict]).inc();
            if let Some(step) = decision.transition.as_ref().filter(|step| !step.legal) {
                self.metrics.transitions_refused.with_label_values(&[&step.lifecycle]).inc();
            }
            for failed in &decision.failed_mappings {
                self.metrics.mapping_errors.with_label_values(&[&failed.mapping]).inc();
                if failed.over_budget {
                    self.metrics.mapping_over_budget.with_label_values(&[&failed.mapping]).inc();
                }
            }
            let (kind, causes) = (&decision.header.kind, &decision.causes);
            trace::span(decision.header.trace.as_ref()).in_scope(|| match decision.verdict {
                // It stays undone until somebody mends it.
                Verdict::Failed => {
                    tracing::warn!(%source, event, %kind, verdict, ?causes, "event not accepted");
                }
                Verdict::Refused => {
                    tracing::info!(%source, event, %kind, verdict, ?causes, "event not accepted");
                }
                _ => tracing::debug!(%source, event, %kind, verdict, "event decided"),
            });
        }
    }

    fn count_redeliveries(&self, sources: &[Arc<str>]) {
        for source in sources {
            self.metrics.redeliveries.with_label_values(&[source]).inc();
        }
    }

    async fn wait_for_room(&self, error: ReprocessError) {
        tracing::error!(%error, "the journal does not take events; they stay with their senders");
        let reason = Reason { brief: error.brief(), detail: error.to_string() };
        self.metrics.reasons.set(JOURNAL, reason);
        self.room.send_replace(false);
        tokio::time::sleep(COMMIT_PAUSE).await;
    }
}

fn heard(heard: bool) {
    if !heard {
        tracing::debug!("nobody waits for the answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_hears_damage_and_a_full_disk_apart_and_no_path() {
        let reason = "database disk image is malformed".to_owned();
        let path = std::path::PathBuf::from("/srv/data/journal.db");
        let corrupt = CommitError::Corrupt { reason: reason.clone() };
        for error in [
            ReprocessError::Commit(corrupt.clone()),
            ReprocessError::Journal(JournalError::Commit(corrupt)),
            ReprocessError::Journal(JournalError::Corrupt { path, reason }),
        ] {
            assert_eq!(error.brief(), "it is damaged");
        }
        assert_eq!(ReprocessError::Commit(CommitError::Full).brief(), "its disk is full");
        let io = CommitError::Io { reason: "disk I/O error".to_owned() };
        assert_eq!(ReprocessError::Commit(io).brief(), "it cannot be written");
    }
}
