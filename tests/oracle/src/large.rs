//! A large dropped file: how fast, in how much memory, through how many kills; and what the status
//! events that come meanwhile wait for.
//!
//! Two sites, one file. *Beside*: status events are paced through the agent, first alone, then
//! while it works on the file: the latency of both is compared. *Killed*: the agent is killed twice
//! in the middle of the file. In both, each IDoc of the file must come out as one message; one that
//! comes again has the same id and bytes, and only a kill excuses it.

mod customers;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use tokio::time::sleep;

use self::customers::Reader;
use crate::agent::{Agent, START};
use crate::consumer::Consumer;
use crate::evidence::{Evidence, Published};
use crate::figures::{self, Spread};
use crate::judge::{Judgement, judge};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::run::{commit_times, due, settle};
use crate::scratch::Scratch;
use crate::site::Site;
use crate::workload::Workload;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// A file on which nothing moves for this long will not end any more.
const STALLED: Duration = Duration::from_secs(60);
/// Where the agent is killed, in percent of the file.
const KILLS: [u64; 2] = [30, 70];
/// The memory that a file may take, whatever its size.
const MEMORY_KIB: u64 = 64_000_000 >> 10;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The agent.
    pub agent: PathBuf,
    /// The broker.
    pub url: String,
    /// The size of the file.
    pub mebibytes: u64,
    /// Status events per second beside it.
    pub rate: u32,
    /// How long they come without the file, in seconds.
    pub seconds: u32,
}

/// What came of a file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileRun {
    /// From the moment when it was renamed in until the journal had ended it, in seconds.
    pub journal_seconds: f64,
    /// The same until the last of its messages was there.
    pub seconds: f64,
    /// The most memory of any life of the agent, in KiB.
    pub peak_kib: u64,
    /// IDocs without a message.
    pub missing: u64,
    /// Messages that came again, the same.
    pub again: usize,
    /// Messages that came again with another id or other bytes, or about nobody.
    pub wrong: usize,
    /// Whether the file stands in `done`, byte for byte.
    pub kept: bool,
}

/// What came of all.
#[derive(Debug, Serialize)]
pub struct Report {
    /// IDocs in the file.
    pub idocs: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Publication to commit without the file.
    pub alone: Spread,
    /// Publication to commit beside it.
    pub beside: Spread,
    /// The status events of both.
    pub judgement: Judgement,
    /// The file beside status events.
    pub file: FileRun,
    /// The file with two kills.
    pub killed: FileRun,
}

impl Report {
    /// Whether nothing was lost, doubled or changed, in bounded memory.
    pub fn is_clean(&self) -> bool {
        let kept = |run: &FileRun| {
            run.missing == 0 && run.wrong == 0 && run.kept && run.peak_kib < MEMORY_KIB
        };
        self.judgement.is_clean() && kept(&self.file) && kept(&self.killed) && self.file.again == 0
    }
}

/// Works on the file, twice.
pub async fn large(plan: &Plan) -> Result<Report> {
    let idocs = (plan.mebibytes << 20) / customers::DOCUMENT;
    let scratch = Scratch::new("large")?;
    let path = scratch.path().join("customers.idoc");
    customers::write(&path, idocs)?;
    let dropped = Dropped { path, idocs };
    let (alone, beside, judgement, file) =
        with_queue(plan, async |queue| dropped.beside(plan, queue).await).await?;
    let killed = with_queue(plan, async |queue| dropped.killed(plan, queue).await).await?;
    let bytes = idocs * customers::DOCUMENT;
    Ok(Report { idocs, bytes, alone, beside, judgement, file, killed })
}

async fn with_queue<T>(plan: &Plan, run: impl AsyncFn(&Queue) -> Result<T>) -> Result<T> {
    let queue = Queue::unique(&plan.url, "large");
    let outcome = run(&queue).await;
    // The queues go also when the run went wrong.
    let deleted = (queue.delete().await, customers::queue(&queue).delete().await);
    let outcome = outcome?;
    deleted.0.and(deleted.1)?;
    Ok(outcome)
}

/// The file, before it is dropped.
struct Dropped {
    path: PathBuf,
    idocs: u64,
}

impl Dropped {
    async fn beside(
        &self,
        plan: &Plan,
        queue: &Queue,
    ) -> Result<(Spread, Spread, Judgement, FileRun)> {
        let site = Site::with_drop(queue)?;
        let reader = Reader::start(queue).await?;
        let mut agent = Agent::start(&plan.agent, &site, "")?;
        agent.ready(START).await?;
        let consumer = Consumer::start(&site.out())?;
        let mut publisher = Publisher::new(queue, Some(plan.rate));
        let alone = Workload::clean((plan.rate * plan.seconds) as usize, 200, 11).messages();
        publisher.publish(&alone).await?;
        // As long as the file lasts, in portions of a second.
        let more = Workload::clean(plan.rate as usize * 600, 200, 12).messages();
        let started = self.drop_into(&site)?;
        let mut portions = more.chunks(plan.rate as usize);
        let mut sent = 0;
        while !ended(&site) {
            let portion = portions.next().context("the file took longer than ten minutes")?;
            publisher.publish(portion).await?;
            sent += portion.len();
        }
        let mut run =
            FileRun { journal_seconds: started.elapsed().as_secs_f64(), ..FileRun::default() };
        settle(|| reader.taken(), usize::try_from(self.idocs)?).await;
        run.seconds = started.elapsed().as_secs_f64() - 1.0;
        settle(|| consumer.taken(), due(&alone) + sent).await;
        run.peak_kib = agent.usage()?.peak_kib;
        agent.terminate().await?;
        let published = publisher.finish().await;
        let consumed = consumer.finish()?;
        self.judge(&site, reader, &mut run).await?;
        let spread = |published: &[Published]| {
            let times = commit_times(&site.journal()).context("the journal has another shape")?;
            figures::latency(published, &times).context("nothing was committed")
        };
        let (before, during) = published.split_at(alone.len());
        let spreads = (spread(before)?, spread(during)?);
        let judgement = judge(&Evidence { published, consumed, kills: Vec::new() });
        Ok((spreads.0, spreads.1, judgement, run))
    }

    async fn killed(&self, plan: &Plan, queue: &Queue) -> Result<FileRun> {
        let site = Site::with_drop(queue)?;
        let reader = Reader::start(queue).await?;
        let mut agent = Agent::start(&plan.agent, &site, "")?;
        agent.ready(START).await?;
        let started = self.drop_into(&site)?;
        let mut run = FileRun::default();
        for percent in KILLS {
            until(&site, |share| share >= percent).await?;
            run.peak_kib = run.peak_kib.max(agent.usage()?.peak_kib);
            agent.kill()?;
            agent = Agent::start(&plan.agent, &site, "")?;
        }
        until(&site, |share| share > 100).await?;
        run.journal_seconds = started.elapsed().as_secs_f64();
        settle(|| reader.taken(), usize::try_from(self.idocs)?).await;
        run.seconds = started.elapsed().as_secs_f64() - 1.0;
        run.peak_kib = run.peak_kib.max(agent.usage()?.peak_kib);
        agent.terminate().await?;
        self.judge(&site, reader, &mut run).await?;
        Ok(run)
    }

    /// A sender that renames: the file is whole when it appears.
    fn drop_into(&self, site: &Site) -> Result<Instant> {
        let part = site.directory().join("part");
        fs::copy(&self.path, &part).context("no room for a copy of the file")?;
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, site.dropped().join("customers.idoc"))?;
        Ok(Instant::now())
    }

    async fn judge(&self, site: &Site, reader: Reader, run: &mut FileRun) -> Result<()> {
        let seen = reader.finish().await;
        run.missing = seen.missing(self.idocs);
        run.again = seen.again;
        run.wrong = seen.other + seen.odd;
        run.kept = is_same(&self.path, &site.dropped().join("done/customers.idoc"))?;
        Ok(())
    }
}

/// How far the journal has come with the file, in percent; 101 when it has ended it.
fn share(site: &Site) -> Option<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let journal = Connection::open_with_flags(site.journal(), flags).ok()?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?));
    let sql = "SELECT next_offset * 100 / size, ended IS NOT NULL FROM files WHERE id = 1";
    let (percent, ended) = journal.query_row(sql, [], row).ok()?;
    if ended { Some(101) } else { u64::try_from(percent).ok() }
}

fn ended(site: &Site) -> bool {
    share(site).is_some_and(|share| share > 100)
}

async fn until(site: &Site, come: impl Fn(u64) -> bool) -> Result<()> {
    let (mut last, mut moved) = (None, Instant::now());
    loop {
        let now = share(site);
        if now.is_some_and(&come) {
            return Ok(());
        }
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        if moved.elapsed() > STALLED {
            bail!("the file stands at {now:?} percent");
        }
        sleep(LOOK).await;
    }
}

fn is_same(one: &Path, other: &Path) -> Result<bool> {
    use std::io::{BufRead as _, BufReader};
    let open = |path: &Path| {
        fs::File::open(path)
            .map(|file| BufReader::with_capacity(1 << 20, file))
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let (mut one, mut other) = (open(one)?, open(other)?);
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if length == 0 {
            return Ok(left.len() == right.len());
        }
        if left[..length] != right[..length] {
            return Ok(false);
        }
        one.consume(length);
        other.consume(length);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { idocs, bytes, .. } = self;
        writeln!(
            f,
            "one file of {bytes} bytes, {idocs} IDocs; {}",
            if self.is_clean() { "KEPT" } else { "BROKEN" }
        )?;
        write!(f, "status events beside it: {}", self.judgement)?;
        writeln!(f, "  publish to commit without the file: {}", self.alone)?;
        writeln!(f, "  publish to commit beside the file:  {}", self.beside)?;
        self.write_file(f, "beside status events", &self.file)?;
        self.write_file(f, "killed at 30 % and 70 %", &self.killed)
    }
}

impl Report {
    fn write_file(&self, f: &mut fmt::Formatter<'_>, name: &str, run: &FileRun) -> fmt::Result {
        let (megabytes, idocs) = (self.bytes as f64 / 1e6, self.idocs as f64);
        let kept = if run.kept { "done/ is byte-equal" } else { "done/ IS NOT THE FILE" };
        writeln!(
            f,
            "file, {name}: in the journal after {:.1} s ({:.1} MB/s, {:.0} IDocs/s), out after {:.1} s; RSS peak {:.1} MiB",
            run.journal_seconds,
            megabytes / run.journal_seconds.max(0.001),
            idocs / run.journal_seconds.max(0.001),
            run.seconds,
            run.peak_kib as f64 / 1024.0,
        )?;
        writeln!(
            f,
            "  missing {}, wrong {}, came again with the same id and bytes {}; {kept}",
            run.missing, run.wrong, run.again
        )
    }
}
