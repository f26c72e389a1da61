//! A journal with messages that are due, a dispatcher that publishes them, and a consumer, for the
//! tests of the AMQP target.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of several tests; each uses a part of them"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lapin::options::{
    BasicGetOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use waybill::cloudevent::{self, Attributes};
use waybill::config::secret::Secret;
use waybill::config::{
    self, AmqpTarget, DeclareExchange, Mode, OnDead, OnDoubt, Retry, RoutingKey, TargetKind,
};
use waybill::delivery::{NewDelivery, Outcome, Settlement, State};
use waybill::diagnostic::Mark;
use waybill::dispatch::Dispatcher;
use waybill::dispatch::feed::Feed;
use waybill::event::{Decision, Digest, Header, Identity, Verdict};
use waybill::journal::{Action, Batch, Journal, Options, What};
use waybill::metrics::Metrics;
use waybill::target::Target;
use waybill::target::amqp::Publisher;

/// How long a condition may take to hold.
const PATIENCE: Duration = Duration::from_secs(60);

/// The broker of the tests, if there is one.
pub fn broker() -> Option<String> {
    let url = std::env::var("WAYBILL_TEST_AMQP").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(std::env::var_os("WAYBILL_TEST_REQUIRED").is_none(), "no WAYBILL_TEST_AMQP");
        eprintln!("passed over: WAYBILL_TEST_AMQP is not set; `make test` sets it");
    }
    url
}

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// A broker of its own, which may be stopped, killed and put under pressure.
pub struct Private {
    folder: TempDir,
}

impl Private {
    pub fn start() -> Self {
        let private = Self { folder: tempfile::tempdir().unwrap() };
        private.script(&["start"], &[&std::process::id().to_string()]);
        private
    }

    pub fn url(&self) -> String {
        std::fs::read_to_string(self.home().join("url")).unwrap()
    }

    pub fn kill(&self) {
        self.script(&["kill"], &[]);
    }

    pub fn restart(&self) {
        self.script(&["restart"], &[]);
    }

    pub fn ctl(&self, words: &[&str]) {
        self.script(&["ctl"], words);
    }

    pub fn log(&self) -> String {
        let files = std::fs::read_dir(self.home().join("log")).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("rabbitmq")
    }

    fn script(&self, verb: &[&str], words: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker.sh");
        let mut command = Command::new(script);
        let output = command.args(verb).arg(self.home()).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.script(&["stop"], &[]);
    }
}

/// The receiving side: an exchange of its own and its queues.
pub struct Receiver {
    pub channel: Channel,
    pub exchange: String,
    connection: Connection,
}

impl Receiver {
    pub async fn new(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let exchange = format!("test.{}.{count}", std::process::id());
        Self::again(url, exchange).await
    }

    /// After a restart of the broker.
    pub async fn again(url: &str, exchange: String) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let receiver = Self { channel, exchange, connection };
        receiver.declare().await;
        receiver
    }

    pub async fn declare(&self) {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let name = self.exchange.as_str().into();
        let declared = self.channel.exchange_declare(
            name,
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        );
        declared.await.unwrap();
    }

    /// A queue that takes messages of these kinds.
    pub async fn queue(
        &self,
        name: &str,
        pattern: &str,
        arguments: &[(&str, AMQPValue)],
    ) -> String {
        let queue = format!("{}.{name}", self.exchange);
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        self.channel.queue_declare(queue.as_str().into(), durable, table).await.unwrap();
        let bound = self.channel.queue_bind(
            queue.as_str().into(),
            self.exchange.as_str().into(),
            pattern.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
        queue
    }

    /// Takes what is in a queue now.
    pub async fn drain(&self, queue: &str) -> Vec<Received> {
        let mut all = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
            let message = message.delivery;
            all.push(Received {
                id: message.properties.message_id().clone().unwrap().to_string(),
                routing_key: message.routing_key.to_string(),
                body: message.data,
                properties: message.properties,
            });
        }
        all
    }

    pub async fn close(self) {
        self.connection.close(200, "done".into()).await.unwrap();
    }
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub routing_key: String,
    pub body: Vec<u8>,
    pub properties: BasicProperties,
}

/// A journal and the configuration of its one target.
pub struct World {
    folder: TempDir,
    pub journal: Journal,
    pub metrics: Arc<Metrics>,
    pub target: config::Target,
    feed: Arc<Feed>,
    made: u64,
}

impl World {
    pub fn new(url: &str, exchange: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let amqp = AmqpTarget {
            url: Secret::Plain(url.to_owned()),
            exchange: exchange.to_owned(),
            declare: DeclareExchange::Passive,
            routing_key: RoutingKey::parse("sap.{kind}.{key}").unwrap(),
            mandatory: true,
            mode: Mode::Structured,
            on_doubt: OnDoubt::Resend,
        };
        let retry = Retry {
            attempts: 4,
            first: Duration::from_millis(200),
            most: Duration::from_millis(400),
        };
        let target = config::Target {
            name: "vms".into(),
            mark: Mark::default(),
            kind: TargetKind::Amqp(amqp),
            retry,
            in_flight: 64,
            on_dead: OnDead::Hold,
        };
        let journal = open(folder.path());
        let metrics = Arc::new(Metrics::new().unwrap());
        Self { folder, journal, metrics, target, feed: Arc::default(), made: 0 }
    }

    pub fn configure(&mut self, change: impl FnOnce(&mut AmqpTarget)) {
        let TargetKind::Amqp(amqp) = &mut self.target.kind else { panic!() };
        change(amqp);
    }

    /// Where a secret of the configuration lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a message of a key due, routed by `word`. Returns its delivery.
    pub async fn due(&mut self, key: &str, word: &str) -> u64 {
        self.many(&[(key, word)]).await[0]
    }

    /// The same for many in one commit.
    pub async fn many(&mut self, list: &[(&str, &str)]) -> Vec<u64> {
        let mut decisions = Vec::new();
        for (key, word) in list {
            self.made += 1;
            decisions.push(decision(self.made, key, word));
        }
        let batch = Batch {
            plan: Digest::of(b"plan"),
            generation: 1,
            at: now(),
            operator: None,
            decisions,
            files: Vec::new(),
        };
        let committed = self.journal.commit(batch).await.unwrap();
        let ids = committed.deliveries.iter().map(|due| due.id).collect();
        committed.deliveries.into_iter().for_each(|due| self.feed.push(due));
        ids
    }

    /// As an agent leaves it that is killed while a message is sent.
    pub async fn leave_prepared(&self, id: u64) {
        let settlement = Settlement { id, at: now(), outcome: Outcome::Prepared };
        self.journal.settle(vec![settlement]).await.unwrap();
    }

    /// Starts to publish what is due.
    pub fn start(&self) -> Running {
        let TargetKind::Amqp(amqp) = &self.target.kind else { panic!() };
        let base = self.folder.path().to_owned();
        let (stop, stopped) = watch::channel(false);
        let (commands, asked) = mpsc::channel(4);
        let dispatcher = Dispatcher {
            target: self.target.clone(),
            reached: Target::Amqp(Publisher::new("vms".into(), amqp.clone(), base)),
            journal: self.journal.clone(),
            feed: self.feed.clone(),
            commands: asked,
            stop: stopped,
            metrics: self.metrics.clone(),
            clock: now,
        };
        Running { stop, commands, task: tokio::spawn(dispatcher.run()) }
    }

    pub fn state(&self, id: u64) -> State {
        self.journal.delivery(id).unwrap().unwrap().state
    }

    pub fn attempts(&self, id: u64) -> u32 {
        self.journal.delivery(id).unwrap().unwrap().attempts
    }

    /// What the last attempt that failed said.
    pub fn reason(&self, id: u64) -> String {
        let row = self.journal.delivery(id).unwrap().unwrap();
        let story = self.journal.story(row.event).unwrap().unwrap();
        story.deliveries[0].1.last().unwrap().reason.clone()
    }

    pub async fn until_state(&self, id: u64, state: State) {
        until(&format!("delivery {id} is {state:?}"), || async { self.state(id) == state }).await;
    }

    /// Waits until nothing is due any more.
    pub async fn until_done(&self) {
        until("all deliveries are final", || async {
            self.journal.due("vms", 0, 10).unwrap().is_empty()
        })
        .await;
    }

    pub fn up(&self) -> bool {
        self.metrics.target_up.with_label_values(&["vms"]).get() == 1
    }

    pub fn retries(&self, reason: &str) -> u64 {
        self.metrics.retries.with_label_values(&["vms", reason]).get()
    }
}

/// A dispatcher at work.
pub struct Running {
    stop: watch::Sender<bool>,
    commands: mpsc::Sender<waybill::dispatch::Command>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it in order.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    /// What an operator does.
    pub async fn act(&self, key: &str, what: What) {
        let action = Action { who: "test".into(), why: "test".into(), at: now(), what };
        let (answer, done) = oneshot::channel();
        let command = waybill::dispatch::Command { action, key: key.to_owned(), answer };
        self.commands.send(command).await.unwrap();
        done.await.unwrap().unwrap();
    }
}

fn open(folder: &Path) -> Journal {
    let options = Options { path: folder.join("journal.db"), instance: 1 };
    Journal::open(&options, now()).unwrap()
}

fn decision(number: u64, key: &str, word: &str) -> Decision {
    let raw: Arc<[u8]> = format!("raw {number}").into_bytes().into();
    let source: Arc<str> = "sap".into();
    let id = format!("test-{number:016}");
    let attributes = Attributes {
        id: &id,
        source: "/waybill/test",
        kind: "customer.changed",
        subject: key,
        time: now(),
        media: cloudevent::JSON,
        routing_key: &format!("sap.{word}.{key}"),
    };
    let document = cloudevent::write(attributes, format!("{{\"n\":{number}}}").as_bytes()).unwrap();
    let delivery = NewDelivery {
        target: "vms".into(),
        key: key.to_owned(),
        name: id.clone(),
        reference: String::new(),
        mapping: "customer".into(),
        document: document.into(),
    };
    Decision {
        header: Header {
            identity: Identity::of(&source, &id),
            source,
            id,
            kind: "idoc.DEBMAS".to_owned(),
            key: key.to_owned(),
            time: String::new(),
            received: now(),
            digest: Digest::of(&raw),
        },
        raw,
        verdict: Verdict::Accepted,
        causes: Vec::new(),
        transition: None,
        failed_mappings: Vec::new(),
        parks: false,
        deliveries: vec![delivery],
        now: now(),
        again: None,
    }
}
