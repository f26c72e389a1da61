//! One connection, one channel, one consumer: from the first byte to the last acknowledgement.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_rs::Runtime;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

use crate::amqp::{self, Access, AccessError, PATIENCE, Stranger};
use crate::config::{Amqp, Declare};
use crate::event::{Arrival, Digest};
use crate::source::amqp::gate::{Gate, GatedRuntime};
use crate::source::amqp::{Context, Receipt, message};
use crate::source::{self, Taken};

/// At the end of a session: how long what was taken may need to become durable.
const SETTLE: Duration = Duration::from_secs(15);

/// Why a session ended or never began.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// URL or certificates cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The broker refused user or password.
    #[error("the broker refused the login")]
    Login {
        /// What was refused, to be compared with what the files say next.
        stamp: Digest,
    },
    /// The queue is not there and is not to be declared.
    #[error("queue {queue} is not there: {error}; create it or set `declare: quorum`")]
    NoQueue {
        /// The queue.
        queue: String,
        /// What the broker said.
        error: lapin::Error,
    },
    /// The queue is there with other arguments.
    #[error(
        "queue {queue} exists with other arguments: {error}; set `declare: passive` or another `declare`"
    )]
    OtherQueue {
        /// The queue.
        queue: String,
        /// What the broker said.
        error: lapin::Error,
    },
    /// It is another broker than the one that is expected.
    #[error("{stranger}; it was shown no login")]
    Stranger {
        /// Who it is.
        stranger: Stranger,
        /// The way that led there.
        stamp: Digest,
    },
    /// Anything else the broker or the network said.
    #[error("{0}")]
    Broker(#[from] lapin::Error),
    /// No answer.
    #[error("no answer from the broker within {PATIENCE:?}")]
    Silence,
    /// The journal had no room for longer than the broker waits.
    #[error("the connection was given up while the journal had no room")]
    Paused,
    /// The broker ended the consumer: the queue was deleted or moved.
    #[error("the broker cancelled the consumer: was the queue deleted?")]
    Cancelled,
}

impl SessionError {
    /// What anybody may know of it.
    pub(super) fn brief(&self) -> &'static str {
        match self {
            Self::Access(_) => "url or certificates unusable",
            Self::Login { .. } => "login refused",
            Self::NoQueue { .. } => "queue missing",
            Self::OtherQueue { .. } => "queue has other arguments",
            Self::Stranger { .. } => "another broker answers",
            Self::Broker(_) | Self::Silence => "broker unreachable",
            Self::Paused => "journal had no room",
            Self::Cancelled => "consumer cancelled",
        }
    }

    /// The way that led to a stranger, if that is what happened.
    pub(super) fn strange(&self) -> Option<Digest> {
        match self {
            Self::Stranger { stamp, .. } => Some(*stamp),
            _ => None,
        }
    }
}

/// What receipts need of a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) channel: Channel,
}

/// A session with its consumer.
pub(super) struct Open {
    connection: Connection,
    session: Arc<Session>,
    consumer: Consumer,
    gate: Arc<Gate>,
    stamp: Digest,
}

/// Connects, declares and begins to consume.
pub(super) async fn open(context: &Context, number: u64) -> Result<Open, SessionError> {
    let Amqp { url, tls, expect, .. } = &context.amqp;
    let access = amqp::access(url, tls, expect.as_deref(), &context.base)?;
    let Access { uri, dialer, claim, hello, stamp } = access;
    let gate = Gate::new(context.amqp.in_flight, context.amqp.max_message);
    let runtime = Runtime::new(GatedRuntime::new(dialer, gate.clone()));
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("waybill {} consuming", context.name).into());
    let connecting = Connection::connect_uri_with_runtime(uri, properties, runtime);
    let connection = match timeout(PATIENCE, connecting).await {
        Err(_) => return Err(SessionError::Silence),
        Ok(Err(error)) => {
            claim.failed(&error);
            if let Some(stranger) = hello.stranger() {
                return Err(SessionError::Stranger { stranger, stamp });
            }
            let refused = amqp::refuses_login(&error);
            return Err(if refused { SessionError::Login { stamp } } else { error.into() });
        }
        Ok(Ok(connection)) => connection,
    };
    let begun = timeout(PATIENCE, begin(&connection, context)).await;
    match begun.unwrap_or(Err(SessionError::Silence)) {
        Ok((channel, consumer)) => {
            claim.keep();
            let session = Arc::new(Session { number, channel });
            Ok(Open { connection, session, consumer, gate, stamp })
        }
        Err(error) => {
            // Else the claim ends what the broker did not.
            if amqp::end(&connection).await {
                claim.keep();
            }
            Err(error)
        }
    }
}

/// How a queue is declared.
pub fn declaration(amqp: &Amqp) -> (QueueDeclareOptions, FieldTable) {
    let mut arguments = FieldTable::default();
    if amqp.declare == Declare::Quorum {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    if amqp.single_active {
        // While the broker has not noticed the end of our last session, or of another replica,
        // this one gets nothing: later messages must not overtake those that come back.
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    let passive = amqp.declare == Declare::Passive;
    (QueueDeclareOptions { passive, durable: !passive, ..Default::default() }, arguments)
}

async fn begin(
    connection: &Connection,
    context: &Context,
) -> Result<(Channel, Consumer), SessionError> {
    let channel = connection.create_channel().await?;
    let amqp = &context.amqp;
    let (options, arguments) = declaration(amqp);
    channel.queue_declare(amqp.queue.as_str().into(), options, arguments).await.map_err(
        |error| match amqp::soft(&error) {
            Some(AMQPSoftError::NOTFOUND) => {
                SessionError::NoQueue { queue: amqp.queue.clone(), error }
            }
            Some(AMQPSoftError::PRECONDITIONFAILED) => {
                SessionError::OtherQueue { queue: amqp.queue.clone(), error }
            }
            _ => error.into(),
        },
    )?;
    channel.basic_qos(amqp.prefetch, BasicQosOptions::default()).await?;
    let tag = format!("waybill-{}", context.name);
    let consuming = channel.basic_consume(
        amqp.queue.as_str().into(),
        tag.as_str().into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let consumer = consuming.await?;
    Ok((channel, consumer))
}

impl Open {
    /// Hands messages to the intake until the session ends or the agent stops; then waits until
    /// what was handed over is acknowledged.
    ///
    /// The consumer is never cancelled: a broker may have sent messages to a cancelled consumer
    /// that the client no longer sees, and it puts them back behind others that the next session
    /// has taken by then. A channel that closes gives all of them back at once, in their order.
    pub(super) async fn consume(&mut self, context: &mut Context) -> Result<(), SessionError> {
        let Context { amqp, base, .. } = &*context;
        let (amqp, base) = (amqp.clone(), base.clone());
        let mut rotated = pin!(amqp::rotated(&amqp.url, &amqp.tls, &base, self.stamp));
        loop {
            if !*context.open.borrow() && !self.wait_for_room(context).await? {
                break;
            }
            tokio::select! {
                next = self.consumer.next() => match next {
                    Some(Ok(delivery)) => self.hand_over(context, delivery).await,
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(SessionError::Cancelled),
                },
                _ = context.stop.changed() => break,
                changed = context.open.changed() => if changed.is_err() { break },
                _ = &mut rotated => {
                    tracing::info!(source = %context.name, "credential or certificate is new: connecting anew");
                    break;
                }
            }
        }
        self.settle().await;
        Ok(())
    }

    /// While the journal has no room nothing is read from the socket. A pause beyond two
    /// heartbeats costs the connection: the broker has its messages back, and the next session
    /// begins when there is room. `false` when the agent stops.
    async fn wait_for_room(&self, context: &mut Context) -> Result<bool, SessionError> {
        tracing::warn!(source = %context.name, "the journal has no room: source paused");
        self.gate.shut(true);
        let ended = loop {
            let status = self.connection.status();
            if !status.connected() {
                break Err(SessionError::Paused);
            }
            tokio::select! {
                changed = context.open.changed() => {
                    if changed.is_err() {
                        break Ok(false);
                    }
                    if *context.open.borrow() {
                        break Ok(true);
                    }
                }
                _ = context.stop.changed() => break Ok(false),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        };
        self.gate.shut(false);
        ended
    }

    async fn hand_over(&self, context: &Context, delivery: Delivery) {
        let (mut message_id, mut beside) = message::read(&delivery.properties);
        let (hold, shortened) = self.gate.claim(delivery.delivery_tag);
        let mut raw = delivery.data;
        if let Some(shortened) = shortened {
            tracing::warn!(
                source = %context.name,
                bytes = shortened.bytes,
                max_message = context.amqp.max_message,
                "a message is too large: its digest and first bytes are kept"
            );
            raw = shortened.text(&raw);
            message_id.get_or_insert_with(|| shortened.id());
            // There is no data left that its attributes would describe.
            beside.head = None;
        }
        let receipt =
            Receipt { session: self.session.clone(), tag: delivery.delivery_tag, _hold: hold };
        context.metrics.events_received.with_label_values(&[&context.name]).inc();
        let arrival = Arrival {
            source: context.name.clone(),
            raw: raw.into(),
            message_id,
            received: (context.clock)(),
            position: None,
            beside,
        };
        // The intake ends after the sources; a receipt that it does not take is dropped, and the
        // message stays with the broker.
        let taken = Taken { arrival, receipt: source::Receipt::Amqp(receipt) };
        if context.queue.send(taken).await.is_err() {
            tracing::debug!(source = %context.name, "message left with the broker");
        }
    }

    /// Waits until every receipt of this session is acknowledged or dropped.
    async fn settle(&self) {
        let settled = async {
            while Arc::strong_count(&self.session) > 1 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(SETTLE, settled).await.is_err() {
            tracing::warn!("some messages could not be committed; the broker keeps them");
        }
    }

    /// Ends channel and connection explicitly: a connection that closes over an open channel
    /// reports an error of its own, and acknowledgements still on their way would be lost.
    pub(super) async fn close(self) {
        let closing = self.session.channel.close(200, "done".into());
        if let Ok(Err(error)) = timeout(PATIENCE, closing).await {
            tracing::debug!(%error, "channel was closed already");
        }
        amqp::end(&self.connection).await;
    }
}
