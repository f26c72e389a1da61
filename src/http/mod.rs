//! The small HTTP server that everyone shares: health and metrics on a TCP port, operators on a
//! Unix socket in the data directory, whose file rights are the authorisation.
//!
//! The TCP port speaks TLS where it has certificates ([`door`]).
//!
//! Bounds: a request has 64 KiB at most and ten seconds to arrive, a handshake has ten seconds, and
//! a hundred connections are served at once.

pub mod client;
pub mod door;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::http::door::{Door, Guest};

/// The most bytes of a request's body.
const MOST_BODY: usize = 64 << 10;
/// The most time for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections served at once.
const CONNECTIONS: usize = 100;

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
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, media: "text/plain; charset=utf-8", body: text.into().into_bytes() }
    }

    /// JSON; what cannot be written as JSON is a fault of ours and answered as such.
    pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self { status, media: "application/json", body },
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

/// Answers calls until `stop` turns true. Connections that are open then are dropped: health,
/// metrics and operators ask again.
pub async fn serve(listener: Listener, handler: Handler, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: others will be closed in a moment.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let (door, handler) = (listener.door(), handler.clone());
        connections.spawn(async move {
            connection((stream, peer), door, handler).await;
            drop(slot);
        });
    }
}

impl Listener {
    fn door(&self) -> Option<Arc<Door>> {
        match self {
            Self::Tcp(_, door) => door.clone(),
            Self::Unix(_) => None,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, and who calls as far as the operating system says.
type Accepted = (Box<dyn Stream>, Peer);

async fn accept(listener: &Listener) -> std::io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener, _) => Ok((Box::new(listener.accept().await?.0), Peer::Anybody)),
        Listener::Unix(listener) => {
            let stream = listener.accept().await?.0;
            let peer = Peer::Local(stream.peer_cred()?.uid());
            Ok((Box::new(stream), peer))
        }
    }
}

async fn connection((stream, peer): Accepted, door: Option<Arc<Door>>, handler: Handler) {
    let Some(door) = door else { return speak(stream, Guest::unasked(peer), handler).await };
    match door.admit(stream).await {
        Ok((stream, guest)) => speak(stream, guest, handler).await,
        Err(error) => tracing::debug!(%error, "connection not let in"),
    }
}

async fn speak(stream: impl Stream, guest: Guest, handler: Handler) {
    let guest = Arc::new(guest);
    let service = service_fn(move |request| {
        let (guest, handler) = (guest.clone(), handler.clone());
        async move { Ok::<_, Infallible>(respond(request, &guest, handler).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn respond(
    request: Request<Incoming>,
    guest: &Guest,
    handler: Handler,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let collected = timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await;
    let answer = match collected {
        Ok(Ok(body)) => {
            let path = head.uri.path().to_owned();
            let (method, body, peer) = (head.method, body.to_bytes(), guest.peer);
            handler(Call { method, path, body, peer }).await
        }
        Ok(Err(_)) => Answer::text(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n"),
        Err(_) => Answer::text(StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.media));
    if guest.is_stale() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
