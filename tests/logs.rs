//! What the log holds at its most verbose: no password, no header that logs in, no payload. Neither
//! of our own, nor of the libraries.

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

use std::fs;
use std::process::{Child, Command};

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;

use amqp::{Receiver, broker};
use service::{Reply, Service, until};
use support::{Site, VIN, event};

const CONFIG: &str = r#"version: 1
agent: { name: test, instance: "007", data_dir: data, drain: 5s }
journal: { min_free: 1MiB }
sources:
  vms: { type: amqp, url: { file: url }, queue: QUEUE, declare: passive, event: { key: id } }
  shut: { type: amqp, url: { file: wrong }, queue: QUEUE, declare: passive }
targets:
  erp: { type: http, url: "SERVICE", auth: { basic: { user: vms, password: { file: password } } } }
  key: { type: http, url: "SERVICE", auth: { header: { name: X-Api-Key, value: { file: password } } } }
  bus: { type: amqp, url: { file: url }, exchange: EXCHANGE, routing_key: "sap.{type}" }
  lost: { type: amqp, url: { file: url }, exchange: EXCHANGE, routing_key: "nobody.{type}" }
partners: [ MAPPINGS/partners/*.yaml ]
mappings: [ MAPPINGS/vehicle-registration/mapping.yaml ]
routes:
  - { on: vehicle.status.changed, mapping: vehicle-registration, partner: sap-importer, to: [erp, key, bus, lost] }
"#;

/// What the log must not hold, in all the ways in which bytes are shown.
fn shown(text: &str) -> [String; 4] {
    let bytes = |show: fn(&u8) -> String, between: &str| {
        text.as_bytes().iter().map(show).collect::<Vec<_>>().join(between)
    };
    let hex = |byte: &u8| format!("{byte:02x}");
    [text.to_owned(), bytes(u8::to_string, ", "), bytes(hex, ""), bytes(hex, " ")]
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_most_verbose_log_holds_no_credential_and_no_payload() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("status", "none", &[]).await;
    let out = receiver.queue("out", "sap.#", &[]).await;
    let service = Service::start(|_| Reply::Status(200)).await;
    let text = CONFIG
        .replace("SERVICE", &format!("http://{}", service.address))
        .replace("EXCHANGE", &receiver.exchange)
        .replace("QUEUE", &queue);
    let site = Site::written(&text);
    let (user, rest) = url.split_once('@').unwrap();
    fs::write(site.path("url"), &url).unwrap();
    fs::write(site.path("wrong"), format!("{user}sesame@{rest}")).unwrap();
    fs::write(site.path("password"), "geheim-0815").unwrap();
    let log = fs::File::create(site.path("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(["run", "--log", "trace"]).current_dir(site.folder.path());
    command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG_FORMAT");
    let _agent = Agent(command.stderr(log).spawn().unwrap());
    let body = event("e1", VIN, "sold");
    let options = BasicPublishOptions::default();
    let publish = receiver.channel.basic_publish(
        "".into(),
        queue.as_str().into(),
        options,
        &body,
        BasicProperties::default(),
    );
    publish.await.unwrap().await.unwrap();
    until("both services have it", || async { service.count() == 2 }).await;
    amqp::until("the bus has it", || async { !receiver.drain(&out).await.is_empty() }).await;
    let log = || fs::read_to_string(site.path("log")).unwrap();
    until("one was given back, one refused", || async {
        let log = log();
        log.contains("delivery is dead") && log.contains("the broker refused the login")
    })
    .await;
    let password = user.rsplit_once(':').unwrap().1;
    let log = log();
    assert!(log.contains("DEBUG"), "it was to be verbose");
    // `dm1z...` is `vms:geheim-0815` in Base64.
    for secret in [password, "sesame", "geheim", "dm1zOmdlaGVpbS0wODE1", VIN] {
        for shown in shown(secret) {
            let line = log.lines().find(|line| line.contains(&shown));
            assert!(line.is_none(), "{secret}: {}", line.unwrap());
        }
    }
    receiver.close().await;
}
