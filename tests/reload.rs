//! Another configuration while the agent runs: the program itself, with files on both sides and a
//! broker that is not there, so that deliveries wait.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent that takes customers from a folder.
struct Agent {
    home: tempfile::TempDir,
    http: SocketAddr,
    child: Child,
}

/// What a command did.
struct Said {
    code: Option<i32>,
    out: String,
}

/// `PORT`, `MAPPINGS` and `REST` are filled in.
const CONFIG: &str = "version: 1
agent: { name: test, instance: \"007\", data_dir: data, drain: 5s, reload: RELOAD }
http: { listen: \"127.0.0.1:PORT\" }
journal: { min_free: 1MiB }
sources:
  drop: { type: folder, path: in, format: idoc, poll: 50ms, complete: { stable_for: 100ms }, keys: { DEBMAS: E1KNA1M/KUNNR } }
targets:
  vms: { type: amqp, url: { file: broker-url }, exchange: \"\", routing_key: vms.inbox }
mappings: [ MAPPINGS/customer-changed/mapping.yaml ]
routes: REST
";

const ROUTE: &str =
    "[ { on: idoc.DEBMAS, mapping: customer-changed, as: customer.changed, to: [vms] } ]";

impl Agent {
    fn start(routes: &str, reload: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("in")).unwrap();
        // Nobody listens there: a port of the system's own choice was free a moment ago.
        let nobody = free();
        fs::write(home.path().join("broker-url"), format!("amqp://{nobody}/%2f")).unwrap();
        let http = free();
        let text = CONFIG.replace("RELOAD", reload).replace("PORT", &http.port().to_string());
        let mappings = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let text = text.replace("MAPPINGS", &mappings.display().to_string());
        fs::write(home.path().join("waybill.yaml"), text.replace("REST", routes)).unwrap();
        let log = fs::File::create(home.path().join("log")).unwrap();
        let child = command(home.path(), &["run"]).stderr(log).spawn().unwrap();
        let agent = Self { home, http, child };
        agent.until("it is ready", || agent.ready()["ready"] == true);
        agent
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("waybill.yaml")
    }

    fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from}");
        let part = self.home.path().join("part");
        fs::write(&part, text.replace(from, to)).unwrap();
        fs::rename(part, self.config()).unwrap();
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let output = command(self.home.path(), arguments).output().unwrap();
        let both = [output.stdout, output.stderr].concat();
        Said { code: output.status.code(), out: String::from_utf8(both).unwrap() }
    }

    fn reload(&self) -> Said {
        self.say(&["reload", "--why", "test", "--json"])
    }

    fn reloaded(&self) -> Value {
        let said = self.reload();
        assert_eq!(said.code, Some(0), "{}", said.out);
        serde_json::from_str(&said.out).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.http) else { return String::new() };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned()
    }

    fn ready(&self) -> Value {
        serde_json::from_str(&self.get("/readyz")).unwrap_or_default()
    }

    /// What operators are told beyond that.
    fn status(&self) -> Value {
        serde_json::from_str(&self.say(&["status", "--json"]).out).unwrap_or_default()
    }

    /// As it was within the last second.
    fn metric(&self, series: &str) -> Option<String> {
        let metrics = self.get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(series).map(str::to_owned));
        line.map(|value| value.trim().to_owned())
    }

    /// Drops a customer and waits until it is decided.
    fn drop_customer(&self, number: u32) {
        let case = "mappings/customer-changed/cases/only-what-is-required/event.idoc";
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(case)).unwrap();
        let text = text.replace("0000000000700002", &format!("{number:016}"));
        let text = text.replace("D-0815", &format!("D-{number:04}"));
        let name = format!("{number}.idoc");
        let part = self.home.path().join("part");
        fs::write(&part, text).unwrap();
        fs::rename(part, self.home.path().join("in").join(&name)).unwrap();
        let done = self.home.path().join("in/done").join(name);
        self.until("the file is done", || done.is_file());
    }

    fn waiting(&self) -> usize {
        self.say(&["deliveries", "list", "--json"]).out.lines().count()
    }

    fn until_metric(&self, series: &str, value: Option<&str>) {
        self.until(series, || self.metric(series).as_deref() == value);
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let log = || fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(folder).env_remove("WAYBILL_CONFIG").stdin(Stdio::null());
    command
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn events_after_a_reload_are_decided_by_the_new_plan() {
    let agent = Agent::start("[]", "on-signal");
    agent.drop_customer(1);
    assert_eq!(agent.waiting(), 0);
    let before = agent.ready()["plan"].clone();
    agent.change("routes: []", &format!("routes: {ROUTE}"));
    let done = agent.reloaded();
    assert_eq!((&done["generation"], &done["changed"]), (&2.into(), &true.into()));
    let recorded = agent.say(&["audit", "actions", "--json"]).out;
    let recorded: Value = serde_json::from_str(recorded.lines().next().unwrap()).unwrap();
    assert_eq!((&recorded["verb"], &recorded["why"]), (&"reload".into(), &"test".into()));
    assert_eq!(recorded["uid"], rustix::process::getuid().as_raw(), "of the process that asked");
    assert_eq!(agent.say(&["audit", "verify"]).code, Some(0));
    // Nothing that is connected was touched.
    assert_eq!(
        (&done["stopped"], &done["started"]),
        (&Value::Array(vec![]), &Value::Array(vec![]))
    );
    agent.drop_customer(2);
    agent.until("a delivery waits", || agent.waiting() == 1);
    let after = agent.ready();
    assert_eq!(after["generation"], 2);
    assert_ne!(after["plan"], before);
    agent.until_metric("waybill_config_generation", Some("2"));
    assert_eq!(agent.reloaded()["changed"], false);
}

#[test]
fn a_broken_configuration_changes_nothing_and_says_where_it_is_broken() {
    let agent = Agent::start(ROUTE, "on-signal");
    agent.change("to: [vms]", "to: [vmz]");
    let said = agent.reload();
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.out.contains("waybill.yaml:10:") && said.out.contains("did you mean `vms`"),
        "{}",
        said.out
    );
    let ready = agent.ready();
    assert_eq!((&ready["generation"], &ready["ready"]), (&1.into(), &true.into()));
    assert_eq!(ready["reload_refused"], "the files have mistakes");
    assert!(agent.status()["reload_refused"].as_str().unwrap().contains("vmz"));
    agent.until_metric("waybill_config_last_reload_success", Some("0"));
    agent.drop_customer(1);
    agent.until("the old plan still decides", || agent.waiting() == 1);
    agent.change("to: [vmz]", "to: [vms]");
    agent.reloaded();
    agent.until_metric("waybill_config_last_reload_success", Some("1"));
    assert_eq!(agent.ready()["reload_refused"], Value::Null);
}

#[test]
fn a_target_with_deliveries_left_cannot_be_removed() {
    let agent = Agent::start(ROUTE, "on-signal");
    agent.drop_customer(1);
    agent.until("a delivery waits", || agent.waiting() == 1);
    let target = "  vms: { type: amqp, url: { file: broker-url }, exchange: \"\", routing_key: vms.inbox }\n";
    let other = "  other: { type: file, path: out, name: \"{docnum}\" }\n";
    agent.change(target, other);
    agent.change(ROUTE, "[]");
    let said = agent.reload();
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("waybill deliveries list --target vms"), "{}", said.out);
    // All or nothing: the target that would have been new is not there.
    agent.until_metric("waybill_config_last_reload_success", Some("0"));
    assert_eq!(agent.metric("waybill_target_up{target=\"other\"}"), None);
    agent.drop_customer(2);
    agent.until("the old plan still decides", || agent.waiting() == 2);
    for delivery in ["1", "2"] {
        let said = agent.say(&["deliveries", "discard", delivery, "--why", "test"]);
        assert_eq!(said.code, Some(0), "{}", said.out);
    }
    let done = agent.reloaded();
    assert_eq!(done["stopped"], serde_json::json!(["target vms"]));
    assert_eq!(done["started"], serde_json::json!(["target other"]));
    agent.until_metric("waybill_target_up{target=\"vms\"}", None);
    agent.until("the new one is up", || {
        agent.metric("waybill_target_up{target=\"other\"}").is_some()
    });
}

#[test]
fn a_source_that_changed_is_started_anew_and_goes_on() {
    let agent = Agent::start(ROUTE, "on-signal");
    agent.drop_customer(1);
    agent.change("poll: 50ms", "poll: 60ms");
    let done = agent.reloaded();
    assert_eq!(done["stopped"], serde_json::json!(["source drop"]));
    assert_eq!(done["started"], serde_json::json!(["source drop"]));
    agent.drop_customer(2);
    agent.until("both wait", || agent.waiting() == 2);
}

#[test]
fn a_source_that_comes_later_is_taken_from_and_may_go_again() {
    let agent = Agent::start(ROUTE, "on-signal");
    fs::create_dir(agent.home.path().join("second")).unwrap();
    let second = "  second: { type: folder, path: second, format: idoc, poll: 50ms }\ntargets:\n";
    agent.change("targets:\n", second);
    assert_eq!(agent.reloaded()["started"], serde_json::json!(["source second"]));
    agent.until_metric("waybill_source_up{source=\"second\"}", Some("1"));
    agent.change(second, "targets:\n");
    assert_eq!(agent.reloaded()["stopped"], serde_json::json!(["source second"]));
    agent.until_metric("waybill_source_up{source=\"second\"}", None);
    assert_eq!(agent.ready()["ready"], true);
    agent.drop_customer(1);
}

#[test]
fn what_holds_for_the_life_of_the_process_cannot_be_reloaded() {
    let agent = Agent::start("[]", "on-signal");
    agent.change("instance: \"007\"", "instance: \"008\"");
    let said = agent.reload();
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("agent.instance cannot change while the agent runs"), "{}", said.out);
}

#[test]
fn sighup_reloads() {
    let agent = Agent::start("[]", "on-signal");
    agent.change("routes: []", &format!("routes: {ROUTE}"));
    let pid = Pid::from_raw(i32::try_from(agent.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    agent.until("it has reloaded", || agent.ready()["generation"] == 2);
}

#[test]
fn a_changed_file_is_taken_over_by_itself_where_that_is_asked_for() {
    // It may be changed before anybody has looked.
    let agent = Agent::start("[]", "on-change");
    agent.change("routes: []", "routes: [ oops");
    agent.until("it was read", || agent.ready()["reload_refused"].is_string());
    agent.change("routes: [ oops", &format!("routes: {ROUTE}"));
    agent.until("it has reloaded", || agent.ready()["generation"] == 2);
    assert_eq!(agent.ready()["reload_refused"], Value::Null);
}

#[test]
fn without_an_agent_there_is_nobody_to_reload() {
    let mut agent = Agent::start("[]", "on-signal");
    agent.child.kill().unwrap();
    agent.child.wait().unwrap();
    let said = agent.reload();
    assert_eq!(said.code, Some(3), "{}", said.out);
    assert!(said.out.contains("no agent runs"), "{}", said.out);
}
