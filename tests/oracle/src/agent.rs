//! The agent under test as a process: started, watched, measured, killed.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::metrics::{self, Metrics};
use crate::process::{self, Usage};
use crate::site::Site;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// From start to ready, on a loaded machine.
pub const START: Duration = Duration::from_secs(30);
/// From SIGTERM to the end.
pub const DRAIN: Duration = Duration::from_secs(30);
/// Lines of the log that an error quotes.
const QUOTED: usize = 15;

/// Starts the program behind it so that it dies with us (`setpriv` is essential in Debian).
const SETPRIV: &str = "/usr/bin/setpriv";

/// How a life of the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By SIGKILL: ours, or its own at a kill point.
    Killed,
    /// By itself.
    Exited(i32),
}

/// A running agent.
pub struct Agent {
    child: Child,
    started: Instant,
    http: std::net::SocketAddr,
    log: PathBuf,
}

impl Agent {
    /// Starts `binary` at `site`; `fault` is what a binary with seeded faults shall do.
    pub fn start(binary: &Path, site: &Site, fault: &str) -> Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(site.log())?;
        let mut command = if Path::new(SETPRIV).is_file() {
            let mut command = Command::new(SETPRIV);
            command.args(["--pdeathsig", "KILL"]).arg(binary);
            command
        } else {
            Command::new(binary)
        };
        command
            .arg("run")
            .arg(site.config())
            .current_dir(site.directory())
            .env("AMQP_URL", &site.queue().url)
            .env("WAYBILL_FAULT", fault)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start the agent {}", binary.display()))?;
        Ok(Self { child, started, http: site.http(), log: site.log() })
    }

    /// Waits until it answers that it is ready; how long that took from its start.
    pub async fn ready(&mut self, patience: Duration) -> Result<Duration> {
        match self.ready_or_gone(patience).await? {
            Some(after) => Ok(after),
            None => bail!("the agent ended before it was ready:\n{}", self.last_words()),
        }
    }

    /// As [`Agent::ready`]; `None` when its life ended first.
    pub async fn ready_or_gone(&mut self, patience: Duration) -> Result<Option<Duration>> {
        let deadline = Instant::now() + patience;
        loop {
            if self.answers("/readyz") == Some(200) {
                return Ok(Some(self.started.elapsed()));
            }
            if self.ended()?.is_some() {
                return Ok(None);
            }
            if Instant::now() > deadline {
                bail!("the agent is not ready after {patience:?}:\n{}", self.last_words());
            }
            sleep(LOOK).await;
        }
    }

    /// The status of `GET path`, if it answers at all.
    pub fn answers(&self, path: &str) -> Option<u16> {
        metrics::get(self.http, path).ok().map(|(status, _)| status)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its metrics.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::scrape(self.http)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.child.id())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<End>> {
        Ok(self.child.try_wait()?.map(end))
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end; how long it took. Anything but a clean exit in time is an error.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let asked = Instant::now();
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or_else(|| anyhow!("the agent has no process id"))?, Signal::TERM)?;
        loop {
            match self.ended()? {
                Some(End::Exited(0)) => return Ok(asked.elapsed()),
                Some(end) => bail!("asked to end, it ended by {end:?}:\n{}", self.last_words()),
                None if asked.elapsed() > DRAIN => {
                    bail!("it does not end within {DRAIN:?}:\n{}", self.last_words())
                }
                None => sleep(LOOK).await,
            }
        }
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(QUOTED)..].join("\n")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn end(status: ExitStatus) -> End {
    match status.code() {
        Some(code) => End::Exited(code),
        None if status.signal() == Some(Signal::KILL.as_raw()) => End::Killed,
        None => End::Exited(-status.signal().unwrap_or(0)),
    }
}
