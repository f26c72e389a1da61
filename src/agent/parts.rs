//! The parts of a running agent. Each source and each target is a worker with a switch of its own,
//! so that a reload stops and starts those alone that changed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use jiff::Timestamp;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout_at;

use crate::agent::control::{Acts, Control, ReloadAsked};
use crate::agent::health::{Health, Page, Standing};
use crate::agent::setup::Loaded;
use crate::agent::{AgentError, COMMANDS, CONTROL_SOCKET, data_dir, journal_options, series};
use crate::config::load::Written;
use crate::config::{self, SourceKind};
use crate::directory::FILE_MODE;
use crate::dispatch::Dispatcher;
use crate::dispatch::feed::Feeds;
use crate::http::door::Door;
use crate::http::{self, Limits, Listener, Server};
use crate::intake::{self, InDecision, Inbox, Intake, Pace, Waiting};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::source::{amqp, folder};
use crate::target::Target;

/// The file of the events in decision, below the data directory.
const IN_DECISION: &str = "in-decision";
/// Sources that may begin at once.
const BEGINNING: usize = 64;

/// Something that works until it is told to stop.
pub(super) struct Worker {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Worker {
    fn begin<W>(work: impl FnOnce(watch::Receiver<bool>) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(work(stopped)) }
    }
}

/// Stops workers, all at once; each finishes what it has begun. `false` where one takes longer than
/// `deadline`, and is ended then: nothing is lost by that which the journal or the sender does not
/// have.
pub(super) async fn end_all(workers: Workers, deadline: tokio::time::Instant) -> bool {
    for worker in workers.values() {
        worker.stop.send_replace(true);
    }
    let mut in_time = true;
    for mut worker in workers.into_values() {
        if timeout_at(deadline, &mut worker.task).await.is_err() {
            worker.task.abort();
            // It ends at the next place where it waits; whoever follows must not work beside it.
            let _ = worker.task.await;
            in_time = false;
        }
    }
    in_time
}

/// Workers by name.
pub(super) type Workers = BTreeMap<Arc<str>, Worker>;

/// What all parts share, for the life of the process.
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    pub(super) feeds: Feeds,
    room: watch::Sender<bool>,
    in_decision: InDecision,
    clock: fn() -> Timestamp,
}

/// The parts.
pub(super) struct Parts {
    pub(super) shared: Shared,
    /// What they were started from.
    pub(super) written: Written,
    /// What events are decided by.
    pub(super) plan: Arc<Plan>,
    pub(super) sources: Workers,
    pub(super) dispatchers: Workers,
    /// What the documents of folders hold, also of those that were stopped.
    gates: BTreeMap<Arc<str>, folder::Gate>,
    pub(super) intake: JoinHandle<()>,
    pub(super) ask_intake: mpsc::Sender<intake::Command>,
    /// Where sources begin; `None` when the agent ends.
    pub(super) begin: Option<mpsc::Sender<Waiting>>,
    pub(super) standing: watch::Sender<Standing>,
    pub(super) acts: watch::Sender<Acts>,
    pub(super) servers: JoinSet<()>,
    pub(super) stop_servers: watch::Sender<bool>,
}

impl Parts {
    /// Starts everything: journal, dispatchers, intake, sources; so nothing is taken that could
    /// not be kept.
    pub(super) async fn start(
        loaded: Loaded,
        ask_reload: mpsc::Sender<ReloadAsked>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, AgentError> {
        let Loaded { written, plan, .. } = loaded;
        let (journal, in_decision) = open(&written, clock).await?;
        let metrics = Arc::new(Metrics::new()?);
        series::start(&metrics, clock());
        series::begin(&metrics, &written.config, &plan);
        tracing::info!(
            agent = %written.config.agent.name,
            version = env!("CARGO_PKG_VERSION"),
            plan = %plan.digest(),
            epoch = journal.epoch(),
            "starting"
        );
        let (room, _) = watch::channel(true);
        let feeds = Feeds::of(written.config.targets.iter().map(|target| target.name.clone()));
        let shared = Shared { journal, metrics, feeds, room, in_decision, clock };
        let (ask_intake, commands) = mpsc::channel(COMMANDS);
        let (begin, later) = mpsc::channel(BEGINNING);
        let plan = Arc::new(plan);
        let intake = Intake {
            journal: shared.journal.clone(),
            plan: plan.clone(),
            inbox: Inbox::of(later),
            commands,
            feeds: shared.feeds.clone(),
            room: shared.room.clone(),
            metrics: shared.metrics.clone(),
            in_decision: shared.in_decision.clone(),
            clock,
        };
        let standing = Standing::new(Arc::new(written.config.clone()), plan.digest());
        let mut parts = Self {
            standing: watch::channel(standing).0,
            acts: watch::channel(Acts::new()).0,
            sources: Workers::new(),
            dispatchers: Workers::new(),
            gates: BTreeMap::new(),
            servers: JoinSet::new(),
            stop_servers: watch::channel(false).0,
            plan,
            begin: Some(begin),
            intake: tokio::spawn(intake.run()),
            ask_intake,
            written,
            shared,
        };
        for target in parts.written.config.targets.clone() {
            parts.begin_target(&target);
        }
        parts.serve(ask_reload).await?;
        for source in parts.written.config.sources.clone() {
            parts.begin_source(&source).await;
        }
        Ok(parts)
    }

    /// Starts what brings deliveries to a target.
    pub(super) fn begin_target(&mut self, target: &config::Target) {
        let (act, commands) = mpsc::channel(COMMANDS);
        let (shared, name) = (&self.shared, &target.name);
        let Written { home, base, .. } = &self.written;
        let reached = Target::new(target, home, base, shared.clock);
        let feed = shared.feeds.of_target(name);
        let worker = Worker::begin(|stop| {
            Dispatcher {
                reached,
                target: target.clone(),
                journal: shared.journal.clone(),
                feed,
                commands,
                stop,
                metrics: shared.metrics.clone(),
                clock: shared.clock,
            }
            .run()
        });
        self.dispatchers.insert(name.clone(), worker);
        self.acts.send_modify(|acts| drop(acts.insert(name.clone(), act)));
    }

    /// Starts a source.
    pub(super) async fn begin_source(&mut self, source: &config::Source) {
        // As many as may be unacknowledged: handing over never waits, so that the bytes are
        // counted where they are.
        let (most, pace) = match &source.kind {
            SourceKind::Amqp(amqp) => (usize::from(amqp.prefetch), Pace::Live),
            SourceKind::Folder(folder) => (folder.most_documents(), Pace::Bulk),
        };
        let (queue, taken) = mpsc::channel(most);
        self.gates.retain(|_, gate| !gate.is_settled());
        let Some(begin) = &self.begin else { return };
        if begin.send(Waiting { queue: taken, pace }).await.is_err() {
            tracing::error!(source = %source.name, "the intake has ended");
            return;
        }
        let (name, metrics) = (source.name.clone(), self.shared.metrics.clone());
        let (open, clock) = (self.shared.room.subscribe(), self.shared.clock);
        let worker = match &source.kind {
            SourceKind::Amqp(amqp) => {
                let (amqp, base) = (amqp.clone(), self.written.base.clone());
                Worker::begin(|stop| {
                    amqp::run(amqp::Context { name, amqp, base, queue, open, stop, metrics, clock })
                })
            }
            SourceKind::Folder(folder) => {
                let (source, journal) = (folder.clone(), self.shared.journal.clone());
                let path = self.written.home.join(&folder.path);
                let gate = folder::Gate::new(folder.in_flight);
                let before = self.gates.insert(name.clone(), gate.clone());
                Worker::begin(|stop| {
                    folder::run(folder::Context {
                        name,
                        source,
                        path,
                        queue,
                        gate,
                        before,
                        journal,
                        open,
                        stop,
                        metrics,
                        clock,
                    })
                })
            }
        };
        self.sources.insert(source.name.clone(), worker);
    }

    /// Waits until a part ends that should go on for ever, and names it.
    pub(super) async fn broken(&mut self) -> String {
        poll_fn(|context| {
            for (what, workers) in
                [("source", &mut self.sources), ("dispatcher", &mut self.dispatchers)]
            {
                for (name, worker) in workers {
                    if Pin::new(&mut worker.task).poll(context).is_ready() {
                        return Poll::Ready(format!("{what} {name}"));
                    }
                }
            }
            if Pin::new(&mut self.intake).poll(context).is_ready() {
                return Poll::Ready("intake".to_owned());
            }
            match self.servers.poll_join_next(context) {
                Poll::Ready(Some(_)) => Poll::Ready("server".to_owned()),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Ends the sources, and the intake when it has what they held. `false` where that takes longer.
    pub(super) async fn end_taking(&mut self, deadline: tokio::time::Instant) -> bool {
        self.begin.take();
        let in_time = end_all(std::mem::take(&mut self.sources), deadline).await;
        let intake = timeout_at(deadline, &mut self.intake).await;
        if let Ok(Err(error)) = &intake {
            tracing::error!(%error, "the intake did not end well");
        }
        in_time && intake.is_ok()
    }

    async fn serve(&mut self, reload: mpsc::Sender<ReloadAsked>) -> Result<(), AgentError> {
        let (written, shared) = (&self.written, &self.shared);
        let stop = &self.stop_servers;
        let tls = written.config.http.as_ref().and_then(|listen| listen.tls.clone());
        let (door, keeper) = tls.map(|tls| Door::new(tls, written.base.clone())).unzip();
        if let Some(keeper) = keeper {
            self.servers.spawn(keeper.keep(stop.subscribe()));
        }
        let health = Arc::new(Health {
            journal: shared.journal.clone(),
            metrics: shared.metrics.clone(),
            room: shared.room.clone(),
            standing: self.standing.subscribe(),
            page: Page::default(),
            door: door.clone(),
            base: written.base.clone(),
            in_decision: shared.in_decision.clone(),
            clock: shared.clock,
        });
        if let Some(listen) = &written.config.http {
            let address = listen.address.value;
            let listener = Listener::bind(address)
                .map_err(|error| AgentError::Listen { address: address.to_string(), error })?;
            let tls = door.is_some();
            tracing::info!(%address, tls, "serving /metrics, /healthz and /readyz");
            let server = Server {
                listener: Listener::Tcp(listener, door),
                handler: health.handler(),
                limits: Limits::port(listen.connections, listen.per_address),
                closed: shared.metrics.http_connections_closed.clone(),
            };
            self.servers.spawn(http::serve(server, stop.subscribe()));
        }
        let control = Control {
            journal: shared.journal.clone(),
            acts: self.acts.subscribe(),
            intake: self.ask_intake.clone(),
            reload,
            health: health.clone(),
            clock: shared.clock,
        };
        let listener = control_socket(written)?;
        let server = Server {
            listener: Listener::Unix(listener),
            handler: Arc::new(control).handler(),
            limits: Limits::control(),
            closed: shared.metrics.http_connections_closed.clone(),
        };
        self.servers.spawn(http::serve(server, stop.subscribe()));
        self.servers.spawn(health.watch(stop.subscribe()));
        Ok(())
    }
}

fn control_socket(written: &Written) -> Result<UnixListener, AgentError> {
    let socket = data_dir(written).join(CONTROL_SOCKET);
    let system = |error| AgentError::System { what: "control socket", error };
    match std::fs::remove_file(&socket) {
        // The journal's lock is ours, so a socket that is there is of an agent that died.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(system(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&socket).map_err(system)?;
    // The umask of `run` has kept others out from the bind on, and so does the data_dir.
    let owner = std::os::unix::fs::PermissionsExt::from_mode(FILE_MODE);
    std::fs::set_permissions(&socket, owner).map_err(system)?;
    Ok(listener)
}

/// Opens the journal and what lies beside it.
async fn open(
    written: &Written,
    clock: fn() -> Timestamp,
) -> Result<(Journal, InDecision), AgentError> {
    let (options, path) = (journal_options(written), data_dir(written).join(IN_DECISION));
    let opened = tokio::task::spawn_blocking(move || {
        let journal = Journal::open(&options, clock())?;
        // It is a safeguard: without it events are decided all the same.
        let in_decision = InDecision::open(&path).unwrap_or_else(|error| {
            tracing::warn!(%error, "{IN_DECISION} in data_dir cannot be used");
            InDecision::default()
        });
        Ok::<_, JournalError>((journal, in_decision))
    });
    match opened.await {
        Ok(opened) => Ok(opened?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
