//! Takes messages out of a queue behind the agent's exchange, as the VMS does, and logs them for
//! the judge. The broker may go away: it comes back to it.
//!
//! A message carries the same document that a file would, inside a CloudEvent. What it knows
//! itself, its id and its bytes, becomes name and digest of the log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ExchangeKind};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::evidence::{self, Consumed};
use crate::idoc::{self, Registration};
use crate::queue::{Queue, close};

/// The pause before a broker that went away is looked for again.
const RETRY: Duration = Duration::from_millis(100);
/// Messages that the broker may send again when it was restarted.
const PREFETCH: u16 = 50;

/// A subscriber at work.
pub struct Subscriber {
    log: Arc<Log>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Log {
    taken: AtomicUsize,
    messages: Mutex<Vec<Consumed>>,
}

impl Log {
    fn add(&self, message: Consumed) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        self.taken.store(messages.len(), Ordering::Release);
    }
}

/// The exchange, and the queue bound to it, behind an agent that reads from `queue`.
pub fn exchange(queue: &Queue) -> String {
    format!("{}.out", queue.name)
}

impl Subscriber {
    /// Binds a queue and starts to empty it: from here on no message is without one.
    pub async fn start(queue: &Queue) -> Result<Self> {
        let log = Arc::new(Log::default());
        let mut session = Some(open(queue).await.context("the subscriber cannot begin")?);
        let (queue, shared) = (queue.clone(), log.clone());
        let task = tokio::spawn(async move {
            loop {
                match session.take() {
                    Some((_connection, channel)) => {
                        // However it ends, the queue is durable and keeps what was not taken.
                        let _ = consume(&channel, &exchange(&queue), &shared).await;
                    }
                    None => sleep(RETRY).await,
                }
                session = open(&queue).await.ok();
            }
        });
        Ok(Self { log, task })
    }

    /// How many messages were taken so far, those that came again included.
    pub fn taken(&self) -> usize {
        self.log.taken.load(Ordering::Acquire)
    }

    /// Stops, and hands over the log.
    pub fn finish(self) -> Vec<Consumed> {
        std::mem::take(&mut *self.log.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn open(queue: &Queue) -> Result<(Connection, Channel)> {
    let connection = queue.connect().await?;
    match bind(&connection, &exchange(queue)).await {
        Ok(channel) => Ok((connection, channel)),
        Err(error) => {
            close(&connection).await;
            Err(error)
        }
    }
}

async fn bind(connection: &Connection, name: &str) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let none = FieldTable::default;
    channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, none()).await?;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), durable, none()).await?;
    let all = QueueBindOptions::default();
    channel.queue_bind(name.into(), name.into(), "#".into(), all, none()).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    Ok(channel)
}

async fn consume(channel: &Channel, name: &str, log: &Log) -> Result<()> {
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(name.into(), "".into(), options, FieldTable::default());
    let mut consumer = consuming.await?;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        log.add(read(&delivery));
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
    }
    Ok(())
}

fn read(delivery: &Delivery) -> Consumed {
    let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
    let id = id.unwrap_or_default();
    let (registration, problem) = match document(&delivery.data, &id) {
        Ok(registration) => (registration, None),
        Err(problem) => (Registration::default(), Some(problem)),
    };
    let seen = evidence::now();
    Consumed {
        name: id,
        digest: format!("{:x}", Sha256::digest(&delivery.data)),
        docnum: registration.docnum,
        vin: registration.vin,
        event_id: registration.event_id,
        code: registration.code,
        marks: registration.marks,
        seen,
        // One queue, one subscriber: what comes first was there first.
        appeared: i64::try_from(seen).unwrap_or(i64::MAX),
        problem,
    }
}

/// The document in a message, which has to be a CloudEvent of that id about that vehicle.
fn document(body: &[u8], id: &str) -> Result<Registration, String> {
    let event: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    let text = |name: &str| event[name].as_str().ok_or(format!("no text `{name}`"));
    let registration = idoc::read(text("data")?.as_bytes())?;
    let expected = format!("proof-{}", registration.docnum);
    for (name, expected) in
        [("specversion", "1.0"), ("id", id), ("id", &expected), ("subject", &registration.vin)]
    {
        if text(name)? != expected {
            return Err(format!("`{name}` is not {expected:?}"));
        }
    }
    Ok(registration)
}
