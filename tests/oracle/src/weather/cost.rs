//! Events with very many items among small ones: what they cost the others.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Report, Scenario, arrived};
use crate::agent::{Agent, START};
use crate::broker::Broker;
use crate::consumer::Consumer;
use crate::figures::{Spread, seen};
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::random::Random;
use crate::site::Site;
use crate::vehicle;
use crate::workload::{Kind, Message, Workload};

/// Small messages, half of them before the costly ones.
const EVENTS: usize = 10_000;
/// Small messages a second.
const RATE: u32 = 500;
/// Items of the costly events: 0.5, 1, 4 and 12 MB. A mapping makes a segment of each, of which its
/// type allows 999; the last one exceeds the nodes of a document.
const ITEMS: [usize; 4] = [10_000, 20_000, 80_000, 240_000];

pub(super) async fn costly_event(agent: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::CostlyEvent);
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "costly");
    let site = Site::new(&queue)?;
    let mut agent = Agent::start(agent, &site, "")?;
    agent.ready(START).await?;
    let consumer = Consumer::start(&site.out())?;
    let mut messages = Workload::clean(EVENTS, 500, 8).messages();
    let later = messages.split_off(EVENTS / 2);
    let mut publisher = Publisher::new(&queue, Some(RATE));
    publisher.publish(&messages).await?;
    arrived(&consumer, 0, &messages).await;
    let before = messages.len();
    let mut disturbed = later;
    for (at, items) in ITEMS.into_iter().enumerate() {
        let costly = costly(&disturbed[0], at, items)?;
        disturbed.insert((at + 1) * disturbed.len() / (ITEMS.len() + 1), costly);
    }
    publisher.publish(&disturbed).await?;
    arrived(&consumer, before, &disturbed).await;
    let failed = agent.metrics()?.sum("waybill_events_total", &["verdict=\"failed\""]);
    report.require(
        failed == Some(ITEMS.len() as f64),
        format!("{failed:?} events failed, {} were costly", ITEMS.len()),
    );
    let ready = agent.answers("/readyz");
    report.require(ready == Some(200), format!("/readyz answers {ready:?}"));
    agent.terminate().await?;
    let published = publisher.finish().await;
    let consumed = consumer.finish()?;
    let times = seen(&consumed);
    let (calm, rough) = published.split_at(before);
    for (when, part) in [("without costly events", calm), ("beside them", rough)] {
        let fresh = part.iter().filter(|message| message.kind == Kind::Fresh);
        let waits = fresh.filter_map(|m| Some(times.get(&m.event_id)?.saturating_sub(m.at)));
        let spread = Spread::of(waits.collect()).context("no file was seen")?;
        report.saw(format!("publish to file {when}: {spread}"));
    }
    report.conclude_with(&site, published, consumed);
    Ok(report)
}

/// The event `like`, of a vehicle of its own, with that many options.
fn costly(like: &Message, serial: usize, items: usize) -> Result<Message> {
    let mut event: Value = serde_json::from_slice(&like.bytes)?;
    let vin = vehicle::vin(&mut Random::seeded(99), 90_000 + serial);
    event["id"] = json!(format!("costly-{serial}"));
    event["data"]["vin"] = json!(vin);
    event["data"]["options"] = vec![json!({"code": "P9AA", "text": "Panoramadach"}); items].into();
    let bytes = serde_json::to_vec(&event)?;
    Ok(Message {
        kind: Kind::Malformed,
        event_id: String::new(),
        vin: String::new(),
        code: "",
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_costly_event_is_the_same_event_with_more_options() {
        let like = Workload::clean(1, 1, 1).messages().remove(0);
        let costly = costly(&like, 0, 3).unwrap();
        let event: Value = serde_json::from_slice(&costly.bytes).unwrap();
        assert_eq!(event["data"]["options"].as_array().unwrap().len(), 3);
        assert_ne!(event["data"]["vin"], like.vin.as_str());
    }
}
