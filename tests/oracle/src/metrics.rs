//! Asks the agent over HTTP: `/readyz`, and its metrics in Prometheus text format.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

/// Nothing on loopback needs longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The status and body of `GET path`.
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| anyhow!("no HTTP answer: {head:?}"))?, body.to_owned()))
}

/// The metrics of one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics(String);

impl Metrics {
    /// Asks for them.
    pub fn scrape(address: SocketAddr) -> Result<Self> {
        get(address, "/metrics").map(|(_, body)| Self(body)).context("no metrics")
    }

    /// The sum of all series of `name` whose labels contain each of `labels` (`verdict="failed"`);
    /// `None` when there is no such series.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let mut sum = None;
        for line in self.0.lines() {
            let Some(rest) = line.strip_prefix(name) else { continue };
            let Some((series, value)) = rest.rsplit_once(' ') else { continue };
            if !series.is_empty() && !series.starts_with('{') {
                continue;
            }
            if labels.iter().all(|label| series.contains(label)) {
                sum = Some(sum.unwrap_or(0.0) + value.parse::<f64>().unwrap_or(0.0));
            }
        }
        sum
    }

    /// The upper bound of the bucket that holds the `share` (0..1) of a histogram's observations.
    pub fn quantile(&self, name: &str, share: f64) -> Option<f64> {
        let total = self.sum(&format!("{name}_count"), &[])?;
        let prefix = format!("{name}_bucket");
        self.0.lines().find_map(|line| {
            let rest = line.strip_prefix(&prefix)?;
            let (series, value) = rest.rsplit_once(' ')?;
            let bound = series.split("le=\"").nth(1)?.split('"').next()?;
            let enough = total > 0.0 && value.parse::<f64>().ok()? >= total * share;
            enough.then(|| bound.parse().ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metrics {
        Metrics(
            "# TYPE waybill_events_total counter\n\
             waybill_events_total{source=\"vms\",verdict=\"accepted\"} 7\n\
             waybill_events_total{source=\"vms\",verdict=\"failed\"} 2\n\
             waybill_events_total_created{source=\"vms\"} 99\n\
             waybill_seconds_bucket{le=\"0.01\"} 60\n\
             waybill_seconds_bucket{le=\"0.1\"} 100\n\
             waybill_seconds_bucket{le=\"+Inf\"} 100\n\
             waybill_seconds_count 100\n"
                .to_owned(),
        )
    }

    #[test]
    fn series_are_summed_by_label() {
        let metrics = sample();
        assert_eq!(metrics.sum("waybill_events_total", &[]), Some(9.0));
        assert_eq!(metrics.sum("waybill_events_total", &["verdict=\"failed\""]), Some(2.0));
        assert_eq!(metrics.sum("waybill_nothing", &[]), None);
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        assert_eq!(sample().quantile("waybill_seconds", 0.5), Some(0.01));
        assert_eq!(sample().quantile("waybill_seconds", 0.99), Some(0.1));
        assert_eq!(sample().quantile("waybill_nothing", 0.5), None);
    }
}
