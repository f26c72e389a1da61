//! Publishes messages with confirms, in order, and keeps the log of what the broker has taken over.
//!
//! After a broker loss it connects again and publishes from the first unconfirmed message on: some
//! then stand in the queue twice, which is what a real publisher does to an agent. The first message
//! of a connection travels alone: a queue that has just come back may refuse it and take those
//! behind it, which would stand in another order then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection};
use lapin::{Confirmation, PublisherConfirm};
use tokio::time::{sleep, sleep_until, timeout};

use crate::evidence::{self, Published};
use crate::queue::{self, Queue};
use crate::workload::Message;

/// Messages on their way without a confirm.
const WINDOW: usize = 1000;
/// A broker that confirms nothing for this long is taken for dead.
const CONFIRM: Duration = Duration::from_secs(30);
/// How long a broker or a queue may be away.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(100);

/// A publisher and its log.
pub struct Publisher {
    queue: Queue,
    rate: Option<u32>,
    session: Option<Session>,
    log: Vec<Published>,
    confirmed: Arc<AtomicUsize>,
    reconnects: usize,
}

struct Session {
    connection: Connection,
    channel: Channel,
}

/// One call of `publish`: how far it has come.
struct Progress<'a> {
    messages: &'a [Message],
    sent: usize,
    confirmed: usize,
    /// Messages that may be on their way without a confirm: one until the connection has confirmed
    /// its first.
    window: usize,
    flight: VecDeque<PublisherConfirm>,
    /// When each message was handed over for the first time.
    times: Vec<evidence::Micros>,
    started: Instant,
}

impl Publisher {
    /// A publisher to `queue`, at most `rate` messages per second.
    pub fn new(queue: &Queue, rate: Option<u32>) -> Self {
        Self {
            queue: queue.clone(),
            rate,
            session: None,
            log: Vec::new(),
            confirmed: Arc::default(),
            reconnects: 0,
        }
    }

    /// A counter of confirmed messages that can be watched from elsewhere.
    pub fn confirmed(&self) -> Arc<AtomicUsize> {
        self.confirmed.clone()
    }

    /// How often the broker had to be found again.
    pub fn reconnects(&self) -> usize {
        self.reconnects
    }

    /// Publishes `messages`; done when the broker has confirmed all of them.
    pub async fn publish(&mut self, messages: &[Message]) -> Result<()> {
        let mut progress = Progress {
            messages,
            sent: 0,
            confirmed: 0,
            window: 1,
            flight: VecDeque::new(),
            times: Vec::with_capacity(messages.len()),
            started: Instant::now(),
        };
        while progress.confirmed < messages.len() {
            if self.session.is_none() {
                self.session = Some(self.open().await?);
            }
            let Some(session) = &self.session else { continue };
            if self.step(session, &mut progress).await.is_err() {
                self.session = None;
                self.reconnects += 1;
                progress.flight.clear();
                progress.sent = progress.confirmed;
                progress.window = 1;
            }
        }
        self.log.extend(messages.iter().zip(progress.times).map(|(message, at)| Published {
            kind: message.kind,
            event_id: message.event_id.clone(),
            vin: message.vin.clone(),
            code: message.code,
            at,
        }));
        Ok(())
    }

    /// Ends the connection and hands over the log.
    pub async fn finish(mut self) -> Vec<Published> {
        if let Some(session) = self.session.take() {
            let _ = session.channel.close(200, "done".into()).await;
            queue::close(&session.connection).await;
        }
        self.log
    }

    /// Fills the window, then waits for the oldest confirm.
    async fn step(&self, session: &Session, progress: &mut Progress<'_>) -> Result<()> {
        while progress.flight.len() < progress.window && progress.sent < progress.messages.len() {
            if let Some(due) = self.due(progress) {
                sleep_until(due.into()).await;
            }
            let confirm = self.send(session, &progress.messages[progress.sent].bytes);
            if progress.sent == progress.times.len() {
                progress.times.push(evidence::now());
            }
            progress.flight.push_back(confirm.await?);
            progress.sent += 1;
        }
        let Some(confirm) = progress.flight.pop_front() else { return Ok(()) };
        match timeout(CONFIRM, confirm).await {
            Ok(Ok(Confirmation::Ack(None))) => {}
            Ok(Ok(_)) => bail!("the queue is not there"),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => bail!("the broker confirms nothing"),
        }
        progress.confirmed += 1;
        progress.window = WINDOW;
        self.confirmed.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn due(&self, progress: &Progress<'_>) -> Option<Instant> {
        let rate = f64::from(self.rate?.max(1));
        Some(progress.started + Duration::from_secs_f64(progress.sent as f64 / rate))
    }

    async fn send(&self, session: &Session, bytes: &[u8]) -> lapin::Result<PublisherConfirm> {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/cloudevents+json; charset=utf-8".into());
        // Without `mandatory` a broker confirms what it throws away for want of a queue.
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let name = self.queue.name.as_str().into();
        session.channel.basic_publish("".into(), name, mandatory, bytes, properties).await
    }

    /// Connects, and waits until the queue is there.
    async fn open(&self) -> Result<Session> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(session) = self.try_open().await {
                return Ok(session);
            }
            if Instant::now() > deadline {
                bail!("no broker with a queue {} in {PATIENCE:?}", self.queue.name);
            }
            sleep(RETRY).await;
        }
    }

    async fn try_open(&self) -> Result<Session> {
        let connection = self.queue.connect().await?;
        let channel = connection.create_channel().await?;
        if queue::passive(&channel, &self.queue.name).await.is_none() {
            queue::close(&connection).await;
            return Err(anyhow!("no queue {}", self.queue.name));
        }
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Session { connection, channel })
    }
}
