//! The disk is full: journal and output folder on a small tmpfs, which is enlarged later.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Report, Scenario, arrived, log, until};
use crate::agent::{Agent, START};
use crate::broker::Broker;
use crate::consumer::Consumer;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::scratch::Scratch;
use crate::site::Site;
use crate::workload::Workload;

/// Messages: with journal and files several times as much as the disk holds.
const EVENTS: usize = 30_000;
/// The disk: above the free space that the agent asks for, so that it starts at all.
const SMALL: &str = "size=100m";
/// The disk when somebody has made room.
const LARGE: &str = "size=600m";
/// From the start of the flood to a full disk, and from room to ready.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) async fn full(agent: &Path) -> Result<Report> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Report::skipped(Scenario::DiskFull, "only root can mount a small disk"));
    }
    let mut report = Report::new(Scenario::DiskFull);
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "full");
    let scratch = Scratch::new("full")?;
    let disk = Disk::mount(scratch.path().join("disk"))?;
    let site = Site::within(&disk.0, &queue)?;
    let mut agent = Agent::start(agent, &site, "")?;
    agent.ready(START).await?;
    let messages = Workload::clean(EVENTS, 200, 5).messages();
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    // Nobody empties the folder now: the disk fills until the agent says that it stops.
    until(&site, ("it is not ready any more", PATIENCE), async || {
        agent.answers("/readyz").is_some_and(|status| status != 200)
    })
    .await
    .with_context(|| {
        format!("free: {} KiB; its last words:\n{}", disk.free_kib(), agent.last_words())
    })?;
    let health = (agent.answers("/healthz"), agent.answers("/readyz"));
    report.saw(format!("{} KiB free: /healthz, /readyz answer {health:?}", disk.free_kib()));
    report.require(agent.ended()?.is_none(), "it lives on with a full disk");
    report.require(log(&site).contains("WARN"), "it says so in its log");
    let consumer = Consumer::start(&site.out())?;
    disk.enlarge()?;
    let room = std::time::Instant::now();
    agent.ready(PATIENCE).await?;
    report.saw(format!("room was made; ready {:.1} s later", room.elapsed().as_secs_f64()));
    arrived(&consumer, 0, &messages).await;
    agent.terminate().await?;
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}

/// A small tmpfs; unmounted with its owner.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path)?;
        mount(&["-t", "tmpfs", "-o", SMALL, "waybill-oracle"], &path)?;
        Ok(Self(path))
    }

    fn enlarge(&self) -> Result<()> {
        mount(&["-o", &format!("remount,{LARGE}")], &self.0)
    }

    fn free_kib(&self) -> u64 {
        rustix::fs::statvfs(&self.0).map_or(0, |disk| disk.f_bavail * disk.f_frsize / 1024)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the agent's last file handle may close a moment later.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> Result<()> {
    let status = Command::new("mount").args(arguments).arg(path).status()?;
    if !status.success() {
        bail!("mount {}: {status}", arguments.join(" "));
    }
    Ok(())
}
