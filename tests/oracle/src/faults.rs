//! Shows that the judge can find what it looks for: a binary with a deliberate fault is run, and the
//! judge must see it. Controls without the fault, with the same kills, must be clean: else finding
//! something proves nothing.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::time::sleep;

use crate::agent::{Agent, End, START};
use crate::consumer::Consumer;
use crate::evidence::{self, Evidence};
use crate::judge::{Check, Judgement, judge};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::run;
use crate::site::Site;
use crate::workload::{Message, Workload};

/// A fault may hide behind luck; it has so many seeds to show itself.
const TRIES: u64 = 3;
/// How long the agent may take to come to its kill point.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// A fault and what must be seen of it.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// The fault; empty for a control.
    fault: &'static str,
    /// The kill that brings it to light; empty for none.
    kill: &'static str,
    /// Any of these convicts it; none for a control, which must be clean.
    by: &'static [Check],
    /// Vehicles: few of them make long lanes.
    vins: usize,
}

const CASES: [Case; 8] = [
    Case { fault: "", kill: "", by: &[], vins: 40 },
    Case { fault: "", kill: "", by: &[], vins: 4 },
    Case { fault: "", kill: "kill:before-commit:3", by: &[], vins: 40 },
    Case { fault: "", kill: "kill:after-settle:3", by: &[], vins: 40 },
    Case {
        fault: "ack-before-commit",
        kill: "kill:before-commit:3",
        by: &[Check::Missing],
        vins: 40,
    },
    Case {
        fault: "settle-before-rename",
        kill: "kill:after-settle:3",
        by: &[Check::Missing],
        vins: 40,
    },
    Case {
        fault: "skip-duplicate-check",
        kill: "",
        by: &[Check::Doubled, Check::Unexpected, Check::ChangedContent],
        vins: 40,
    },
    Case { fault: "no-lanes", kill: "", by: &[Check::WrongOrder], vins: 4 },
];

/// What was seen of one case.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The fault; empty for a control.
    pub fault: String,
    /// The kill with it.
    pub kill: String,
    /// The seed of the last try.
    pub seed: u64,
    /// The checks that found something.
    pub found_by: Vec<Check>,
    /// Whether this is as it has to be.
    pub as_expected: bool,
    /// The judgement of the last try.
    pub judgement: Judgement,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.as_expected { "ok  " } else { "FAIL" };
        let fault = if self.fault.is_empty() { "no fault (control)" } else { &self.fault };
        let kill = if self.kill.is_empty() { "no kill" } else { &self.kill };
        let summary = self.judgement.summary();
        write!(f, "{mark} {fault}, {kill}: the judge found {summary} (seed {})", self.seed)
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// A binary with seeded faults.
    pub agent: PathBuf,
    /// The broker.
    pub url: String,
    /// Messages per case.
    pub events: usize,
    /// The first seed.
    pub seed: u64,
}

/// Tries every fault and every control.
pub async fn faults(trial: &Trial) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for case in CASES {
        outcomes.push(try_case(trial, case).await?);
    }
    Ok(outcomes)
}

async fn try_case(trial: &Trial, case: Case) -> Result<Outcome> {
    let mut seed = trial.seed;
    loop {
        let judgement = run_case(trial, case, seed).await?;
        let convicted = case.by.iter().any(|check| judgement.found(*check));
        let last = case.by.is_empty() || seed + 1 == trial.seed + TRIES;
        if convicted || last {
            return Ok(Outcome {
                fault: case.fault.to_owned(),
                kill: case.kill.to_owned(),
                seed,
                found_by: judgement.findings.keys().copied().collect(),
                as_expected: if case.by.is_empty() { judgement.is_clean() } else { convicted },
                judgement,
            });
        }
        seed += 1;
    }
}

async fn run_case(trial: &Trial, case: Case, seed: u64) -> Result<Judgement> {
    let queue = Queue::unique(&trial.url, "faults");
    let site = Site::new(&queue)?;
    let messages = Workload::new(trial.events, case.vins, seed).messages();
    let evidence = gather(trial, case, &site, &messages).await;
    let deleted = queue.delete().await;
    let evidence = evidence?;
    deleted?;
    Ok(judge(&evidence))
}

/// One life with the fault and the kill, if there is one; then one with the fault alone.
async fn gather(trial: &Trial, case: Case, site: &Site, messages: &[Message]) -> Result<Evidence> {
    let words = [case.fault, case.kill];
    let both: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let consumer = Consumer::start(&site.out())?;
    let mut publisher = Publisher::new(site.queue(), None);
    let mut agent = Agent::start(&trial.agent, site, &both.join(","))?;
    agent.ready(START).await?;
    publisher.publish(messages).await?;
    let mut kills = Vec::new();
    if !case.kill.is_empty() {
        dies(&mut agent).await?;
        kills.push(evidence::now());
        agent = Agent::start(&trial.agent, site, case.fault)?;
        agent.ready(START).await?;
    }
    run::settle(&consumer, run::due(messages)).await;
    agent.terminate().await?;
    let consumed = consumer.finish()?;
    Ok(Evidence { published: publisher.finish().await, consumed, kills })
}

/// Waits until the agent has come to its kill point.
async fn dies(agent: &mut Agent) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match agent.ended()? {
            Some(End::Killed) => return Ok(()),
            Some(end) => bail!("the agent ended by {end:?}:\n{}", agent.last_words()),
            None if Instant::now() > deadline => {
                bail!("the agent never came to its kill point; has it seeded faults?")
            }
            None => sleep(LOOK).await,
        }
    }
}
