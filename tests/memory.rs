//! The memory of a running agent under the largest messages that are legal, beside a real broker:
//! its peak stays below half the limit of the manifest that ships, and every message gets its verdict.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/amqp.rs"]
mod amqp;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use serde_json::Value;
use waybill::event::{Digest, KEPT, Shortened};
use waybill::journal::Journal;

use amqp::{Receiver, broker, until};
use support::{Site, VIN};

/// The largest message that is taken whole: the default of `max_message`.
const LARGEST: usize = 16 << 20;
/// The same file as the agent of a Pod has, and its limit.
const MANIFEST: &str = "docker/kubernetes/vms.yaml";

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// MiB that the manifest allows the agent.
fn limit() -> u64 {
    let manifest = text(MANIFEST);
    let agent = manifest.split("- name: agent\n").nth(1).unwrap();
    let (_, limit) = agent.split_once("limits: { memory: ").unwrap();
    limit.split_once("Mi").unwrap().0.parse().unwrap()
}

/// What the process has needed at most, in MiB.
fn peak(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() >> 10
}

/// An agent with the defaults of its source, and its broker.
struct Agent {
    site: Site,
    queue: String,
    receiver: Receiver,
    process: Child,
}

impl Agent {
    async fn start(url: &str) -> Self {
        let receiver = Receiver::new(url).await;
        let queue = format!("{}.events", receiver.exchange);
        let site = Site::new(&queue, ", declare: classic");
        fs::write(site.path("broker-url"), url).unwrap();
        let log = fs::File::create(site.path("log")).unwrap();
        let process = Self::command(&site, &["run"]).stderr(log).stdout(Stdio::null()).spawn();
        let agent = Self { site, queue, receiver, process: process.unwrap() };
        let log = agent.site.path("log");
        until("the source is up", || async {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("source is up"))
        })
        .await;
        agent
    }

    fn command(site: &Site, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        command.args(arguments).current_dir(site.folder.path());
        command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG_FORMAT");
        command
    }

    async fn publish(&self, body: &[u8], id: Option<&str>) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let mut properties = BasicProperties::default();
        if let Some(id) = id {
            properties = properties.with_message_id(id.into());
        }
        let (channel, queue) = (&self.receiver.channel, self.queue.as_str().into());
        let sent = channel.basic_publish("".into(), queue, options, body, properties);
        let confirmed = sent.await.unwrap().await.unwrap();
        assert!(confirmed.take_message().is_none(), "no queue took it");
    }

    fn events(&self) -> Vec<Value> {
        let output = Self::command(&self.site, &["events", "list", "--json"]).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn until_events(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} events"), || async { self.events().len() >= count }).await;
        self.events()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended, which the test has seen by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An event of the largest size; `fill` is repeated in a list that no mapping asks for.
fn event(number: usize, fill: &str) -> Vec<u8> {
    let whole = String::from_utf8(support::event(&format!("e-{number}"), VIN, "built")).unwrap();
    let mut event = whole.strip_suffix('}').unwrap().to_owned();
    event.push_str(",\"more\":[");
    while event.len() + fill.len() + 3 < LARGEST {
        event.push_str(fill);
        event.push(',');
    }
    event.push_str("0]}");
    event.into_bytes()
}

fn verdicts(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["verdict"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_the_largest_messages_stay_below_the_limit_of_the_manifest() {
    let Some(url) = broker() else { return };
    let agent = Agent::start(&url).await;
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    let mut published = 0;
    // Little content and much text; nodes, as many as the text has room for; no JSON at all.
    for fill in [&*long, "0", "{\"a\":[[],{}]}", "?"] {
        for _ in 0..3 {
            published += 1;
            agent.publish(&event(published, fill), None).await;
        }
    }
    let events = agent.until_events(published).await;
    assert_eq!(events.len(), published, "{:?}", verdicts(&events));
    assert!(verdicts(&events).iter().all(|verdict| *verdict != "waiting"));
    // The other half is for more sources and targets, and for larger documents.
    let (peak, limit) = (peak(&agent.process), limit());
    assert!(peak < limit / 2, "{peak} MiB, but the manifest allows {limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_by_its_announced_size() {
    let Some(url) = broker() else { return };
    let agent = Agent::start(&url).await;
    let body: Vec<u8> = (0..60_u32 << 20).map(|at| at.to_be_bytes()[1]).collect();
    let digest = Digest::of(&body);
    agent.publish(&body, None).await;
    // It comes again, and under an id of its own; a good one comes behind it.
    agent.publish(&body, None).await;
    agent.publish(&body, Some("m-1")).await;
    agent.publish(&support::event("e-1", VIN, "delivered"), None).await;
    let events = agent.until_events(3).await;
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    let id = format!("sha256:{digest}");
    for expected in [&*id, "m-1", "e-1"] {
        assert!(ids.contains(&expected), "{ids:?}");
    }
    let mut found = verdicts(&events);
    found.sort_unstable();
    assert_eq!(found, ["accepted", "failed", "failed"]);
    let large = events.iter().find(|event| event["id"] == *id).unwrap();
    let cause = format!(
        "{} bytes; `max_message` allows {LARGEST}; raise it and have the message sent again \
         (kept: its digest sha256:{digest}, its first {KEPT} bytes)",
        body.len()
    );
    assert!(large["causes"].to_string().contains(&cause), "{large}");
    let journal = Journal::open_read_only(&agent.site.path("data/journal.db")).unwrap();
    let kept = journal.event_raw(large["event"].as_u64().unwrap()).unwrap().unwrap();
    assert_eq!(Shortened::read(&kept), Some(Shortened { bytes: body.len() as u64, digest }));
    assert!(kept.ends_with(&body[..KEPT]));
    assert_eq!(kept.len() - KEPT, kept.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    let peak = peak(&agent.process);
    assert!(peak < 60, "{peak} MiB: the message itself has 60");
}

#[test]
fn the_manual_names_the_limit_of_the_manifest_and_the_defaults_below_it() {
    let (manual, limit) = (text("docs/deployment.md"), limit());
    assert!(manual.contains(&format!("{limit} MiB")), "docs/deployment.md: {limit} MiB");
    let alarm = text("docs/operations/agent-down.md");
    assert!(alarm.contains(&format!("{limit} MiB")), "docs/operations/agent-down.md: {limit} MiB");
}
