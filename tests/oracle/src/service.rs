//! A web service as the agent's receiver: it takes documents, loses answers, refuses logins; and it
//! logs what really happened, for the judge.
//!
//! It runs on a thread of its own, so that it is no slower because the oracle waits for something.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::evidence::{self, Consumed};
use crate::idoc::{self, Registration};
use crate::random::Random;

/// Longer than any client waits: a call that is never answered.
const NEVER: Duration = Duration::from_secs(3600);

/// How the service behaves.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Whether it knows a document that comes twice by its `Idempotency-Key`.
    pub dedupes: bool,
    /// Per mille of documents that it refuses for ever (400).
    pub refuses: u32,
    /// Per mille of calls that it has no time for (503).
    pub busy: u32,
    /// Per mille of calls that it takes and does not answer: by turns it closes the connection and
    /// is silent.
    pub loses: u32,
    /// The `Authorization` that it wants, if any.
    pub login: Option<String>,
    /// The seed of what is random.
    pub seed: u64,
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What it took, in order.
    pub taken: Vec<Consumed>,
    /// Every document that came with a good login, in order, by the id under which it came: also
    /// what it knew already or did not want.
    pub came: Vec<Consumed>,
    /// The ids of what it took without answering.
    pub unanswered: BTreeSet<String>,
    /// The events of documents that it refuses.
    pub refused: BTreeSet<String>,
    /// The ids of documents that it refuses.
    pub refused_ids: BTreeSet<String>,
    /// Calls.
    pub calls: usize,
    /// Calls that it had no time for.
    pub busy: usize,
    /// Calls that it knew already.
    pub known: usize,
    /// Logins that it refused.
    pub logins_refused: usize,
    /// The first document, as it came.
    pub first: Vec<u8>,
}

impl Log {
    /// Whether it took the document of that id.
    pub fn has(&self, id: &str) -> bool {
        let number = id.strip_prefix("proof-");
        number.is_some_and(|number| self.taken.iter().any(|one| one.docnum == number))
    }
}

/// The service at work.
pub struct Service {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    _stop: oneshot::Sender<()>,
}

struct State {
    manner: Manner,
    random: Random,
    /// The digest of what came under an id.
    known: HashMap<String, String>,
    lost: usize,
}

/// What one call gets.
enum Fate {
    Answer(u16, &'static str),
    Close,
    Silence,
}

impl Service {
    /// Listens on a free port of loopback until it is dropped.
    pub fn start(manner: Manner) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let log: Arc<Mutex<Log>> = Arc::default();
        let random = Random::seeded(manner.seed);
        let state = State { manner, random, known: HashMap::new(), lost: 0 };
        let (shared, state) = (log.clone(), Arc::new(Mutex::new(state)));
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name("service".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        _ = accept(listener, shared, state) => {}
                    }
                });
            }
        })?;
        Ok(Self { address, log, _stop: stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happened so far.
    pub fn log(&self) -> Log {
        lock(&self.log).clone()
    }

    /// How many documents it took so far.
    pub fn taken(&self) -> usize {
        lock(&self.log).taken.len()
    }

    /// How many logins it refused so far.
    pub fn logins_refused(&self) -> usize {
        lock(&self.log).logins_refused
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: std::net::TcpListener,
    log: Arc<Mutex<Log>>,
    state: Arc<Mutex<State>>,
) -> Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (log, state) = (log.clone(), state.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &log, &state));
            // Who goes away in the middle has his reasons.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    log: &Mutex<Log>,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (head, body) = request.into_parts();
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let id = text("idempotency-key").unwrap_or_default().to_owned();
    let login = text(AUTHORIZATION.as_str()).unwrap_or_default().to_owned();
    let body = body.collect().await.map_err(|_| "lost")?.to_bytes();
    let fate = lock(state).judge(&mut lock(log), &id, &login, &body);
    match fate {
        Fate::Answer(status, text) => {
            let response = Response::builder().status(status).body(Full::from(text));
            response.map_err(|_| "no such status")
        }
        Fate::Close => Err("closed on purpose"),
        Fate::Silence => {
            tokio::time::sleep(NEVER).await;
            Err("silent on purpose")
        }
    }
}

impl State {
    fn judge(&mut self, log: &mut Log, id: &str, login: &str, body: &[u8]) -> Fate {
        log.calls += 1;
        if self.manner.login.as_ref().is_some_and(|wanted| wanted != login) {
            log.logins_refused += 1;
            return Fate::Answer(401, "who are you?");
        }
        let document = consumed(id, body);
        log.came.push(Consumed { name: id.to_owned(), ..document.clone() });
        if u32::from_str_radix(&document.digest[..6], 16).unwrap_or(0) % 1000 < self.manner.refuses
        {
            log.refused.insert(document.event_id);
            log.refused_ids.insert(id.to_owned());
            return Fate::Answer(400, "not this one");
        }
        if self.random.chance(self.manner.busy) {
            log.busy += 1;
            return Fate::Answer(503, "busy");
        }
        if self.manner.dedupes && !id.is_empty() {
            match self.known.insert(id.to_owned(), document.digest.clone()) {
                Some(before) if before == document.digest => {
                    log.known += 1;
                    return Fate::Answer(200, "known");
                }
                Some(_) => return Fate::Answer(422, "another document had that id"),
                None => {}
            }
        }
        if log.taken.is_empty() {
            log.first = body.to_vec();
        }
        log.taken.push(document);
        if self.random.chance(self.manner.loses) {
            log.unanswered.insert(id.to_owned());
            self.lost += 1;
            return if self.lost.is_multiple_of(2) { Fate::Silence } else { Fate::Close };
        }
        Fate::Answer(200, "taken")
    }
}

fn consumed(id: &str, body: &[u8]) -> Consumed {
    let (registration, problem) = match idoc::read(body) {
        Ok(registration) if id == format!("proof-{}", registration.docnum) || id.is_empty() => {
            (registration, None)
        }
        Ok(registration) => (registration, Some(format!("came under the id {id:?}"))),
        Err(problem) => (Registration::default(), Some(problem)),
    };
    let seen = evidence::now();
    Consumed {
        name: format!("ZVEHREG_{}.idoc", registration.docnum),
        digest: format!("{:x}", Sha256::digest(body)),
        docnum: registration.docnum,
        vin: registration.vin,
        event_id: registration.event_id,
        code: registration.code,
        marks: registration.marks,
        seen,
        // One log: what stands first was there first.
        appeared: i64::try_from(seen).unwrap_or(i64::MAX),
        problem,
    }
}
