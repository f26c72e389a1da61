//! From what arrived to what is durable: batches, decisions, commits, acknowledgements.
//!
//! One intake serves all sources, so that the journal's order is the order of arrival. There are
//! no timers: a batch is what arrived while the last one was committed, bounded in events and
//! bytes. Receipts are acknowledged only behind the commit; where a commit fails, they are kept
//! and the batch is tried again until it stands, and a single event that the journal refuses for
//! its data is recorded as failed.

mod adopt;
mod again;
mod inbox;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::adopt::AdoptError;
pub use self::again::{Again, Reprocessed};
pub use self::inbox::{Inbox, Pace, Waiting};
use crate::dispatch::feed::Feeds;
use crate::event::{Arrival, Decision, Verdict};
use crate::journal::{Batch, CommitError, FilePart, Journal, JournalError, Operator, docnum};
use crate::metrics::Metrics;
use crate::pipeline::{self, Outcome};
use crate::plan::Plan;
use crate::source::{self, Taken};
use crate::trace;

/// Numbers reserved at once: a reservation costs an fsync, a lost block a gap.
const NUMBER_BLOCK: u64 = 10_000;
/// A batch ends with the event at which the content of its events takes so many bytes of memory, or
/// their documents do: a list of zeros takes fourteen times its text, and a document of fixed
/// records may be a hundred times as long as what it was made of.
const MOST_DECODED: usize = 8 << 20;
const MOST_MADE: usize = 8 << 20;
/// The pause before a commit that failed is tried again.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);

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

/// Document numbers that are reserved and not used yet.
#[derive(Debug, Default)]
struct Numbers {
    left: Range<u64>,
}

/// A batch that was decided.
struct DecidedBatch {
    batch: Batch,
    /// How many of its arrivals, from the first, are in it. The rest had no room.
    taken: usize,
    /// The sources of the redeliveries, one for each.
    redeliveries: Vec<Arc<str>>,
    numbers: Numbers,
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
        let mut parts = vec![arrivals];
        while let Some(mut part) = parts.pop() {
            let decided = match self.decide(&plan, part.clone(), numbers).await {
                Ok(decided) => decided,
                Err(error) => {
                    numbers = Numbers::default();
                    self.wait_for_room(&error).await;
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
                    self.wait_for_room(&error).await;
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
        (numbers, true)
    }

    async fn commit(&self, batch: &Arc<Batch>) -> Result<(), CommitError> {
        if batch.decisions.is_empty() && batch.files.is_empty() {
            return Ok(());
        }
        crate::fault::point("before-commit");
        let started = tokio::time::Instant::now();
        let committed = self.journal.commit(batch.clone()).await?;
        self.metrics.journal_commit_seconds.observe(started.elapsed().as_secs_f64());
        crate::fault::point("after-commit");
        self.count(&batch.decisions);
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
        let deciding = move || decide(&plan, &journal, arrivals, numbers, now);
        match tokio::task::spawn_blocking(deciding).await {
            Ok(decided) => decided,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn count(&self, decisions: &[Decision]) {
        for decision in decisions {
            let source = &decision.header.source;
            let verdict = decision.verdict.as_str();
            self.metrics.events.with_label_values(&[source, verdict]).inc();
            if let Some(step) = decision.transition.as_ref().filter(|step| !step.legal) {
                self.metrics.transitions_refused.with_label_values(&[&step.lifecycle]).inc();
            }
            for mapping in &decision.failed_mappings {
                self.metrics.mapping_errors.with_label_values(&[mapping]).inc();
            }
            trace::span(decision.header.trace.as_ref()).in_scope(|| match decision.verdict {
                Verdict::Refused | Verdict::Failed => {
                    let causes = &decision.causes;
                    tracing::info!(%source, verdict, ?causes, "event not accepted");
                }
                _ => tracing::debug!(%source, verdict, "event decided"),
            });
        }
    }

    fn count_redeliveries(&self, sources: &[Arc<str>]) {
        for source in sources {
            self.metrics.redeliveries.with_label_values(&[source]).inc();
        }
    }

    async fn wait_for_room(&self, error: &(dyn std::fmt::Display + Sync)) {
        tracing::error!(%error, "the journal does not take events; they stay with their senders");
        self.room.send_replace(false);
        tokio::time::sleep(COMMIT_PAUSE).await;
    }
}

fn heard(heard: bool) {
    if !heard {
        tracing::debug!("nobody waits for the answer");
    }
}

/// Decides arrivals in their order, against what the journal knows; the first ones where all of
/// them would take too much memory.
fn decide(
    plan: &Plan,
    journal: &Journal,
    arrivals: Vec<Arrival>,
    mut numbers: Numbers,
    now: Timestamp,
) -> Result<DecidedBatch, JournalError> {
    let origins = arrivals.iter().map(|arrival| (arrival.source.clone(), arrival.position));
    let origins: Vec<_> = origins.collect();
    let mut reads = Vec::with_capacity(arrivals.len());
    let mut decoded = 0;
    for arrival in arrivals {
        let read = pipeline::read(plan, arrival);
        decoded += read.heap_bytes();
        reads.push(read);
        if decoded >= MOST_DECODED {
            break;
        }
    }
    let (decisions, places) = decide_reads(plan, journal, reads, &mut numbers, now)?;
    let taken = places.len();
    let mut batch = batch(plan, now, decisions);
    let mut redeliveries = Vec::new();
    for ((source, position), decision) in origins.into_iter().zip(places) {
        batch.files.extend(position.map(|position| FilePart { position, decision }));
        if decision.is_none() {
            redeliveries.push(source);
        }
    }
    Ok(DecidedBatch { batch, taken, redeliveries, numbers })
}

/// Decisions, and for each event its place among them: a redelivery has none, and those behind the
/// last place were not decided.
type Decided = (Vec<Decision>, Vec<Option<usize>>);

fn decide_reads(
    plan: &Plan,
    journal: &Journal,
    reads: Vec<pipeline::Read>,
    numbers: &mut Numbers,
    now: Timestamp,
) -> Result<Decided, JournalError> {
    let mut facts = journal.facts(&pipeline::needs(plan, &reads))?;
    let most = pipeline::numbers_per_event(plan) * reads.len() as u64;
    if numbers.left.end - numbers.left.start < most {
        numbers.left = reserve(journal, most.max(NUMBER_BLOCK))?;
    }
    let mut decisions = Vec::with_capacity(reads.len());
    let mut places = Vec::with_capacity(reads.len());
    let mut made = 0;
    for read in reads {
        if made >= MOST_MADE {
            break;
        }
        match pipeline::process(plan, read, &mut facts, &mut numbers.left, now) {
            Outcome::Decided(decision) => {
                made += decision.deliveries.iter().map(|one| one.document.len()).sum::<usize>();
                places.push(Some(decisions.len()));
                decisions.push(*decision);
            }
            Outcome::Redelivery => places.push(None),
        }
    }
    Ok((decisions, places))
}

/// Takes a block of document numbers: instance, epoch and a counter that never returns.
fn reserve(journal: &Journal, count: u64) -> Result<Range<u64>, JournalError> {
    let counters = journal.reserve_numbers("docnum", count)?;
    let number = |counter| docnum(journal.instance(), journal.epoch(), counter);
    Ok(number(counters.start)..number(counters.end))
}

fn batch(plan: &Plan, at: Timestamp, decisions: Vec<Decision>) -> Batch {
    let (plan, generation) = (plan.digest(), plan.generation());
    Batch { plan, generation, at, operator: None, decisions, files: Vec::new() }
}

/// The one decision of a batch, as the failure that the journal's refusal makes it.
fn as_failed(batch: &Batch, error: &CommitError) -> Batch {
    let mut batch = batch.clone();
    for decision in &mut batch.decisions {
        decision.verdict = Verdict::Failed;
        decision.causes = vec![error.to_string()];
        decision.deliveries.clear();
        if let Some(transition) = &mut decision.transition {
            transition.applied = false;
        }
    }
    batch
}
