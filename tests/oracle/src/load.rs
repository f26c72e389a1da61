//! Throughput of the HTTP target, beside bare loads on the same service with the same body: a loop
//! of our own, and `wrk` where it is installed. Neither of them writes anything down.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::time::sleep;

use crate::agent::{Agent, START};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::scratch::Scratch;
use crate::service::{Manner, Service};
use crate::site::Site;
use crate::workload::Workload;

/// Connections of every load: what the agent has under way at once.
pub const CONNECTIONS: usize = 16;
/// How long the bare loads run.
const LASTS: Duration = Duration::from_secs(5);
/// Nothing takes longer than this.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Load {
    /// Bytes of a body.
    pub bytes: usize,
    /// Documents per second through the agent, by whether the service knows ids.
    pub agent: Vec<(String, f64)>,
    /// Requests per second of our own loop.
    pub bare: f64,
    /// Requests per second of `wrk`.
    pub wrk: Option<f64>,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "throughput, {CONNECTIONS} connections, the agent's bodies of about {} bytes",
            self.bytes
        )?;
        for (name, rate) in &self.agent {
            writeln!(f, "  agent, {name}: {rate:.0} documents/s")?;
        }
        writeln!(f, "  bare loop: {:.0} requests/s", self.bare)?;
        match self.wrk {
            Some(wrk) => writeln!(f, "  wrk: {wrk:.0} requests/s"),
            None => writeln!(f, "  wrk: not installed"),
        }
    }
}

/// Measures: the agent with a backlog of documents, then the bare loads.
pub async fn measure(agent: &Path, url: &str, documents: usize) -> Result<Load> {
    let messages = Workload::clean(documents, 500, 42).messages();
    let mut rates = Vec::new();
    let mut body = Vec::new();
    for keys in ["dedupes: id", "dedupes: none"] {
        let service = Service::start(Manner::default())?;
        let queue = Queue::unique(url, "load");
        let keys = format!("{keys}, in_flight: {CONNECTIONS}");
        let site = Site::over_http(&queue, service.address(), &keys)?;
        let mut publisher = Publisher::new(&queue, None);
        // The agent makes its queue itself.
        let mut first = Agent::start(agent, &site, "")?;
        first.ready(START).await?;
        first.terminate().await?;
        publisher.publish(&messages).await?;
        let mut running = Agent::start(agent, &site, "")?;
        let started = Instant::now();
        while service.taken() < messages.len() && started.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
        let log = service.log();
        let taken = log.taken;
        let (first, last) = (taken.first().map(|one| one.seen), taken.last().map(|one| one.seen));
        let micros = last.unwrap_or(1).saturating_sub(first.unwrap_or(0)).max(1);
        rates.push((keys, taken.len() as f64 * 1e6 / micros as f64));
        running.terminate().await?;
        queue.delete().await?;
        body = log.first;
    }
    let service = Service::start(Manner::default())?;
    let address = service.address();
    let (bytes, same) = (body.len(), body.clone());
    let bare = tokio::task::spawn_blocking(move || bare(address, &same)).await??;
    let wrk = wrk(address, &body)?;
    Ok(Load { bytes, agent: rates, bare, wrk })
}

/// Threads that send the next request when the last is answered.
fn bare(address: SocketAddr, body: &[u8]) -> Result<f64> {
    let head = format!(
        "POST /idocs HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-sap.idoc\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let started = Instant::now();
    let counts: Vec<Result<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CONNECTIONS).map(|_| scope.spawn(|| connection(address, &request))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|count| count.unwrap_or_else(|_| anyhow::bail!("a load broke"))).collect()
    });
    let count: usize = counts.into_iter().sum::<Result<usize>>()?;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn connection(address: SocketAddr, request: &[u8]) -> Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut count, mut buffer, started) = (0, [0; 4096], Instant::now());
    while started.elapsed() < LASTS {
        stream.write_all(request)?;
        // The answers of our service fit into one read.
        let read = stream.read(&mut buffer)?;
        anyhow::ensure!(buffer[..read].starts_with(b"HTTP/1.1 200"), "the service says no");
        count += 1;
    }
    Ok(count)
}

fn wrk(address: SocketAddr, body: &[u8]) -> Result<Option<f64>> {
    let scratch = Scratch::new("wrk")?;
    let (file, script) = (scratch.path().join("body"), scratch.path().join("post.lua"));
    std::fs::write(&file, body)?;
    let lua = format!(
        "wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/x-sap.idoc'\n\
         local file = io.open('{}', 'rb')\nwrk.body = file:read('*a')\nfile:close()\n",
        file.display()
    );
    std::fs::write(&script, lua)?;
    let seconds = format!("-d{}", LASTS.as_secs());
    let connections = format!("-c{CONNECTIONS}");
    let output = Command::new("wrk")
        .args(["-t1", &connections, &seconds, "-s"])
        .arg(&script)
        .arg(format!("http://{address}/idocs"))
        .output();
    let Ok(output) = output else { return Ok(None) };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = rate.with_context(|| format!("wrk said: {said}"))?;
    Ok(Some(rate.trim().parse()?))
}
