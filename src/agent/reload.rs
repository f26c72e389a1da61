//! Another configuration while the agent runs: all of it, or nothing.
//!
//! It is read and compiled first; a mistake anywhere leaves everything as it is. Then, in this
//! order: sources that changed or are gone stop, and what they hold is committed; targets that
//! changed stop after what they have begun; the intake takes the new plan between two batches,
//! unless a target that is gone has deliveries left; targets and sources start. Events and documents
//! wait meanwhile where they are safe. What did not change goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::agent::parts::{Parts, Workers, end_all};
use crate::agent::series;
use crate::agent::setup::{Loaded, Setup};
use crate::config::Config;
use crate::config::tls::ServerTls;
use crate::diagnostic::Diagnostic;
use crate::intake::{AdoptError, Command};
use crate::metrics::Reason;
use crate::plan::Plan;

/// How long the intake may take to come to a plan: it commits a batch in less, or the journal takes
/// nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The generation that is in force, counted from 1 at the start of the agent.
    pub generation: u64,
    /// Its digest.
    pub plan: String,
    /// Whether anything changed.
    pub changed: bool,
    /// Sources and targets that were stopped.
    pub stopped: Vec<String>,
    /// Sources and targets that were started.
    pub started: Vec<String>,
}

/// Why a configuration was not taken over. The old one goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It has mistakes.
    #[error("{} mistake(s):\n{}", .0.len(), lines(.0))]
    Mistakes(Vec<Diagnostic>),
    /// It changes what holds for the life of the process.
    #[error("{} cannot change while the agent runs; restart it", .0.join(", "))]
    Fixed(Vec<&'static str>),
    /// The intake did not take the plan.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
}

impl ReloadError {
    /// What anybody may know of it.
    fn brief(&self) -> &'static str {
        match self {
            Self::Mistakes(_) => "the files have mistakes",
            Self::Fixed(_) => "it changes what needs a restart",
            Self::Adopt(_) => "the new plan could not take hold",
        }
    }
}

fn lines(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What has to be stopped and started, by name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    stop: Vec<Arc<str>>,
    start: Vec<Arc<str>>,
    gone: Vec<Arc<str>>,
}

impl Change {
    fn between<T>(
        old: &[T],
        new: &[T],
        name: fn(&T) -> &Arc<str>,
        same: fn(&T, &T) -> bool,
    ) -> Self {
        let find = |list: &[T], wanted: &T| list.iter().position(|one| name(one) == name(wanted));
        let mut change = Self::default();
        for one in old {
            match find(new, one).map(|at| &new[at]) {
                Some(other) if same(one, other) => {}
                Some(_) => change.stop.push(name(one).clone()),
                None => {
                    change.stop.push(name(one).clone());
                    change.gone.push(name(one).clone());
                }
            }
        }
        for one in new {
            if !find(old, one).is_some_and(|at| same(&old[at], one)) {
                change.start.push(name(one).clone());
            }
        }
        change
    }

    /// Those that are there before and after, and are others.
    fn changed(&self) -> Vec<Arc<str>> {
        self.stop.iter().filter(|name| !self.gone.contains(name)).cloned().collect()
    }

    /// Those that were not there before.
    fn added(&self) -> impl Iterator<Item = &Arc<str>> {
        self.start.iter().filter(|name| !self.stop.contains(name))
    }
}

/// What differs between two configurations.
#[derive(Debug, PartialEq, Eq)]
struct Changes {
    sources: Change,
    targets: Change,
}

fn address(config: &Config) -> Option<SocketAddr> {
    config.http.as_ref().map(|listen| listen.address.value)
}

fn tls(config: &Config) -> Option<&ServerTls> {
    config.http.as_ref()?.tls.as_ref()
}

fn places(config: &Config) -> Option<(usize, usize)> {
    config.http.as_ref().map(|listen| (listen.connections, listen.per_address))
}

impl Changes {
    fn between(old: &Config, new: &Config) -> Result<Self, ReloadError> {
        let fixed = [
            ("agent.name", old.agent.name == new.agent.name),
            ("agent.instance", old.agent.instance == new.agent.instance),
            ("agent.data_dir", old.agent.data_dir == new.agent.data_dir),
            ("journal.url", old.journal.file == new.journal.file),
            ("http.listen", address(old) == address(new)),
            ("http.tls", tls(old) == tls(new)),
            ("http.connections", places(old) == places(new)),
        ];
        let fixed: Vec<_> = fixed.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
        if !fixed.is_empty() {
            return Err(ReloadError::Fixed(fixed));
        }
        Ok(Self {
            sources: Change::between(&old.sources, &new.sources, |it| &it.name, |a, b| a.is_as(b)),
            targets: Change::between(&old.targets, &new.targets, |it| &it.name, |a, b| a.is_as(b)),
        })
    }

    /// For people: sources and targets of which these are the names.
    fn said(&self, names: fn(&Change) -> &[Arc<str>]) -> Vec<String> {
        let sources = names(&self.sources).iter().map(|name| format!("source {name}"));
        sources.chain(names(&self.targets).iter().map(|name| format!("target {name}"))).collect()
    }
}

impl Parts {
    /// Reads the configuration again and takes it over. On an error everything is as before.
    pub(super) async fn reload(&mut self, setup: &Setup) -> Result<Reloaded, ReloadError> {
        let reloaded = self.try_reload(setup).await;
        let success = &self.shared.metrics.config_last_reload_success;
        success.set(i64::from(reloaded.is_ok()));
        match &reloaded {
            Ok(Reloaded { generation, plan, changed: true, stopped, started }) => {
                tracing::info!(generation, %plan, ?stopped, ?started, "configuration taken over");
            }
            Ok(_) => tracing::info!("the configuration has not changed"),
            Err(error) => {
                let generation = self.plan.generation();
                tracing::error!(%error, generation, "configuration refused; the old one goes on");
            }
        }
        let refused = reloaded.as_ref().err();
        let refused =
            refused.map(|error| Reason { brief: error.brief(), detail: error.to_string() });
        self.standing.send_modify(|standing| standing.refused = refused);
        reloaded
    }

    async fn try_reload(&mut self, setup: &Setup) -> Result<Reloaded, ReloadError> {
        let (setup, generation) = (setup.clone(), self.plan.generation() + 1);
        let loading = tokio::task::spawn_blocking(move || setup.load(generation));
        let loaded = match loading.await {
            Ok(loaded) => loaded.map_err(ReloadError::Mistakes)?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        if loaded.plan.digest() == self.plan.digest() {
            let (generation, plan) = (self.plan.generation(), self.plan.digest().to_string());
            let (stopped, started) = (Vec::new(), Vec::new());
            return Ok(Reloaded { generation, plan, changed: false, stopped, started });
        }
        let changes = Changes::between(&self.written.config, &loaded.written.config)?;
        self.take_over(&changes, loaded).await?;
        Ok(Reloaded {
            generation,
            plan: self.plan.digest().to_string(),
            changed: true,
            stopped: changes.said(|change| &change.stop),
            started: changes.said(|change| &change.start),
        })
    }

    async fn take_over(&mut self, changes: &Changes, loaded: Loaded) -> Result<(), ReloadError> {
        let Loaded { written, plan, .. } = loaded;
        let Changes { sources, targets } = changes;
        // What can be known before anything is stopped: that the intake answers, and that it would
        // take the plan.
        self.adopt(self.plan.clone(), targets.gone.clone()).await?;
        self.stop_sources(&sources.stop).await;
        self.stop_targets(&targets.changed()).await;
        // The intake announces to them from its first batch on.
        targets.start.iter().for_each(|name| drop(self.shared.feeds.of_target(name)));
        let plan = Arc::new(plan);
        if let Err(error) = self.adopt(plan.clone(), targets.gone.clone()).await {
            targets.added().for_each(|name| self.shared.feeds.end(name));
            self.start_targets(&targets.changed());
            self.start_sources(&sources.stop).await;
            return Err(error.into());
        }
        self.stop_targets(&targets.gone).await;
        for name in &targets.gone {
            self.shared.feeds.end(name);
            self.acts.send_modify(|acts| drop(acts.remove(name)));
        }
        series::end(&self.shared.metrics, &sources.gone, &targets.gone);
        self.written = written;
        self.plan = plan;
        series::begin(&self.shared.metrics, &self.written.config, &self.plan);
        self.start_targets(&targets.start);
        self.start_sources(&sources.start).await;
        let config = Arc::new(self.written.config.clone());
        let digest = self.plan.digest();
        self.standing.send_modify(|standing| (standing.config, standing.plan) = (config, digest));
        Ok(())
    }

    async fn adopt(&self, plan: Arc<Plan>, gone: Vec<Arc<str>>) -> Result<(), AdoptError> {
        let (answer, mut answered) = oneshot::channel();
        let ask = async {
            let asked = self.ask_intake.send(Command::Adopt { plan, gone, answer }).await;
            asked.map_err(|_| AdoptError::Stopping)?;
            (&mut answered).await.unwrap_or(Err(AdoptError::Stopping))
        };
        if let Ok(answer) = timeout(PATIENCE, ask).await {
            return answer;
        }
        // From here on the intake sees that nobody waits; its answer may have come just now.
        answered.close();
        answered.try_recv().unwrap_or(Err(AdoptError::Busy))
    }

    async fn stop_sources(&mut self, names: &[Arc<str>]) {
        let stopping = taken(&mut self.sources, names);
        if !end_all(stopping, self.deadline()).await {
            tracing::warn!("a source did not stop in time; what it holds comes again");
        }
    }

    fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.written.config.agent.drain
    }

    async fn start_sources(&mut self, names: &[Arc<str>]) {
        let sources = self.written.config.sources.clone();
        for source in sources.iter().filter(|source| names.contains(&source.name)) {
            self.begin_source(source).await;
        }
    }

    async fn stop_targets(&mut self, names: &[Arc<str>]) {
        let stopping = taken(&mut self.dispatchers, names);
        if !end_all(stopping, self.deadline()).await {
            tracing::warn!("deliveries under way did not end in time; they go on as after a crash");
        }
    }

    fn start_targets(&mut self, names: &[Arc<str>]) {
        let targets = self.written.config.targets.clone();
        for target in targets.iter().filter(|target| names.contains(&target.name)) {
            self.begin_target(target);
        }
    }
}

/// Takes workers out of a list.
fn taken(workers: &mut Workers, names: &[Arc<str>]) -> Workers {
    names.iter().filter_map(|name| workers.remove_entry(name)).collect()
}
