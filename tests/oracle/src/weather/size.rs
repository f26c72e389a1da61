//! An event of 5 MiB beside small ones.

use std::path::Path;

use anyhow::Result;

use super::{Report, Scenario, arrived};
use crate::agent::{Agent, START};
use crate::broker::Broker;
use crate::consumer::Consumer;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::site::Site;
use crate::workload::{Kind, Message, Workload};

/// Small messages.
const EVENTS: usize = 1000;
/// Every so many small ones, a big one.
const EVERY: usize = 250;
/// The big ones.
const BIG: usize = 5 << 20;
/// What the agent may hold at most: its in-flight bound of 16 MiB, one big event in a few copies,
/// and itself.
const BOUND_KIB: u64 = 96 << 10;

pub(super) async fn big_event(agent: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::BigEvent);
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "big");
    let site = Site::new(&queue)?;
    let mut agent = Agent::start(agent, &site, "")?;
    agent.ready(START).await?;
    let idle = agent.usage()?;
    let consumer = Consumer::start(&site.out())?;
    let mut messages = Workload::clean(EVENTS, 50, 4).messages();
    let mut big = 0;
    for message in messages.iter_mut().step_by(EVERY).filter(|m| m.kind == Kind::Fresh) {
        grow(message);
        big += 1;
    }
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    arrived(&consumer, 0, &messages).await;
    let usage = agent.usage()?;
    agent.terminate().await?;
    report.require(
        usage.peak_kib <= BOUND_KIB,
        format!(
            "{big} events of 5 MiB among {EVENTS}: RSS idle {:.1} MiB, peak {:.1} MiB (bound {} MiB)",
            idle.resident_kib as f64 / 1024.0,
            usage.peak_kib as f64 / 1024.0,
            BOUND_KIB >> 10,
        ),
    );
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}

/// Fills an event with a CloudEvents subject that no mapping asks for.
fn grow(message: &mut Message) {
    let rest = message.bytes.split_off(1);
    message.bytes.extend_from_slice(b"\"subject\":\"");
    message.bytes.extend(b"a very long story about one vehicle ".iter().cycle().take(BIG));
    message.bytes.extend_from_slice(b"\",");
    message.bytes.extend(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grown_event_is_still_json_and_says_the_same() {
        let mut message = Workload::clean(1, 1, 1).messages().remove(0);
        grow(&mut message);
        assert!(message.bytes.len() > BIG);
        let event: serde_json::Value = serde_json::from_slice(&message.bytes).unwrap();
        assert_eq!(event["id"], message.event_id.as_str());
    }
}
