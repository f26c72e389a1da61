//! One run: an agent at a site, a publisher before it, a consumer behind it, and the judge.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use tokio::time::sleep;

use crate::agent::{Agent, START};
use crate::consumer::Consumer;
use crate::evidence::{Evidence, Micros};
use crate::figures::{self, Spread};
use crate::judge::{Judgement, judge};
use crate::metrics::Metrics;
use crate::process::Usage;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::site::Site;
use crate::workload::{Kind, Message};

/// Nothing new in the folder for this long, and all that was due is there: the run is over.
const CALM: Duration = Duration::from_secs(1);
/// Nothing new for this long, and something is missing: it will not come any more.
const STALLED: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How the messages meet the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the broker takes them, while the agent runs.
    Unbounded,
    /// So many per second, while the agent runs.
    PerSecond(u32),
    /// All of them wait in the queue when the agent starts.
    Backlog,
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The agent's binary.
    pub agent: PathBuf,
    /// The broker.
    pub url: String,
    /// What the binary with seeded faults shall do.
    pub fault: String,
    /// How the messages meet the agent.
    pub pace: Pace,
}

/// What was seen of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Observed {
    /// The judgement.
    pub judgement: Judgement,
    /// Messages that wait in the queue at the end.
    pub left_in_queue: Option<u32>,
    /// From the first publication (a backlog: from the agent's start) to the last file seen, in seconds.
    pub seconds: f64,
    /// From start to ready, in milliseconds.
    pub ready_ms: f64,
    /// From SIGTERM to the end, in milliseconds.
    pub stop_ms: f64,
    /// The agent when it was ready.
    pub idle: Usage,
    /// The agent at the end.
    pub end: Usage,
    /// From publication to the time of the event's commit row.
    pub to_journal: Option<Spread>,
    /// From publication until the file was seen in the folder.
    pub to_file: Option<Spread>,
    /// Upper bounds of the agent's own histogram of commits (median, p99), in milliseconds.
    pub commit_ms: Option<(f64, f64)>,
    /// What the agent says of itself that disagrees with what was published.
    pub disagreements: Vec<String>,
}

impl Observed {
    /// Messages per second.
    pub fn events_per_second(&self) -> f64 {
        self.per_second(self.judgement.published)
    }

    /// Files per second.
    pub fn files_per_second(&self) -> f64 {
        self.per_second(self.judgement.files)
    }

    /// Without a file there is no time to speak of.
    fn per_second(&self, count: usize) -> f64 {
        if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 }
    }

    /// The agent's CPU time per message, its start included, in microseconds.
    pub fn cpu_micros_per_event(&self) -> f64 {
        self.end.cpu_seconds() * 1e6 / self.judgement.published.max(1) as f64
    }

    /// Whether every promise was kept, the agent's own counts agree, and nothing was left behind.
    pub fn is_clean(&self) -> bool {
        self.judgement.is_clean() && self.disagreements.is_empty() && self.left_in_queue == Some(0)
    }
}

/// Runs `messages` through an agent.
pub async fn run(setting: &Setting, messages: &[Message]) -> Result<Observed> {
    let queue = Queue::unique(&setting.url, "run");
    let site = Site::new(&queue)?;
    let observed = observe(setting, &site, messages).await;
    // The queue goes also when the run went wrong; a broker that is gone takes it along.
    let deleted = queue.delete().await;
    let observed = observed?;
    deleted?;
    Ok(observed)
}

async fn observe(setting: &Setting, site: &Site, messages: &[Message]) -> Result<Observed> {
    let queue = site.queue();
    let rate = match setting.pace {
        Pace::PerSecond(rate) => Some(rate),
        Pace::Unbounded | Pace::Backlog => None,
    };
    let mut publisher = Publisher::new(queue, rate);
    if setting.pace == Pace::Backlog {
        // The agent makes its queue itself, with arguments that are its own business.
        let mut agent = Agent::start(&setting.agent, site, "")?;
        agent.ready(START).await?;
        agent.terminate().await?;
        publisher.publish(messages).await?;
    }
    let started = crate::evidence::now();
    let mut agent = Agent::start(&setting.agent, site, &setting.fault)?;
    let ready = agent.ready(START).await?;
    let idle = agent.usage()?;
    let consumer = Consumer::start(&site.out())?;
    if setting.pace != Pace::Backlog {
        publisher.publish(messages).await?;
    }
    settle(|| consumer.taken(), due(messages)).await;
    let (end, metrics) = (agent.usage()?, agent.metrics().ok());
    let stop = agent.terminate().await?;
    let consumed = consumer.finish()?;
    let published = publisher.finish().await;
    let evidence = Evidence { published, consumed, kills: Vec::new() };
    let began = match setting.pace {
        Pace::Backlog => Some(started),
        _ => evidence.published.first().map(|message| message.at),
    };
    Ok(Observed {
        judgement: judge(&evidence),
        left_in_queue: queue.depth().await?,
        seconds: seconds(began, &evidence),
        ready_ms: ready.as_secs_f64() * 1000.0,
        stop_ms: stop.as_secs_f64() * 1000.0,
        idle,
        end,
        to_journal: commit_times(&site.journal())
            .and_then(|times| figures::latency(&evidence.published, &times)),
        to_file: figures::latency(&evidence.published, &figures::seen(&evidence.consumed)),
        commit_ms: metrics.as_ref().and_then(commit_quantiles),
        disagreements: metrics.map(|metrics| disagreements(&metrics, messages)).unwrap_or_default(),
    })
}

/// The number of files that are due.
pub fn due(messages: &[Message]) -> usize {
    count(messages, Kind::Fresh)
}

fn count(messages: &[Message], kind: Kind) -> usize {
    messages.iter().filter(|message| message.kind == kind).count()
}

/// Waits until nothing more comes: all that is due is there and the folder stays calm, or the
/// folder stays calm for so long that the rest is missing.
pub async fn settle(count: impl Fn() -> usize, due: usize) {
    let (mut taken, mut changed) = (count(), Instant::now());
    loop {
        sleep(LOOK).await;
        let now = count();
        if now != taken {
            (taken, changed) = (now, Instant::now());
        }
        let calm = changed.elapsed();
        if calm > STALLED || (taken >= due && calm > CALM) {
            return;
        }
    }
}

fn seconds(began: Option<Micros>, evidence: &Evidence) -> f64 {
    let last = evidence.consumed.iter().map(|file| file.seen).max();
    match (began, last) {
        (Some(began), Some(last)) => last.saturating_sub(began) as f64 / 1e6,
        _ => 0.0,
    }
}

/// When the journal says that each event was committed; `None` for a journal of another shape.
/// The time is taken before the commit's fsync: the fsync itself is in the agent's histogram.
pub(crate) fn commit_times(journal: &Path) -> Option<HashMap<String, Micros>> {
    let connection = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let mut statement = connection
        .prepare("SELECT e.external, c.at / 1000 FROM events e JOIN commits c ON c.number = e.committed WHERE e.verdict = 2")
        .ok()?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).ok()?;
    rows.map(|row| row.ok().and_then(|(id, at)| Some((id, Micros::try_from(at).ok()?)))).collect()
}

fn commit_quantiles(metrics: &Metrics) -> Option<(f64, f64)> {
    let at = |share| metrics.quantile("waybill_journal_commit_seconds", share);
    Some((at(0.5)? * 1000.0, at(0.99)? * 1000.0))
}

/// The agent's own counts beside what was published. A metric that is missing is a disagreement.
fn disagreements(metrics: &Metrics, messages: &[Message]) -> Vec<String> {
    let failed = count(messages, Kind::ReusedId) + count(messages, Kind::Malformed);
    let expected = [
        ("waybill_events_total", "verdict=\"accepted\"", due(messages)),
        ("waybill_events_total", "verdict=\"refused\"", count(messages, Kind::Illegal)),
        ("waybill_events_total", "verdict=\"failed\"", failed),
        ("waybill_redeliveries_total", "source=\"vms\"", count(messages, Kind::Redelivery)),
        ("waybill_deliveries_total", "outcome=\"delivered\"", due(messages)),
    ];
    let mut disagreements = Vec::new();
    for (name, label, expected) in expected {
        let said = metrics.sum(name, &[label]).unwrap_or(0.0);
        if (said - expected as f64).abs() > 0.5 {
            disagreements.push(format!("{name}{{{label}}} is {said}, but should be {expected}"));
        }
    }
    disagreements
}

/// The file at `path`, if it is one: an agent that is not there is an error with a remedy.
pub fn program(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| {
        format!("there is no agent at {}; build it, or name another", path.display())
    })
}
