//! A web service that answers as a test wants it to, and one target that sends to it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of several tests; each uses a part of them"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use waybill::config::TargetKind;
use waybill::config::http::{HttpTarget, Timeouts};
use waybill::config::read;
use waybill::diagnostic::{Problems, SourceFile};
use waybill::request::Request as Head;

#[path = "world.rs"]
mod world;
pub use world::{World, until};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Counted from 1.
    pub connection: usize,
    pub at: Instant,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn id(&self) -> &str {
        self.header("idempotency-key")
    }
}

/// What the service does.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers.
    Status(u16),
    /// Answers with a header and a body.
    Full(u16, &'static str, &'static str, &'static str),
    /// Takes the request and never answers.
    Silence,
    /// Takes the request and closes the connection.
    Close,
    /// Answers 200 with a body that has no end.
    Endless,
    /// Answers 200 after a while.
    Late(Duration),
}

type Rule = Arc<Mutex<Box<dyn FnMut(&Seen) -> Reply + Send>>>;

/// The service.
pub struct Service {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Rule,
    task: JoinHandle<()>,
}

impl Service {
    pub async fn start(rule: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), None, rule)
    }

    /// The same over TLS, with what `tls` holds when a connection comes.
    pub async fn start_tls(
        tls: watch::Receiver<Arc<ServerConfig>>,
        rule: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(tls), rule)
    }

    pub fn listen(
        listener: TcpListener,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        rule: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let rule: Rule = Arc::new(Mutex::new(Box::new(rule)));
        let (kept, ruled) = (seen.clone(), rule.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, rule, tls) = (kept.clone(), ruled.clone(), tls.clone());
                connections.spawn(serve(stream, tls, connection, seen, rule));
            }
        });
        Self { address, seen, rule, task }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What it does from now on.
    pub fn rule(&self, rule: impl FnMut(&Seen) -> Reply + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    connection: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Rule,
) {
    let service =
        service_fn(move |request| answer(request, connection, seen.clone(), rule.clone()));
    let server = http1::Builder::new();
    // A connection that ends badly is the client's to see.
    let _ended = match tls {
        None => server.serve_connection(TokioIo::new(stream), service).await.is_ok(),
        Some(tls) => {
            let acceptor = TlsAcceptor::from(tls.borrow().clone());
            let Ok(stream) = acceptor.accept(stream).await else { return };
            server.serve_connection(TokioIo::new(stream), service).await.is_ok()
        }
    };
}

type Part = Result<Frame<Bytes>, Infallible>;
type Body = Either<Full<Bytes>, StreamBody<futures_util::stream::RepeatWith<fn() -> Part>>>;

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Rule,
) -> Result<Response<Body>, &'static str> {
    let (head, body) = request.into_parts();
    let one = Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await.map_err(|_| "lost")?.to_bytes().to_vec(),
        connection,
        at: Instant::now(),
    };
    let reply = (rule.lock().unwrap())(&one);
    seen.lock().unwrap().push(one);
    let full = |status: u16, text: &'static str| {
        let body = Either::Left(Full::new(Bytes::from_static(text.as_bytes())));
        Response::builder().status(status).body(body).unwrap()
    };
    match reply {
        Reply::Status(status) => Ok(full(status, "")),
        Reply::Full(status, name, value, text) => {
            let mut response = full(status, text);
            response.headers_mut().insert(name, value.parse().unwrap());
            Ok(response)
        }
        Reply::Silence => std::future::pending().await,
        Reply::Close => Err("closed on purpose"),
        Reply::Endless => {
            let part: fn() -> Part = || Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])));
            let body = StreamBody::new(futures_util::stream::repeat_with(part));
            Ok(Response::new(Either::Right(body)))
        }
        Reply::Late(pause) => {
            tokio::time::sleep(pause).await;
            Ok(full(200, ""))
        }
    }
}

/// A target as a configuration says it: `keys` are written behind its url.
pub fn target(url: &str, keys: &str) -> HttpTarget {
    let text = format!(
        "version: 1
agent: {{ name: test, instance: \"001\", data_dir: data }}
sources: {{ vms: {{ type: amqp, url: x, queue: q }} }}
targets: {{ erp: {{ type: http, url: \"{url}\", {keys} }} }}
routes: []
"
    );
    let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
    let config = read::config(&mut problems);
    let list = problems.into_list();
    assert!(list.is_empty(), "{list:#?}");
    match config.unwrap().targets.remove(0).kind {
        TargetKind::Http(http) => *http,
        other => panic!("{other:?}"),
    }
}

/// A journal with documents for a service.
pub fn world(service: &Service, keys: &str) -> World {
    of(target(&format!("http://{}/api/", service.address), keys))
}

pub fn of(mut http: HttpTarget) -> World {
    if http.timeouts.first_byte == Duration::from_secs(30) {
        let first_byte = Duration::from_millis(500);
        http.timeouts = Timeouts { first_byte, connect: first_byte, total: 2 * first_byte };
    }
    World::new("erp", TargetKind::Http(Box::new(http)), document)
}

/// Id and bytes of a document that goes to `/word/key`.
fn document(number: u64, key: &str, word: &str) -> (String, Vec<u8>) {
    let id = format!("test-{number:016}");
    let head = Head {
        method: "POST".into(),
        path: format!("/{word}/{key}").into(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("Idempotency-Key".into(), id.clone().into()),
        ],
        body: format!("{{\"n\":{number}}}").into_bytes().into(),
    };
    (id, head.write().unwrap())
}
