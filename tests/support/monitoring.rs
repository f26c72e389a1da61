//! Prometheus, Alertmanager and somebody who is called, as plain processes on loopback.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not seen as tests"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a condition may take to hold.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its owner.
pub struct Process(Child);

impl Process {
    /// Starts it; what it says goes into `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Whether a program is to be had.
pub fn is_installed(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok()
}

/// Runs a checker, which must be content.
#[track_caller]
pub fn content(command: &mut Command) {
    let output = command.output().unwrap();
    let (said, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}{error}");
}

/// An address on loopback that nobody uses.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits until something holds; says what it was otherwise.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The body of an answer; nothing where nobody answers yet.
pub fn fetch(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    // An answer in one piece, after which the connection ends.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// What Prometheus knows.
pub struct Prometheus {
    pub address: String,
    _process: Process,
}

impl Prometheus {
    /// As `docker/prometheus` has it, but quicker: looks every second and is alarmed at once.
    pub fn start(folder: &Path, agent: &str, alertmanager: &str) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/prometheus");
        let config = fs::read_to_string(shipped.join("prometheus.yml")).unwrap();
        let config = config.replace("15s", "1s").replace("agent:9464", agent);
        let config = config.replace("alertmanager:9093", alertmanager);
        assert!(config.contains(agent) && config.contains(alertmanager));
        let rules = fs::read_to_string(shipped.join("rules/waybill.yaml")).unwrap();
        let now = |line: &&str| !line.trim_start().starts_with("for:");
        let rules = rules.lines().filter(now).collect::<Vec<_>>().join("\n");
        fs::create_dir_all(folder.join("rules")).unwrap();
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        fs::write(folder.join("rules/waybill.yaml"), rules).unwrap();
        Self::run(folder)
    }

    /// With the configuration that lies in `folder`.
    pub fn run(folder: &Path) -> Self {
        let address = free_address();
        let process = Process::start(
            Command::new("prometheus")
                .arg("--config.file=prometheus.yml")
                .arg("--storage.tsdb.path=prometheus")
                .arg(format!("--web.listen-address={address}"))
                .current_dir(folder),
            &folder.join("prometheus.log"),
        );
        Self { address, _process: process }
    }

    /// The series that an expression gives; an error in it fails the test.
    pub fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = fetch(&self.address, &format!("/api/v1/query?query={escaped}"))?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        assert_eq!(answer["status"], "success", "{expression}\n{answer}");
        Some(answer["data"]["result"].as_array().unwrap().clone())
    }

    /// Whether an expression gives anything.
    pub fn knows(&self, expression: &str) -> bool {
        self.query(expression).is_some_and(|series| !series.is_empty())
    }

    /// The expressions of the rules that it has read, by alarm.
    pub fn rules(&self) -> Vec<(String, String)> {
        let answer = fetch(&self.address, "/api/v1/rules").unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rules.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
    }
}

/// Alertmanager as `docker/alertmanager` has it, but at once, and with somebody to tell.
pub fn alertmanager(folder: &Path, called: &Called) -> (String, Process) {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/alertmanager/alertmanager.yml");
    let config = fs::read_to_string(shipped).unwrap();
    let mut config = config.replace("group_wait: 30s", "group_wait: 0s");
    config = config.replace("group_interval: 5m", "group_interval: 1s");
    for receiver in ["operators", "on-call"] {
        let (name, url) = (format!("  - name: {receiver}\n"), format!("http://{}", called.address));
        assert!(config.contains(&name));
        let hook = format!("{name}    webhook_configs: [{{ url: '{url}/{receiver}' }}]\n");
        config = config.replace(&name, &hook);
    }
    fs::write(folder.join("alertmanager.yml"), config).unwrap();
    let address = free_address();
    let process = Process::start(
        Command::new("prometheus-alertmanager")
            .arg("--config.file=alertmanager.yml")
            .arg("--storage.path=alertmanager")
            .arg("--cluster.listen-address=")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder),
        &folder.join("alertmanager.log"),
    );
    (address, process)
}

/// An alarm that arrived at somebody.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub receiver: String,
    pub name: String,
    pub labels: Value,
    pub summary: String,
    pub runbook: String,
}

/// Whoever is called.
pub struct Called {
    pub address: String,
    alarms: Arc<Mutex<Vec<Alarm>>>,
}

impl Called {
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let alarms = Arc::new(Mutex::new(Vec::new()));
        let heard = alarms.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let new = hear(&stream.unwrap());
                heard.lock().unwrap().extend(new);
            }
        });
        Self { address, alarms }
    }

    /// The first alarm of that name.
    pub fn about(&self, name: &str) -> Option<Alarm> {
        self.alarms.lock().unwrap().iter().find(|alarm| alarm.name == name).cloned()
    }
}

/// Reads one notification and thanks for it.
fn hear(mut stream: &TcpStream) -> Vec<Alarm> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let receiver = head.split([' ', '/']).find(|word| ["operators", "on-call"].contains(word));
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, value)| value.parse::<usize>().unwrap()).next().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let alerts = body["alerts"].as_array().unwrap().iter();
    let firing = alerts.filter(|alert| alert["status"] == "firing");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    firing
        .map(|alert| Alarm {
            receiver: receiver.unwrap().to_owned(),
            name: text(&alert["labels"]["alertname"]),
            labels: alert["labels"].clone(),
            summary: text(&alert["annotations"]["summary"]),
            runbook: text(&alert["annotations"]["runbook_url"]),
        })
        .collect()
}
