//! Percentiles, and how durations are written.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::evidence::{Consumed, Micros, Published};
use crate::workload::Kind;

/// Percentiles of a set of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many there were.
    pub count: usize,
    /// The median.
    pub p50: f64,
    /// 95 of 100 are not longer.
    pub p95: f64,
    /// 99 of 100 are not longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// The spread of durations in microseconds; `None` when there are none.
    pub fn of(mut micros: Vec<Micros>) -> Option<Self> {
        micros.sort_unstable();
        let at = |share: f64| {
            let rank = ((micros.len() as f64 * share).ceil() as usize).clamp(1, micros.len());
            micros[rank - 1] as f64 / 1000.0
        };
        if micros.is_empty() {
            return None;
        }
        Some(Self { count: micros.len(), p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms (n={})",
            self.p50, self.p99, self.max, self.count
        )
    }
}

/// From the publication of each fresh event to a time known for it.
pub fn latency(published: &[Published], times: &HashMap<String, Micros>) -> Option<Spread> {
    let fresh = published.iter().filter(|message| message.kind == Kind::Fresh);
    let waits = fresh
        .filter_map(|message| times.get(&message.event_id).map(|at| at.saturating_sub(message.at)));
    Spread::of(waits.collect())
}

/// When the file of each event was first seen.
pub fn seen(consumed: &[Consumed]) -> HashMap<String, Micros> {
    let mut times = HashMap::new();
    for file in consumed {
        times.entry(file.event_id.clone()).or_insert(file.seen);
    }
    times
}

/// What the disk below `directory` takes for a small append and its fdatasync: the measure for
/// every durable latency of the same run.
pub fn disk(directory: &Path) -> Result<Spread> {
    let path = directory.join("fdatasync.probe");
    let mut file = std::fs::File::create(&path).context("cannot probe the disk")?;
    let mut micros = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&[b'x'; 1600])?;
        file.sync_data()?;
        micros.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    std::fs::remove_file(&path)?;
    Spread::of(micros).context("the disk was not probed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let spread = Spread::of((1..=100).map(|n| n * 1000).collect()).unwrap();
        assert_eq!((spread.p50, spread.p99, spread.max), (50.0, 99.0, 100.0));
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![500]).unwrap().p99, 0.5);
    }
}
