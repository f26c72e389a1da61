//! An event that kills the agent whenever it is decided: the others get through, and it is recorded
//! as failed.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Report, Scenario, arrived};
use crate::agent::{Agent, End, START};
use crate::broker::Broker;
use crate::consumer::Consumer;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::site::Site;
use crate::workload::{Kind, Message, Workload};

/// Small messages, half of them on each side.
const EVENTS: usize = 600;
/// The word that kills.
const WORD: &str = "arsenic";
/// Starts that the agent may need: four that it does not survive, one more for a kill before
/// the file of events in decision was written, and the last.
const MOST_STARTS: usize = 6;

pub(super) async fn poison_event(binary: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::PoisonEvent);
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "poison");
    let site = Site::new(&queue)?;
    let fault = format!("poison:{WORD}");
    let mut agent = Agent::start(binary, &site, &fault)?;
    agent.ready(START).await?;
    let consumer = Consumer::start(&site.out())?;
    let mut messages = Workload::clean(EVENTS, 50, 9).messages();
    let bytes = format!("{{\"id\": \"poison\", \"story\": \"{WORD}\"}}").into_bytes();
    let (kind, event_id, vin) = (Kind::Malformed, String::new(), String::new());
    messages.insert(EVENTS / 2, Message { kind, event_id, vin, code: "", bytes });
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    let mut kills = 0;
    let failed = loop {
        match agent.ended()? {
            Some(End::Killed) => {
                kills += 1;
                if kills >= MOST_STARTS {
                    bail!("the agent was killed {kills} times:\n{}", agent.last_words());
                }
                agent = Agent::start(binary, &site, &fault)?;
            }
            Some(end) => bail!("the agent ended by {end:?}:\n{}", agent.last_words()),
            None => {
                let failed = agent.metrics().ok();
                let failed =
                    failed.and_then(|m| m.sum("waybill_events_total", &["verdict=\"failed\""]));
                if failed.is_some_and(|failed| failed > 0.0) {
                    break failed.unwrap_or_default();
                }
                tokio::time::sleep(super::LOOK).await;
            }
        }
    };
    if kills == 0 {
        let why = "the agent has no seeded faults; `make test` runs this with one that has";
        return Ok(Report::skipped(Scenario::PoisonEvent, why));
    }
    arrived(&consumer, 0, &messages).await;
    report.require(
        kills == 4 && failed == 1.0,
        format!("the event killed the agent {kills} times and was then recorded as failed"),
    );
    agent.terminate().await?;
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}
