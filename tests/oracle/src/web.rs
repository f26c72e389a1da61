//! The proof of the HTTP target: a service that refuses documents for ever, has no time and loses
//! answers after the deed; once it knows what comes twice, once it does not. And one whose user gets
//! locked.
//!
//! Where the service knows no ids, the oracle is the operator, too: it lists what is in doubt, looks
//! into the service's log, and discards what is there.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::time::sleep;

use crate::agent::{Agent, START};
use crate::doubt::Operator;
use crate::evidence::Evidence;
use crate::faults::Outcome;
use crate::judge::{Check, Judgement, judge};
use crate::load::{self, Load};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::service::{Log, Manner, Service};
use crate::site::Site;
use crate::workload::{Message, Workload};

/// The service is calm when it took nothing for so long: longer than the agent waits for an answer,
/// and than it pauses between two attempts.
const CALM: Duration = Duration::from_secs(3);
/// Nothing takes longer than this.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// With a wrong password nothing may happen for so long.
const LOCKED: Duration = Duration::from_secs(8);

/// What to prove.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The agent.
    pub agent: PathBuf,
    /// The broker.
    pub url: String,
    /// Messages, vehicles, seed.
    pub workload: Workload,
    /// Documents of the throughput run; 0 leaves it out.
    pub load: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The runs.
    pub runs: Vec<Run>,
    /// Throughput.
    pub load: Option<Load>,
}

/// One run.
#[derive(Debug, Default, Serialize)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// The judgement.
    pub judgement: Judgement,
    /// What was seen, in order.
    pub seen: Vec<String>,
    /// What was seen and must not be.
    pub wrong: Vec<String>,
}

impl Run {
    fn require(&mut self, fine: bool, what: String) {
        if fine { &mut self.seen } else { &mut self.wrong }.push(what);
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.judgement.is_clean() && self.wrong.is_empty()
    }
}

impl Report {
    /// Whether every promise was kept in every run.
    pub fn is_clean(&self) -> bool {
        self.runs.iter().all(Run::is_clean)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.name, self.judgement)?;
        self.seen.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        self.wrong.iter().try_for_each(|line| writeln!(f, "  WRONG: {line}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.iter().try_for_each(|run| writeln!(f, "{run}"))?;
        self.load.iter().try_for_each(|load| write!(f, "{load}"))
    }
}

/// Proves.
pub async fn prove(proof: &Proof) -> Result<Report> {
    let mut runs = Vec::new();
    for dedupes in [true, false] {
        runs.push(weather(proof, dedupes, "").await?);
    }
    runs.push(locked(proof).await?);
    let load = match proof.load {
        0 => None,
        documents => Some(load::measure(&proof.agent, &proof.url, documents).await?),
    };
    Ok(Report { runs, load })
}

/// Shows that the judge finds what it looks for: each fault must be found, and without one nothing.
pub async fn faults(proof: &Proof) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for (dedupes, fault) in
        [(true, ""), (false, ""), (true, "no-idempotency-key"), (false, "retry-in-doubt")]
    {
        let run = weather(proof, dedupes, fault).await?;
        let found = run.judgement.found(Check::ReappearedUnexcused);
        let name = match (fault, dedupes) {
            ("", true) => "no fault, service with ids",
            ("", false) => "no fault, service without ids",
            (fault, _) => fault,
        };
        outcomes.push(Outcome {
            fault: name.to_owned(),
            kills: 0,
            seed: proof.workload.seed,
            found_by: run.judgement.findings.keys().copied().collect(),
            as_expected: if fault.is_empty() { run.is_clean() } else { found },
            judgement: run.judgement,
        });
    }
    Ok(outcomes)
}

/// The mix of failures; in the end everything is delivered, refused or discarded.
async fn weather(proof: &Proof, dedupes: bool, fault: &str) -> Result<Run> {
    let word = if dedupes { "id" } else { "none" };
    let manner = Manner {
        dedupes,
        refuses: 10,
        busy: 100,
        loses: 10,
        seed: proof.workload.seed,
        login: None,
    };
    let service = Service::start(manner)?;
    let queue = Queue::unique(&proof.url, "http");
    let keys = format!("dedupes: {word}, on_doubt: hold, on_dead: skip");
    let site = Site::over_http(&queue, service.address(), &keys)?;
    let messages = proof.workload.messages();
    let mut run = Run { name: format!("service that fails, dedupes: {word}"), ..Run::default() };
    let played = play(proof, &site, &service, &messages, (fault, &mut run)).await;
    let deleted = queue.delete().await;
    played?;
    deleted?;
    Ok(run)
}

async fn play(
    proof: &Proof,
    site: &Site,
    service: &Service,
    messages: &[Message],
    (fault, run): (&str, &mut Run),
) -> Result<()> {
    let mut agent = Agent::start(&proof.agent, site, fault)?;
    agent.ready(START).await?;
    let mut publisher = Publisher::new(site.queue(), None);
    publisher.publish(messages).await?;
    let operator = Operator { agent: &proof.agent, site };
    let started = Instant::now();
    let mut listed = BTreeSet::new();
    loop {
        calm(service).await;
        let doubts = operator.list("in-doubt")?;
        let open = operator.list("due")?.len() + operator.list("prepared")?.len();
        if doubts.is_empty() && open == 0 {
            break;
        }
        if started.elapsed() > PATIENCE {
            bail!("{open} deliveries are still open:\n{}", agent.last_words());
        }
        let log = service.log();
        for doubt in doubts {
            operator.resolve(&doubt, log.has(&doubt.name))?;
            listed.insert(doubt.name);
        }
    }
    let dead: BTreeSet<_> = operator.list("dead")?.into_iter().map(|one| one.name).collect();
    agent.terminate().await?;
    let log = service.log();
    conclude(run, publisher.finish().await, &log);
    run.seen.push(format!(
        "{} calls: {} taken, {} not answered after that, {} refused with 503, {} known already",
        log.calls,
        log.taken.len(),
        log.unanswered.len(),
        log.busy,
        log.known
    ));
    let same = dead == log.refused_ids;
    run.require(
        same,
        format!("{} documents refused for ever, {} dead", log.refused_ids.len(), dead.len()),
    );
    if service_knows_nothing(&run.name) {
        let missed = log.unanswered.difference(&listed).count();
        let words =
            format!("{} doubts, {} listed and resolved", log.unanswered.len(), listed.len());
        run.require(missed == 0, words);
    } else {
        run.require(listed.is_empty(), format!("{} deliveries needed a person", listed.len()));
    }
    Ok(())
}

fn service_knows_nothing(name: &str) -> bool {
    name.ends_with("none")
}

/// What the service refuses for ever is due to nobody.
fn conclude(run: &mut Run, mut published: Vec<crate::evidence::Published>, log: &Log) {
    published.retain(|message| !log.refused.contains(&message.event_id));
    let evidence = Evidence { published, consumed: log.taken.clone(), kills: Vec::new() };
    run.judgement = judge(&evidence);
}

async fn calm(service: &Service) {
    let (mut calls, mut changed) = (service.log().calls, Instant::now());
    while changed.elapsed() < CALM {
        sleep(LOOK).await;
        let now = service.log().calls;
        if now != calls {
            (calls, changed) = (now, Instant::now());
        }
    }
}

/// A wrong password is tried once; corrected in its file, everything arrives.
async fn locked(proof: &Proof) -> Result<Run> {
    let mut run = Run { name: "service whose user gets locked".to_owned(), ..Run::default() };
    // "vms" and "good" in Base64.
    let login = Some("Basic dm1zOmdvb2Q=".to_owned());
    let service = Service::start(Manner { login, ..Manner::default() })?;
    let queue = Queue::unique(&proof.url, "locked");
    let keys = "auth: { basic: { user: vms, password: { file: password } } }";
    let site = Site::over_http(&queue, service.address(), keys)?;
    let password = site.directory().join("password");
    std::fs::write(&password, "wrong")?;
    let messages = Workload::clean(200, 40, proof.workload.seed).messages();
    let mut agent = Agent::start(&proof.agent, &site, "")?;
    agent.ready(START).await?;
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    // The time is the experiment: nothing may happen in it.
    sleep(LOCKED).await;
    let tries = service.logins_refused();
    run.require(
        tries == 1,
        format!("{tries} login attempts in {LOCKED:?} with 200 events waiting"),
    );
    std::fs::write(&password, "good")?;
    let corrected = Instant::now();
    while service.taken() < messages.len() && corrected.elapsed() < PATIENCE {
        sleep(LOOK).await;
    }
    run.seen.push(format!(
        "all taken {:.1} s after the file was corrected",
        corrected.elapsed().as_secs_f64()
    ));
    let tries = service.logins_refused();
    run.require(tries == 1, format!("{tries} login attempt was refused in all"));
    agent.terminate().await?;
    queue.delete().await?;
    conclude(&mut run, publisher.finish().await, &service.log());
    Ok(run)
}
