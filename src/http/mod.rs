//! The small HTTP server that everyone shares: health and metrics on a TCP port, operators on a
//! Unix socket in the data directory, whose file rights are the authorisation.
//!
//! The TCP port speaks TLS where it has certificates ([`door`]).
//!
//! Bounds: those of [`Limits`]; a request head has 64 KiB and 100 fields at most and ten seconds to
//! arrive, also on a connection that is kept; a body, where one is taken, has another ten seconds;
//! a handshake has ten seconds; and an answer is read within ten seconds or the connection ends.

pub mod client;
pub mod door;
mod exchange;
mod patient;
mod places;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use prometheus::IntCounterVec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::http::door::Door;
use crate::http::exchange::Exchange;
use crate::http::places::Places;

/// The most time for each thing that a client has to do: a handshake, a head, a body, and reading
/// an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections that may wait to be accepted; the system may allow fewer. Where they are used up, a
/// client waits a second and more for its next try, and a probe has failed by then.
const BACKLOG: u32 = 4096;

/// Bytes that the system holds for a connection in each direction; Linux doubles it. More than the
/// metrics of an agent, so that a scrape is one write.
const SYSTEM_BUFFER: u32 = 64 << 10;

/// What clients of a listener may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. The next one takes the place of the oldest of the address that has most.
    pub connections: usize,
    /// Connections at once from one IPv4 address, or from one /64 of IPv6. The next one takes the
    /// place of the oldest of them.
    pub per_address: usize,
    /// Requests on one connection; with the last answer it is closed.
    pub requests: u32,
    /// The age of a connection after which it takes no further request.
    pub age: Option<Duration>,
    /// Bytes of a request's body; 0 where none is taken.
    pub body: usize,
}

impl Limits {
    /// For anybody who can reach a port, with as many connections.
    pub fn port(connections: usize, per_address: usize) -> Self {
        let age = Some(Duration::from_secs(600));
        Self { connections, per_address, requests: 1000, age, body: 0 }
    }

    /// For operators on this machine. An action may take as long as it needs.
    pub fn control() -> Self {
        Self { connections: 32, per_address: 32, requests: 100, age: None, body: 64 << 10 }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nobody is asked here.
    Anybody,
    /// He was asked for a certificate and has none.
    Stranger,
    /// He has shown a certificate of an authority that is trusted.
    Known,
    /// A process of that user, over the Unix socket.
    Local(u32),
}

/// A request that has arrived.
#[derive(Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The body.
    pub body: Bytes,
    /// Who sent it.
    pub peer: Peer,
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub media: &'static str,
    /// The methods that are taken, where the request's is not.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let body = text.into().into_bytes().into();
        Self { status, media: "text/plain; charset=utf-8", allow: None, body }
    }

    /// Another method is expected: one of `allow`.
    pub fn other_method(allow: &'static str) -> Self {
        let text = format!("{allow} is expected\n");
        Self { allow: Some(allow), ..Self::text(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    /// JSON; what cannot be written as JSON is a fault of ours and answered as such.
    pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self { status, media: "application/json", allow: None, body: body.into() },
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// What answers calls.
pub type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Where calls come from.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port, with a door where it speaks TLS.
    Tcp(TcpListener, Option<Arc<Door>>),
    /// A Unix socket.
    Unix(UnixListener),
}

/// A listener and all that is known of how to serve it.
pub struct Server {
    /// Where calls come from.
    pub listener: Listener,
    /// What answers them.
    pub handler: Handler,
    /// What clients may take.
    pub limits: Limits,
    /// Connections that were closed for a limit, by [`Listener::name`] and reason.
    pub closed: IntCounterVec,
}

/// Why a connection was closed before its client was done: the words of a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its place went to a newer one of its address.
    Address,
    /// Its place went to a newer one of any address.
    Full,
    /// The client was too slow.
    Slow,
}

impl Closed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Address, Self::Full, Self::Slow];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Full => "full",
            Self::Slow => "slow",
        }
    }
}

/// Answers calls until `stop` turns true. Connections that are open then are dropped: health,
/// metrics and operators ask again.
///
/// A newcomer is never turned away: probes come on new connections and have to be answered
/// whatever the others do.
pub async fn serve(server: Server, mut stop: watch::Receiver<bool>) {
    let Server { listener, handler, limits, closed } = server;
    let name = listener.name();
    let mut places: Places<AbortHandle> = Places::new(limits);
    let mut connections = JoinSet::new();
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stop.changed() => break,
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                places.leave(|handle| handle.id() == id);
                continue;
            }
        };
        let Accepted { stream, peer, from } = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: others will be closed in a moment.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let left = places.make_room(from);
        if let Some((handle, why)) = &left {
            handle.abort();
            closed.with_label_values(&[name, why.as_str()]).inc();
        }
        let (door, slow) =
            (listener.door(), closed.with_label_values(&[name, Closed::Slow.as_str()]));
        let exchange = Exchange { handler: handler.clone(), limits, peer, slow };
        let handle = connections.spawn(exchange.connection(stream, door));
        places.enter(from, handle);
        if left.is_some() {
            // The newcomer's request is read before others take its place.
            tokio::task::yield_now().await;
        }
    }
}

impl Listener {
    /// A TCP port.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // As the runtime does: a port that was ours a moment ago is ours again.
        socket.set_reuseaddr(true)?;
        // Connections inherit them: the system would hold megabytes for each client that does not
        // read, and the agent would have written answers for all of them.
        socket.set_send_buffer_size(SYSTEM_BUFFER)?;
        socket.set_recv_buffer_size(SYSTEM_BUFFER)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }

    /// What it is called in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tcp(..) => "http",
            Self::Unix(_) => "control",
        }
    }

    fn door(&self) -> Option<Arc<Door>> {
        match self {
            Self::Tcp(_, door) => door.clone(),
            Self::Unix(_) => None,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that was accepted.
struct Accepted {
    stream: Box<dyn Stream>,
    /// Who calls, as far as the operating system says.
    peer: Peer,
    /// The address that it comes from; none on a Unix socket.
    from: Option<IpAddr>,
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener, _) => {
            let (stream, from) = listener.accept().await?;
            let from = Some(from.ip());
            Ok(Accepted { stream: Box::new(stream), peer: Peer::Anybody, from })
        }
        Listener::Unix(listener) => {
            let stream = listener.accept().await?.0;
            let peer = Peer::Local(stream.peer_cred()?.uid());
            Ok(Accepted { stream: Box::new(stream), peer, from: None })
        }
    }
}
