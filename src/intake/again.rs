//! `events reprocess` and `events unpark`: decides failed, refused and waiting events again, in
//! their place.

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::event::{Arrival, Verdict};
use crate::intake::decide::{Numbers, Reads, batch, decide_reads};
use crate::intake::{Intake, JOURNAL, ReprocessError, heard};
use crate::journal::{Action, Batch, CommitError, Journal, Operator, What};

/// Numbers of waiting events that are read at once.
const SLICE: usize = 500;

/// Which events are decided again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// These, by their numbers, and what waits behind them.
    Events(Vec<u64>),
    /// What waits behind this key, which goes on without the event that parked it.
    Unparked(String),
    /// The same for the keys that these events parked. One that has parked none is passed over.
    UnparkedBy(Vec<u64>),
}

/// One event that was decided again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reprocessed {
    /// Its number.
    pub event: u64,
    /// The new verdict.
    pub verdict: &'static str,
    /// Why.
    pub causes: Vec<String>,
    /// How many deliveries it made.
    pub deliveries: usize,
}

/// An event as it lies in the journal.
struct Stored {
    number: u64,
    arrival: Arrival,
}

impl Intake {
    /// Decides these events again, between two batches, and says what came of it. What a failure left
    /// undone is made up for before anything new is taken.
    pub(super) async fn answer_again(
        &self,
        what: Again,
        operator: &Operator,
        answer: oneshot::Sender<Result<Vec<Reprocessed>, ReprocessError>>,
        numbers: Numbers,
    ) -> Numbers {
        let (done, numbers) = self.decide_all_again(what, operator, numbers).await;
        let failed = done.is_err();
        heard(answer.send(done).is_ok());
        if failed { self.catch_up(numbers).await } else { numbers }
    }

    /// Decides these events again; up to the first that cannot be.
    async fn decide_all_again(
        &self,
        what: Again,
        operator: &Operator,
        mut numbers: Numbers,
    ) -> (Result<Vec<Reprocessed>, ReprocessError>, Numbers) {
        let mut done = Vec::new();
        let events = match what {
            Again::Events(events) => events,
            Again::UnparkedBy(events) => {
                let unparked = self.unpark_all(events, operator, &mut numbers, &mut done).await;
                return (unparked.map(|()| done), numbers);
            }
            Again::Unparked(key) => {
                let unparked = self.unpark(key, operator, &mut numbers, &mut done).await;
                return (unparked.map(|()| done), numbers);
            }
        };
        for event in events {
            if let Err(error) = self.reprocess(event, operator, &mut numbers, &mut done).await {
                return (Err(error), numbers);
            }
        }
        (Ok(done), numbers)
    }

    /// Lets a key go on without the event that parked it. What waits is decided before anything new
    /// of its key: nothing is taken meanwhile.
    async fn unpark(
        &self,
        key: String,
        operator: &Operator,
        numbers: &mut Numbers,
        done: &mut Vec<Reprocessed>,
    ) -> Result<(), ReprocessError> {
        let (operator_of, what) = (operator.clone(), What::Unpark(key.clone()));
        let action = Action { operator: operator_of, at: (self.clock)(), what };
        self.journal.act(action).await?;
        self.decide_waiting(key, operator, numbers, done).await
    }

    /// The same for the keys that events parked. Whoever asks bounds how many they are: nothing is
    /// taken meanwhile.
    async fn unpark_all(
        &self,
        events: Vec<u64>,
        operator: &Operator,
        numbers: &mut Numbers,
        done: &mut Vec<Reprocessed>,
    ) -> Result<(), ReprocessError> {
        for event in events {
            loop {
                let journal = self.journal.clone();
                let parked = blocking(move || journal.parked_by(event)).await?;
                let Some(parked) = parked else { break };
                self.unpark(parked.key, operator, numbers, done).await?;
            }
        }
        Ok(())
    }

    /// Decides what waits behind keys that are free: whoever let them go on was ended, or failed, in
    /// the middle of it. However long the journal takes for it.
    pub(super) async fn catch_up(&self, mut numbers: Numbers) -> Numbers {
        while let Err(error) = self.try_to_catch_up(&mut numbers).await {
            self.wait_for_room(error).await;
        }
        self.metrics.reasons.clear(JOURNAL);
        numbers
    }

    /// An error where the journal does not take it now.
    async fn try_to_catch_up(&self, numbers: &mut Numbers) -> Result<(), ReprocessError> {
        let journal = self.journal.clone();
        let keys = blocking(move || journal.free_keys_with_waiting()).await?;
        let why = "went on with what was not decided before its command ended".to_owned();
        let operator = Operator { who: "waybill".to_owned(), why, uid: None };
        for key in keys {
            let mut done = Vec::new();
            let decided = self.decide_waiting(key, &operator, numbers, &mut done).await;
            tracing::info!(events = done.len(), "events that waited behind a free key are decided");
            match decided {
                Ok(()) => {}
                Err(ReprocessError::Commit(error)) if error.is_temporary() => {
                    return Err(error.into());
                }
                Err(ReprocessError::Commit(CommitError::Closed)) => return Ok(()),
                Err(error) => tracing::error!(%error, "events of a free key go on waiting"),
            }
        }
        Ok(())
    }

    /// Decides one event again and, where that frees its key, those that waited behind it.
    async fn reprocess(
        &self,
        event: u64,
        operator: &Operator,
        numbers: &mut Numbers,
        done: &mut Vec<Reprocessed>,
    ) -> Result<(), ReprocessError> {
        let journal = self.journal.clone();
        let stored = blocking(move || load(&journal, event)).await?;
        let key = self.decide_again(stored, operator, numbers, done).await?;
        let failed = done.last().is_some_and(|last| last.verdict == Verdict::Failed.as_str());
        if key.is_empty() || failed {
            return Ok(());
        }
        self.decide_waiting(key, operator, numbers, done).await
    }

    /// Decides what waits behind a key, in its order, until the key is parked again.
    async fn decide_waiting(
        &self,
        key: String,
        operator: &Operator,
        numbers: &mut Numbers,
        done: &mut Vec<Reprocessed>,
    ) -> Result<(), ReprocessError> {
        let mut after = 0;
        loop {
            let (journal, of_key) = (self.journal.clone(), key.clone());
            let waiting = blocking(move || journal.waiting_of_key(&of_key, after, SLICE)).await?;
            let Some(last) = waiting.last() else { return Ok(()) };
            after = *last;
            for number in waiting {
                let journal = self.journal.clone();
                let stored = blocking(move || load(&journal, number)).await?;
                self.decide_again(stored, operator, numbers, done).await?;
                let last = done.last().map(|last| last.verdict);
                if last != Some(Verdict::Accepted.as_str()) && self.is_parked(&key).await? {
                    return Ok(());
                }
            }
        }
    }

    async fn is_parked(&self, key: &str) -> Result<bool, ReprocessError> {
        let journal = self.journal.clone();
        let needs = crate::facts::Needs { keys: vec![key.to_owned()], ..Default::default() };
        Ok(!blocking(move || journal.facts(&needs)).await?.parked.is_empty())
    }

    /// Decides and commits one stored event. Returns its key.
    async fn decide_again(
        &self,
        stored: Stored,
        operator: &Operator,
        numbers: &mut Numbers,
        done: &mut Vec<Reprocessed>,
    ) -> Result<String, ReprocessError> {
        let plan = self.plan.clone();
        let (journal, now) = (self.journal.clone(), (self.clock)());
        let (number, in_decision) = (stored.number, self.in_decision.clone());
        let mut taken = std::mem::take(numbers);
        let deciding = blocking(move || {
            let reads = Reads { plan: &plan, in_decision: &in_decision };
            let deciding = in_decision.begin(std::slice::from_ref(&stored.arrival), now);
            let batch = decide(reads, &journal, stored, &mut taken, now)?;
            deciding.decided(1);
            Ok::<_, ReprocessError>((batch, taken))
        });
        let (mut batch, left) = deciding.await?;
        *numbers = left;
        batch.operator = Some(operator.clone());
        let Some(decision) = batch.decisions.first() else {
            return Err(ReprocessError::Unknown(number));
        };
        let reprocessed = Reprocessed {
            event: number,
            verdict: decision.verdict.as_str(),
            causes: decision.causes.clone(),
            deliveries: decision.deliveries.len(),
        };
        let key = decision.header.key.clone();
        self.commit(&batch.into()).await?;
        done.push(reprocessed);
        Ok(key)
    }
}

fn load(journal: &Journal, number: u64) -> Result<Stored, ReprocessError> {
    let arrival = journal.arrival(number)?.ok_or(ReprocessError::Unknown(number))?;
    Ok(Stored { number, arrival })
}

fn decide(
    reads: Reads<'_>,
    journal: &Journal,
    stored: Stored,
    numbers: &mut Numbers,
    now: Timestamp,
) -> Result<Batch, ReprocessError> {
    let plan = reads.plan;
    let read = reads.read(stored.arrival).again(stored.number);
    let (decisions, _) = decide_reads(plan, journal, vec![read], numbers, now)?;
    Ok(batch(plan, now, decisions))
}

async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, ReprocessError>
where
    T: Send + 'static,
    E: Send + 'static,
    ReprocessError: From<E>,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
