//! The crash run: the same mix, while the agent is killed again and again and the broker goes away
//! twice.
//!
//! The messages are published in slices, one per life of the agent, so that every life has work.
//! Kills alternate between random moments (after a random number of files and a random delay) and
//! the named points of a binary with seeded faults. A life whose point is never passed is killed at
//! rest and said to be so.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::agent::{Agent, End, START};
use crate::broker::Broker;
use crate::doubt::{Doubts, Operator};
use crate::evidence::{self, Evidence, Micros, Published};
use crate::judge::{Judgement, judge};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::random::Random;
use crate::receiver::{Receiver, Way, judge_messages, judge_requests};
use crate::run;
use crate::service::Log;
use crate::site::Site;
use crate::workload::{Message, Workload};

/// Slices are published at this pace: a life sees dozens of batches, not one.
const RATE: u32 = 1500;
/// A life in which nothing happens for this long is killed at rest.
const REST: Duration = Duration::from_millis(1500);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// The longest life.
const LIFE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A binary with seeded faults.
    pub agent: PathBuf,
    /// Messages, vehicles, seed; the seed also chooses the kills.
    pub workload: Workload,
    /// Kills of the agent.
    pub kills: usize,
    /// Restarts of the broker, by turns orderly and by SIGKILL.
    pub broker_restarts: usize,
    /// The way out.
    pub way: Way,
}

/// How a life ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kill {
    /// After so many files of this life, and so many microseconds more.
    Random {
        /// Files.
        files: usize,
        /// Microseconds.
        delay: u64,
    },
    /// At the n-th passage of a point.
    Point {
        /// The point.
        point: &'static str,
        /// Which passage.
        passage: usize,
    },
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random { files, delay } => write!(f, "random: {files} files + {delay} µs"),
            Self::Point { point, passage } => write!(f, "{point}:{passage}"),
        }
    }
}

/// A kill that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Death {
    /// As it was planned.
    pub kill: Kill,
    /// When.
    pub at: Micros,
    /// Whether it came as planned; else the agent was killed at rest.
    pub as_planned: bool,
    /// Files taken when it happened.
    pub taken: usize,
    /// Whether the broker was restarted in this life.
    pub broker_restarted: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The judgement.
    pub judgement: Judgement,
    /// What became of doubts, where the receiver knows no ids.
    pub doubts: Option<Doubts>,
    /// The kills, in order.
    pub deaths: Vec<Death>,
    /// Restarts of the broker.
    pub broker_restarts: usize,
    /// How often the publisher lost its connection.
    pub publisher_reconnects: usize,
    /// Seconds in all.
    pub seconds: f64,
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.judgement.is_clean() && self.doubts.as_ref().is_none_or(|one| one.unlisted() == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} kills, {} broker restarts, {} reconnects of the publisher, {:.0} s",
            self.seed,
            self.deaths.len(),
            self.broker_restarts,
            self.publisher_reconnects,
            self.seconds
        )?;
        for (number, death) in self.deaths.iter().enumerate() {
            let note = if death.as_planned { "" } else { " (never reached: killed at rest)" };
            let broker = if death.broker_restarted { "; the broker restarted before" } else { "" };
            let (number, kill, taken) = (number + 1, &death.kill, death.taken);
            writeln!(f, "  kill {number:>3}: {kill}{note}, {taken} files taken{broker}")?;
        }
        let mut points: BTreeMap<&str, usize> = BTreeMap::new();
        for death in self.deaths.iter().filter(|death| death.as_planned) {
            let name = if let Kill::Point { point, .. } = &death.kill { point } else { "random" };
            *points.entry(name).or_default() += 1;
        }
        let points: Vec<_> = points.iter().map(|(name, n)| format!("{name} {n}")).collect();
        writeln!(f, "  as planned: {}", points.join(", "))?;
        write!(f, "{}", self.judgement)?;
        self.doubts.iter().try_for_each(|doubts| writeln!(f, "{doubts}"))
    }
}

/// Runs it, with a broker of its own.
pub async fn crash(plan: &Plan) -> Result<Report> {
    let started = Instant::now();
    let broker = Arc::new(Broker::start()?);
    let queue = Queue::unique(broker.url(), "crash");
    let mut show = Show::new(plan, broker, queue).await?;
    let mut deaths = Vec::new();
    let lives = schedule(plan);
    for (number, kill) in lives.iter().enumerate() {
        show.release_slice()?;
        let restart_due =
            (plan.broker_restarts * (number + 1)) / plan.kills.max(1) > show.outages.len();
        deaths.push(show.life(kill, restart_due).await?);
        show.decide(Doubts::look)?;
    }
    show.release_slice()?;
    show.last_life().await?;
    let outages = std::mem::take(&mut show.outages);
    let doubts = show.doubts.take();
    let (reconnects, evidence) = show.finish(&deaths).await?;
    let judgement = match plan.way {
        Way::Files => judge(&evidence),
        Way::Messages => judge_messages(&evidence, &outages),
        Way::Http => judge_requests(&evidence, true),
        Way::HttpHeld => judge_requests(&evidence, false),
    };
    Ok(Report {
        seed: plan.workload.seed,
        judgement,
        doubts,
        deaths,
        broker_restarts: outages.len(),
        publisher_reconnects: reconnects,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The kills: every second one at a named point, each point in its turn.
fn schedule(plan: &Plan) -> Vec<Kill> {
    let mut random = Random::seeded(plan.workload.seed ^ 0x6B69_6C6C);
    let slice = plan.workload.events / (plan.kills + 1);
    let points = plan.way.points();
    (0..plan.kills)
        .map(|number| {
            if number % 2 == 0 {
                Kill::Point {
                    point: points[number / 2 % points.len()],
                    passage: 1 + random.below(6),
                }
            } else {
                Kill::Random { files: random.below(slice * 3 / 4), delay: random.bits() % 8000 }
            }
        })
        .collect()
}

/// The stage: everything that outlives a life of the agent.
struct Show {
    plan: Plan,
    broker: Arc<Broker>,
    site: Site,
    receiver: Receiver,
    slices: mpsc::UnboundedSender<Vec<Message>>,
    publisher: JoinHandle<Result<Publisher>>,
    confirmed: Arc<AtomicUsize>,
    messages: Vec<Message>,
    released: usize,
    slice: usize,
    /// When the broker went away and when it was back.
    outages: Vec<(Micros, Micros)>,
    /// Where the receiver knows no ids.
    doubts: Option<Doubts>,
}

impl Show {
    async fn new(plan: &Plan, broker: Arc<Broker>, queue: Queue) -> Result<Self> {
        let site = Site::on_way(&queue, plan.way)?;
        let receiver = Receiver::start(plan.way, &site).await?;
        let publisher = Publisher::new(&queue, Some(RATE));
        let confirmed = publisher.confirmed();
        let (slices, released) = mpsc::unbounded_channel();
        let publisher = tokio::spawn(publish_slices(publisher, released));
        let messages = plan.workload.messages();
        let slice = messages.len().div_ceil(plan.kills + 1);
        Ok(Self {
            plan: plan.clone(),
            broker,
            site,
            receiver,
            slices,
            publisher,
            confirmed,
            messages,
            released: 0,
            slice,
            outages: Vec::new(),
            doubts: (plan.way == Way::HttpHeld).then(Doubts::default),
        })
    }

    /// Lets a person do something about doubts, where there are any; what comes of it.
    fn decide<T: Default>(
        &mut self,
        act: impl FnOnce(&mut Doubts, &Operator<'_>, &Log) -> Result<T>,
    ) -> Result<T> {
        match (&mut self.doubts, self.receiver.log()) {
            (Some(doubts), Some(log)) => {
                let operator = Operator { agent: &self.plan.agent, site: &self.site };
                act(doubts, &operator, &log)
            }
            _ => Ok(T::default()),
        }
    }

    /// Lets the publisher go on with the next slice.
    fn release_slice(&mut self) -> Result<()> {
        let end = (self.released + self.slice).min(self.messages.len());
        self.slices
            .send(self.messages[self.released..end].to_vec())
            .context("the publisher is gone")?;
        self.released = end;
        Ok(())
    }

    /// One life of the agent, up to its death.
    async fn life(&mut self, kill: &Kill, restart_broker: bool) -> Result<Death> {
        let fault = match kill {
            Kill::Point { point, passage } => format!("kill:{point}:{passage}"),
            Kill::Random { .. } => String::new(),
        };
        let before = self.receiver.taken();
        let mut agent = Agent::start(&self.plan.agent, &self.site, &fault)?;
        if restart_broker {
            self.restart_broker().await?;
        }
        let as_planned = match kill {
            Kill::Point { .. } => self.watch(&mut agent, usize::MAX).await?,
            Kill::Random { files, delay } => {
                let reached = self.watch(&mut agent, before + files).await?;
                // The delay is the experiment: the moment of the kill is to be random.
                sleep(Duration::from_micros(*delay)).await;
                reached
            }
        };
        let at = evidence::now();
        agent.kill()?;
        let taken = self.receiver.taken();
        Ok(Death { kill: kill.clone(), at, as_planned, taken, broker_restarted: restart_broker })
    }

    /// Watches a life until it ends by a kill point, `files` are taken (both true), or everything
    /// is published and taken and at rest (false).
    async fn watch(&self, agent: &mut Agent, files: usize) -> Result<bool> {
        let deadline = Instant::now() + LIFE;
        let (mut last, mut changed) = ((usize::MAX, usize::MAX), Instant::now());
        loop {
            match agent.ended()? {
                Some(End::Killed) => return Ok(true),
                Some(end) => bail!("the agent ended by {end:?}:\n{}", agent.last_words()),
                None => {}
            }
            let now = (self.receiver.taken(), self.confirmed.load(Ordering::Acquire));
            if now.0 >= files {
                return Ok(true);
            }
            if now != last {
                (last, changed) = (now, Instant::now());
            }
            if now.1 >= self.released && changed.elapsed() > REST {
                return Ok(false);
            }
            if Instant::now() > deadline {
                bail!("a life of more than {LIFE:?}:\n{}", agent.last_words());
            }
            sleep(LOOK).await;
        }
    }

    /// In the middle of a slice: the first time orderly, the second time by SIGKILL, and so on.
    async fn restart_broker(&mut self) -> Result<()> {
        let half = self.released - self.slice / 2;
        let deadline = Instant::now() + LIFE;
        while self.confirmed.load(Ordering::Acquire) < half && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        let (broker, orderly) = (self.broker.clone(), self.outages.len().is_multiple_of(2));
        let from = evidence::now();
        tokio::task::spawn_blocking(move || {
            if orderly {
                broker.stop()?
            } else {
                broker.kill()?
            }
            broker.restart()
        })
        .await??;
        self.outages.push((from, evidence::now()));
        Ok(())
    }

    /// The life that may finish.
    async fn last_life(&mut self) -> Result<()> {
        let mut agent = Agent::start(&self.plan.agent, &self.site, "")?;
        agent.ready(START).await?;
        let deadline = Instant::now() + LIFE;
        while self.confirmed.load(Ordering::Acquire) < self.released {
            if Instant::now() > deadline {
                bail!("the publisher does not come to its end");
            }
            sleep(LOOK).await;
        }
        let due = run::due(&self.messages);
        run::settle(|| self.receiver.taken(), due).await;
        // What waited behind a doubt may have been begun and left by an earlier life, too.
        while self.decide(Doubts::resolve)? > 0 {
            run::settle(|| self.receiver.taken(), due).await;
        }
        agent.terminate().await?;
        Ok(())
    }

    async fn finish(self, deaths: &[Death]) -> Result<(usize, Evidence)> {
        drop(self.slices);
        let publisher = self.publisher.await??;
        let reconnects = publisher.reconnects();
        let published: Vec<Published> = publisher.finish().await;
        let consumed = self.receiver.finish()?;
        let kills = deaths.iter().map(|death| death.at).collect();
        Ok((reconnects, Evidence { published, consumed, kills }))
    }
}

async fn publish_slices(
    mut publisher: Publisher,
    mut slices: mpsc::UnboundedReceiver<Vec<Message>>,
) -> Result<Publisher> {
    while let Some(slice) = slices.recv().await {
        publisher.publish(&slice).await?;
    }
    Ok(publisher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_kills_pass_every_point_and_as_many_random_moments() {
        for way in [Way::Files, Way::Messages, Way::Http, Way::HttpHeld] {
            let plan = Plan {
                agent: PathBuf::new(),
                workload: Workload::new(20_000, 500, 42),
                kills: 30,
                broker_restarts: 2,
                way,
            };
            let kills = schedule(&plan);
            assert_eq!(kills, schedule(&plan), "the same seed plans the same kills");
            for name in way.points() {
                let at = |kill: &Kill| matches!(kill, Kill::Point { point, .. } if point == name);
                assert!(kills.iter().any(at), "{name}");
            }
            let random = kills.iter().filter(|kill| matches!(kill, Kill::Random { .. })).count();
            assert_eq!((kills.len(), random), (30, 15));
        }
    }
}
