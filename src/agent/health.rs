//! `/metrics`, `/healthz`, `/readyz`, and the watch over the journal's room.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::config::{Config, SourceKind, TargetKind};
use crate::event::Digest;
use crate::http::door::Door;
use crate::http::{Answer, Call, Handler, Peer};
use crate::intake::{self, InDecision};
use crate::journal::{Journal, JournalError, Sizes};
use crate::metrics::{Metrics, Reason};
use crate::tls::expiry;

/// How often sizes and counts are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Every so many looks the certificates are looked at, too.
const CERTIFICATES: u32 = 30;
/// What the certificate of `http:` is called beside `source/NAME` and `target/NAME`.
const LISTENER: &str = "http";

/// The same of its revocation lists.
const REVOCATIONS: &str = "http/crl";

/// What health is made of.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    /// Whether sources may take events.
    pub(super) room: watch::Sender<bool>,
    /// What is in force.
    pub(super) standing: watch::Receiver<Standing>,
    /// The metrics as they were last written.
    pub(super) page: Page,
    /// The door of the port that all of this is asked at, where it has one.
    pub(super) door: Option<Arc<Door>>,
    /// Where the paths of certificates start from.
    pub(super) base: PathBuf,
    /// What is being decided.
    pub(super) in_decision: InDecision,
    pub(super) clock: fn() -> Timestamp,
}

/// What is in force.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// The digest of the plan.
    pub(super) plan: Digest,
    /// Why the last reload was refused, if it was.
    pub(super) refused: Option<Reason>,
}

/// Who asks how the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Anybody who can reach the port: no names of hosts, files, variables or users, and nothing
    /// that another side said.
    Anybody,
    /// At the control socket, or with a certificate that is believed.
    Operator,
}

impl Asker {
    /// As much of a reason as it may hear.
    fn told(self, why: Reason) -> String {
        match self {
            Self::Anybody => why.brief.to_owned(),
            Self::Operator => why.detail,
        }
    }

    fn of(peer: Peer) -> Self {
        match peer {
            Peer::Known | Peer::Local(_) => Self::Operator,
            Peer::Anybody | Peer::Stranger => Self::Anybody,
        }
    }
}

/// The metrics, written at most once a second and shared by all who ask: what a scrape costs does
/// not depend on how many there are.
#[derive(Debug, Default)]
pub(super) struct Page(Mutex<Option<(tokio::time::Instant, Bytes)>>);

impl Page {
    fn show(&self, metrics: &Metrics) -> Bytes {
        let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*page {
            Some((at, text)) if at.elapsed() < LOOK => text.clone(),
            _ => {
                let text = Bytes::from(metrics.render());
                *page = Some((tokio::time::Instant::now(), text.clone()));
                text
            }
        }
    }
}

impl Standing {
    pub(super) fn new(config: Arc<Config>, plan: Digest) -> Self {
        Self { config, plan, refused: None }
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
    generation: i64,
    plan: String,
    reload_refused: Option<String>,
}

impl Health {
    pub(super) fn handler(self: &Arc<Self>) -> Handler {
        let health = self.clone();
        Arc::new(move |call| {
            let health = health.clone();
            Box::pin(async move { health.answer(&call) })
        })
    }

    fn answer(&self, call: &Call) -> Answer {
        if !matches!(call.method, Method::GET | Method::HEAD) {
            return Answer::other_method("GET, HEAD");
        }
        match call.path.as_str() {
            // Probes have no certificate and ask for the other two.
            "/metrics" if call.peer == Peer::Stranger => Answer::text(
                StatusCode::FORBIDDEN,
                "/metrics is for clients with a certificate (http.tls.client_ca)\n",
            ),
            "/metrics" => Answer {
                status: StatusCode::OK,
                media: "text/plain; version=0.0.4; charset=utf-8",
                allow: None,
                body: self.page.show(&self.metrics),
            },
            "/healthz" => Answer::text(StatusCode::OK, "alive\n"),
            "/readyz" => self.readiness(Asker::of(call.peer)),
            _ => Answer::text(StatusCode::NOT_FOUND, "try /metrics, /healthz or /readyz\n"),
        }
    }

    /// Ready means: events are taken. A target that is down does not make the agent unready, as
    /// its deliveries are safe in the journal; it is named all the same.
    pub(super) fn readiness(&self, asker: Asker) -> Answer {
        let standing = self.standing.borrow().clone();
        let mut reasons = Vec::new();
        for source in &standing.config.sources {
            let source = &*source.name;
            if self.metrics.source_up.with_label_values(&[source]).get() == 0 {
                reasons.push(self.down(format!("source {source}"), asker));
            }
        }
        match self.metrics.reasons.of(intake::JOURNAL) {
            // Room may be said to be there again meanwhile; only a commit shows that it is.
            Some(why) => reasons.push(format!("the journal takes no events: {}", asker.told(why))),
            None if !*self.room.borrow() => reasons.push("the journal has no room".to_owned()),
            None => {}
        }
        let stands = self.decision_age();
        if stands > standing.config.limits.decision {
            let seconds = stands.as_secs();
            reasons.push(format!("a batch of events has been in decision for {seconds} s"));
        }
        let ready = reasons.is_empty();
        for target in &standing.config.targets {
            let target = &*target.name;
            if self.metrics.target_up.with_label_values(&[target]).get() == 0 {
                let down = self.down(format!("target {target}"), asker);
                reasons.push(format!("{down}; its deliveries wait"));
            }
        }
        let generation = self.metrics.config_generation.get();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let plan = standing.plan.to_string();
        let reload_refused = standing.refused.map(|why| asker.told(why));
        Answer::json(status, &Readiness { ready, reasons, generation, plan, reload_refused })
    }

    /// How long the batch in decision has been there; zero where there is none.
    fn decision_age(&self) -> Duration {
        let since = self.in_decision.since();
        let age = since.map(|since| (self.clock)().duration_since(since));
        age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default()
    }

    /// That it is down, and why where that is known.
    fn down(&self, part: String, asker: Asker) -> String {
        match (self.metrics.reasons.of(&part), asker) {
            (Some(why), Asker::Anybody) => format!("{part}: {}", why.brief),
            (Some(why), Asker::Operator) => format!("{part} is down: {}", why.detail),
            (None, _) => format!("{part} is down"),
        }
    }

    /// Looks at the journal once a second until the agent ends.
    pub(super) async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut looks = 0_u32;
        while !*stop.borrow() {
            let health = self.clone();
            let certificates = looks.is_multiple_of(CERTIFICATES);
            looks = looks.wrapping_add(1);
            match tokio::task::spawn_blocking(move || health.look(certificates)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the journal cannot be looked at"),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => {}
            }
        }
    }

    fn look(&self, certificates: bool) -> Result<(), JournalError> {
        if certificates {
            self.look_at_certificates();
        }
        // What is shown, not what lies there: a file that cannot be used must not look like renewal.
        if let Some(ends) = self.door.as_ref().and_then(|door| door.ends()) {
            self.ends_at(LISTENER, ends);
        }
        // Before the journal is asked, which may be what the decision waits for.
        self.metrics.decision_age_seconds.set(self.decision_age().as_secs_f64());
        if let Some(ends) = self.door.as_ref().and_then(|door| door.list_ends()) {
            self.ends_at(REVOCATIONS, ends);
        }
        let sizes = self.journal.sizes()?;
        self.metrics.journal_bytes.set(sizes.database as i64);
        self.metrics.journal_wal_bytes.set(sizes.wal as i64);
        self.metrics.journal_free_bytes.set(sizes.free as i64);
        let open = *self.room.borrow();
        self.keep_room(sizes);
        // The intake closes it too, when a commit fails; that is seen before it is opened again.
        self.metrics.sources_paused.set(i64::from(!open || !*self.room.borrow()));
        let outbox = self.journal.outbox()?;
        let config = self.standing.borrow().config.clone();
        for target in &config.targets {
            let target = &*target.name;
            let counts = outbox.get(target).cloned().unwrap_or_default();
            let label: &[&str] = &[target];
            let open = counts.due + counts.dead + counts.in_doubt;
            self.metrics.outbox_depth.with_label_values(label).set(open as i64);
            self.metrics.dead_letters.with_label_values(label).set(counts.dead as i64);
            self.metrics.in_doubt.with_label_values(label).set(counts.in_doubt as i64);
            let age =
                counts.oldest.map_or(0.0, |at| (self.clock)().duration_since(at).as_secs_f64());
            self.metrics.outbox_oldest_seconds.with_label_values(label).set(age.max(0.0));
        }
        self.metrics.keys_parked.set(self.journal.keys_parked() as i64);
        Ok(())
    }

    /// A file that cannot be read keeps what was said of it: whoever connects with it says why.
    fn look_at_certificates(&self) {
        let config = self.standing.borrow().config.clone();
        for (name, path) in certificates(&config) {
            let ends =
                std::fs::read(self.base.join(path)).ok().and_then(|pem| expiry::earliest(&pem));
            if let Some(ends) = ends {
                self.ends_at(&name, ends);
            }
        }
    }

    fn ends_at(&self, name: &str, ends: Timestamp) {
        let left = ends.duration_since((self.clock)()).as_secs_f64();
        self.metrics.credential_expiry_seconds.with_label_values(&[name]).set(left);
    }

    /// Closes the sources while the disk is nearly full, and opens them again with a margin, so
    /// that they do not flutter.
    fn keep_room(&self, sizes: Sizes) {
        let open = *self.room.borrow();
        // A small disk cannot keep a fixed amount free: a tenth of it must do.
        let min_free = self.standing.borrow().config.journal.min_free;
        let least = min_free.min(sizes.total / 10);
        if open && sizes.free < least {
            tracing::error!(
                free = sizes.free,
                least,
                "the journal's disk is nearly full: sources are paused; free some space or lower \
                 journal.min_free"
            );
            self.room.send_replace(false);
        } else if !open && sizes.free >= least + least / 4 {
            tracing::info!(free = sizes.free, "the journal has room again: sources go on");
            self.room.send_replace(true);
        }
    }
}

/// Our own certificates towards others, by what they are for.
pub fn certificates(config: &Config) -> impl Iterator<Item = (String, &str)> {
    let sources = config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::Amqp(amqp) => Some((format!("source/{}", source.name), &amqp.tls)),
        SourceKind::Folder(_) => None,
    });
    let targets = config.targets.iter().filter_map(|target| {
        let tls = match &target.kind {
            TargetKind::File(_) => return None,
            TargetKind::Amqp(amqp) => &amqp.tls,
            TargetKind::Http(http) => &http.tls,
        };
        Some((format!("target/{}", target.name), tls))
    });
    let all = sources.chain(targets);
    all.filter_map(|(name, tls)| Some((name, tls.identity.as_ref()?.cert.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::journal::Options;

    /// The health of an agent without sources and targets, at the start of time, and its folder.
    fn health() -> (Health, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("waybill.yaml");
        let text = "version: 1\nagent: { name: a, instance: \"001\", data_dir: data }\n\
                    sources: {}\ntargets: {}\nroutes: []\n";
        std::fs::write(&file, text).unwrap();
        let config = Arc::new(load::load(&file).0.unwrap().config);
        let options = Options { path: home.path().join("data/journal.db"), instance: 1 };
        let now = || Timestamp::UNIX_EPOCH;
        let health = Health {
            journal: Journal::open(&options, now()).unwrap(),
            metrics: Arc::new(Metrics::new().unwrap()),
            room: watch::channel(true).0,
            standing: watch::channel(Standing::new(config, Digest::of(b""))).1,
            door: None,
            base: home.path().to_owned(),
            page: Page::default(),
            in_decision: InDecision::default(),
            clock: now,
        };
        (health, home)
    }

    #[test]
    fn a_journal_that_takes_no_events_is_not_ready_whatever_room_there_is() {
        let (health, _home) = health();
        assert_eq!(health.readiness(Asker::Anybody).status, StatusCode::OK);
        health.metrics.reasons.set(
            intake::JOURNAL,
            Reason { brief: "it is locked", detail: "by a process at /a/path".to_owned() },
        );
        let answer = health.readiness(Asker::Anybody);
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(said.contains("takes no events: it is locked\""), "{said}");
        health.metrics.reasons.clear(intake::JOURNAL);
        assert_eq!(health.readiness(Asker::Anybody).status, StatusCode::OK);
    }

    #[test]
    fn a_batch_that_stays_in_decision_makes_the_agent_unready_until_it_is_decided() {
        let (mut health, _home) = health();
        health.clock = || Timestamp::from_second(42).unwrap();
        let deciding = health.in_decision.begin(&[], Timestamp::UNIX_EPOCH);
        let answer = health.readiness(Asker::Anybody);
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(said.contains("a batch of events has been in decision for 42 s"), "{said}");
        drop(deciding);
        assert_eq!(health.readiness(Asker::Anybody).status, StatusCode::OK);
    }
}
