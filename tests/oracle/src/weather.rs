//! Bad weather: what an operator will meet. Each scenario says what the agent said, and ends with a
//! judgement: whatever happened, every promise holds in the end.

mod broker;
mod burst;
mod cost;
mod disk;
mod poison;
mod size;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::time::sleep;

use crate::consumer::Consumer;
use crate::evidence::{Consumed, Evidence, Published};
use crate::judge::{Judgement, judge};
use crate::run;
use crate::site::Site;
use crate::workload::Message;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How many lines of the agent's log a report quotes.
const QUOTED: usize = 8;

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The broker is not there when the agent starts.
    BrokerAbsent,
    /// The password is wrong, and later corrected in its secret file.
    WrongPassword,
    /// The queue is deleted under the running agent.
    QueueDeleted,
    /// An event of 5 MiB beside small ones.
    BigEvent,
    /// A queue full of the largest messages, and one that is too large.
    Burst,
    /// The disk fills up, and is freed again.
    DiskFull,
    /// Events with very many items among small ones.
    CostlyEvent,
    /// An event that kills the agent whenever it is decided.
    PoisonEvent,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::BrokerAbsent,
        Self::WrongPassword,
        Self::QueueDeleted,
        Self::BigEvent,
        Self::Burst,
        Self::DiskFull,
        Self::CostlyEvent,
        Self::PoisonEvent,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokerAbsent => "broker-absent",
            Self::WrongPassword => "wrong-password",
            Self::QueueDeleted => "queue-deleted",
            Self::BigEvent => "big-event",
            Self::Burst => "burst",
            Self::DiskFull => "disk-full",
            Self::CostlyEvent => "costly-event",
            Self::PoisonEvent => "poison-event",
        }
    }
}

/// What came of a scenario.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Its name.
    pub scenario: String,
    /// What was seen, in order.
    pub seen: Vec<String>,
    /// What was seen and must not be.
    pub wrong: Vec<String>,
    /// Warnings and errors of the agent's log, each kind once.
    pub said: Vec<String>,
    /// The judgement; none where the scenario could not be run.
    pub judgement: Option<Judgement>,
    /// Why it could not be run.
    pub skipped: Option<String>,
}

impl Report {
    fn new(scenario: Scenario) -> Self {
        Self { scenario: scenario.name().to_owned(), ..Self::default() }
    }

    fn skipped(scenario: Scenario, why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::new(scenario) }
    }

    fn saw(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    /// Notes what was seen; and that it is wrong, unless `fine`.
    fn require(&mut self, fine: bool, what: impl Into<String>) {
        if fine { &mut self.seen } else { &mut self.wrong }.push(what.into());
    }

    fn conclude(
        &mut self,
        site: &Site,
        published: Vec<Published>,
        consumer: Consumer,
    ) -> Result<()> {
        self.conclude_with(site, published, consumer.finish()?);
        Ok(())
    }

    fn conclude_with(&mut self, site: &Site, published: Vec<Published>, consumed: Vec<Consumed>) {
        let evidence = Evidence { published, consumed, kills: Vec::new() };
        self.said = said(site);
        self.judgement = Some(judge(&evidence));
    }

    /// Whether all is as it has to be. A scenario that could not be run is not a failure.
    pub fn is_fine(&self) -> bool {
        let kept = self.judgement.as_ref().is_some_and(Judgement::is_clean);
        self.skipped.is_some() || (kept && self.wrong.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.skipped {
            return writeln!(f, "skip {}: {why}", self.scenario);
        }
        let mark = if self.is_fine() { "ok  " } else { "FAIL" };
        writeln!(f, "{mark} {}", self.scenario)?;
        for seen in &self.seen {
            writeln!(f, "     {seen}")?;
        }
        for wrong in &self.wrong {
            writeln!(f, "     WRONG: {wrong}")?;
        }
        for line in &self.said {
            writeln!(f, "     the agent said: {line}")?;
        }
        match &self.judgement {
            Some(judgement) => write!(f, "     {judgement}"),
            None => Ok(()),
        }
    }
}

/// Runs one scenario; those that need a broker in trouble start one of their own.
pub async fn weather(scenario: Scenario, agent: &Path) -> Result<Report> {
    match scenario {
        Scenario::BrokerAbsent => broker::absent(agent).await,
        Scenario::WrongPassword => broker::wrong_password(agent).await,
        Scenario::QueueDeleted => broker::queue_deleted(agent).await,
        Scenario::BigEvent => size::big_event(agent).await,
        Scenario::Burst => burst::burst(agent).await,
        Scenario::DiskFull => disk::full(agent).await,
        Scenario::CostlyEvent => cost::costly_event(agent).await,
        Scenario::PoisonEvent => poison::poison_event(agent).await,
    }
}

/// Waits until `condition` holds; how long that took.
async fn until<F, C>(
    site: &Site,
    (what, patience): (&str, Duration),
    mut condition: C,
) -> Result<Duration>
where
    F: Future<Output = bool>,
    C: FnMut() -> F,
{
    let started = Instant::now();
    while !condition().await {
        if started.elapsed() > patience {
            let log = log(site);
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(2 * QUOTED)..].join("\n");
            bail!("not within {patience:?}: {what}; the agent's last words:\n{tail}");
        }
        sleep(LOOK).await;
    }
    Ok(started.elapsed())
}

/// Waits until the files of `messages`, and of `before` earlier ones, were taken.
async fn arrived(consumer: &Consumer, before: usize, messages: &[Message]) {
    run::settle(|| consumer.taken(), before + run::due(messages)).await;
}

/// What the agent has logged.
fn log(site: &Site) -> String {
    std::fs::read_to_string(site.log()).unwrap_or_default()
}

/// The warnings and errors of the log: the first of each kind, told apart without their digits.
fn said(site: &Site) -> Vec<String> {
    let mut kinds = std::collections::BTreeSet::new();
    log(site)
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .filter(|line| kinds.insert(line.replace(|c: char| c.is_ascii_digit(), "")))
        .take(QUOTED)
        .map(str::to_owned)
        .collect()
}
