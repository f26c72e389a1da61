//! Reloads under load: whose events are decided by half of a configuration?
//!
//! Each configuration carries its number twice: in the partner file (`RCVPRN` of the control
//! record) and in the mapping (`PLANT` of the header). Both are written, then the agent is asked to
//! take them over, and again while events flow. Every third one is broken on purpose: it must be
//! refused, and nothing of it may show. Every fifth one also changes source and target, so that both
//! are stopped and started. In every file both numbers are the same, or a configuration was taken
//! over by halves.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tokio::process::Command;
use tokio::time::sleep;

use crate::agent::{Agent, START};
use crate::consumer::Consumer;
use crate::evidence::Evidence;
use crate::judge::{Judgement, judge};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::run::{due, settle};
use crate::site::Site;
use crate::workload::Workload;

/// Between two configurations.
const PAUSE: Duration = Duration::from_millis(50);
/// Every so many configurations one is broken.
const BROKEN: usize = 3;
/// Every so many configurations source and target are not those of the one before.
const OTHERS: usize = 5;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The agent.
    pub agent: PathBuf,
    /// The broker.
    pub url: String,
    /// Messages, vehicles, seed.
    pub workload: Workload,
    /// Messages per second.
    pub rate: u32,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What went in and came out.
    pub judgement: Judgement,
    /// Configurations that were taken over.
    pub taken: usize,
    /// Broken ones that were refused.
    pub refused: usize,
    /// How many configurations decided at least one event.
    pub seen: usize,
    /// Files of two configurations, or of a broken one.
    pub halves: usize,
    /// The longest time from asking to the answer, in milliseconds.
    pub slowest_ms: f64,
}

impl Report {
    /// Whether nothing was lost, doubled or decided by halves, and there was something to see.
    pub fn is_clean(&self) -> bool {
        self.judgement.is_clean() && self.halves == 0 && self.seen > 2 && self.refused > 0
    }
}

/// Reloads while events flow.
pub async fn reload(plan: &Plan) -> Result<Report> {
    let queue = Queue::unique(&plan.url, "reload");
    let site = Site::with_own_mappings(&queue)?;
    let outcome = run(plan, &site).await;
    let deleted = queue.delete().await;
    let report = outcome?;
    deleted?;
    Ok(report)
}

async fn run(plan: &Plan, site: &Site) -> Result<Report> {
    let mut writer = Writer::new(plan, site)?;
    writer.write(0, false)?;
    let mut agent = Agent::start(&plan.agent, site, "")?;
    agent.ready(START).await?;
    let consumer = Consumer::start(&site.out())?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        let outcome = writer.work(&stopped).await;
        outcome.map(|()| writer)
    });
    let messages = plan.workload.messages();
    let mut publisher = Publisher::new(site.queue(), Some(plan.rate));
    publisher.publish(&messages).await?;
    stop.store(true, Ordering::Release);
    let writer = writing.await??;
    settle(|| consumer.taken(), due(&messages)).await;
    agent.terminate().await?;
    let (published, consumed) = (publisher.finish().await, consumer.finish()?);
    let mut marks: Vec<_> = consumed.iter().map(|file| file.marks.clone()).collect();
    let halves = marks.iter().filter(|(one, other)| one != other || one.is_empty()).count();
    marks.sort_unstable();
    marks.dedup();
    Ok(Report {
        judgement: judge(&Evidence { published, consumed, kills: Vec::new() }),
        taken: writer.taken,
        refused: writer.refused,
        seen: marks.len(),
        halves,
        slowest_ms: writer.slowest.as_secs_f64() * 1000.0,
    })
}

/// Writes configurations and has them taken over.
struct Writer {
    agent: PathBuf,
    config: (PathBuf, String),
    mapping: (PathBuf, String),
    partner: (PathBuf, String),
    taken: usize,
    refused: usize,
    slowest: Duration,
}

impl Writer {
    fn new(plan: &Plan, site: &Site) -> Result<Self> {
        let read = |name: &str| {
            let path = site.directory().join("mappings").join(name);
            let text = fs::read_to_string(&path);
            text.map(|text| (path, text)).with_context(|| format!("cannot read {name}"))
        };
        Ok(Self {
            agent: plan.agent.clone(),
            config: (site.config(), fs::read_to_string(site.config())?),
            mapping: read("vehicle-registration/mapping.yaml")?,
            partner: read("partners/sap-importer.yaml")?,
            taken: 0,
            refused: 0,
            slowest: Duration::ZERO,
        })
    }

    /// The numbers are no longer than a plant, and come again after a while.
    fn write(&self, number: usize, broken: bool) -> Result<()> {
        let mark = format!("{:04}", number % 10_000);
        let replace = |(path, text): &(PathBuf, String), from: &str, to: &str| {
            if !text.contains(from) {
                bail!("{} has no {from:?}", path.display());
            }
            rename_in(path, &text.replacen(from, to, 1))
        };
        replace(&self.partner, "RCVPRN: Q01CLNT100", &format!("RCVPRN: \"{mark}\""))?;
        let plant = format!("PLANT:     \"{mark}\"");
        let plant = if broken { format!("{plant}\n      NOWHERE: \"{mark}\"") } else { plant };
        replace(&self.mapping, "PLANT:     { from: data.plant }", &plant)?;
        let (source, target) = match number % OTHERS {
            0 => ("declare: quorum, prefetch: 300", "type: file, in_flight: 100"),
            _ => ("declare: quorum", "type: file"),
        };
        replace(&self.config, "declare: quorum", source)?;
        let text = fs::read_to_string(&self.config.0)?;
        replace(&(self.config.0.clone(), text), "type: file", target)
    }

    async fn work(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut number = 0;
        while !stop.load(Ordering::Acquire) {
            number += 1;
            let broken = number % BROKEN == 0;
            self.write(number, broken)?;
            let asked = Instant::now();
            let mut command = Command::new(&self.agent);
            command.args(["--config".as_ref(), self.config.0.as_os_str()]);
            let output = command.args(["reload", "--why", "proof"]).output().await?;
            self.slowest = self.slowest.max(asked.elapsed());
            match (broken, output.status.code()) {
                (false, Some(0)) => self.taken += 1,
                (true, Some(1)) => self.refused += 1,
                (_, code) => {
                    let said = String::from_utf8_lossy(&output.stdout).into_owned();
                    bail!("configuration {number} (broken: {broken}): code {code:?}\n{said}");
                }
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

fn rename_in(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, text)?;
    fs::rename(&part, path).with_context(|| format!("cannot write {}", path.display()))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { judgement, taken, refused, seen, halves, slowest_ms } = self;
        let verdict = if self.is_clean() { "KEPT" } else { "BROKEN" };
        writeln!(f, "reloads under load: {verdict}")?;
        write!(f, "{judgement}")?;
        writeln!(
            f,
            "  {taken} configurations taken over, {refused} broken ones refused, the slowest answer after \
             {slowest_ms:.0} ms; {seen} decided events, {halves} files of two halves"
        )
    }
}
