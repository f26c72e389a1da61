//! `/metrics`, `/healthz`, `/readyz`, and the watch over the journal's room.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::config::{Config, SourceKind, TargetKind};
use crate::event::Digest;
use crate::http::door::Door;
use crate::http::{Answer, Call, Handler, Peer};
use crate::journal::{Journal, JournalError, Sizes};
use crate::metrics::Metrics;
use crate::tls::expiry;

/// How often sizes and counts are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Every so many looks the certificates are looked at, too.
const CERTIFICATES: u32 = 30;
/// What the certificate of `http:` is called beside `source/NAME` and `target/NAME`.
const LISTENER: &str = "http";

/// What health is made of.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    /// Whether sources may take events.
    pub(super) room: watch::Sender<bool>,
    /// What is in force.
    pub(super) standing: watch::Receiver<Standing>,
    /// The door of the port that all of this is asked at, where it has one.
    pub(super) door: Option<Arc<Door>>,
    /// Where the paths of certificates start from.
    pub(super) base: PathBuf,
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
    pub(super) refused: Option<String>,
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
        match call.path.as_str() {
            // Probes have no certificate and ask for the other two.
            "/metrics" if call.peer == Peer::Stranger => Answer::text(
                StatusCode::FORBIDDEN,
                "/metrics is for clients with a certificate (http.tls.client_ca)\n",
            ),
            "/metrics" => Answer {
                status: StatusCode::OK,
                media: "text/plain; version=0.0.4; charset=utf-8",
                body: self.metrics.render(),
            },
            "/healthz" => Answer::text(StatusCode::OK, "alive\n"),
            "/readyz" => self.readiness(),
            _ => Answer::text(StatusCode::NOT_FOUND, "try /metrics, /healthz or /readyz\n"),
        }
    }

    /// Ready means: events are taken. A target that is down does not make the agent unready, as
    /// its deliveries are safe in the journal; it is named all the same.
    fn readiness(&self) -> Answer {
        let standing = self.standing.borrow().clone();
        let mut reasons = Vec::new();
        for source in &standing.config.sources {
            let source = &*source.name;
            if self.metrics.source_up.with_label_values(&[source]).get() == 0 {
                reasons.push(self.down(format!("source {source}")));
            }
        }
        if let Some(why) = self.metrics.reasons.of("journal") {
            reasons.push(why);
        } else if !*self.room.borrow() {
            reasons.push("the journal has no room".to_owned());
        }
        let ready = reasons.is_empty();
        for target in &standing.config.targets {
            let target = &*target.name;
            if self.metrics.target_up.with_label_values(&[target]).get() == 0 {
                let down = self.down(format!("target {target}"));
                reasons.push(format!("{down}; its deliveries wait"));
            }
        }
        let generation = self.metrics.config_generation.get();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let (plan, reload_refused) = (standing.plan.to_string(), standing.refused);
        Answer::json(status, &Readiness { ready, reasons, generation, plan, reload_refused })
    }

    /// That it is down, and why where that is known.
    fn down(&self, part: String) -> String {
        match self.metrics.reasons.of(&part) {
            Some(why) => format!("{part} is down: {why}"),
            None => format!("{part} is down"),
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
