//! The broker is absent, refuses, or loses the queue.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::{Report, Scenario, arrived, log, until};
use crate::agent::{Agent, START};
use crate::broker::Broker;
use crate::consumer::Consumer;
use crate::publisher::Publisher;
use crate::queue::Queue;
use crate::run;
use crate::site::Site;
use crate::workload::Workload;

/// Messages of a scenario.
const EVENTS: usize = 200;
/// From the return of what was missing to ready: the longest pause between two attempts, and air.
const BACK: Duration = Duration::from_secs(90);
/// A wrong password is watched for this long: whoever tries again does it within it.
const WATCH: Duration = Duration::from_secs(20);

pub(super) async fn absent(agent: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::BrokerAbsent);
    let broker = Broker::start()?;
    broker.stop()?;
    let queue = Queue::unique(broker.url(), "absent");
    let site = Site::new(&queue)?;
    let mut agent = Agent::start(agent, &site, "")?;
    let alive = until(&site, ("/healthz answers 200", START), async || {
        agent.answers("/healthz") == Some(200)
    })
    .await?;
    report.saw(format!("without a broker it is alive after {} ms", alive.as_millis()));
    until(&site, ("it says that it cannot connect", START), async || log(&site).contains("WARN"))
        .await?;
    let ready = agent.answers("/readyz");
    report.require(ready == Some(503), format!("without a broker /readyz answers {ready:?}"));
    broker.restart()?;
    let back = agent.ready(BACK).await?;
    report.saw(format!("the broker came; ready {:.1} s after its own start", back.as_secs_f64()));
    let consumer = Consumer::start(&site.out())?;
    let messages = Workload::new(EVENTS, 20, 1).messages();
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    arrived(&consumer, 0, &messages).await;
    agent.terminate().await?;
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}

pub(super) async fn wrong_password(agent: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::WrongPassword);
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "password");
    let site = Site::with_secret_file(&queue)?;
    fs::write(site.secret(), broker.url().replace("waybill:", "waybill:not-"))?;
    let mut agent = Agent::start(agent, &site, "")?;
    until(&site, ("the broker refuses a login", START), async || broker.refused_logins() > 0)
        .await?;
    // The absence of a second attempt cannot be awaited, only watched for.
    sleep(WATCH).await;
    let logins = broker.refused_logins();
    report.require(
        logins == 1,
        format!("{logins} login attempt(s) in {} s with the wrong password", WATCH.as_secs()),
    );
    let health = (agent.answers("/healthz"), agent.answers("/readyz"));
    report.require(health.0 == Some(200), format!("meanwhile /healthz, /readyz answer {health:?}"));
    fs::write(site.secret(), broker.url())?;
    let corrected = std::time::Instant::now();
    agent.ready(BACK).await?;
    report.saw(format!(
        "the secret file was corrected; ready {:.1} s later, without a restart",
        corrected.elapsed().as_secs_f64()
    ));
    let consumer = Consumer::start(&site.out())?;
    let messages = Workload::new(EVENTS, 20, 2).messages();
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(&messages).await?;
    arrived(&consumer, 0, &messages).await;
    agent.terminate().await?;
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}

pub(super) async fn queue_deleted(agent: &Path) -> Result<Report> {
    let mut report = Report::new(Scenario::QueueDeleted);
    let broker = Broker::start()?;
    let queue = Queue::unique(broker.url(), "deleted");
    let site = Site::new(&queue)?;
    let mut agent = Agent::start(agent, &site, "")?;
    agent.ready(START).await?;
    let consumer = Consumer::start(&site.out())?;
    let messages = Workload::new(2 * EVENTS, 20, 3).messages();
    let (before, after) = messages.split_at(EVENTS);
    let mut publisher = Publisher::new(&queue, None);
    publisher.publish(before).await?;
    arrived(&consumer, 0, before).await;
    queue.delete().await?;
    let back = until(&site, ("the queue is there again", BACK), async || {
        queue.depth().await.is_ok_and(|depth| depth.is_some())
    })
    .await?;
    report
        .saw(format!("the queue was deleted; the agent made it again in {} ms", back.as_millis()));
    publisher.publish(after).await?;
    arrived(&consumer, run::due(before), after).await;
    agent.terminate().await?;
    report.conclude(&site, publisher.finish().await, consumer)?;
    Ok(report)
}
