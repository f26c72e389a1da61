//! Every metric, one field each: names are an API and cannot be misspelled at their use.
//!
//! Labels are names from the configuration and words of closed lists; never a VIN, a document
//! number or anything else that an event brings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The metrics of one agent.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Why something is down.
    pub reasons: Reasons,
    /// Events taken from a source, redeliveries included.
    pub events_received: IntCounterVec,
    /// Events decided, by verdict.
    pub events: IntCounterVec,
    /// Events that the journal knew already.
    pub redeliveries: IntCounterVec,
    /// Illegal transitions, whatever the mode does about them.
    pub transitions_refused: IntCounterVec,
    /// Events that a mapping could not translate.
    pub mapping_errors: IntCounterVec,
    /// Those of them that cost more than `limits` allow.
    pub mapping_over_budget: IntCounterVec,
    /// Deliveries settled, by outcome.
    pub deliveries: IntCounterVec,
    /// From the start of an attempt to its settlement.
    pub delivery_seconds: HistogramVec,
    /// Attempts that will be repeated, by reason.
    pub retries: IntCounterVec,
    /// Deliveries not yet final.
    pub outbox_depth: IntGaugeVec,
    /// Age of the oldest delivery not yet final.
    pub outbox_oldest_seconds: GaugeVec,
    /// Dead deliveries.
    pub dead_letters: IntGaugeVec,
    /// Deliveries that may have arrived.
    pub in_doubt: IntGaugeVec,
    /// Lanes that stand still behind a dead or doubtful head.
    pub lanes_held: IntGaugeVec,
    /// Keys whose events wait behind a failed one.
    pub keys_parked: IntGauge,
    /// Whether a target takes deliveries.
    pub target_up: IntGaugeVec,
    /// Whether a source is connected.
    pub source_up: IntGaugeVec,
    /// Files in a folder that are not taken yet, by reason.
    pub files_waiting: IntGaugeVec,
    /// Files of a folder: taken, put-back, done, rejected, vanished.
    pub files: IntCounterVec,
    /// Bytes of documents taken out of files.
    pub file_bytes: IntCounterVec,
    /// How long the batch in decision has been there.
    pub decision_age_seconds: Gauge,
    /// From the start of a journal transaction to its answer.
    pub journal_commit_seconds: Histogram,
    /// Bytes of the journal's main file.
    pub journal_bytes: IntGauge,
    /// Bytes of the journal's write-ahead log.
    pub journal_wal_bytes: IntGauge,
    /// Free bytes on the journal's disk.
    pub journal_free_bytes: IntGauge,
    /// Whether sources are paused because the journal has no room.
    pub sources_paused: IntGauge,
    /// Until the first certificate of a connection ends; below zero it has.
    pub credential_expiry_seconds: GaugeVec,
    /// The configuration in force, counted from 1.
    pub config_generation: IntGauge,
    /// Whether the last configuration that was read was taken over.
    pub config_last_reload_success: IntGauge,
    /// Connections of our own listeners that were closed for a limit, by reason.
    pub http_connections_closed: IntCounterVec,
    /// Unix time of the start.
    pub start_time: Gauge,
}

/// Why sources and targets are down, in words: for people who ask, since no label may hold them.
/// Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Reasons(Arc<Mutex<BTreeMap<String, Reason>>>);

/// Why something is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For anybody who asks: words of ours, without names of hosts, files, variables or users, and
    /// nothing that the other side said.
    pub brief: &'static str,
    /// For operators.
    pub detail: String,
}

impl Reasons {
    /// `part`, such as `source vms`, is down.
    pub fn set(&self, part: &str, why: Reason) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(part.to_owned(), why);
    }

    /// It is up, or there is none of that name any more.
    pub fn clear(&self, part: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// Why it is down, where that is known.
    pub fn of(&self, part: &str) -> Option<Reason> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(part).cloned()
    }
}

/// Seconds: from a calm disk's fsync to a night without SAP.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// What `# HELP` says of each metric.
const HELP: &[(&str, &str)] = &[
    ("build_info", "Version of the agent."),
    ("events_received_total", "Events taken from a source, redeliveries included."),
    ("events_total", "Events decided, by verdict."),
    ("redeliveries_total", "Events that the journal knew already."),
    (
        "transitions_refused_total",
        "Illegal transitions, whatever the lifecycle's mode does about them.",
    ),
    ("mapping_errors_total", "Events that a mapping could not translate."),
    ("mapping_over_budget_total", "Events whose documents cost more than `limits` allow."),
    ("deliveries_total", "Deliveries settled, by outcome."),
    ("delivery_seconds", "From the start of an attempt to its settlement."),
    ("retries_total", "Attempts that will be repeated, by reason."),
    ("outbox_depth", "Deliveries not yet final."),
    ("outbox_oldest_seconds", "Age of the oldest delivery not yet final."),
    ("dead_letters", "Dead deliveries."),
    ("in_doubt", "Deliveries that may have arrived."),
    ("lanes_held", "Lanes that stand still behind a dead or doubtful head."),
    ("keys_parked", "Keys whose events wait behind a failed one."),
    ("target_up", "Whether a target takes deliveries."),
    ("source_up", "Whether a source is connected."),
    ("files_waiting", "Files in a folder that are not taken yet, by reason."),
    ("files_total", "Files of a folder: taken, put-back, done, rejected, vanished."),
    ("file_bytes_total", "Bytes of documents taken out of files."),
    ("decision_age_seconds", "How long the batch in decision has been there; 0 without one."),
    ("journal_commit_seconds", "From the start of a journal transaction to its answer."),
    ("journal_bytes", "Bytes of the journal's main file."),
    ("journal_wal_bytes", "Bytes of the journal's write-ahead log."),
    ("journal_free_bytes", "Free bytes on the journal's disk."),
    ("sources_paused", "Whether sources are paused because the journal has no room."),
    ("credential_expiry_seconds", "Until the first certificate of a connection ends."),
    ("config_generation", "The configuration in force, counted from 1."),
    ("config_last_reload_success", "Whether the last configuration read was taken over."),
    (
        "http_connections_closed_total",
        "Connections of the agent's own listeners that were closed for a limit, by reason.",
    ),
    ("start_time_seconds", "Unix time of the start."),
];

impl Metrics {
    /// All metrics, registered. Fails only where two of them have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let new = Registration { registry: Registry::new() };
        let info = new.gauges("build_info", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        new.registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            events_received: new.counters("events_received_total", &["source"])?,
            events: new.counters("events_total", &["source", "verdict"])?,
            redeliveries: new.counters("redeliveries_total", &["source"])?,
            transitions_refused: new.counters("transitions_refused_total", &["lifecycle"])?,
            mapping_errors: new.counters("mapping_errors_total", &["mapping"])?,
            mapping_over_budget: new.counters("mapping_over_budget_total", &["mapping"])?,
            deliveries: new.counters("deliveries_total", &["target", "outcome"])?,
            delivery_seconds: new.histograms("delivery_seconds", &["target"])?,
            retries: new.counters("retries_total", &["target", "reason"])?,
            outbox_depth: new.gauges("outbox_depth", &["target"])?,
            outbox_oldest_seconds: new.float_gauges("outbox_oldest_seconds", &["target"])?,
            dead_letters: new.gauges("dead_letters", &["target"])?,
            in_doubt: new.gauges("in_doubt", &["target"])?,
            lanes_held: new.gauges("lanes_held", &["target"])?,
            keys_parked: new.gauge("keys_parked")?,
            target_up: new.gauges("target_up", &["target"])?,
            source_up: new.gauges("source_up", &["source"])?,
            files_waiting: new.gauges("files_waiting", &["source", "reason"])?,
            files: new.counters("files_total", &["source", "outcome"])?,
            file_bytes: new.counters("file_bytes_total", &["source"])?,
            decision_age_seconds: new.float_gauge("decision_age_seconds")?,
            journal_commit_seconds: new.histogram("journal_commit_seconds")?,
            journal_bytes: new.gauge("journal_bytes")?,
            journal_wal_bytes: new.gauge("journal_wal_bytes")?,
            journal_free_bytes: new.gauge("journal_free_bytes")?,
            sources_paused: new.gauge("sources_paused")?,
            credential_expiry_seconds: new.float_gauges("credential_expiry_seconds", &["name"])?,
            config_generation: new.gauge("config_generation")?,
            config_last_reload_success: new.gauge("config_last_reload_success")?,
            http_connections_closed: new
                .counters("http_connections_closed_total", &["listener", "reason"])?,
            start_time: new.float_gauge("start_time_seconds")?,
            reasons: Reasons::default(),
            registry: new.registry,
        })
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 << 10);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

struct Registration {
    registry: Registry,
}

impl Registration {
    fn add<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: M,
    ) -> Result<M, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn opts(name: &str) -> Opts {
        let help = HELP.iter().find(|(metric, _)| *metric == name);
        Opts::new(format!("waybill_{name}"), help.map_or("", |(_, help)| help))
    }

    fn counters(&self, name: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Self::opts(name), labels)?)
    }

    fn gauges(&self, name: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Self::opts(name), labels)?)
    }

    fn float_gauges(&self, name: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.add(GaugeVec::new(Self::opts(name), labels)?)
    }

    fn gauge(&self, name: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::with_opts(Self::opts(name))?)
    }

    fn float_gauge(&self, name: &str) -> Result<Gauge, prometheus::Error> {
        self.add(Gauge::with_opts(Self::opts(name))?)
    }

    fn histogram(&self, name: &str) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::from(Self::opts(name)).buckets(BUCKETS.to_vec());
        self.add(Histogram::with_opts(opts)?)
    }

    fn histograms(&self, name: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::from(Self::opts(name)).buckets(BUCKETS.to_vec());
        self.add(HistogramVec::new(opts, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_registered_under_its_own_name() {
        let metrics = Metrics::new().unwrap();
        metrics.events.with_label_values(&["vms", "accepted"]).inc();
        metrics.keys_parked.set(3);
        let text = String::from_utf8(metrics.render()).unwrap();
        assert!(text.contains("waybill_events_total{source=\"vms\",verdict=\"accepted\"} 1"));
        assert!(text.contains("waybill_keys_parked 3"));
        assert!(text.contains("waybill_build_info{version="));
    }
}
