//! A journal with messages that are due, a dispatcher that publishes them, and a consumer, for the
//! tests of the AMQP target.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of several tests; each uses a part of them"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use lapin::options::{
    BasicGetOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use tempfile::TempDir;
use waybill::cloudevent::{self, Attributes};
use waybill::config::secret::Secret;
use waybill::config::tls::Tls;
use waybill::config::{AmqpTarget, DeclareExchange, Mode, OnDoubt, RoutingKey, TargetKind};

#[path = "world.rs"]
mod world;
pub use world::{World, until};

/// The broker of the tests, if there is one.
pub fn broker() -> Option<String> {
    let url = std::env::var("WAYBILL_TEST_AMQP").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(std::env::var_os("WAYBILL_TEST_REQUIRED").is_none(), "no WAYBILL_TEST_AMQP");
        eprintln!("passed over: WAYBILL_TEST_AMQP is not set; `make test` sets it");
    }
    url
}

/// A broker of its own, which may be stopped, killed and put under pressure.
pub struct Private {
    folder: TempDir,
}

impl Private {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these files in its folder for certificates.
    pub fn start_with(tls: &[(&str, &str)]) -> Self {
        let private = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in tls {
            private.write_tls(name, text);
        }
        private.script(&["start"], &[&std::process::id().to_string()]);
        private
    }

    pub fn url(&self) -> String {
        std::fs::read_to_string(self.home().join("url")).unwrap()
    }

    pub fn url_tls(&self) -> String {
        std::fs::read_to_string(self.home().join("url-tls")).unwrap()
    }

    pub fn write_tls(&self, name: &str, text: &str) {
        let folder = self.home().join("tls");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
    }

    pub fn kill(&self) {
        self.script(&["kill"], &[]);
    }

    pub fn restart(&self) {
        self.script(&["restart"], &[]);
    }

    pub fn ctl(&self, words: &[&str]) -> String {
        self.script(&["ctl"], words)
    }

    pub fn log(&self) -> String {
        let files = std::fs::read_dir(self.home().join("log")).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("rabbitmq")
    }

    fn script(&self, verb: &[&str], words: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker.sh");
        let mut command = Command::new(script);
        let output = command.args(verb).arg(self.home()).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.script(&["stop"], &[]);
    }
}

/// The receiving side: an exchange of its own and its queues.
pub struct Receiver {
    pub channel: Channel,
    pub exchange: String,
    connection: Connection,
}

impl Receiver {
    pub async fn new(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let exchange = format!("test.{}.{count}", std::process::id());
        Self::again(url, exchange).await
    }

    /// After a restart of the broker.
    pub async fn again(url: &str, exchange: String) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let receiver = Self { channel, exchange, connection };
        receiver.declare().await;
        receiver
    }

    pub async fn declare(&self) {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let name = self.exchange.as_str().into();
        let declared = self.channel.exchange_declare(
            name,
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        );
        declared.await.unwrap();
    }

    /// A queue that takes messages of these kinds.
    pub async fn queue(
        &self,
        name: &str,
        pattern: &str,
        arguments: &[(&str, AMQPValue)],
    ) -> String {
        let queue = format!("{}.{name}", self.exchange);
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        self.channel.queue_declare(queue.as_str().into(), durable, table).await.unwrap();
        let bound = self.channel.queue_bind(
            queue.as_str().into(),
            self.exchange.as_str().into(),
            pattern.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
        queue
    }

    /// Takes what is in a queue now.
    pub async fn drain(&self, queue: &str) -> Vec<Received> {
        let mut all = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
            let message = message.delivery;
            all.push(Received {
                id: message.properties.message_id().clone().unwrap().to_string(),
                routing_key: message.routing_key.to_string(),
                body: message.data,
                properties: message.properties,
            });
        }
        all
    }

    pub async fn close(self) {
        self.connection.close(200, "done".into()).await.unwrap();
    }
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub routing_key: String,
    pub body: Vec<u8>,
    pub properties: BasicProperties,
}

/// A journal with messages for an exchange.
pub fn world(url: &str, exchange: &str) -> World {
    let amqp = AmqpTarget {
        expect: None,
        url: Secret::Plain(url.to_owned()),
        tls: Tls::default(),
        exchange: exchange.to_owned(),
        declare: DeclareExchange::Passive,
        routing_key: RoutingKey::parse("sap.{kind}.{key}").unwrap(),
        mandatory: true,
        mode: Mode::Structured,
        on_doubt: OnDoubt::Resend,
    };
    World::new("vms", TargetKind::Amqp(amqp), message)
}

/// Changes the configuration before the start.
pub fn configure(world: &mut World, change: impl FnOnce(&mut AmqpTarget)) {
    let TargetKind::Amqp(amqp) = &mut world.target.kind else { panic!() };
    change(amqp);
}

/// Id and bytes of a message, routed by `word`.
fn message(number: u64, key: &str, word: &str) -> (String, Vec<u8>) {
    let id = format!("test-{number:016}");
    let attributes = Attributes {
        id: &id,
        source: "/waybill/test",
        kind: "customer.changed",
        subject: key,
        time: world::now(),
        media: cloudevent::JSON,
        routing_key: &format!("sap.{word}.{key}"),
        trace: None,
    };
    let document = cloudevent::write(attributes, format!("{{\"n\":{number}}}").as_bytes()).unwrap();
    (id, document)
}
