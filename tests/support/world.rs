//! A journal with deliveries that are due and a dispatcher that brings them to one target, for the
//! tests of targets.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of several tests; each uses a part of them"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use waybill::config::{self, OnDead, Retry, TargetKind};
use waybill::delivery::{NewDelivery, Outcome, Settlement, State};
use waybill::diagnostic::Mark;
use waybill::dispatch::Dispatcher;
use waybill::dispatch::feed::Feed;
use waybill::event::{Decision, Digest, Header, Identity, Verdict};
use waybill::journal::{Action, Batch, Journal, Operator, Options, What};
use waybill::metrics::Metrics;
use waybill::target::Target;

/// How long a condition may take to hold.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes id and bytes of a document from its number, its key and a word.
pub type Make = fn(u64, &str, &str) -> (String, Vec<u8>);

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A journal and the configuration of its one target.
pub struct World {
    folder: TempDir,
    pub journal: Journal,
    pub metrics: Arc<Metrics>,
    pub target: config::Target,
    name: &'static str,
    make: Make,
    feed: Arc<Feed>,
    made: u64,
}

impl World {
    /// One target; `make` makes id and bytes of a document from its number, its key and a word.
    pub fn new(name: &'static str, kind: TargetKind, make: Make) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let retry = Retry {
            attempts: 4,
            first: Duration::from_millis(200),
            most: Duration::from_millis(400),
        };
        let target = config::Target {
            name: name.into(),
            mark: Mark::default(),
            kind,
            retry,
            in_flight: 64,
            on_dead: OnDead::Hold,
        };
        let journal = open(folder.path());
        let metrics = Arc::new(Metrics::new().unwrap());
        Self { folder, journal, metrics, target, name, make, feed: Arc::default(), made: 0 }
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
            let (id, document) = (self.make)(self.made, key, word);
            decisions.push(decision(self.made, self.name, key, (id, document)));
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
        let base = self.folder.path();
        let (stop, stopped) = watch::channel(false);
        let (commands, asked) = mpsc::channel(4);
        let dispatcher = Dispatcher {
            target: self.target.clone(),
            reached: Target::new(&self.target, base, base, now),
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
            self.journal.due(self.name, 0, 10).unwrap().is_empty()
        })
        .await;
    }

    pub fn up(&self) -> bool {
        self.metrics.target_up.with_label_values(&[self.name]).get() == 1
    }

    pub fn retries(&self, reason: &str) -> u64 {
        self.metrics.retries.with_label_values(&[self.name, reason]).get()
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

    /// Tells it to end, and ends it in the middle of its work as soon as something holds.
    pub async fn cut_short<F: Future<Output = bool>>(self, holds: impl FnMut() -> F) {
        self.stop.send_replace(true);
        until("it may be cut short", holds).await;
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// What an operator does.
    pub async fn act(&self, key: &str, what: What) {
        let operator = Operator { who: "test".into(), why: "test".into(), uid: None };
        let action = Action { operator, at: now(), what };
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

fn decision(
    number: u64,
    target: &'static str,
    key: &str,
    (id, document): (String, Vec<u8>),
) -> Decision {
    let raw: Arc<[u8]> = format!("raw {number}").into_bytes().into();
    let source: Arc<str> = "sap".into();
    let delivery = NewDelivery {
        target: target.into(),
        key: key.to_owned(),
        name: id.clone(),
        reference: String::new(),
        mapping: "customer".into(),
        document: document.into(),
    };
    Decision {
        header: Header {
            identity: Identity::of(&source, &id),
            origin: None,
            source,
            id,
            kind: "idoc.DEBMAS".to_owned(),
            key: key.to_owned(),
            time: String::new(),
            received: now(),
            digest: Digest::of(&raw),
            trace: None,
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
