//! Shows that the judge can find what it looks for: a binary with a deliberate fault is run, and the
//! judge must see it. Controls without the fault, with the same kills, must be clean: else finding
//! something proves nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::time::sleep;

use crate::agent::{Agent, End, START};
use crate::consumer::Consumer;
use crate::evidence::{self, Evidence, Micros};
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
const LOOK: Duration = Duration::from_millis(1);

/// A fault and what must be seen of it.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// The fault; empty for a control.
    fault: &'static str,
    /// The kills that bring it to light: the agent's own, each at a passage of a named point.
    strikes: &'static [&'static str],
    /// Any of these convicts it; none for a control, which must be clean.
    by: &'static [Check],
    /// Vehicles: few of them make long lanes.
    vins: usize,
    /// Messages per second: a steady stream keeps many small groups in flight, a flood few big ones.
    rate: Option<u32>,
}

const BEFORE_COMMIT: &[&str] = &["kill:before-commit:3"];
const AROUND_SEND: &[&str] = &["kill:before-send:3", "kill:after-settle:3"];

const CONTROL: Case = Case { fault: "", strikes: &[], by: &[], vins: 40, rate: None };

const CASES: [Case; 8] = [
    CONTROL,
    Case { vins: 4, rate: Some(1500), ..CONTROL },
    Case { strikes: BEFORE_COMMIT, ..CONTROL },
    Case { strikes: AROUND_SEND, ..CONTROL },
    Case { fault: "ack-before-commit", strikes: BEFORE_COMMIT, by: &[Check::Missing], ..CONTROL },
    Case { fault: "settle-before-rename", strikes: AROUND_SEND, by: &[Check::Missing], ..CONTROL },
    Case {
        fault: "skip-duplicate-check",
        by: &[Check::Doubled, Check::Unexpected, Check::ChangedContent],
        ..CONTROL
    },
    Case { fault: "no-lanes", by: &[Check::WrongOrder], vins: 4, rate: Some(1500), ..CONTROL },
];

/// What was seen of one case.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The fault; empty for a control.
    pub fault: String,
    /// Kills that went with it.
    pub kills: usize,
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
        let summary = self.judgement.summary();
        write!(
            f,
            "{mark} {fault}, {} kills: the judge found {summary} (seed {})",
            self.kills, self.seed
        )
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
        let (judgement, kills) = run_case(trial, case, seed).await?;
        let convicted = case.by.iter().any(|check| judgement.found(*check));
        let last = case.by.is_empty() || seed + 1 == trial.seed + TRIES;
        if convicted || last {
            return Ok(Outcome {
                fault: case.fault.to_owned(),
                kills,
                seed,
                found_by: judgement.findings.keys().copied().collect(),
                as_expected: if case.by.is_empty() { judgement.is_clean() } else { convicted },
                judgement,
            });
        }
        seed += 1;
    }
}

/// One run: the judgement, and how many kills there were.
async fn run_case(trial: &Trial, case: Case, seed: u64) -> Result<(Judgement, usize)> {
    let queue = Queue::unique(&trial.url, "faults");
    let site = Site::new(&queue)?;
    let messages = Workload::new(trial.events, case.vins, seed).messages();
    let stage = Stage { agent: &trial.agent, site: &site, case, due: run::due(&messages) };
    let evidence = stage.play(&messages).await;
    let deleted = queue.delete().await;
    let evidence = evidence?;
    deleted?;
    Ok((judge(&evidence), evidence.kills.len()))
}

struct Stage<'a> {
    agent: &'a Path,
    site: &'a Site,
    case: Case,
    /// Files that are due.
    due: usize,
}

impl Stage<'_> {
    /// A life for every kill, then one that may finish; the fault is in all of them.
    async fn play(&self, messages: &[Message]) -> Result<Evidence> {
        let consumer = Consumer::start(&self.site.out())?;
        let (queue, rate) = (self.site.queue().clone(), self.case.rate);
        let work = messages.to_vec();
        let publisher = tokio::spawn(async move {
            let mut publisher = Publisher::new(&queue, rate);
            publisher.publish(&work).await.map(|()| publisher)
        });
        let mut kills = Vec::new();
        for kill in self.case.strikes {
            kills.push(self.life_to_point(kill).await?);
        }
        let mut agent = Agent::start(self.agent, self.site, self.case.fault)?;
        agent.ready(START).await?;
        let publisher = publisher.await??;
        run::settle(|| consumer.taken(), self.due).await;
        agent.terminate().await?;
        let consumed = consumer.finish()?;
        Ok(Evidence { published: publisher.finish().await, consumed, kills })
    }

    /// A life up to the agent's own kill point.
    async fn life_to_point(&self, kill: &str) -> Result<Micros> {
        let words = [self.case.fault, kill];
        let both: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let mut agent = Agent::start(self.agent, self.site, &both.join(","))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match agent.ended()? {
                Some(End::Killed) => return Ok(evidence::now()),
                Some(end) => bail!("the agent ended by {end:?}:\n{}", agent.last_words()),
                None if Instant::now() > deadline => {
                    bail!("the agent never came to {kill}; has it seeded faults?")
                }
                None => sleep(LOOK).await,
            }
        }
    }
}
