//! `waybill doctor`: what it finds on a site that is well and on sites that are not, with a broker,
//! a folder and a web service of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/amqp.rs"]
mod amqp;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use lapin::types::AMQPValue;
use serde_json::Value;

use amqp::{Private, Receiver, broker, until};
use support::Site;

/// A site with these sources and targets.
fn site(sources: &str, targets: &str) -> Site {
    let site = Site::written(&format!(
        r#"version: 1
agent: {{ name: test, instance: "007", data_dir: data }}
journal: {{ min_free: 1MiB }}
sources: {{ {sources} }}
targets: {{ {targets} }}
partners: [ MAPPINGS/partners/*.yaml ]
lifecycles: [ MAPPINGS/lifecycles/vehicle.yaml ]
mappings: [ MAPPINGS/vehicle-registration/mapping.yaml ]
routes: []
"#
    ));
    fs::create_dir(site.path("data")).unwrap();
    site
}

struct Said {
    code: Option<i32>,
    out: String,
    findings: Vec<Value>,
}

impl Said {
    /// Result and text of a check, and its remedy.
    fn about(&self, part: &str, check: &str) -> (&str, &str, &str) {
        let about = |it: &&Value| it["part"] == part && it["check"] == check;
        let found = self.findings.iter().find(about);
        let found = found.unwrap_or_else(|| panic!("{part}, {check}: not in\n{}", self.out));
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        (text("result"), text("found"), text("remedy"))
    }
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(site.folder.path());
    command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG_FORMAT");
    command
}

fn doctor(site: &Site, more: &[&str]) -> Said {
    let output = command(site, &[&["doctor", "--json"], more].concat()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let findings = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = Said { code: output.status.code(), out, findings };
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A web service that answers every request so, until the test ends.
fn service(status: &'static str, date: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines().map(|line| line.unwrap());
            let first = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            assert!(first.starts_with("OPTIONS /in HTTP/1.1"), "{first}");
            let head = format!("HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    format!("http://{address}/in")
}

#[tokio::test]
async fn a_site_that_is_well_is_said_to_be_so_beside_its_running_agent() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let exchange = receiver.exchange.clone();
    let sources = format!(
        "vms: {{ type: amqp, url: {{ file: url }}, queue: {exchange}.in }}, \
         drop: {{ type: folder, path: in, format: idoc }}"
    );
    let targets = format!(
        "sap: {{ type: file, path: out, name: '{{docnum}}.idoc' }}, \
         bus: {{ type: amqp, url: {{ file: url }}, exchange: {exchange}, declare: topic, routing_key: x }}"
    );
    let site = site(&sources, &targets);
    fs::write(site.path("url"), &url).unwrap();
    fs::create_dir(site.path("in")).unwrap();
    let early = doctor(&site, &[]);
    assert_eq!(early.code, Some(0), "{}", early.out);
    assert_eq!(early.about("journal", "owner"), ("ok", "no agent runs", ""));
    let (result, _, remedy) = early.about("source vms", "queue");
    assert_eq!((result, remedy.is_empty()), ("warn", false), "{}", early.out);
    let mut run = command(&site, &["run"]);
    let mut agent = run.stderr(fs::File::create(site.path("log")).unwrap()).spawn().unwrap();
    until("both connections are up", || async {
        let log = fs::read_to_string(site.path("log")).unwrap();
        log.contains("source is up") && log.contains("target is up")
    })
    .await;
    let said = doctor(&site, &["--deep"]);
    assert_eq!(said.code, Some(0), "{}", said.out);
    assert!(said.findings.iter().all(|finding| finding["result"] == "ok"), "{}", said.out);
    let (_, owner, _) = said.about("journal", "owner");
    assert_eq!(owner, format!("an agent runs: process {}", agent.id()));
    assert!(said.about("journal", "chain").1.starts_with("holds over all "), "{}", said.out);
    assert!(said.about("source vms", "queue").1.ends_with("0 messages wait, 1 consumers"));
    assert!(said.about("source vms", "queue arguments").1.contains("as the configuration"));
    let password = url.split(':').nth(2).unwrap().split('@').next().unwrap();
    assert!(!said.out.contains(password), "a secret is in the output");
    assert!(site.files().is_empty(), "{:?}", site.files());
    // The agent goes on as if nothing had been.
    let log = fs::read_to_string(site.path("log")).unwrap();
    assert!(agent.try_wait().unwrap().is_none() && !log.contains("is down"), "{log}");
    agent.kill().unwrap();
    agent.wait().unwrap();
    receiver.close().await;
}

#[tokio::test]
async fn a_refused_login_is_tried_once_for_all_parts_that_use_it() {
    if broker().is_none() {
        return;
    }
    let broker = Private::start();
    let good = broker.url();
    let (start, end) = good.split_once('@').unwrap();
    let user = start.rsplit_once(':').unwrap().0;
    let url = "type: amqp, url: { file: url }";
    let sources = format!("a: {{ {url}, queue: q }}, b: {{ {url}, queue: r }}");
    let targets = format!("c: {{ {url}, exchange: x, routing_key: k }}");
    let site = site(&sources, &targets);
    fs::write(site.path("url"), format!("{user}:sesame@{end}")).unwrap();
    let said = doctor(&site, &[]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    let (result, found, remedy) = said.about("source a", "login");
    assert_eq!(result, "fail");
    assert!(found.ends_with("the broker refused the login; it was tried once"), "{found}");
    assert!(remedy.starts_with("mend user and password"), "{remedy}");
    for part in ["source b", "target c"] {
        assert!(said.about(part, "login").1.contains("not tried"), "{}", said.out);
    }
    assert!(!said.out.contains("sesame"), "a secret is in the output");
    // The broker writes its log in order: once a later login is there, all before it are.
    let later = Receiver::new(&good).await;
    until("the later login is in the log", || async {
        broker.log().contains("authenticated and granted access")
    })
    .await;
    let log = broker.log();
    assert_eq!(log.matches("user 'waybill' - invalid credentials").count(), 1, "{log}");
    later.close().await;
}

#[tokio::test]
async fn queues_and_exchanges_that_are_not_as_declared_are_named() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let exchange = receiver.exchange.clone();
    let queue = receiver.queue("other", "nothing", &[("x-queue-type", text("quorum"))]).await;
    let sources = format!(
        "missing: {{ type: amqp, url: {{ file: url }}, queue: nowhere.{exchange}, declare: passive }}, \
         other: {{ type: amqp, url: {{ file: url }}, queue: {queue} }}, \
         plain: {{ type: amqp, url: {{ file: url }}, queue: {queue}, single_active: false }}"
    );
    let targets = format!(
        "missing: {{ type: amqp, url: {{ file: url }}, exchange: nowhere.{exchange}, routing_key: x }}, \
         other: {{ type: amqp, url: {{ file: url }}, exchange: {exchange}, declare: fanout, routing_key: x }}"
    );
    let site = site(&sources, &targets);
    fs::write(site.path("url"), &url).unwrap();
    let said = doctor(&site, &[]);
    assert_eq!(said.code, Some(1));
    let (result, found, remedy) = said.about("source missing", "queue");
    assert_eq!((result, found), ("fail", &*format!("nowhere.{exchange} is not there")));
    assert!(remedy.contains("declare: quorum"), "{remedy}");
    assert_eq!(said.about("source other", "queue").0, "ok");
    let (result, found, _) = said.about("source other", "queue arguments");
    assert!(result == "fail" && found.contains("x-single-active-consumer"), "{}", said.out);
    assert_eq!(said.about("source plain", "queue arguments").0, "ok", "{}", said.out);
    assert_eq!(said.about("target missing", "exchange").0, "fail");
    let (result, found, _) = said.about("target other", "exchange type");
    assert!(result == "fail" && found.contains("fanout"), "{}", said.out);
    receiver.close().await;
}

#[test]
fn folders_that_cannot_be_used_are_named_and_nothing_is_left_in_the_others() {
    // No user, and no root, makes a file in /sys.
    let sources = "good: { type: folder, path: in, format: idoc }, \
                   gone: { type: folder, path: nowhere, format: idoc }";
    let targets = "sap: { type: file, path: out, name: '{docnum}' }, \
                   locked: { type: file, path: /sys, name: '{docnum}' }, \
                   file: { type: file, path: waybill.yaml, name: '{docnum}' }";
    let site = site(sources, targets);
    fs::create_dir(site.path("in")).unwrap();
    let said = doctor(&site, &[]);
    assert_eq!(said.code, Some(1));
    for (part, check, result) in [
        ("source good", "rights", "ok"),
        ("source good", "clock", "ok"),
        ("target sap", "rights", "ok"),
        ("target sap", "space", "ok"),
        ("source gone", "folder", "fail"),
        ("target locked", "create", "fail"),
        ("target file", "folder", "fail"),
        ("journal", "data_dir", "ok"),
    ] {
        assert_eq!(said.about(part, check).0, result, "{part}, {check}: {}", said.out);
    }
    for folder in ["in", "out", "data"] {
        assert_eq!(fs::read_dir(site.path(folder)).unwrap().count(), 0, "{folder}");
    }
    // For people: a table, and what can be done.
    let output = command(&site, &["doctor"]).stdin(Stdio::null()).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("RESULT  PART"), "{table}");
    let remedy = "fail: source gone, folder: make the folder or mount its share\n";
    assert!(table.contains(remedy), "{table}");
}

#[test]
fn what_other_users_could_use_is_named() {
    let sources = "linked: { type: folder, path: in, format: idoc }, \
                   shown: { type: folder, path: shown, format: idoc }";
    let targets = "sap: { type: file, path: out, name: '{docnum}' }";
    let site = site(sources, targets);
    for (folder, mode) in [("in", 0o777), ("shown", 0o777), ("shown/done", 0o755)] {
        fs::create_dir(site.path(folder)).unwrap();
        set_mode(&site.path(folder), mode);
    }
    std::os::unix::fs::symlink(site.path("data"), site.path("in/.work")).unwrap();
    fs::create_dir(site.path("out/.waybill")).unwrap();
    set_mode(&site.path("out/.waybill"), 0o770);
    set_mode(&site.path("data"), 0o755);
    let said = doctor(&site, &[]);
    for (part, check, result, word) in [
        ("source linked", "user", "fail", "symbolic link"),
        ("source shown", "mode", "warn", "0755"),
        ("target sap", "user", "fail", "chmod go-w"),
        ("journal", "mode", "warn", "0755"),
    ] {
        let (graded, found, _) = said.about(part, check);
        assert!(graded == result && found.contains(word), "{part}, {check}: {}", said.out);
    }
    assert_eq!(fs::read_dir(site.path("data")).unwrap().count(), 0, "a link was followed");
    set_mode(&site.path("data"), 0o700);
    fs::write(site.path("data/journal.db"), "").unwrap();
    set_mode(&site.path("data/journal.db"), 0o644);
    let said = doctor(&site, &[]);
    let (graded, found, _) = said.about("journal", "mode");
    assert!(graded == "warn" && found.contains("journal.db"), "{found}");
}

fn set_mode(path: &std::path::Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, mode).unwrap();
}

#[test]
fn a_web_service_is_asked_once_without_a_document() {
    let now = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (good, closed) = (service("405 Method Not Allowed", now), service("401 Unauthorized", now));
    let auth = "auth: { bearer: { file: token } }";
    let targets = format!(
        "good: {{ type: http, url: '{good}' }}, first: {{ type: http, url: '{closed}', {auth} }}, \
         second: {{ type: http, url: '{closed}', {auth} }}, \
         gone: {{ type: http, url: 'http://127.0.0.1:1/' }}"
    );
    let site = site("drop: { type: folder, path: out, format: idoc }", &targets);
    fs::write(site.path("token"), "sesame").unwrap();
    let said = doctor(&site, &[]);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.about("target good", "connection").0, "ok");
    let (result, found, _) = said.about("target good", "clock");
    assert!(
        result == "warn"
            && found.contains("the server's clock is")
            && found.ends_with("behind ours"),
        "{found}"
    );
    assert!(said.about("target first", "login").1.ends_with("401 to OPTIONS; it was tried once"));
    assert!(said.about("target second", "login").1.contains("not tried"), "{}", said.out);
    assert_eq!(said.about("target gone", "connection").0, "fail");
    assert!(!said.out.contains("sesame"), "a secret is in the output");
}

#[test]
fn a_certificate_that_ends_and_a_secret_that_is_not_there_are_named() {
    let sources = "a: { type: amqp, url: { env: NO_SUCH_VARIABLE }, queue: q }, \
                   b: { type: amqp, url: 'amqps://127.0.0.1:1', queue: q, \
                        tls: { cert: cert.pem, key: key.pem } }";
    let site = site(sources, "sap: { type: file, path: out, name: '{docnum}' }");
    fs::write(site.path("cert.pem"), "nothing").unwrap();
    let said = doctor(&site, &[]);
    assert_eq!(said.code, Some(1));
    let (result, found, _) = said.about("source a", "address");
    assert_eq!((result, found), ("fail", "environment variable NO_SUCH_VARIABLE is not set"));
    assert_eq!(said.about("source b", "address").0, "fail");
    let (result, found, _) = said.about("source b", "certificate");
    assert!(result == "fail" && found.ends_with("no certificate in PEM form is in it"), "{found}");
}

#[test]
fn a_chain_that_is_broken_and_a_configuration_with_mistakes_are_the_answer_no() {
    let site = site("drop: { type: folder, path: out, format: idoc }", "");
    fs::write(site.path("broken.yaml"), "version: 2\n").unwrap();
    let output = command(&site, &["doctor", "--config", "broken.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    fs::write(site.path("data/journal.db"), "no database").unwrap();
    let said = doctor(&site, &[]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert_eq!(said.about("journal", "journal").0, "fail");
}
