//! The running agent: puts the parts together, watches over them and ends them in order.
//!
//! Start: journal, dispatchers, intake, sources; so nothing is taken that could not be kept. A
//! broker that is not there, a folder that is not mounted: the agent starts all the same, says so
//! in `/readyz` and goes on trying. End: sources stop taking and hand over what they have, the
//! intake makes it durable and acknowledges it, what is being delivered is settled, the journal
//! closes. What is left is in the journal and goes on at the next start.

mod control;
mod health;
mod series;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agent::control::Control;
pub use crate::agent::control::{Acted, Request};
use crate::agent::health::Health;
use crate::config::SourceKind;
use crate::config::load::Written;
use crate::dispatch::feed::Feeds;
use crate::dispatch::{self, Dispatcher};
use crate::http::{self, Listener};
use crate::intake::{Inbox, Intake, Pace, Waiting};
use crate::journal::{Journal, JournalError, Options};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::source::{amqp, folder};
use crate::target::Target;

/// Where operators of a running agent connect to, below the data directory.
pub const CONTROL_SOCKET: &str = "control.sock";
/// Requests of operators that may wait.
const COMMANDS: usize = 16;

/// Why an agent could not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The address is taken, or not ours.
    #[error("http.listen {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// Something of the operating system that should just work.
    #[error("{what}: {error}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// A part ended that should go on: a fault of ours. Everything taken is in the journal or with
    /// its sender.
    #[error("the {0} has failed; its panic is logged above")]
    Broken(&'static str),
    /// Two metrics have one name: a fault of ours.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The folder where the journal lives.
pub fn data_dir(written: &Written) -> PathBuf {
    written.home.join(&written.config.agent.data_dir)
}

/// How the journal of this configuration is opened.
pub fn journal_options(written: &Written) -> Options {
    let config = &written.config;
    let path = data_dir(written).join(&config.journal.file);
    Options { path, instance: config.agent.instance }
}

/// The parts that end one after the other.
struct Parts {
    sources: JoinSet<()>,
    intake: tokio::task::JoinHandle<()>,
    dispatchers: JoinSet<()>,
    servers: JoinSet<()>,
    stop_sources: watch::Sender<bool>,
    stop_dispatch: watch::Sender<bool>,
    stop_servers: watch::Sender<bool>,
    journal: Journal,
}

/// Runs until SIGTERM or SIGINT. A second signal ends it at once; nothing is lost by that either.
pub async fn run(written: Written, plan: Plan, clock: fn() -> Timestamp) -> Result<(), AgentError> {
    let mut stop = Signals::new()?;
    let drain = written.config.agent.drain;
    let mut parts = start(written, plan, clock).await?;
    tracing::info!("ready to work");
    let broken = tokio::select! {
        name = stop.next() => {
            tracing::info!("{name}: draining");
            None
        }
        part = parts.broken() => Some(part),
    };
    if let Some(part) = broken {
        // Half an agent looks alive and does nothing; whoever runs it starts it again.
        tracing::error!(part, "a part of the agent has failed; ending");
        return Err(AgentError::Broken(part));
    }
    tokio::select! {
        () = end(parts, drain) => {}
        name = stop.next() => tracing::warn!("{name} again: ending at once"),
    }
    Ok(())
}

/// SIGTERM and SIGINT; as process 1 of a container they have no effect without a handler.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> Result<Self, AgentError> {
        let handler = |kind| {
            signal(kind).map_err(|error| AgentError::System { what: "signal handler", error })
        };
        let (term, int) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { term: handler(term)?, int: handler(int)? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

impl Parts {
    /// Waits until a part ends that should go on for ever, and names it.
    async fn broken(&mut self) -> &'static str {
        tokio::select! {
            Some(_) = self.sources.join_next() => "source",
            _ = &mut self.intake => "intake",
            Some(_) = self.dispatchers.join_next() => "dispatcher",
            Some(_) = self.servers.join_next() => "server",
        }
    }
}

async fn start(
    written: Written,
    plan: Plan,
    clock: fn() -> Timestamp,
) -> Result<Parts, AgentError> {
    let journal = open_journal(&written, clock).await?;
    let metrics = Arc::new(Metrics::new()?);
    series::begin(&metrics, &written.config, &plan, clock());
    tracing::info!(
        agent = %written.config.agent.name,
        version = env!("CARGO_PKG_VERSION"),
        plan = %plan.digest(),
        epoch = journal.epoch(),
        "starting"
    );
    let (stop_sources, sources_stop) = watch::channel(false);
    let (stop_dispatch, dispatch_stop) = watch::channel(false);
    let (stop_servers, servers_stop) = watch::channel(false);
    let (room, open) = watch::channel(true);
    let feeds = Feeds::of(written.config.targets.iter().map(|target| target.name.clone()));
    let (dispatchers, acts) =
        dispatchers(&written, &journal, &feeds, &metrics, &dispatch_stop, clock);
    let (ask_intake, commands) = mpsc::channel(COMMANDS);
    let (sources, queues) = sources(&written, &journal, &metrics, &open, &sources_stop, clock);
    let intake = Intake {
        journal: journal.clone(),
        plan: watch::channel(Arc::new(plan)).1,
        inbox: Inbox::new(queues),
        commands,
        feeds,
        room: room.clone(),
        metrics: metrics.clone(),
        clock,
    };
    let control = Control { journal: journal.clone(), acts, intake: ask_intake, clock };
    let health = Health {
        journal: journal.clone(),
        metrics,
        room,
        min_free: written.config.journal.min_free,
        sources: written.config.sources.iter().map(|source| source.name.clone()).collect(),
        targets: written.config.targets.iter().map(|target| target.name.clone()).collect(),
        certificates: health::certificates(&written),
        clock,
    };
    let servers = servers(&written, control, health, &servers_stop).await?;
    let intake = tokio::spawn(intake.run());
    Ok(Parts {
        sources,
        intake,
        dispatchers,
        servers,
        stop_sources,
        stop_dispatch,
        stop_servers,
        journal,
    })
}

async fn open_journal(written: &Written, clock: fn() -> Timestamp) -> Result<Journal, AgentError> {
    let options = journal_options(written);
    let opened = tokio::task::spawn_blocking(move || Journal::open(&options, clock()));
    match opened.await {
        Ok(opened) => Ok(opened?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

type Acts = Vec<(Arc<str>, mpsc::Sender<dispatch::Command>)>;

#[allow(
    clippy::too_many_arguments,
    reason = "what a dispatcher is made of; a struct would be filled and emptied right here"
)]
fn dispatchers(
    written: &Written,
    journal: &Journal,
    feeds: &Feeds,
    metrics: &Arc<Metrics>,
    stop: &watch::Receiver<bool>,
    clock: fn() -> Timestamp,
) -> (JoinSet<()>, Acts) {
    let mut tasks = JoinSet::new();
    let mut acts = Vec::new();
    for target in &written.config.targets {
        let Some(feed) = feeds.of_target(&target.name) else { continue };
        let (act, commands) = mpsc::channel(COMMANDS);
        acts.push((target.name.clone(), act));
        let dispatcher = Dispatcher {
            reached: Target::new(target, &written.home, &written.base, clock),
            target: target.clone(),
            journal: journal.clone(),
            feed: feed.clone(),
            commands,
            stop: stop.clone(),
            metrics: metrics.clone(),
            clock,
        };
        tasks.spawn(dispatcher.run());
    }
    (tasks, acts)
}

#[allow(
    clippy::too_many_arguments,
    reason = "what a source is made of; a struct would be filled and emptied right here"
)]
fn sources(
    written: &Written,
    journal: &Journal,
    metrics: &Arc<Metrics>,
    open: &watch::Receiver<bool>,
    stop: &watch::Receiver<bool>,
    clock: fn() -> Timestamp,
) -> (JoinSet<()>, Vec<Waiting>) {
    let mut tasks = JoinSet::new();
    let mut queues = Vec::new();
    for source in &written.config.sources {
        // As many as may be unacknowledged: handing over never waits, so that the bytes are
        // counted where they are.
        let (most, pace) = match &source.kind {
            SourceKind::Amqp(amqp) => (usize::from(amqp.prefetch), Pace::Live),
            SourceKind::Folder(folder) => (folder.most_documents(), Pace::Bulk),
        };
        let (queue, taken) = mpsc::channel(most);
        queues.push(Waiting { queue: taken, pace });
        let (name, metrics) = (source.name.clone(), metrics.clone());
        let (open, stop) = (open.clone(), stop.clone());
        match &source.kind {
            SourceKind::Amqp(amqp) => {
                let (amqp, base) = (amqp.clone(), written.base.clone());
                tasks.spawn(amqp::run(amqp::Context {
                    name,
                    amqp,
                    base,
                    queue,
                    open,
                    stop,
                    metrics,
                    clock,
                }));
            }
            SourceKind::Folder(folder) => {
                let (source, journal) = (folder.clone(), journal.clone());
                let path = written.home.join(&folder.path);
                tasks.spawn(folder::run(folder::Context {
                    name,
                    source,
                    path,
                    queue,
                    journal,
                    open,
                    stop,
                    metrics,
                    clock,
                }));
            }
        }
    }
    (tasks, queues)
}

async fn servers(
    written: &Written,
    control: Control,
    health: Health,
    stop: &watch::Receiver<bool>,
) -> Result<JoinSet<()>, AgentError> {
    let mut servers = JoinSet::new();
    let health = Arc::new(health);
    if let Some(listen) = &written.config.http {
        let listener = TcpListener::bind(listen.value)
            .await
            .map_err(|error| AgentError::Listen { address: listen.value.to_string(), error })?;
        tracing::info!(address = %listen.value, "serving /metrics, /healthz and /readyz");
        servers.spawn(http::serve(Listener::Tcp(listener), health.handler(), stop.clone()));
    }
    let socket = data_dir(written).join(CONTROL_SOCKET);
    let system = |error| AgentError::System { what: "control socket", error };
    match std::fs::remove_file(&socket) {
        // The journal's lock is ours, so a socket that is there is of an agent that died.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(system(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&socket).map_err(system)?;
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&socket, owner).map_err(system)?;
    let handler = Arc::new(control).handler();
    servers.spawn(http::serve(Listener::Unix(listener), handler, stop.clone()));
    servers.spawn(health.watch(stop.clone()));
    Ok(servers)
}

/// Ends the parts in order, each within what is left of the budget.
async fn end(mut parts: Parts, drain: Duration) {
    let deadline = tokio::time::Instant::now() + drain;
    let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
    parts.stop_sources.send_replace(true);
    let ended = timeout(left(), async {
        while parts.sources.join_next().await.is_some() {}
        if let Err(error) = (&mut parts.intake).await {
            tracing::error!(%error, "the intake did not end well");
        }
    });
    if ended.await.is_err() {
        tracing::warn!("sources did not end in time; what they hold stays with their senders");
    }
    parts.stop_dispatch.send_replace(true);
    let ended = timeout(left().max(Duration::from_secs(1)), async {
        while parts.dispatchers.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!("deliveries under way did not end in time; they go on at the next start");
    }
    parts.stop_servers.send_replace(true);
    while parts.servers.join_next().await.is_some() {}
    let journal = parts.journal;
    if let Err(error) = tokio::task::spawn_blocking(move || journal.close()).await {
        tracing::error!(%error, "the journal did not close well");
    }
    tracing::info!("ended");
}
