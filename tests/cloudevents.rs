//! CloudEvents in binary mode and trace contexts, through a running agent and a real broker: what
//! came in headers is decided, kept, found again and passed on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/amqp.rs"]
mod amqp;
mod support;

use std::fs;
use std::process::{Child, Command, Stdio};

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use amqp::{Received, Receiver, broker, until};
use support::{OTHER_VIN, Site, VIN, event};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An agent that takes from a queue of its own, and brings to a folder and to an exchange.
struct Agent {
    site: Site,
    queue: String,
    receiver: Receiver,
    sent: String,
    process: Option<Child>,
}

impl Agent {
    async fn start(url: &str) -> Self {
        let receiver = Receiver::new(url).await;
        let sent = receiver.queue("sent", "sap.#", &[]).await;
        let queue = format!("{}.events", receiver.exchange);
        let exchange = &receiver.exchange;
        let site = Site::written(&format!(
            r#"version: 1
agent: {{ name: test, instance: "007", data_dir: data, drain: 5s }}
journal: {{ url: "sqlite:journal.db", min_free: 1MiB }}
sources:
  vms: {{ type: amqp, url: {{ file: broker-url }}, queue: {queue}, declare: classic, event: {{ key: data.vin }} }}
targets:
  sap-file: {{ type: file, path: out, name: "{{message_type}}_{{docnum}}.idoc" }}
  bus: {{ type: amqp, url: {{ file: broker-url }}, exchange: {exchange}, routing_key: "sap.idoc", mode: binary }}
partners: [ MAPPINGS/partners/*.yaml ]
lifecycles: [ MAPPINGS/lifecycles/vehicle.yaml ]
mappings: [ MAPPINGS/vehicle-registration/mapping.yaml ]
routes:
  - {{ on: vehicle.status.changed, mapping: vehicle-registration, partner: sap-importer, to: [sap-file, bus] }}
"#
        ));
        fs::write(site.path("broker-url"), url).unwrap();
        let mut agent = Self { site, queue, receiver, sent, process: None };
        agent.run();
        agent
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        command.args(arguments).current_dir(self.site.folder.path()).env("USER", "tester");
        command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG_FORMAT");
        command
    }

    fn run(&mut self) {
        let log = fs::File::create(self.site.path("log")).unwrap();
        let mut command = self.command(&["run", "--log", "debug,lapin=warn"]);
        self.process = Some(command.stderr(log).stdout(Stdio::null()).spawn().unwrap());
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// What a command prints, as lines of JSON.
    fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.command(arguments).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn events(&self) -> Vec<Value> {
        let there = self.site.path("data/journal.db").exists();
        if there { self.ask(&["events", "list", "--json"]) } else { Vec::new() }
    }

    async fn until_events(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} events"), || async { self.events().len() >= count }).await;
        self.events()
    }

    async fn publish(&self, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let queue = self.queue.as_str().into();
        let channel = &self.receiver.channel;
        let sent = channel.basic_publish("".into(), queue, options, body, properties);
        let confirmed = sent.await.unwrap().await.unwrap();
        assert!(confirmed.take_message().is_none(), "no queue took it");
    }

    /// Waits until the agent has declared its queue.
    async fn until_up(&self) {
        let log = self.site.path("log");
        until("the source is up", || async {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("source is up"))
        })
        .await;
    }

    /// What came out at the exchange.
    async fn until_sent(&self) -> Received {
        let mut got = Vec::new();
        while got.is_empty() {
            got = self.receiver.drain(&self.sent).await;
            tokio::task::yield_now().await;
        }
        got.remove(0)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn headers(list: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    list.iter().for_each(|(name, value)| {
        table.insert((*name).into(), value.clone());
    });
    table
}

/// A vehicle's event in binary mode: its data, and its head with more headers.
fn binary(id: &str, vin: &str, more: &[(&str, AMQPValue)]) -> (Vec<u8>, BasicProperties) {
    let whole: Value = serde_json::from_slice(&event(id, vin, "delivered")).unwrap();
    let data = serde_json::to_vec(&whole["data"]).unwrap();
    let mut table = headers(more);
    for name in ["specversion", "id", "source", "type", "time"] {
        let value = text(whole[name].as_str().unwrap());
        table.insert(format!("cloudEvents:{name}").into(), value);
    }
    let properties = BasicProperties::default().with_content_type("application/json".into());
    (data, properties.with_headers(table))
}

fn header(message: &Received, name: &str) -> Option<String> {
    match message.properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn an_event_in_binary_mode_is_taken_once_and_its_trace_is_passed_on() {
    let Some(url) = broker() else { return };
    let mut agent = Agent::start(&url).await;
    agent.until_up().await;
    let context = [("traceparent", text(PARENT)), ("tracestate", text("a=b"))];
    let (data, properties) = binary("e-1", VIN, &context);
    agent.publish(&data, properties).await;
    // Its sender sends it again, in another span.
    let other = PARENT.replace("00f067aa0ba902b7", "1111111111111111");
    let (data, properties) = binary("e-1", VIN, &[("traceparent", text(&other))]);
    agent.publish(&data, properties).await;
    // Behind them a whole event as the body, with its trace as an extension.
    let mut whole: Value = serde_json::from_slice(&event("e-2", OTHER_VIN, "delivered")).unwrap();
    whole["traceparent"] = PARENT.into();
    let properties = BasicProperties::default()
        .with_content_type("application/cloudevents+json; charset=utf-8".into());
    agent.publish(&serde_json::to_vec(&whole).unwrap(), properties).await;
    let events = agent.until_events(2).await;
    assert_eq!(events.len(), 2, "{events:#?}");
    let mut ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["e-1", "e-2"]);
    assert!(events.iter().all(|event| event["verdict"] == "accepted"), "{events:#?}");
    // Found by the id of its trace, in the journal and in the log.
    let stories = agent.ask(&["trail", TRACE, "--json"]);
    assert_eq!(stories.len(), 2);
    let first = &stories[0]["event"];
    assert_eq!((&first["traceparent"], &first["tracestate"]), (&PARENT.into(), &"a=b".into()));
    let sent = agent.until_sent().await;
    assert_eq!(header(&sent, "traceparent").as_deref(), Some(PARENT));
    assert_eq!(header(&sent, "tracestate").as_deref(), Some("a=b"));
    assert_eq!(header(&sent, "cloudEvents:traceparent").as_deref(), Some(PARENT));
    let log = fs::read_to_string(agent.site.path("log")).unwrap();
    let line = log.lines().find(|line| line.contains("event decided")).unwrap();
    assert!(line.contains(TRACE), "{line}");
    agent.stop();
}

#[tokio::test]
async fn an_event_in_binary_mode_can_be_decided_again_from_the_journal_alone() {
    let Some(url) = broker() else { return };
    let mut agent = Agent::start(&url).await;
    agent.until_up().await;
    let (data, properties) = binary("e-1", VIN, &[("traceparent", text(PARENT))]);
    // No lifecycle steps it, and no route takes it.
    let mut table = properties.headers().clone().unwrap();
    table.insert("cloudEvents:type".into(), text("vehicle.moved"));
    agent.publish(&data, properties.with_headers(table)).await;
    let events = agent.until_events(1).await;
    assert_eq!(
        (&events[0]["verdict"], &events[0]["kind"]),
        (&"ignored".into(), &"vehicle.moved".into())
    );
    agent.stop();
    let config = fs::read_to_string(agent.site.config()).unwrap();
    let mended = config.replace("on: vehicle.status.changed", "on: vehicle.moved");
    fs::write(agent.site.config(), mended).unwrap();
    let again = ["events", "reprocess", "--verdict", "ignored", "--why", "route mended", "--json"];
    let done = agent.ask(&again).remove(0);
    assert_eq!((&done[0]["verdict"], &done[0]["deliveries"]), (&"accepted".into(), &2.into()));
    agent.run();
    let sent = agent.until_sent().await;
    assert_eq!(header(&sent, "traceparent").as_deref(), Some(PARENT));
    agent.stop();
}

#[tokio::test]
async fn headers_that_make_no_event_fail_it_with_their_place_now_and_when_decided_again() {
    let Some(url) = broker() else { return };
    let mut agent = Agent::start(&url).await;
    agent.until_up().await;
    let table = AMQPValue::FieldTable(FieldTable::default());
    let wrong = [("cloudEvents:zone", table), ("cloudEvents:Odd", text("x"))];
    let (data, properties) = binary("e-1", VIN, &wrong);
    agent.publish(&data, properties).await;
    let (_, properties) = binary("e-2", VIN, &[]);
    agent.publish(b"{\"vin\": ", properties).await;
    let properties =
        BasicProperties::default().with_content_type("application/cloudevents-batch+json".into());
    agent.publish(b"[]", properties).await;
    let mut events = agent.until_events(3).await;
    events.sort_by_key(|event| event["event"].as_u64());
    assert!(events.iter().all(|event| event["verdict"] == "failed"), "{events:#?}");
    let causes = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["causes"].to_string()).collect()
    };
    let told = causes(&events);
    assert!(told[0].contains("header `cloudEvents:Odd`: a name is"), "{told:?}");
    assert!(told[0].contains("header `cloudEvents:zone`: is a table"), "{told:?}");
    assert!(told[1].contains("the body is not JSON (line 1, column 8)"), "{told:?}");
    assert!(told[2].contains("content-type: of the forms"), "{told:?}");
    assert_eq!((&events[0]["id"], &events[1]["id"]), (&"e-1".into(), &"e-2".into()));
    agent.stop();
    let again = ["events", "reprocess", "--verdict", "failed", "--why", "no change", "--json"];
    let mut done = agent.ask(&again).remove(0).as_array().unwrap().clone();
    done.sort_by_key(|event| event["event"].as_u64());
    assert_eq!(causes(&done), told);
}
