//! Every series that can be known beforehand, from the start and at 0.
//!
//! Prometheus sees growth only between two values: a counter that appears with its first event
//! at 1 has never grown, and the first failure would raise no alarm.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{Config, SourceKind};
use crate::dispatch;
use crate::event::Verdict;
use crate::http::Closed;
use crate::journal::FileOutcome;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::source::folder::judge::Waiting;

/// Begins the series of the process.
pub(super) fn start(metrics: &Metrics, now: Timestamp) {
    metrics.start_time.set(now.as_second() as f64);
    metrics.config_last_reload_success.set(1);
    for (listener, reason) in ["http", "control"].into_iter().flat_map(closed) {
        metrics.http_connections_closed.with_label_values(&[listener, reason]);
    }
}

/// Why connections of a listener are closed.
fn closed(listener: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    Closed::ALL.into_iter().map(move |reason| (listener, reason.as_str()))
}

/// Ends what says how sources and targets stand that are no more. What counted goes on.
pub(super) fn end(metrics: &Metrics, sources: &[Arc<str>], targets: &[Arc<str>]) {
    for source in sources {
        metrics.reasons.clear(&format!("source {source}"));
        // A series that is not there need not go.
        let _ = metrics.source_up.remove_label_values(&[source]);
        let certificate = format!("source/{source}");
        let _ = metrics.credential_expiry_seconds.remove_label_values(&[&certificate]);
        for reason in Waiting::REASONS {
            let _ = metrics.files_waiting.remove_label_values(&[source, reason]);
        }
    }
    for target in targets {
        metrics.reasons.clear(&format!("target {target}"));
        let gauges = [
            &metrics.target_up,
            &metrics.lanes_held,
            &metrics.outbox_depth,
            &metrics.dead_letters,
            &metrics.in_doubt,
        ];
        for gauge in gauges {
            let _ = gauge.remove_label_values(&[target]);
        }
        let certificate = format!("target/{target}");
        let _ = metrics.credential_expiry_seconds.remove_label_values(&[&certificate]);
        let _ = metrics.outbox_oldest_seconds.remove_label_values(&[target]);
    }
}

/// Begins the series of what is configured.
pub(super) fn begin(metrics: &Metrics, config: &Config, plan: &Plan) {
    metrics.config_generation.set(plan.generation() as i64);
    for source in &config.sources {
        let name = &*source.name;
        metrics.source_up.with_label_values(&[name]);
        metrics.events_received.with_label_values(&[name]);
        metrics.redeliveries.with_label_values(&[name]);
        for verdict in Verdict::ALL {
            metrics.events.with_label_values(&[name, verdict.as_str()]);
        }
        if let SourceKind::Folder(_) = source.kind {
            metrics.file_bytes.with_label_values(&[name]);
            let ends = [FileOutcome::Done, FileOutcome::Rejected, FileOutcome::Vanished];
            for outcome in ends.map(FileOutcome::as_str).into_iter().chain(["taken", "put-back"]) {
                metrics.files.with_label_values(&[name, outcome]);
            }
        }
    }
    for target in &config.targets {
        metrics.delivery_seconds.with_label_values(&[&target.name]);
        for outcome in dispatch::OUTCOMES {
            metrics.deliveries.with_label_values(&[&target.name, outcome]);
        }
    }
    for lifecycle in plan.lifecycles() {
        metrics.transitions_refused.with_label_values(&[&lifecycle.name]);
    }
    for route in plan.routes() {
        metrics.mapping_errors.with_label_values(&[route.mapping.name()]);
        metrics.mapping_over_budget.with_label_values(&[route.mapping.name()]);
    }
}
