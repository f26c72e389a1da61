//! The proof: the whole mix through one agent, judged and measured, beside the bare loop.
//!
//! Three runs of the agent, each judged: *unbounded* (publisher, broker, agent and consumer share
//! the machine), *paced* (latency at a rate the machine bears), *backlog* (the queue is full when
//! the agent starts: how fast it can be). The bare loop runs paced and with the same backlog.

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::bare::{self, Figures};
use crate::figures::{self, Spread};
use crate::run::{Observed, Pace, Setting, run};
use crate::scratch::Scratch;
use crate::workload::Workload;

/// Messages of the paced runs; at 500 per second they take six seconds.
const PACED: usize = 3000;

/// What to prove.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The agent.
    pub agent: PathBuf,
    /// The broker.
    pub url: String,
    /// Messages, vehicles, seed.
    pub workload: Workload,
    /// Messages per second of the paced runs; 0 for none of them.
    pub rate: u32,
    /// This program, for the bare loop; `None` for no comparison.
    pub beside_bare: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Seed and size.
    pub events: usize,
    /// Vehicles.
    pub vins: usize,
    /// The seed.
    pub seed: u64,
    /// An append and fdatasync of 1,600 bytes on this disk.
    pub disk: Spread,
    /// The runs of the agent, by name.
    pub runs: Vec<(String, Observed)>,
    /// The bare runs, by name.
    pub bare: Vec<(String, Figures)>,
}

impl Report {
    /// Whether every promise was kept in every run.
    pub fn is_clean(&self) -> bool {
        self.runs.iter().all(|(_, observed)| observed.is_clean())
    }
}

/// Proves.
pub async fn prove(proof: &Proof) -> Result<Report> {
    let Workload { events, vins, seed, .. } = proof.workload;
    let disk = figures::disk(Scratch::new("disk")?.path())?;
    let mut report = Report { events, vins, seed, disk, runs: Vec::new(), bare: Vec::new() };
    let whole = proof.workload.messages();
    let part = Workload { events: PACED.min(events), seed: seed + 1, ..proof.workload.clone() };
    let mut plan = vec![("unbounded".to_owned(), Pace::Unbounded, &whole)];
    let part = part.messages();
    if proof.rate > 0 {
        plan.push((format!("{} per second", proof.rate), Pace::PerSecond(proof.rate), &part));
    }
    if proof.beside_bare.is_some() {
        plan.push(("backlog".to_owned(), Pace::Backlog, &whole));
    }
    for (name, pace, messages) in plan {
        let setting = Setting {
            agent: proof.agent.clone(),
            url: proof.url.clone(),
            fault: String::new(),
            pace,
        };
        report.runs.push((name.clone(), run(&setting, messages).await?));
        let Some(program) = proof.beside_bare.as_ref().filter(|_| pace != Pace::Unbounded) else {
            continue;
        };
        for append in [false, true] {
            let figures = bare::measure(program, &proof.url, messages, pace, append).await?;
            report.bare.push((name.clone(), figures));
        }
    }
    Ok(report)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} events, {} vehicles, seed {}", self.events, self.vins, self.seed)?;
        writeln!(f, "disk: append and fdatasync of 1,600 bytes: {}", self.disk)?;
        for (name, observed) in &self.runs {
            writeln!(f, "\nagent, {name}")?;
            write_run(f, observed)?;
        }
        for (name, figures) in &self.bare {
            let what = if figures.append { "journal and file" } else { "journal" };
            writeln!(f, "\nbare lapin + SQLite loop ({what}), {name}")?;
            write_bare(f, figures)?;
        }
        self.write_ratio(f)
    }
}

impl Report {
    /// The agent's backlog run against the bare loop's that writes as much as it does.
    fn write_ratio(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agent = self.runs.iter().find(|(name, _)| name == "backlog");
        let bare = self.bare.iter().find(|(name, bare)| name == "backlog" && bare.append);
        let (Some((_, agent)), Some((_, bare))) = (agent, bare) else { return Ok(()) };
        writeln!(
            f,
            "\nagent / bare loop (journal and file), backlog: {:.2} of its events/s, {:.1} times its CPU",
            agent.events_per_second() / bare.events_per_second.max(0.001),
            agent.cpu_micros_per_event() / bare.cpu_micros_per_event.max(0.001),
        )
    }
}

fn write_run(f: &mut fmt::Formatter<'_>, observed: &Observed) -> fmt::Result {
    let mib = |kib: u64| kib as f64 / 1024.0;
    write!(f, "{}", observed.judgement)?;
    for disagreement in &observed.disagreements {
        writeln!(f, "  the agent's own count disagrees: {disagreement}")?;
    }
    writeln!(
        f,
        "  {:.0} events/s, {:.0} files/s over {:.2} s; agent CPU {:.1} µs per event ({:.0} % of it in the kernel)",
        observed.events_per_second(),
        observed.files_per_second(),
        observed.seconds,
        observed.cpu_micros_per_event(),
        100.0 * observed.end.system_seconds / observed.end.cpu_seconds().max(0.01),
    )?;
    let spread = |f: &mut fmt::Formatter<'_>, what: &str, spread: &Option<Spread>| match spread {
        Some(spread) => writeln!(f, "  publish to {what}: {spread}"),
        None => writeln!(f, "  publish to {what}: not measured"),
    };
    spread(f, "journal (commit row's time, before its fsync)", &observed.to_journal)?;
    if let Some((p50, p99)) = observed.commit_ms {
        writeln!(
            f,
            "  commits by the agent's histogram: half within {p50} ms, 99 % within {p99} ms"
        )?;
    }
    spread(f, "file (seen by the consumer)", &observed.to_file)?;
    writeln!(
        f,
        "  RSS idle {:.1} MiB, peak {:.1} MiB; start to ready {:.0} ms; SIGTERM to end {:.0} ms; left in the queue: {}",
        mib(observed.idle.resident_kib),
        mib(observed.end.peak_kib),
        observed.ready_ms,
        observed.stop_ms,
        observed.left_in_queue.map_or_else(|| "no queue".to_owned(), |depth| depth.to_string()),
    )
}

fn write_bare(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    writeln!(
        f,
        "  {:.0} events/s, CPU {:.1} µs per event, {:.0} events per commit, peak RSS {:.1} MiB",
        figures.events_per_second,
        figures.cpu_micros_per_event,
        figures.batch,
        figures.peak_kib as f64 / 1024.0,
    )?;
    match &figures.to_journal {
        Some(spread) => writeln!(f, "  publish to durable: {spread}"),
        None => Ok(()),
    }
}
