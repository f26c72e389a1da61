//! `expect`: nothing goes to a system that is another one, and it is shown no login that it need not
//! see. A web service of our own and a broker of its own say who they are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::duplicate_mod,
    reason = "helpers of tests are tests; a broker and a web service bring a world each"
)]

#[path = "support/amqp.rs"]
mod amqp;
#[path = "support/http.rs"]
mod service;
#[path = "support/mod.rs"]
mod support;

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use serde_json::Value;
use waybill::delivery::State;

use amqp::{Private, Receiver, broker};
use service::{Reply, Seen, Service, World, until, world};
use support::{Site, VIN, event};

const EXPECT: &str = "expect: { system: Q01, client: 100 }, expect_at: { path: /whoami }";
const RIGHT: Reply = Reply::Full(200, "x-system", "Q01", r#"{"system":"Q01","client":"100"}"#);
const WRONG: Reply = Reply::Full(200, "x-system", "P01", r#"{"system":"P01","client":"100"}"#);

fn asked(seen: &[Seen]) -> usize {
    seen.iter().filter(|one| one.method == "GET").count()
}

/// Answers the question so, and everything else with 200.
fn saying(reply: Reply) -> impl FnMut(&Seen) -> Reply + Send + 'static {
    move |one| if one.method == "GET" { reply.clone() } else { Reply::Status(200) }
}

async fn fifty(world: &mut World) -> Vec<u64> {
    let names: Vec<_> = (0..50).map(|n| format!("k{n}")).collect();
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
    world.many(&list).await
}

async fn pass(time: Duration) {
    let watched = Instant::now();
    until("time went by", || async { watched.elapsed() > time }).await;
}

#[tokio::test]
async fn another_system_is_sent_nothing_and_the_right_one_all_without_a_restart() {
    let service = Service::start(saying(WRONG)).await;
    let mut world = world(&service, EXPECT);
    let ids = fifty(&mut world).await;
    let running = world.start();
    until("it was asked", || async { service.count() > 0 && !world.up() }).await;
    assert_eq!(service.count(), 1, "the first asks for all");
    until("it was asked again", || async { service.count() > 1 }).await;
    let seen = service.seen();
    assert_eq!((asked(&seen), &*seen[0].path), (seen.len(), "/whoami"));
    assert!(seen.iter().all(|one| one.body.is_empty()));
    assert!(ids.iter().all(|id| (world.attempts(*id), world.state(*id)) == (0, State::Due)));
    let why = world.metrics.reasons.of("target erp");
    let why = why.map(|why| (why.brief, why.detail));
    let said = "it answers as system P01, expected Q01".to_owned();
    assert_eq!(why, Some(("service unavailable", said)));
    service.rule(saying(RIGHT));
    world.until_done().await;
    until("it counts as up", || async { world.up() }).await;
    assert_eq!(world.metrics.reasons.of("target erp"), None);
    running.stop().await;
    let seen = service.seen();
    let right = seen.iter().position(|one| one.method == "POST").unwrap();
    assert_eq!((asked(&seen[..right]), asked(&seen[right..])), (right, 0));
    assert_eq!(seen.len() - right, 50);
}

#[tokio::test]
async fn who_does_not_say_what_is_expected_is_sent_nothing() {
    let html = Reply::Full(200, "content-type", "text/html", "<html>welcome</html>");
    let found = Reply::Full(302, "location", "/login", "");
    for (reply, why) in [
        (html, "it does not say its system, expected Q01; it does not say its client"),
        (found, "asked who it is, its answer is 302"),
        (Reply::Status(404), "asked who it is, its answer is 404"),
        (Reply::Status(503), "asked who it is, its answer is 503"),
        (Reply::Endless, "it does not say its system"),
        (Reply::Silence, "no answer within 500ms"),
        (Reply::Close, ""),
    ] {
        let service = Service::start(saying(reply)).await;
        let mut world = world(&service, EXPECT);
        let id = world.due("a", "x").await;
        let running = world.start();
        let said =
            || world.metrics.reasons.of("target erp").map_or_else(String::new, |it| it.detail);
        until("it was asked", || async { service.count() > 0 && !said().starts_with("not") }).await;
        until("it was heard", || async { !said().is_empty() }).await;
        assert!(said().contains(why), "{why}: {}", said());
        running.stop().await;
        assert_eq!((asked(&service.seen()), world.attempts(id)), (service.count(), 0), "{why}");
    }
}

#[tokio::test]
async fn a_header_may_say_it_at_the_url_itself() {
    let service = Service::start(saying(RIGHT)).await;
    let mut world = world(&service, "expect: { X-System: Q01 }, expect_at: { in: headers }");
    let id = world.due("a", "x").await;
    let running = world.start();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
    let seen = service.seen();
    assert_eq!((seen.len(), &*seen[0].method, &*seen[0].path), (2, "GET", "/api"));
}

const BASIC: &str = "auth: { basic: { user: vms, password: { file: password } } }";
const GOOD: &str = "Basic dm1zOmdvb2Q=";

#[tokio::test]
async fn a_wrong_password_is_tried_once_when_it_is_asked_who_answers() {
    let service = Service::start(|one| match (one.header("authorization"), &*one.method) {
        (GOOD, "GET") => RIGHT,
        (GOOD, _) => Reply::Status(200),
        _ => Reply::Status(401),
    })
    .await;
    let mut world = world(&service, &format!("{BASIC}, {EXPECT}"));
    fs::write(world.path("password"), "geheim").unwrap();
    fifty(&mut world).await;
    let running = world.start();
    until("the login was refused", || async { service.count() == 1 && !world.up() }).await;
    pass(Duration::from_millis(2500)).await;
    assert_eq!(service.count(), 1);
    fs::write(world.path("password"), "good").unwrap();
    world.until_done().await;
    running.stop().await;
    assert_eq!((asked(&service.seen()), service.count()), (2, 52));
}

#[tokio::test]
async fn it_is_asked_again_when_the_credential_or_the_connection_is_another() {
    let service = Service::start(saying(RIGHT)).await;
    let mut world = world(&service, &format!("{BASIC}, {EXPECT}, dedupes: id"));
    fs::write(world.path("password"), "one").unwrap();
    let running = world.start();
    for key in ["a", "b"] {
        let id = world.due(key, "x").await;
        world.until_state(id, State::Delivered).await;
    }
    assert_eq!(asked(&service.seen()), 1, "an answer counts for a while");
    fs::write(world.path("password"), "two").unwrap();
    let mut number = 0;
    let basic = |one: &Seen| one.header("authorization").to_owned();
    while basic(service.seen().last().unwrap()) == basic(&service.seen()[0]) {
        number += 1;
        let id = world.due(&format!("c{number}"), "x").await;
        world.until_state(id, State::Delivered).await;
    }
    let seen = service.seen();
    let new = seen.iter().find(|one| basic(one) != basic(&seen[0])).unwrap();
    assert_eq!((asked(&seen), &*new.method), (2, "GET"));
    let mut lost = false;
    service.rule(move |one| match &*one.method {
        "GET" => RIGHT,
        _ if !std::mem::replace(&mut lost, true) => Reply::Close,
        _ => Reply::Status(200),
    });
    let id = world.due("d", "x").await;
    world.until_state(id, State::Delivered).await;
    running.stop().await;
    let seen = service.seen();
    let last: Vec<_> = seen[seen.len() - 3..].iter().map(|one| &*one.method).collect();
    assert_eq!((asked(&seen), last), (3, vec!["POST", "GET", "POST"]));
}

// --- a broker ---------------------------------------------------------------------------------

const CONFIG: &str = r#"version: 1
agent: { name: test, instance: "007", data_dir: data, drain: 5s }
http: { listen: "127.0.0.1:PORT" }
journal: { min_free: 1MiB }
sources:
  vms: { type: amqp, url: { file: url }, queue: vms.status, declare: passive, event: { key: id }, expect: { cluster: qas } }
targets:
  erp: { type: http, url: "SERVICE", expect: { system: Q01 } }
  bus: { type: amqp, url: { file: url }, exchange: EXCHANGE, routing_key: "sap.{type}", expect: { cluster: qas } }
partners: [ MAPPINGS/partners/*.yaml ]
mappings: [ MAPPINGS/vehicle-registration/mapping.yaml ]
routes:
  - { on: vehicle.status.changed, mapping: vehicle-registration, partner: sap-importer, to: [bus, erp] }
"#;

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(site.folder.path());
    command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG_FORMAT");
    command
}

fn ready(port: u16) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let _ = write!(stream, "GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// What the doctor says of the identity of each part, and its exit code.
async fn doctor(site: &Site) -> (Option<i32>, Vec<(String, String, String)>) {
    let mut command = command(site, &["doctor", "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let lines = lines.filter(|line| line["check"] == "identity");
    let lines =
        lines.map(|line| (text(&line, "part"), text(&line, "result"), text(&line, "found")));
    (output.status.code(), lines.collect())
}

/// A broker and a service that are others than expected, and an agent that is to use both.
struct Strange {
    private: Private,
    receiver: Receiver,
    service: Service,
    /// Where messages come out.
    out: String,
    site: Site,
    port: u16,
    _agent: Agent,
}

const STRANGE: &str = "the broker answers as cluster prd, expected qas; it was shown no login";

impl Strange {
    async fn start() -> Self {
        let private = Private::start();
        private.ctl(&["set_cluster_name", "prd"]);
        let receiver = Receiver::new(&private.url()).await;
        let status = receiver.queue("status", "none", &[]).await;
        let out = receiver.queue("out", "sap.#", &[]).await;
        let body = event("e1", VIN, "sold");
        let publish = receiver.channel.basic_publish(
            "".into(),
            status.as_str().into(),
            BasicPublishOptions::default(),
            &body,
            BasicProperties::default(),
        );
        publish.await.unwrap().await.unwrap();
        let service = Service::start(saying(WRONG)).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = CONFIG
            .replace("PORT", &port.to_string())
            .replace("SERVICE", &format!("http://{}", service.address))
            .replace("EXCHANGE", &receiver.exchange)
            .replace("vms.status,", &format!("{status},"));
        let site = Site::written(&text);
        fs::write(site.path("url"), private.url()).unwrap();
        let log = OpenOptions::new().create(true).append(true).open(site.path("log")).unwrap();
        let _agent = Agent(command(&site, &["run"]).stderr(log).spawn().unwrap());
        Self { private, receiver, service, out, site, port, _agent }
    }

    /// Whether operators are told so.
    fn is_ready(&self, says: impl Fn(&str) -> bool) -> bool {
        let output = command(&self.site, &["status", "--json"]).output().unwrap();
        says(&String::from_utf8(output.stdout).unwrap())
    }

    /// The broker writes its log in order: once a later login is there, all before it are.
    async fn nobody_but_the_test_has_logged_in(&self) {
        let logins = || self.private.log().matches("authenticated and granted access").count();
        let before = logins();
        let exchange = self.receiver.exchange.clone();
        let later = Receiver::again(&self.private.url(), exchange).await;
        amqp::until("the later login is in the log", || async { logins() > before }).await;
        assert_eq!(logins(), 2);
        assert_eq!(later.drain(&self.out).await.len(), 0);
        later.close().await;
    }
}

#[tokio::test]
async fn another_broker_is_shown_no_login_and_the_right_one_is_used_without_a_restart() {
    if broker().is_none() {
        return;
    }
    let strange = Strange::start().await;
    let Strange { private, receiver, service, site, .. } = &strange;
    amqp::until("readiness says why", || async {
        let source = format!("source vms is down: {STRANGE}");
        let target = format!("target bus is down: {STRANGE}; its deliveries wait");
        strange.is_ready(|said| said.contains(&source) && said.contains(&target))
    })
    .await;
    let strangers = ready(strange.port);
    let brief = "\"source vms: another broker answers\"";
    assert!(strangers.contains(brief) && !strangers.contains("prd"), "{strangers}");
    let (code, said) = doctor(site).await;
    assert_eq!((code, said.len()), (Some(1), 3), "{said:?}");
    for (part, result, found) in said {
        let expected = if part == "target erp" { "it answers as system P01" } else { STRANGE };
        assert!(result == "fail" && found.contains(expected), "{part}: {result}: {found}");
    }
    strange.nobody_but_the_test_has_logged_in().await;
    private.ctl(&["set_cluster_name", "qas"]);
    service.rule(saying(RIGHT));
    let out = || receiver.drain(&strange.out);
    amqp::until("the message came through", || async { !out().await.is_empty() }).await;
    let posted = || service.seen().iter().any(|one| one.method == "POST");
    amqp::until("the document came through", || async { posted() }).await;
    let all_up = || strange.is_ready(|said| said.contains("\"reasons\":[]"));
    amqp::until("all are up", || async { all_up() }).await;
    let (code, said) = doctor(site).await;
    let found: Vec<_> = said.iter().map(|(part, _, found)| (&**part, &**found)).collect();
    assert_eq!(code, Some(0), "{found:?}");
    let as_expected = "cluster qas, as expected";
    assert_eq!((found[0], found[2]), (("source vms", as_expected), ("target bus", as_expected)));
    assert!(found[1].1.ends_with(": system Q01, as expected"), "{found:?}");
}
