//! A batch of arrivals becomes decisions: what the journal knows is read, numbers are reserved, and
//! the pipeline decides one event after the other.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::event::{Arrival, Decision, Verdict};
use crate::intake::{GIVEN_UP, InDecision};
use crate::journal::{Batch, CommitError, FilePart, Journal, JournalError, docnum};
use crate::pipeline::{self, Outcome};
use crate::plan::Plan;

/// Numbers reserved at once: a reservation costs an fsync, a lost block a gap.
const NUMBER_BLOCK: u64 = 10_000;
/// A batch ends with the event at which the content of its events takes so many bytes of memory, or
/// their documents do: a list of zeros takes fourteen times its text, and a document of fixed
/// records may be a hundred times as long as what it was made of.
const MOST_DECODED: usize = 8 << 20;
const MOST_MADE: usize = 8 << 20;

/// Document numbers that are reserved and not used yet.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    left: Range<u64>,
}

/// A batch that was decided.
pub(super) struct DecidedBatch {
    pub(super) batch: Batch,
    /// How many of its arrivals, from the first, are in it. The rest had no room.
    pub(super) taken: usize,
    /// The sources of the redeliveries, one for each.
    pub(super) redeliveries: Vec<Arc<str>>,
    pub(super) numbers: Numbers,
}

/// How arrivals are looked into.
#[derive(Clone, Copy)]
pub(super) struct Reads<'a> {
    pub(super) plan: &'a Plan,
    pub(super) in_decision: &'a InDecision,
}

impl Reads<'_> {
    pub(super) fn read(&self, arrival: Arrival) -> pipeline::Read {
        match self.in_decision.ends(&arrival) {
            ends if ends >= GIVEN_UP => {
                let cause = format!(
                    "the agent ended {ends} times while it decided this event, so it was not \
                     decided again; `waybill events reprocess` tries it once more"
                );
                tracing::error!(source = %arrival.source, bytes = arrival.raw.len(), "{cause}");
                pipeline::given_up(self.plan, arrival, cause)
            }
            _ => {
                crate::fault::poison(&arrival.raw);
                pipeline::read(self.plan, arrival)
            }
        }
    }
}

/// Decides arrivals in their order, against what the journal knows; the first ones where all of
/// them would take too much memory.
pub(super) fn decide(
    reads: Reads<'_>,
    journal: &Journal,
    arrivals: Vec<Arrival>,
    mut numbers: Numbers,
    now: Timestamp,
) -> Result<DecidedBatch, JournalError> {
    let origins = arrivals.iter().map(|arrival| (arrival.source.clone(), arrival.position));
    let origins: Vec<_> = origins.collect();
    let plan = reads.plan;
    let (mut looked, mut decoded) = (Vec::with_capacity(arrivals.len()), 0);
    for arrival in arrivals {
        let read = reads.read(arrival);
        decoded += read.heap_bytes();
        looked.push(read);
        if decoded >= MOST_DECODED {
            break;
        }
    }
    let (decisions, places) = decide_reads(plan, journal, looked, &mut numbers, now)?;
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
pub(super) type Decided = (Vec<Decision>, Vec<Option<usize>>);

pub(super) fn decide_reads(
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

pub(super) fn batch(plan: &Plan, at: Timestamp, decisions: Vec<Decision>) -> Batch {
    let (plan, generation) = (plan.digest(), plan.generation());
    Batch { plan, generation, at, operator: None, decisions, files: Vec::new() }
}

/// The one decision of a batch, as the failure that the journal's refusal makes it.
pub(super) fn as_failed(batch: &Batch, error: &CommitError) -> Batch {
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
