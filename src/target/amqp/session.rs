//! One connection to the broker, with the channels that groups of messages take turns with.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_rs::Runtime;
use futures_util::{Stream, StreamExt as _};
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Event, ExchangeKind};
use tokio::time::timeout;

use crate::amqp::{self, Access, AccessError, PATIENCE, Stranger};
use crate::config::{AmqpTarget, DeclareExchange};
use crate::event::Digest;

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
    /// The exchange is not there and is not to be declared.
    #[error("exchange {exchange} is not there: {error}; create it or set `declare: topic`")]
    NoExchange {
        /// The exchange.
        exchange: String,
        /// What the broker said.
        error: lapin::Error,
    },
    /// The exchange is there, of another kind.
    #[error("exchange {exchange} exists as another one: {error}; set `declare: passive`")]
    OtherExchange {
        /// The exchange.
        exchange: String,
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
    /// The connection is gone and nobody said why.
    #[error("the connection ended")]
    Gone,
}

impl SessionError {
    /// The credential that the broker refused, if that is what happened.
    pub(super) fn refused(&self) -> Option<Digest> {
        match self {
            Self::Login { stamp } => Some(*stamp),
            _ => None,
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

/// A connection that is open.
pub(super) struct Session {
    connection: Connection,
    /// Channels on which every message was answered. A group has a channel for itself: a message
    /// that comes back is matched with its confirmation by the library, and it may take that of a
    /// neighbour; within one group that can be put right.
    idle: Mutex<Vec<Channel>>,
    /// Whether a message was taken by the broker in this session.
    proven: AtomicBool,
    stamp: Digest,
}

/// Connects and sees to the exchange.
pub(super) async fn open(
    name: &str,
    config: &AmqpTarget,
    base: &Path,
) -> Result<Session, SessionError> {
    let expect = config.expect.as_deref();
    let access = amqp::access(&config.url, &config.tls, expect, base)?;
    let Access { uri, dialer, claim, hello, stamp } = access;
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("waybill {name} publishing").into());
    let connecting = Connection::connect_uri_with_runtime(uri, properties, Runtime::new(dialer));
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
    let begun = timeout(PATIENCE, begin(&connection, config)).await;
    match begun.unwrap_or(Err(SessionError::Silence)) {
        Ok(channel) => {
            claim.keep();
            let (idle, proven) = (Mutex::new(vec![channel]), AtomicBool::new(false));
            Ok(Session { connection, idle, proven, stamp })
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

async fn begin(connection: &Connection, config: &AmqpTarget) -> Result<Channel, SessionError> {
    let channel = confirming(connection).await?;
    // The default exchange is always there and must not be declared.
    if config.exchange.is_empty() {
        return Ok(channel);
    }
    let (passive, kind) = match config.declare {
        DeclareExchange::Passive => (true, ExchangeKind::Topic),
        DeclareExchange::Topic => (false, ExchangeKind::Topic),
        DeclareExchange::Direct => (false, ExchangeKind::Direct),
        DeclareExchange::Fanout => (false, ExchangeKind::Fanout),
    };
    let options = ExchangeDeclareOptions { passive, durable: !passive, ..Default::default() };
    let name = config.exchange.as_str().into();
    let declared = channel.exchange_declare(name, kind, options, FieldTable::default()).await;
    let exchange = config.exchange.clone();
    declared.map_err(|error| match amqp::soft(&error) {
        Some(AMQPSoftError::NOTFOUND) => SessionError::NoExchange { exchange, error },
        Some(AMQPSoftError::PRECONDITIONFAILED) => SessionError::OtherExchange { exchange, error },
        _ => error.into(),
    })?;
    Ok(channel)
}

async fn confirming(connection: &Connection) -> Result<Channel, lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

impl Session {
    /// A channel for one group.
    pub(super) async fn channel(&self) -> Result<Channel, SessionError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let opened = timeout(PATIENCE, confirming(&self.connection)).await;
        Ok(opened.map_err(|_| SessionError::Silence)??)
    }

    /// Gives a channel back on which nothing is unanswered. Any other is dropped, which closes it.
    pub(super) fn give_back(&self, channel: Channel) {
        self.proven.store(true, Ordering::Release);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }

    /// Whether a message was answered in this session.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Acquire)
    }

    /// What it was connected with.
    pub(super) fn stamp(&self) -> Digest {
        self.stamp
    }

    /// Whether the connection is there.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the broker takes no messages now: it is short of memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// What happens to the connection.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + use<'_> {
        self.connection.events_listener().fuse()
    }

    /// Ends the connection.
    pub(super) async fn close(&self) {
        amqp::end(&self.connection).await;
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}
