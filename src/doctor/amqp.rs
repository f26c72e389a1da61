//! Queues and exchanges: one connection with one login each, nothing consumed and nothing sent.

use std::path::Path;

use async_rs::Runtime;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::uri::AMQPAuthority;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::amqp::{self, Access, Claim, PATIENCE};
use crate::config::secret::Secret;
use crate::config::tls::Tls;
use crate::config::{self, AmqpTarget, Declare, DeclareExchange};
use crate::doctor::{Part, Refused};
use crate::event::Digest;
use crate::source::amqp::declaration;

/// What a user needs on a broker.
const RIGHTS: &str = "give the user rights on the vhost: configure where it declares, read for a \
                      source, write for a target";

/// A queue that events come from.
pub(super) async fn source(
    part: &mut Part<'_>,
    amqp: &config::Amqp,
    base: &Path,
    refused: &mut Refused,
) {
    let way = (&amqp.url, &amqp.tls, amqp.expect.as_deref());
    let Some((connection, claim)) = connect(part, way, base, refused).await else { return };
    queue(part, amqp, &connection).await;
    end(&connection, claim).await;
}

async fn queue(part: &mut Part<'_>, amqp: &config::Amqp, connection: &Connection) {
    let name = &amqp.queue;
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let there = async {
        let channel = connection.create_channel().await?;
        channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await
    };
    match patient(there).await {
        Ok(queue) => {
            let (messages, consumers) = (queue.message_count(), queue.consumer_count());
            let found = format!("{name}: {messages} messages wait, {consumers} consumers");
            part.ok("queue", found);
        }
        Err(Refusal::Soft(AMQPSoftError::NOTFOUND, _)) if amqp.declare == Declare::Passive => {
            let found = format!("{name} is not there");
            return part.fail("queue", found, "create it, or set `declare: quorum`");
        }
        Err(Refusal::Soft(AMQPSoftError::NOTFOUND, _)) => {
            let found = format!("{name} is not there yet");
            let remedy = "the agent declares it when it starts; until then senders get no queue";
            return part.warn("queue", found, remedy);
        }
        Err(refusal) => return part.fail("queue", format!("{name}: {refusal}"), RIGHTS),
    }
    if amqp.declare == Declare::Passive {
        return part.ok("queue arguments", "not compared: `declare: passive` declares none");
    }
    // On a queue that is there a declaration changes nothing; it says whether they are the same.
    let (options, arguments) = declaration(amqp);
    let same = async {
        let channel = connection.create_channel().await?;
        channel.queue_declare(name.as_str().into(), options, arguments).await
    };
    match patient(same).await {
        Ok(_) => part.ok("queue arguments", "as the configuration declares them"),
        Err(Refusal::Soft(AMQPSoftError::PRECONDITIONFAILED, why)) => part.fail(
            "queue arguments",
            why,
            "let `declare` and `single_active` say what the queue is, set `declare: passive`, or \
             make the queue anew",
        ),
        Err(refusal) => part.fail("queue arguments", refusal.to_string(), RIGHTS),
    }
}

/// An exchange that messages go to.
pub(super) async fn target(
    part: &mut Part<'_>,
    amqp: &AmqpTarget,
    base: &Path,
    refused: &mut Refused,
) {
    let way = (&amqp.url, &amqp.tls, amqp.expect.as_deref());
    let Some((connection, claim)) = connect(part, way, base, refused).await else { return };
    exchange(part, amqp, &connection).await;
    if connection.status().blocked() {
        let remedy = "the broker is short of memory or disk: see its alarms";
        part.fail("publishing", "the broker has blocked the connection", remedy);
    }
    end(&connection, claim).await;
}

async fn exchange(part: &mut Part<'_>, amqp: &AmqpTarget, connection: &Connection) {
    if amqp.exchange.is_empty() {
        return part.ok("exchange", "the default exchange is always there");
    }
    let name = &amqp.exchange;
    let kind = match amqp.declare {
        DeclareExchange::Passive | DeclareExchange::Topic => ExchangeKind::Topic,
        DeclareExchange::Direct => ExchangeKind::Direct,
        DeclareExchange::Fanout => ExchangeKind::Fanout,
    };
    let declare = |passive: bool, kind: ExchangeKind| async move {
        let channel: Channel = connection.create_channel().await?;
        let options = ExchangeDeclareOptions { passive, durable: !passive, ..Default::default() };
        let name = name.as_str().into();
        channel.exchange_declare(name, kind, options, FieldTable::default()).await
    };
    match patient(declare(true, kind.clone())).await {
        Ok(()) => part.ok("exchange", format!("{name} is there")),
        Err(Refusal::Soft(AMQPSoftError::NOTFOUND, _)) => {
            let found = format!("{name} is not there");
            return if amqp.declare == DeclareExchange::Passive {
                part.fail("exchange", found, "create it, or set `declare: topic`")
            } else {
                part.warn("exchange", found, "the agent declares it when it starts")
            };
        }
        Err(refusal) => return part.fail("exchange", format!("{name}: {refusal}"), RIGHTS),
    }
    if amqp.declare == DeclareExchange::Passive {
        return;
    }
    match patient(declare(false, kind)).await {
        Ok(()) => part.ok("exchange type", "as the configuration declares it"),
        Err(refusal) => {
            let remedy = "let `declare` say what the exchange is, or set `declare: passive`";
            part.fail("exchange type", refusal.to_string(), remedy);
        }
    }
}

/// Ends a connection; where the broker does not answer, letting go of the claim ends it.
async fn end(connection: &Connection, claim: Claim) {
    if amqp::end(connection).await {
        claim.keep();
    }
}

/// What tells a login from another.
fn login(authority: &AMQPAuthority) -> Digest {
    let (user, password) = (&authority.userinfo.username, &authority.userinfo.password);
    let mut sum = Sha256::new();
    for text in [user, password, &authority.host, &authority.port.to_string()] {
        sum.update((text.len() as u64).to_be_bytes());
        sum.update(text);
    }
    Digest(sum.finalize().into())
}

/// Connects and logs in, once.
async fn connect(
    part: &mut Part<'_>,
    (url, tls, expect): (&Secret, &Tls, Option<&str>),
    base: &Path,
    refused: &mut Refused,
) -> Option<(Connection, Claim)> {
    let Access { uri, dialer, claim, hello, .. } = match amqp::access(url, tls, expect, base) {
        Ok(access) => access,
        Err(error) => {
            part.fail("address", error.to_string(), "mend the url, or put the file there");
            return None;
        }
    };
    let authority = &uri.authority;
    let place = format!("{}:{}, vhost {}", authority.host, authority.port, uri.vhost);
    let login = login(authority);
    let remedy = "mend user and password; a running agent takes over a changed secret by itself";
    if refused.contains(&login) {
        let found = format!("{place}: not tried; the broker has refused this login just before");
        part.fail("login", found, remedy);
        return None;
    }
    let properties = ConnectionProperties::default().with_connection_name("waybill doctor".into());
    let connecting = Connection::connect_uri_with_runtime(uri, properties, Runtime::new(dialer));
    let tried = timeout(PATIENCE, connecting).await;
    if let Some(stranger) = hello.stranger() {
        let found = format!("{place}: {stranger}; it was shown no login");
        part.fail(
            "identity",
            found,
            "is the url that of another landscape? mend `url` or `expect`",
        );
        return None;
    }
    let error = match tried {
        Ok(Ok(connection)) => {
            part.ok("login", place);
            if let (Some(_), Some(cluster)) = (expect, hello.cluster()) {
                part.ok("identity", format!("cluster {cluster}, as expected"));
            }
            return Some((connection, claim));
        }
        Ok(Err(error)) => error,
        Err(_) => {
            let found = format!("{place}: no answer within {PATIENCE:?}");
            part.fail("connection", found, "is something between that drops packets?");
            return None;
        }
    };
    claim.failed(&error);
    if amqp::refuses_login(&error) {
        refused.insert(login);
        let found = format!("{place}: the broker refused the login; it was tried once");
        part.fail("login", found, remedy);
    } else {
        let remedy = "is the broker up, the address right, the network open, the vhost there?";
        part.fail("connection", format!("{place}: {error}"), remedy);
    }
    None
}

/// Why the broker does not do something.
enum Refusal {
    /// It closed the channel, and said why.
    Soft(AMQPSoftError, String),
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Soft(_, why) | Self::Other(why)) = self;
        f.write_str(why)
    }
}

async fn patient<T>(work: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, Refusal> {
    match timeout(PATIENCE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(match amqp::soft(&error) {
            Some(soft) => Refusal::Soft(soft, error.to_string()),
            None => Refusal::Other(error.to_string()),
        }),
        Err(_) => Err(Refusal::Other(format!("no answer within {PATIENCE:?}"))),
    }
}
