//! The running agent: puts the parts together, watches over them and ends them in order.
//!
//! Start: journal, dispatchers, intake, sources; so nothing is taken that could not be kept. A
//! broker that is not there, a folder that is not mounted: the agent starts all the same, says so
//! in `/readyz` and goes on trying. End: sources stop taking and hand over what they have, the
//! intake makes it durable and acknowledges it, what is being delivered is settled, the journal
//! closes. What is left is in the journal and goes on at the next start.

mod control;
mod health;
mod parts;
mod reload;
mod series;
mod setup;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::agent::control::ReloadAsked;
pub use crate::agent::control::{Acted, Request};
pub use crate::agent::health::certificates;
use crate::agent::parts::Parts;
pub use crate::agent::reload::{ReloadError, Reloaded};
pub use crate::agent::setup::{Loaded, Setup};
use crate::agent::setup::{Places, Stamps};
use crate::config::Reload;
use crate::config::load::Written;
use crate::journal::{JournalError, Options};

/// Where operators of a running agent connect to, below the data directory.
pub const CONTROL_SOCKET: &str = "control.sock";
/// Requests of operators that may wait.
const COMMANDS: usize = 16;
/// How often the files of a configuration are looked at, where they are watched. A change is taken
/// over when it was seen twice the same: an editor or a `kubectl apply` is through with it then.
const LOOK: Duration = Duration::from_secs(2);
/// What deliveries under way get at the end, however long sources took.
const LEAST_DRAIN: Duration = Duration::from_secs(1);

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
    Broken(String),
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

/// Runs until SIGTERM or SIGINT. A second signal ends it at once; nothing is lost by that either.
/// SIGHUP takes the configuration over anew.
pub async fn run(setup: Setup, loaded: Loaded, clock: fn() -> Timestamp) -> Result<(), AgentError> {
    let signals = Signals::new()?;
    let (ask_reload, asked) = mpsc::channel(COMMANDS);
    let watched = Watched::new(loaded.places());
    let parts = Parts::start(loaded, ask_reload, clock).await?;
    tracing::info!("ready to work");
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = Running { setup, parts, signals, asked, watched, look };
    let name = loop {
        match running.next().await {
            Next::End(name) => break name,
            Next::Reload { why, answer } => {
                if let Some(name) = running.reload(why, answer).await {
                    break name;
                }
            }
            Next::Broken(part) => {
                // Half an agent looks alive and does nothing; whoever runs it starts it again.
                tracing::error!(part, "a part of the agent has failed; ending");
                return Err(AgentError::Broken(part));
            }
        }
    };
    tracing::info!("{name}: draining");
    let Running { parts, mut signals, .. } = running;
    let drain = parts.written.config.agent.drain;
    tokio::select! {
        () = end(parts, drain) => {}
        name = signals.end() => tracing::warn!("{name} again: ending at once"),
    }
    Ok(())
}

/// An agent at work, and those it listens to.
struct Running {
    setup: Setup,
    parts: Parts,
    signals: Signals,
    asked: mpsc::Receiver<ReloadAsked>,
    watched: Watched,
    look: Interval,
}

/// What an agent at work does next.
enum Next {
    /// End, by the signal of that name.
    End(&'static str),
    /// Read the configuration again.
    Reload { why: &'static str, answer: Option<ReloadAsked> },
    /// Give up, because that part has failed.
    Broken(String),
}

impl Running {
    async fn next(&mut self) -> Next {
        loop {
            let watches = self.parts.written.config.agent.reload == Reload::OnChange;
            tokio::select! {
                signal = self.signals.next() => return match signal {
                    Some(name) => Next::End(name),
                    None => Next::Reload { why: "SIGHUP", answer: None },
                },
                Some(answer) = self.asked.recv() => {
                    return Next::Reload { why: "an operator", answer: Some(answer) };
                }
                _ = self.look.tick(), if watches => {
                    if self.watched.has_changed().await {
                        return Next::Reload { why: "its files have changed", answer: None };
                    }
                }
                part = self.parts.broken() => return Next::Broken(part),
            }
        }
    }

    /// What comes of it is logged, measured and in the answer of `/readyz`. The name of a signal to
    /// end that came meanwhile: whoever ends need not be whole.
    async fn reload(&mut self, why: &str, answer: Option<ReloadAsked>) -> Option<&'static str> {
        tracing::info!(why, "reading the configuration");
        let reloaded = tokio::select! {
            reloaded = self.parts.reload(&self.setup) => reloaded,
            name = self.signals.end() => return Some(name),
        };
        if answer.is_some_and(|answer| answer.send(reloaded).is_err()) {
            tracing::debug!("nobody waits for the answer");
        }
        self.watched.follow(&self.setup).await;
        None
    }
}

/// SIGTERM and SIGINT end the agent, SIGHUP does not: as process 1 of a container the first two
/// have no effect without a handler, and the third would end it.
struct Signals {
    term: Signal,
    int: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, AgentError> {
        let handler = |kind| {
            signal(kind).map_err(|error| AgentError::System { what: "signal handler", error })
        };
        Ok(Self {
            term: handler(SignalKind::terminate())?,
            int: handler(SignalKind::interrupt())?,
            hangup: handler(SignalKind::hangup())?,
        })
    }

    /// The name of a signal to end; `None` for SIGHUP.
    async fn next(&mut self) -> Option<&'static str> {
        tokio::select! {
            _ = self.term.recv() => Some("SIGTERM"),
            _ = self.int.recv() => Some("SIGINT"),
            _ = self.hangup.recv() => None,
        }
    }

    async fn end(&mut self) -> &'static str {
        loop {
            if let Some(name) = self.next().await {
                return name;
            }
        }
    }
}

/// The files of the configuration, as they were before they were last read and when they were last
/// looked at. Nobody knows what they were before the agent read them first, so they are read once
/// more then; the same content changes nothing.
struct Watched {
    places: Places,
    read: Option<Stamps>,
    last: Option<Stamps>,
}

impl Watched {
    fn new(places: Places) -> Self {
        Self { places, read: None, last: None }
    }

    /// Whether they differ from what was read and stand still.
    async fn has_changed(&mut self) -> bool {
        let places = self.places.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || places.stamps()).await else {
            return false;
        };
        let still = self.last.as_ref() == Some(&now);
        let changed = still && self.read.as_ref() != Some(&now);
        if changed {
            self.read = Some(now.clone());
        }
        self.last = Some(now);
        changed
    }

    /// Looks where the configuration now leads to, where it can be read.
    async fn follow(&mut self, setup: &Setup) {
        let setup = setup.clone();
        let loaded = tokio::task::spawn_blocking(move || setup.load(0).ok()).await;
        if let Ok(Some(loaded)) = loaded {
            let places = loaded.places();
            if places != self.places {
                *self = Self::new(places);
            }
        }
    }
}

/// Ends the parts in order, each within what is left of the budget.
async fn end(mut parts: Parts, drain: Duration) {
    let deadline = tokio::time::Instant::now() + drain;
    if !parts.end_taking(deadline).await {
        tracing::warn!("sources did not end in time; what they hold stays with their senders");
    }
    let deadline = deadline.max(tokio::time::Instant::now() + LEAST_DRAIN);
    if !parts::end_all(std::mem::take(&mut parts.dispatchers), deadline).await {
        tracing::warn!("deliveries under way did not end in time; they go on at the next start");
    }
    parts.stop_servers.send_replace(true);
    while parts.servers.join_next().await.is_some() {}
    let journal = parts.shared.journal;
    if let Err(error) = tokio::task::spawn_blocking(move || journal.close()).await {
        tracing::error!(%error, "the journal did not close well");
    }
    tracing::info!("ended");
}
