//! Every series that can be known beforehand, from the start and at 0.
//!
//! Prometheus sees growth only between two values: a counter that appears with its first event
//! at 1 has never grown, and the first failure would raise no alarm.

use jiff::Timestamp;

use crate::config::{Config, SourceKind};
use crate::dispatch;
use crate::event::Verdict;
use crate::journal::FileOutcome;
use crate::metrics::Metrics;
use crate::plan::Plan;

/// Begins the series of what is configured.
pub(super) fn begin(metrics: &Metrics, config: &Config, plan: &Plan, now: Timestamp) {
    metrics.start_time.set(now.as_second() as f64);
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
    }
}
