//! A queue full of the largest messages that are legal, and one that is not, before the agent
//! starts: in a memory cgroup with the limit of the manifest, where one can be made.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Report, Scenario, arrived, until};
use crate::agent::{Agent, START};
use crate::broker::{Broker, repository};
use crate::cgroup::Cgroup;
use crate::consumer::Consumer;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::site::Site;
use crate::workload::{Kind, Message, Workload};

/// The largest message that is taken whole: the default of `max_message`.
const LARGEST: usize = 16 << 20;
/// One that is larger.
const TOO_LARGE: usize = 120 << 20;
/// Messages of each kind.
const EACH: usize = 8;
/// Names of it so many nodes as the agent reads of one document, nearly.
const NODES: usize = 990_000;

/// What fills the messages.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// One long text.
    Text,
    /// As many values as are allowed.
    Values,
    /// More values than are allowed: it fails.
    TooMany,
    /// No JSON: it fails.
    Opaque,
}

pub(super) async fn burst(agent: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::Burst);
    let limit = manifest_limit()?;
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "burst");
    queue.declare().await?;
    let messages = messages();
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    let site = Site::new(&queue)?;
    let consumer = Consumer::start(&site.out())?;
    let mut agent = Agent::start(agent, &site, "")?;
    let group = Cgroup::new(limit << 20);
    match &group {
        Some(group) => group.add(agent.pid()).context("the agent does not go into its cgroup")?,
        None => report.saw("no memory cgroup can be made here: judged by RSS alone"),
    }
    agent.ready(START).await?;
    arrived(&consumer, 0, &messages).await;
    let done = ("everything is acknowledged", START * 4);
    until(&site, done, || async { matches!(queue.depth().await, Ok(Some(0))) }).await?;
    let usage = agent.usage()?;
    let ended = agent.ended()?;
    agent.terminate().await?;
    let peak = usage.peak_kib >> 10;
    report.require(
        ended.is_none() && peak < limit,
        format!(
            "{} messages of 16 MiB and one of {} MiB: RSS peak {peak} MiB (limit of the manifest {limit} MiB{})",
            messages.len() - 1,
            TOO_LARGE >> 20,
            if group.is_some() { ", in a memory cgroup of that size" } else { "" },
        ),
    );
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}

/// MiB that the manifest allows the agent.
fn manifest_limit() -> Result<u64> {
    let path = repository().join("docker/kubernetes/vms.yaml");
    let manifest = std::fs::read_to_string(&path)?;
    let agent = manifest.split("- name: agent\n").nth(1);
    let limit = agent.and_then(|agent| agent.split_once("limits: { memory: "));
    let limit = limit.and_then(|(_, rest)| rest.split_once("Mi"));
    let (limit, _) = limit.with_context(|| format!("{}: no limit", path.display()))?;
    Ok(limit.parse()?)
}

fn messages() -> Vec<Message> {
    let mut fresh = Workload::clean(2 * EACH, 4, 4).messages();
    fresh.retain(|message| message.kind == Kind::Fresh);
    for (at, message) in fresh.iter_mut().enumerate() {
        grow(message, if at % 2 == 0 { Fill::Text } else { Fill::Values });
    }
    for at in 0..2 * EACH {
        let mut message = malformed(format!("{{\"n\":{at}}}").into_bytes());
        grow(&mut message, if at % 2 == 0 { Fill::TooMany } else { Fill::Opaque });
        fresh.insert(at * fresh.len() / (2 * EACH), message);
    }
    fresh.push(malformed(vec![b'x'; TOO_LARGE]));
    fresh
}

fn malformed(bytes: Vec<u8>) -> Message {
    let (event_id, vin) = Default::default();
    Message { kind: Kind::Malformed, event_id, vin, code: "", bytes }
}

/// Fills a JSON object with a first member that no mapping asks for.
fn grow(message: &mut Message, fill: Fill) {
    let rest = message.bytes.split_off(1);
    let room = LARGEST - rest.len() - 64;
    let bytes = &mut message.bytes;
    let mut put = |open: &str, unit: &str, count: usize, close: &str| {
        bytes.extend_from_slice(open.as_bytes());
        (0..count).for_each(|_| bytes.extend_from_slice(unit.as_bytes()));
        bytes.extend_from_slice(close.as_bytes());
    };
    match fill {
        Fill::Text => put("\"more\":\"", "x", room, "\","),
        Fill::Values => put("\"more\":[", "\"12345678\",", NODES.min(room / 11), "0],"),
        Fill::TooMany => put("\"more\":[", "0,", room / 2, "0],"),
        Fill::Opaque => put("?", "x", room, ""),
    }
    bytes.extend(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_large_as_they_may_be_and_one_is_larger() {
        let messages = messages();
        let (last, others) = messages.split_last().unwrap();
        assert_eq!(last.bytes.len(), TOO_LARGE);
        assert!(others.len() >= 3 * EACH);
        for message in others {
            assert!(message.bytes.len() <= LARGEST && message.bytes.len() > LARGEST / 2);
        }
    }

    #[test]
    fn the_manifest_names_a_limit() {
        assert!(manifest_limit().unwrap() >= 128);
    }
}
