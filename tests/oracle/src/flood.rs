//! Clients that abuse the agent's port while events flow: are its probes answered, what does it cost
//! in memory, and do events take longer? Each flood is a run of its own, beside one without.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde::Serialize;

use crate::agent::{Agent, START};
use crate::consumer::Consumer;
use crate::evidence::{Evidence, Micros};
use crate::figures::{self, Spread};
use crate::judge::{Judgement, judge};
use crate::process;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::run::{due, settle};
use crate::site::Site;
use crate::workload::{Message, Workload};

/// What a probe of the kubelet waits.
const PROBE: Duration = Duration::from_secs(1);
/// Between two probes.
const BETWEEN: Duration = Duration::from_millis(20);
/// More memory than this, in KiB, is too much for a flood of clients.
const MOST_KIB: u64 = 64 << 10;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flood {
    /// Nothing, to compare with.
    Nothing,
    /// 150 connections ask for the metrics as often as they can and read nothing.
    NeverRead,
    /// 300 connections send a head letter by letter.
    SlowHeads,
    /// 2,500 connections that say nothing, at 500 a second.
    Idle,
}

impl Flood {
    /// All of them, the calm first.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::NeverRead, Self::SlowHeads, Self::Idle];

    fn connections(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::NeverRead => 150,
            Self::SlowHeads => 300,
            Self::Idle => 2500,
        }
    }
}

/// What to run.
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

/// What was seen of one flood.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The flood.
    pub flood: Flood,
    /// The judgement over the events.
    pub judgement: Judgement,
    /// Answers to probes.
    pub probes: Option<Spread>,
    /// Probes that were not answered within a second.
    pub failed: usize,
    /// From publication until the file was seen in the folder.
    pub to_file: Option<Spread>,
    /// Resident memory before, and the most of it, in KiB.
    pub resident_kib: (u64, u64),
}

impl Seen {
    /// Whether every promise was kept and every probe answered, within bounds of memory.
    pub fn is_fine(&self) -> bool {
        let (before, peak) = self.resident_kib;
        let probed = self.probes.is_some() && self.failed == 0;
        self.judgement.is_clean() && probed && peak.saturating_sub(before) < MOST_KIB
    }
}

/// What was seen of all.
#[derive(Clone, Debug, Serialize)]
pub struct Report(pub Vec<Seen>);

impl Report {
    /// Whether all is as it has to be.
    pub fn is_clean(&self) -> bool {
        self.0.iter().all(Seen::is_fine)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for seen in &self.0 {
            let Seen { flood, judgement, probes, failed, to_file, resident_kib } = seen;
            let mark = if seen.is_fine() { "ok  " } else { "FAIL" };
            writeln!(f, "{mark} {flood:?}, {} connections", flood.connections())?;
            match probes {
                Some(probes) => {
                    writeln!(f, "  /healthz: {probes}; not within {PROBE:?}: {failed}")?
                }
                None => writeln!(f, "  /healthz: no answer to {failed} probes")?,
            }
            if let Some(spread) = to_file {
                writeln!(f, "  publish to file: p95 {:.2} ms, {spread}", spread.p95)?;
            }
            let mib = |kib: u64| kib as f64 / 1024.0;
            let (before, peak) = (mib(resident_kib.0), mib(resident_kib.1));
            writeln!(f, "  RSS before {before:.1} MiB, most {peak:.1} MiB")?;
            write!(f, "{judgement}")?;
        }
        Ok(())
    }
}

/// Runs the same messages through an agent under each flood.
pub async fn flood(plan: &Plan) -> Result<Report> {
    let messages = plan.workload.messages();
    let mut all = Vec::new();
    for flood in Flood::ALL {
        let queue = Queue::unique(&plan.url, "flood");
        let seen = one(plan, flood, (&queue, &messages)).await;
        queue.delete().await?;
        all.push(seen?);
    }
    Ok(Report(all))
}

async fn one(plan: &Plan, flood: Flood, (queue, messages): (&Queue, &[Message])) -> Result<Seen> {
    let site = Site::new(queue)?;
    let mut agent = Agent::start(&plan.agent, &site, "")?;
    agent.ready(START).await?;
    let before = agent.usage()?.resident_kib;
    let consumer = Consumer::start(&site.out())?;
    let (stop, address) = (Arc::new(AtomicBool::new(false)), site.http());
    let flooding = flooding(flood, address, stop.clone());
    let probing = probing(address, stop.clone());
    let watching = watching(agent.id(), stop.clone());
    let mut publisher = Publisher::new(queue, Some(plan.rate));
    publisher.publish(messages).await?;
    settle(|| consumer.taken(), due(messages)).await;
    stop.store(true, Ordering::Release);
    let broken = |_| anyhow!("a thread of the flood broke");
    flooding.join().map_err(broken)?;
    let (answers, failed) = probing.join().map_err(broken)?;
    let peak = watching.join().map_err(broken)?;
    agent.terminate().await?;
    let evidence = Evidence {
        consumed: consumer.finish()?,
        published: publisher.finish().await,
        kills: Vec::new(),
    };
    Ok(Seen {
        flood,
        judgement: judge(&evidence),
        probes: Spread::of(answers),
        failed,
        to_file: figures::latency(&evidence.published, &figures::seen(&evidence.consumed)),
        resident_kib: (before, peak),
    })
}

/// Opens connections, and again those that were closed, until it is told to stop.
fn flooding(flood: Flood, address: SocketAddr, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    spawn(move || {
        let mut open: Vec<Option<Client>> = (0..flood.connections()).map(|_| None).collect();
        let head = b"GET /metrics HTTP/1.1\r\nHost: flood\r\nX-Slow: on and on\r\n\r\n";
        let pause = Duration::from_millis(2);
        for letter in (0..head.len() - 4).cycle() {
            for slot in &mut open {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let is_open = slot.as_mut().is_some_and(|client| match flood {
                    Flood::NeverRead => client.pipeline(head),
                    Flood::SlowHeads => client.stream.write_all(&head[letter..=letter]).is_ok(),
                    Flood::Nothing | Flood::Idle => client.is_open(),
                });
                if !is_open {
                    *slot = Client::connect(address, flood).ok();
                    sleep(pause);
                }
            }
            if stop.load(Ordering::Acquire) {
                return;
            }
            sleep(pause * 10);
        }
    })
}

/// One connection of a flood.
struct Client {
    stream: TcpStream,
    /// Bytes that the socket has taken.
    sent: usize,
}

impl Client {
    fn connect(address: SocketAddr, flood: Flood) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PROBE)?;
        stream.set_nonblocking(flood != Flood::SlowHeads)?;
        Ok(Self { stream, sent: 0 })
    }

    /// Asks as often as the socket takes it; `false` where the connection is gone.
    fn pipeline(&mut self, head: &[u8]) -> bool {
        let many = head.repeat(100);
        match self.stream.write(&many[self.sent % head.len()..]) {
            Ok(taken) => {
                self.sent += taken;
                true
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    fn is_open(&mut self) -> bool {
        let read = self.stream.read(&mut [0; 1]);
        matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// Probes until it is told to stop; the times of the answers, and how many there were none.
fn probing(address: SocketAddr, stop: Arc<AtomicBool>) -> JoinHandle<(Vec<Micros>, usize)> {
    spawn(move || {
        let (mut answers, mut failed) = (Vec::new(), 0);
        while !stop.load(Ordering::Acquire) {
            let asked = Instant::now();
            match probe(address) {
                Ok(true) if asked.elapsed() < PROBE => {
                    answers.push(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
                }
                _ => failed += 1,
            }
            sleep(BETWEEN);
        }
        (answers, failed)
    })
}

fn probe(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE)?;
    stream.set_read_timeout(Some(PROBE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// The most memory that a process has until it is told to stop, in KiB.
fn watching(pid: u32, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    spawn(move || {
        let mut most = 0;
        while !stop.load(Ordering::Acquire) {
            most = most.max(process::usage(pid).map_or(0, |usage| usage.resident_kib));
            sleep(BETWEEN);
        }
        most
    })
}
