//! One connection: its requests, one after another, and what is wrong with them before anything
//! looks at what they ask.
//!
//! hyper refuses what is no HTTP/1.1: lengths that differ or are no numbers, folded fields, spaces
//! in names, control characters, other versions. Refused here is what is HTTP and ambiguous: any
//! `Transfer-Encoding`, alone or beside a `Content-Length`, a missing or repeated `Host`, and a body
//! where none is taken. Each of these ends its connection, so that nothing of it is read as the next
//! request.

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::IntCounter;
use tokio::time::{sleep, timeout};

use crate::http::door::{Door, DoorError, Guest};
use crate::http::patient::Patient;
use crate::http::{Answer, Call, Handler, Limits, PATIENCE, Peer, Stream};

/// The most bytes of a request's head, and of what is held for a connection in each direction.
const MOST_HEAD: usize = 64 << 10;

/// How a connection is served.
pub(super) struct Exchange {
    pub(super) handler: Handler,
    pub(super) limits: Limits,
    /// Who calls where no certificate is asked for.
    pub(super) peer: Peer,
    /// Clients that were given up.
    pub(super) slow: IntCounter,
}

/// A request that is not answered by the handler.
type Refusal = (StatusCode, &'static str);

impl Exchange {
    /// Serves a connection until its end.
    pub(super) async fn connection(self, stream: Box<dyn Stream>, door: Option<Arc<Door>>) {
        let Some(door) = door else {
            let guest = Guest::unasked(self.peer);
            return self.speak(stream, guest).await;
        };
        match door.admit(stream).await {
            Ok((stream, guest)) => self.speak(stream, guest).await,
            Err(error) => {
                if matches!(error, DoorError::Slow) {
                    self.slow.inc();
                }
                tracing::debug!(%error, "connection not let in");
            }
        }
    }

    async fn speak(self, stream: impl Stream, guest: Guest) {
        let (limits, slow) = (self.limits, self.slow.clone());
        let (exchange, guest, asked) = (Arc::new(self), Arc::new(guest), AtomicU32::new(0));
        let service = service_fn(move |request| {
            let (exchange, guest) = (exchange.clone(), guest.clone());
            let before = asked.fetch_add(1, Ordering::Relaxed);
            let last = before + 1 >= limits.requests;
            async move {
                if before > 0 {
                    // Requests that come in a row take turns with those of other connections.
                    tokio::task::yield_now().await;
                }
                let mut response = exchange.respond(request, &guest).await;
                if last || guest.is_stale() {
                    close(&mut response);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        server.max_header_size(MOST_HEAD).max_buf_size(MOST_HEAD);
        let stream = TokioIo::new(Patient::new(stream, PATIENCE));
        let mut connection = pin!(server.serve_connection(stream, service));
        let too_old = async {
            match limits.age {
                Some(age) => sleep(age).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = too_old => {
                connection.as_mut().graceful_shutdown();
                timeout(PATIENCE, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            if is_slow(&error) {
                slow.inc();
            }
            tracing::debug!(%error, "connection ended");
        }
    }

    async fn respond(&self, request: Request<Incoming>, guest: &Guest) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = match self.look(&head, &body) {
            Ok(()) => self.read(body).await,
            Err(refusal) => Err(refusal),
        };
        let body = match body {
            Ok(body) => body,
            Err((status, text)) => {
                let mut response = response(Answer::text(status, text));
                close(&mut response);
                return response;
            }
        };
        let path = head.uri.path().to_owned();
        let call = Call { method: head.method, path, body, peer: guest.peer };
        response((self.handler)(call).await)
    }

    /// What is wrong with a request before its body is read.
    fn look(&self, head: &Parts, body: &Incoming) -> Result<(), Refusal> {
        let hosts = head.headers.get_all(HOST).iter().count();
        if hosts > 1 || hosts == 0 && head.version == Version::HTTP_11 {
            return Err((StatusCode::BAD_REQUEST, "one Host is expected\n"));
        }
        if head.headers.contains_key(TRANSFER_ENCODING) {
            let text = "a body is taken by its Content-Length only\n";
            return Err((StatusCode::LENGTH_REQUIRED, text));
        }
        match body.size_hint().lower() {
            0 => Ok(()),
            _ if self.limits.body == 0 => {
                Err((StatusCode::PAYLOAD_TOO_LARGE, "no body is taken here\n"))
            }
            length if length > self.limits.body as u64 => Err(TOO_LARGE),
            _ => Ok(()),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refusal> {
        match timeout(PATIENCE, Limited::new(body, self.limits.body).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => Err(TOO_LARGE),
            Err(_) => {
                self.slow.inc();
                Err((StatusCode::REQUEST_TIMEOUT, "the request took too long\n"))
            }
        }
    }
}

const TOO_LARGE: Refusal = (StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n");

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.media));
    if let Some(allow) = answer.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

fn close(response: &mut Response<Full<Bytes>>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Whether a client was given up: its head did not come, or its answer was not read.
fn is_slow(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_timeout() || cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}
