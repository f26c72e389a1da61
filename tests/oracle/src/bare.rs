//! The bare loop: the least that a durable consumer can do with lapin and SQLite, as the measure
//! for the agent in the same run.
//!
//! Consume, check the transition, write an IDoc-like pair of records, insert under a unique id, one
//! WAL FULL commit per batch, acknowledge the batch with one `multiple`. With `append`, also add
//! the records to one file and fdatasync it. It runs as a process of its own, so that its CPU time
//! is its own.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::evidence::{Evidence, Micros, now};
use crate::figures::{self, Spread};
use crate::idoc::{self, Registration};
use crate::process::{self, Usage};
use crate::publisher::Publisher;
use crate::queue::{self, Queue};
use crate::run::Pace;
use crate::scratch::Scratch;
use crate::vehicle::Status;
use crate::workload::Message;

/// Unacknowledged messages that the broker may hand out.
const PREFETCH: u16 = 1000;
/// Messages in a batch; half the prefetch, so that the broker always has something to send.
const BATCH: usize = 500;
/// A queue that gives nothing for this long gives nothing more.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the loop reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Messages consumed.
    pub events: usize,
    /// Commits.
    pub batches: usize,
    /// When the last acknowledgement was sent.
    pub ended: Micros,
    /// What the process has used up to then.
    pub usage: Usage,
    /// When each event was durable.
    pub durable: HashMap<String, Micros>,
}

/// The figures of a bare run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Whether it also appended to a file.
    pub append: bool,
    /// Messages per second.
    pub events_per_second: f64,
    /// CPU time per message, in microseconds.
    pub cpu_micros_per_event: f64,
    /// Messages per commit.
    pub batch: f64,
    /// The most memory it held, in KiB.
    pub peak_kib: u64,
    /// From publication until the event was durable.
    pub to_journal: Option<Spread>,
}

/// The loop itself: consumes `events` messages from `queue` into files below `directory`.
pub async fn consume(
    queue: &Queue,
    directory: &Path,
    events: usize,
    append: bool,
) -> Result<Report> {
    let connection = queue.connect().await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut consumer = channel
        .basic_consume(
            queue.name.as_str().into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut store = Store::open(directory, append)?;
    while store.report.events < events {
        let batch = batch(&mut consumer).await?;
        store.commit(&batch)?;
        acknowledge(&channel, &batch).await?;
    }
    store.report.ended = now();
    store.report.usage = process::usage(std::process::id())?;
    queue::close(&connection).await;
    Ok(store.report)
}

/// What is there, and at least one: batches grow by themselves under load.
async fn batch(consumer: &mut Consumer) -> Result<Vec<Delivery>> {
    let first = timeout(PATIENCE, consumer.next()).await.context("no message for too long")?;
    let first = first.context("the broker ended the consumer")??;
    let mut batch = vec![first];
    while batch.len() < BATCH {
        let Some(Some(next)) = consumer.next().now_or_never() else { break };
        batch.push(next?);
    }
    Ok(batch)
}

async fn acknowledge(channel: &Channel, batch: &[Delivery]) -> Result<()> {
    let Some(last) = batch.last() else { return Ok(()) };
    channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await?;
    Ok(())
}

struct Store {
    journal: Connection,
    file: Option<File>,
    states: HashMap<String, Status>,
    documents: usize,
    report: Report,
}

/// Only what the loop looks at.
#[derive(Deserialize)]
struct Event<'a> {
    id: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    vin: &'a str,
    status: &'a str,
}

impl Store {
    fn open(directory: &Path, append: bool) -> Result<Self> {
        let journal = Connection::open(directory.join("bare.db"))?;
        journal.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE events (id TEXT NOT NULL UNIQUE, raw BLOB NOT NULL, document BLOB);",
        )?;
        let file = append.then(|| File::create(directory.join("bare.idoc"))).transpose()?;
        Ok(Self { journal, file, states: HashMap::new(), documents: 0, report: Report::default() })
    }

    fn commit(&mut self, batch: &[Delivery]) -> Result<()> {
        let mut records = Vec::new();
        let mut ids = Vec::with_capacity(batch.len());
        let transaction = self.journal.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3)")?;
            for delivery in batch {
                let event = serde_json::from_slice::<Event<'_>>(&delivery.data).ok();
                let id = event.as_ref().map_or_else(
                    || format!("unread-{}", delivery.delivery_tag),
                    |event| event.id.to_owned(),
                );
                let document = event.and_then(|event| {
                    let status = step(&mut self.states, &event)?;
                    self.documents += 1;
                    Some(document(&event, status, self.documents))
                });
                insert.execute((&id, &delivery.data, &document))?;
                records.extend_from_slice(document.as_deref().unwrap_or_default());
                ids.push(id);
            }
        }
        if let Some(file) = &mut self.file {
            file.write_all(&records)?;
            file.sync_data()?;
        }
        transaction.commit()?;
        let durable = now();
        for id in ids {
            self.report.durable.entry(id).or_insert(durable);
        }
        self.report.events += batch.len();
        self.report.batches += 1;
        Ok(())
    }
}

fn step(states: &mut HashMap<String, Status>, event: &Event<'_>) -> Option<Status> {
    let to = Status::of_word(event.data.status)?;
    if states.get(event.data.vin).is_some_and(|from| !from.next().contains(&to)) {
        return None;
    }
    states.insert(event.data.vin.to_owned(), to);
    Some(to)
}

fn document(event: &Event<'_>, status: Status, number: usize) -> Vec<u8> {
    idoc::write(&Registration {
        docnum: format!("{number:016}"),
        vin: event.data.vin.to_owned(),
        event_id: event.id.to_owned(),
        code: status.code().to_owned(),
        marks: Default::default(),
    })
}

/// Runs the loop as a process of its own (`program bare ...`) over `messages`, and measures it.
pub async fn measure(
    program: &Path,
    url: &str,
    messages: &[Message],
    pace: Pace,
    append: bool,
) -> Result<Figures> {
    let queue = Queue::unique(url, "bare");
    queue.declare().await?;
    let figures = measure_on(program, &queue, messages, (pace, append)).await;
    queue.delete().await?;
    figures
}

async fn measure_on(
    program: &Path,
    queue: &Queue,
    messages: &[Message],
    (pace, append): (Pace, bool),
) -> Result<Figures> {
    let scratch = Scratch::new("bare")?;
    let rate = if let Pace::PerSecond(rate) = pace { Some(rate) } else { None };
    let mut publisher = Publisher::new(queue, rate);
    if pace == Pace::Backlog {
        publisher.publish(messages).await?;
    }
    let started = now();
    let mut command = Command::new(program);
    command.arg("bare").args(["--queue", &queue.name, "--url", &queue.url]).arg("--directory");
    command.arg(scratch.path()).args(["--events", &messages.len().to_string()]);
    command.args(append.then_some("--append"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    if pace != Pace::Backlog {
        publisher.publish(messages).await?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the bare loop failed");
    }
    let report: Report =
        serde_json::from_slice(&output.stdout).context("the bare loop reports nothing")?;
    let evidence = Evidence { published: publisher.finish().await, ..Evidence::default() };
    Ok(figures_of(&report, &evidence, (pace, append, started)))
}

fn figures_of(
    report: &Report,
    evidence: &Evidence,
    (pace, append, started): (Pace, bool, Micros),
) -> Figures {
    let first = evidence.published.first().map_or(started, |message| message.at);
    let began = if pace == Pace::Backlog { started } else { first };
    let events = report.events.max(1) as f64;
    Figures {
        append,
        events_per_second: events / (report.ended.saturating_sub(began) as f64 / 1e6).max(0.001),
        cpu_micros_per_event: report.usage.cpu_seconds() * 1e6 / events,
        batch: events / report.batches.max(1) as f64,
        peak_kib: report.usage.peak_kib,
        to_journal: figures::latency(&evidence.published, &report.durable),
    }
}
