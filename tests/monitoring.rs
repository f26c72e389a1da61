//! Alarms and dashboards against a live agent: every expression has data, an alarm arrives at
//! somebody and leads to a page that says what to do.
//!
//! What needs Prometheus and Alertmanager is passed over where they are not installed
//! (`tests/broker.sh install` installs them as root). Grafana is not to be had here: its
//! dashboards are read as data.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests"
)]

mod support;
#[path = "support/monitoring.rs"]
mod watchers;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::Value;
use support::{OTHER_VIN, Site, VIN, event};
use watchers::{Called, Process, Prometheus, content, fetch, free_address, is_installed, until};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn to_be_had(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| !is_installed(program)).collect();
    if !missing.is_empty() {
        eprintln!(
            "passed over: not installed: {missing:?}; `tests/broker.sh install` installs them"
        );
    }
    missing.is_empty()
}

// --- what needs no tool -----------------------------------------------------------------------

/// The alarms that ship, each with the page it leads to and its severity.
fn alarms() -> Vec<(String, String, String)> {
    let rules = text("docker/prometheus/rules/waybill.yaml");
    let after = |part: &str, key: &str| {
        part.split_once(key).unwrap_or_else(|| panic!("no {key} in {part}")).1.to_owned()
    };
    let parts = rules.split("- alert: ").skip(1);
    let alarms = parts.map(|part| {
        let name = part.lines().next().unwrap().to_owned();
        let page = after(part, "waybill_manual }}/").split('"').next().unwrap().to_owned();
        let severity = after(part, "severity: ").split(' ').next().unwrap().to_owned();
        (name, page, severity)
    });
    alarms.collect()
}

#[test]
fn every_alarm_leads_to_a_page_that_names_it() {
    let alarms = alarms();
    assert!(alarms.len() >= 20, "the scanner finds too few: {alarms:?}");
    for (name, page, severity) in alarms {
        let content = text(&format!("docs/{page}"));
        assert!(content.contains(&format!("`{name}`")), "docs/{page} does not name {name}");
        assert!(["critical", "warning"].contains(&severity.as_str()), "{name}: {severity}");
        let overview = text("docs/operations/monitoring.md");
        assert!(overview.contains(&format!("`{name}`")), "monitoring.md does not name {name}");
    }
}

/// The dashboards that ship.
fn dashboards() -> Vec<Value> {
    let files = ["waybill-flow", "waybill-inside"];
    let read = |name| text(&format!("docker/grafana/dashboards/{name}.json"));
    files.map(|name| serde_json::from_str(&read(name)).unwrap()).to_vec()
}

/// The panels that show something.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels.filter(|panel| panel["type"] != "row").collect()
}

#[test]
fn panels_do_not_overlap_and_name_no_data_source_of_one_site() {
    for dashboard in dashboards() {
        let mut taken = Vec::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{}", panel["title"]);
            for at in (place("y")..place("y") + place("h"))
                .flat_map(|y| (place("x")..place("x") + place("w")).map(move |x| (x, y)))
            {
                assert!(!taken.contains(&at), "{} overlaps", panel["title"]);
                taken.push(at);
            }
        }
        for panel in panels(&dashboard) {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
                assert!(target["expr"].as_str().unwrap().contains("$instance"), "{target}");
            }
        }
    }
}

/// What the panels ask, as Grafana would with every agent chosen.
fn dashboard_expressions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap();
                let expression = expression.replace("$__rate_interval", "1m");
                let title = panel["title"].as_str().unwrap().to_owned();
                all.push((title, expression.replace("$instance", ".*")));
            }
        }
    }
    all
}

// --- promtool and amtool ----------------------------------------------------------------------

#[test]
fn rules_and_configurations_are_valid_and_alarms_come_when_they_should() {
    if !to_be_had(&["promtool", "amtool"]) {
        return;
    }
    let here = || {
        let mut command = Command::new("promtool");
        command.current_dir(root());
        command
    };
    content(here().args(["check", "config", "docker/prometheus/prometheus.yml"]));
    content(here().args(["test", "rules", "docker/prometheus/tests/waybill.yaml"]));
    let config = root().join("docker/alertmanager/alertmanager.yml");
    content(Command::new("amtool").arg("check-config").arg(config));
    let tests = text("docker/prometheus/tests/waybill.yaml");
    for (name, ..) in alarms() {
        let cases = tests.matches(&format!("alertname: {name} ")).count()
            + tests.matches(&format!("alertname: {name}\n")).count();
        assert!(cases >= 2, "{name}: when it is raised, and when it is not");
    }
}

// --- a live agent -----------------------------------------------------------------------------

/// An agent to which something of everything happens.
struct Watched {
    site: Site,
    address: String,
    queue: String,
    inbox: String,
}

impl Watched {
    fn new(broker: &str) -> Self {
        let (address, id) = (free_address(), std::process::id());
        let (queue, inbox) = (format!("watched.{id}"), format!("watched.{id}.inbox"));
        let site = Site::written(&format!(
            r#"version: 1
agent: {{ name: watched, instance: "007", data_dir: data, drain: 5s }}
journal: {{ min_free: 1MiB }}
http: {{ listen: "{address}" }}
sources:
  vms: {{ type: amqp, url: {{ file: broker-url }}, queue: {queue}, event: {{ key: data.vin }} }}
  drop: {{ type: folder, path: in, format: idoc, poll: 50ms, complete: {{ stable_for: 100ms }}, keys: {{ DEBMAS: E1KNA1M/KUNNR }} }}
targets:
  sap-file: {{ type: file, path: out, name: "{{message_type}}_{{docnum}}.idoc", retry: {{ attempts: 2, first: 100ms, most: 100ms }} }}
  vms-events: {{ type: amqp, url: {{ file: broker-url }}, exchange: "", routing_key: {inbox} }}
partners: [ MAPPINGS/partners/*.yaml ]
lifecycles: [ MAPPINGS/lifecycles/vehicle.yaml ]
mappings: [ MAPPINGS/vehicle-registration/mapping.yaml, MAPPINGS/customer-changed/mapping.yaml ]
routes:
  - {{ on: vehicle.status.changed, mapping: vehicle-registration, partner: sap-importer, to: [sap-file] }}
  - {{ on: idoc.DEBMAS, mapping: customer-changed, as: customer.changed, to: [vms-events] }}
"#
        ));
        fs::create_dir(site.path("in")).unwrap();
        fs::write(site.path("broker-url"), broker).unwrap();
        Self { site, address, queue, inbox }
    }

    fn start(&self) -> Process {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_waybill"));
        agent.arg("run").arg(self.site.config()).env_remove("WAYBILL_HOME");
        Process::start(&mut agent, &self.site.path("agent.log"))
    }

    /// A delivery that dies, a refusal, two failures of which one parks, a redelivery; a file that
    /// is taken and one that is rejected.
    async fn live(&self, broker: &str) {
        // The name of the first document is taken.
        fs::write(self.site.path("out/ZVEHREG_0070000000000001.idoc"), "a stranger").unwrap();
        let parking = String::from_utf8(event("e3", OTHER_VIN, "sold")).unwrap();
        let parking = parking.replace("\"plant\"", "\"mileage\":\"many\",\"plant\"").into_bytes();
        let sold = event("e1", VIN, "sold");
        let refused = event("e2", VIN, "built");
        let connection =
            Connection::connect(broker, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let inbox = self.inbox.as_str().into();
        channel.queue_declare(inbox, options, FieldTable::default()).await.unwrap();
        for body in [&sold, &refused, &parking, &b"no JSON".to_vec(), &sold] {
            let (queue, properties) = (self.queue.as_str().into(), BasicProperties::default());
            let options = BasicPublishOptions::default();
            channel.basic_publish("".into(), queue, options, body, properties).await.unwrap();
        }
        fs::copy(
            root().join("testdata/demo/drop/DEBMAS_dealer.idoc"),
            self.site.path("in/DEBMAS_dealer.idoc"),
        )
        .unwrap();
        fs::write(self.site.path("in/letter.txt"), "Dear colleagues,\nno IDoc.\n").unwrap();
        let metrics = || fetch(&self.address, "/metrics").unwrap_or_default();
        let all = [
            "waybill_dead_letters{target=\"sap-file\"} 1",
            "waybill_deliveries_total{outcome=\"delivered\",target=\"vms-events\"} 1",
            "waybill_redeliveries_total{source=\"vms\"} 1",
            "waybill_files_total{outcome=\"done\",source=\"drop\"} 1",
            "waybill_files_total{outcome=\"rejected\",source=\"drop\"} 1",
            "waybill_transitions_refused_total{lifecycle=\"vehicle\"} 1",
            "waybill_keys_parked 1",
        ];
        for line in all {
            until(line, || metrics().contains(line)).await;
        }
        for queue in [&self.queue, &self.inbox] {
            channel.queue_delete(queue.as_str().into(), Default::default()).await.unwrap();
        }
        connection.close(200, "done".into()).await.unwrap();
    }
}

/// An alarm without its threshold: what it looks at.
fn looked_at(query: &str) -> &str {
    let ends = [" == ", " > ", " < "].iter().filter_map(|sign| query.rfind(sign));
    let end = ends.max().unwrap_or_else(|| panic!("no threshold: {query}"));
    assert!(query[end + 3..].trim().parse::<f64>().is_ok(), "no number at the end: {query}");
    &query[..end]
}

#[tokio::test]
async fn every_expression_has_data_and_alarms_arrive() {
    let Ok(broker) = std::env::var("WAYBILL_TEST_AMQP") else {
        eprintln!("passed over: WAYBILL_TEST_AMQP is not set; `make test` sets it");
        return;
    };
    if !to_be_had(&["prometheus", "prometheus-alertmanager", "promtool"]) {
        return;
    }
    let watched = Watched::new(&broker);
    let folder = watched.site.folder.path();
    let called = Called::listen();
    let (alertmanager, _alertmanager) = watchers::alertmanager(folder, &called);
    let prometheus = Prometheus::start(folder, &watched.address, &alertmanager);
    let agent = watched.start();
    // Counters were seen at 0 before anything happens: else the first failure is no growth.
    let ready = "waybill_source_up{source='vms'} == 1 and waybill_source_up offset 1s >= 0";
    until("the agent is seen", || prometheus.knows(ready)).await;
    watched.live(&broker).await;

    for (name, receiver, page) in [
        ("WaybillDeadDelivery", "operators", "dead-deliveries"),
        ("WaybillEventsFailed", "operators", "failed-events"),
        ("WaybillKeyParked", "operators", "parked-keys"),
        ("WaybillFilesRejected", "operators", "folders"),
        ("WaybillManyEventsFail", "on-call", "failed-events"),
    ] {
        until(name, || called.about(name).is_some()).await;
        let alarm = called.about(name).unwrap();
        eprintln!("{}: {} {} {}", alarm.receiver, alarm.name, alarm.summary, alarm.runbook);
        assert_eq!(alarm.receiver, receiver, "{alarm:?}");
        assert_eq!(alarm.runbook, format!("docs/operations/{page}.md"), "{alarm:?}");
        assert_eq!(alarm.labels["instance"], watched.address.as_str(), "{alarm:?}");
        assert!(alarm.labels["waybill_manual"].is_null(), "{alarm:?}");
        let private = [VIN, OTHER_VIN].iter().any(|vin| format!("{alarm:?}").contains(vin));
        assert!(!private, "{alarm:?}");
    }

    let rules = prometheus.rules();
    assert_eq!(rules.len(), alarms().len());
    for (name, query) in &rules {
        until(name, || prometheus.knows(looked_at(query))).await;
    }
    let shown = dashboard_expressions();
    for (title, expression) in &shown {
        let what = format!("{title}: {expression}");
        until(&what, || prometheus.knows(expression)).await;
    }
    eprintln!("{} alarms and {} expressions of panels have data", rules.len(), shown.len());
    the_scrape_is_well_formed_and_all_of_it_is_shown(&watched.address, &shown);

    drop(agent);
    until("the agent is missed", || called.about("WaybillDown").is_some()).await;
    let alarm = called.about("WaybillDown").unwrap();
    assert_eq!(
        (alarm.receiver.as_str(), alarm.runbook.as_str()),
        ("on-call", "docs/operations/agent-down.md")
    );
}

fn the_scrape_is_well_formed_and_all_of_it_is_shown(address: &str, shown: &[(String, String)]) {
    let scrape = fetch(address, "/metrics").unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), scrape.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let names = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE waybill_"));
    let names: Vec<_> = names.map(|rest| rest.split(' ').next().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let found =
            shown.iter().any(|(_, expression)| expression.contains(&format!("waybill_{name}")));
        assert!(found, "no panel shows waybill_{name}");
    }
}
