//! AMQP over TLS against a real broker that wants a certificate: in and out, and both certificates
//! rotated while messages travel.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/amqp.rs"]
mod amqp;
#[path = "support/pki.rs"]
mod pki;
#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;

use amqp::{Private, Receiver, broker, until};
use pki::{Authority, Certificate};
use support::{Site, VIN, event};

const FAR: &str = "20991231235959Z";
const CONFIG: &str = r#"version: 1
agent: { name: test, instance: "007", data_dir: data, drain: 5s }
http: { listen: "127.0.0.1:PORT" }
journal: { url: "sqlite:journal.db", min_free: 1MiB }
sources:
  vms:
    type: amqp
    url: { file: url }
    tls: { ca: ca.pem, cert: cert.pem, key: key.pem }
    queue: vms.status
    declare: passive
    event: { key: id }
targets:
  sap-file: { type: file, path: out, name: "{message_type}_{docnum}.idoc" }
  vms-events: { type: amqp, url: { file: url }, tls: { ca: ca.pem, cert: cert.pem, key: key.pem }, exchange: EXCHANGE, routing_key: "sap.{type}" }
partners: [ MAPPINGS/partners/*.yaml ]
mappings: [ MAPPINGS/vehicle-registration/mapping.yaml ]
routes:
  - { on: vehicle.status.changed, mapping: vehicle-registration, partner: sap-importer, to: [sap-file, vms-events] }
"#;

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(site: &Site) -> Agent {
    let log = OpenOptions::new().create(true).append(true).open(site.path("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(["run"]).current_dir(site.folder.path()).env_remove("WAYBILL_CONFIG");
    Agent(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn write(site: &Site, own: &Certificate) {
    fs::write(site.path("cert.pem"), &own.pem).unwrap();
    fs::write(site.path("key.pem"), &own.key).unwrap();
}

fn metrics(port: u16) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A broker of its own that wants a certificate of `clients`.
fn secured(clients: &Authority, brokers: &Authority) -> Private {
    let own = brokers.issue("broker", FAR);
    let files = [("ca.pem", &*clients.pem), ("cert.pem", &*own.pem), ("key.pem", &*own.key)];
    Private::start_with(&files)
}

async fn publish(receiver: &Receiver, queue: &str, number: usize) {
    let bytes = event(&format!("e{number}"), VIN, "delivered");
    let (exchange, key) = ("".into(), queue.into());
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = receiver.channel.basic_publish(exchange, key, options, &bytes, properties);
    sent.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn certificates_of_both_sides_are_rotated_under_load_without_an_error() {
    if broker().is_none() {
        return;
    }
    let (ours, theirs) = (Authority::new("clients"), Authority::new("brokers"));
    let private = secured(&ours, &theirs);
    let receiver = Receiver::new(&private.url()).await;
    let inbox = receiver.queue("inbox", "sap.#", &[]).await;
    let source = receiver.queue("source", "none", &[]).await;
    let port = free_port();
    let config = CONFIG.replace("PORT", &port.to_string()).replace("vms.status", &source);
    let site = Site::written(&config.replace("EXCHANGE", &receiver.exchange));
    fs::write(site.path("url"), private.url_tls()).unwrap();
    fs::write(site.path("ca.pem"), &theirs.pem).unwrap();
    write(&site, &ours.issue("first", FAR));
    let mut agent = start(&site);
    let mut made = 0;
    for name in ["second", "third"] {
        let own = theirs.issue("broker", FAR);
        private.write_tls("cert.pem", &own.pem);
        private.write_tls("key.pem", &own.key);
        private.ctl(&["eval", "ssl:clear_pem_cache()."]);
        write(&site, &ours.issue(name, FAR));
        // Both connections are of the new certificate, and events went on coming all the while.
        let deadline = Instant::now() + Duration::from_secs(60);
        let subject = format!("CN={name}");
        while private.ctl(&["list_connections", "peer_cert_subject"]).matches(&subject).count() < 2
        {
            assert!(Instant::now() < deadline, "no connection shows {subject}");
            for _ in 0..50 {
                made += 1;
                publish(&receiver, &source, made).await;
            }
        }
    }
    until("all files are there", || async { site.files().len() == made }).await;
    let mut ids = BTreeSet::new();
    let mut messages = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while ids.len() < made {
        assert!(Instant::now() < deadline, "{} of {made} messages", ids.len());
        for message in receiver.drain(&inbox).await {
            messages += 1;
            ids.insert(message.id);
        }
    }
    assert_eq!((messages, site.files().len()), (made, made), "nothing came twice");
    let said = metrics(port);
    for name in ["source/vms", "target/vms-events"] {
        assert!(
            said.contains(&format!("waybill_credential_expiry_seconds{{name=\"{name}\"}}")),
            "{said}"
        );
    }
    agent.0.kill().unwrap();
    let log = fs::read_to_string(site.path("log")).unwrap();
    assert!(log.contains("connecting anew") && log.contains("connected anew"), "{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    receiver.close().await;
}
