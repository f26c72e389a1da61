//! The agent's own port under abuse: clients that never read, never finish, or come in thousands,
//! and requests that are not what they seem. `/healthz` has to be answered through all of it.
//! Against the program itself; no broker is needed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/monitoring.rs"]
#[allow(dead_code, reason = "helpers of several tests; each uses a part of them")]
mod watchers;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use waybill::http::{Answer, Handler, Limits, Listener, Server, serve};
use waybill::metrics::Metrics;

use watchers::free_address;

const MIB: u64 = 1 << 20;
/// What a probe of the kubelet waits by default.
const PROBE: Duration = Duration::from_secs(1);

/// An agent at work, in a folder of its own.
struct Agent {
    folder: tempfile::TempDir,
    address: SocketAddr,
    child: Child,
}

impl Agent {
    fn start(http: &str) -> Self {
        Self::taking(http, "drop: { type: folder, path: in, format: idoc }", 200)
    }

    /// With other sources, until its readiness is that.
    fn taking(http: &str, sources: &str, ready: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        for name in ["in", "out"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let text = format!(
            "version: 1
agent: {{ name: test, instance: \"007\", data_dir: data }}
http: {{ listen: \"{address}\"{http} }}
journal: {{ min_free: 1MiB }}
sources: {{ {sources} }}
targets: {{ sap: {{ type: file, path: out, name: \"{{docnum}}\" }} }}
routes: []
"
        );
        fs::write(folder.path().join("waybill.yaml"), text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(folder.path(), &["run"]);
        let child = command.stderr(log).spawn().unwrap();
        let agent = Self { folder, address: address.parse().unwrap(), child };
        let asked = Instant::now();
        while !agent.log().contains("ready to work") || agent.get("/readyz").status != ready {
            assert!(asked.elapsed() < Duration::from_secs(20), "{}", agent.log());
        }
        agent
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn get(&self, path: &str) -> Heard {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
    }

    /// What is answered to these bytes, until the connection ends.
    fn ask(&self, bytes: impl AsRef<[u8]>) -> Heard {
        let mut stream = self.connect();
        // It may be closed before all is sent: then the answer says why.
        let _sent = stream.write_all(bytes.as_ref());
        Heard::until_the_end(stream)
    }

    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() << 10
    }

    /// Probes for a while; the slowest answer, or what came instead of one.
    fn probe(&self, most: Duration) -> Result<Duration, String> {
        let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
        loop {
            let asked = Instant::now();
            let heard = self.get("/healthz");
            slowest = slowest.max(asked.elapsed());
            if heard.status != 200 || slowest > PROBE {
                return Err(format!("{} after {slowest:?}", heard.status));
            }
            if begun.elapsed() >= most {
                return Ok(slowest);
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("WAYBILL_LISTEN").env_remove("WAYBILL_HOME").env_remove("WAYBILL_CONFIG");
    command
}

/// What came back on a connection.
#[derive(Debug)]
struct Heard {
    /// Of the first answer; 0 where there is none.
    status: u16,
    text: String,
}

impl Heard {
    fn until_the_end(mut stream: impl std::io::Read) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is an end, too.
        if let Err(error) = stream.read_to_end(&mut bytes) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the connection never ends");
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Self { status, text }
    }

    fn answers(&self) -> usize {
        self.text.matches("HTTP/1.1 ").count()
    }
}

/// Asks for the metrics as often as the socket takes it, and reads nothing.
fn pipeline(agent: &Agent) -> TcpStream {
    let stream = agent.connect();
    stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let requests = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n".repeat(2000);
    let mut stream = stream;
    let _taken = stream.write(requests.as_bytes());
    stream
}

#[test]
fn probes_are_answered_while_hundreds_of_clients_never_read() {
    let agent = Agent::start("");
    let before = agent.resident();
    let flood: Vec<_> = (0..300).map(|_| pipeline(&agent)).collect();
    let slowest = agent.probe(Duration::from_secs(3));
    let grown = agent.resident().saturating_sub(before);
    println!("non-readers: {slowest:?}, {} KiB more", grown >> 10);
    assert!(slowest.is_ok(), "{slowest:?}");
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);
    drop(flood);
}

#[test]
fn probes_are_answered_while_ten_thousand_idle_connections_come_from_another_address() {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: most.maximum, ..most },
    )
    .unwrap();
    let agent = Agent::start("");
    let before = agent.resident();
    let address = agent.address;
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut flood = Vec::new();
            for _ in 0..10_000 {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
                flood.push(socket.connect(address).await.unwrap().into_std().unwrap());
            }
            flood
        })
    });
    let mut slowest = Ok(Duration::ZERO);
    while !flood.is_finished() && slowest.is_ok() {
        slowest = agent.probe(Duration::from_millis(100)).map(|one| one.max(slowest.unwrap()));
    }
    let flood = flood.join().unwrap();
    let after = agent.probe(Duration::from_secs(1));
    let grown = agent.resident().saturating_sub(before);
    println!("idle: {slowest:?}, then {after:?}, {} KiB more", grown >> 10);
    assert_eq!(flood.len(), 10_000);
    assert!(slowest.is_ok() && after.is_ok(), "{slowest:?} {after:?}");
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);
}

#[test]
fn probes_are_answered_while_headers_are_sent_letter_by_letter() {
    let agent = Agent::start("");
    let mut flood: Vec<_> = (0..500).map(|_| agent.connect()).collect();
    let text = b"GET /metrics HTTP/1.1\r\nHost: test\r\nX-Slow: 1\r\n";
    let mut slowest = Duration::ZERO;
    for letter in text {
        for stream in &mut flood {
            // Those that were closed for others are of no use any more.
            let _taken = stream.write_all(&[*letter]);
        }
        slowest = slowest.max(agent.probe(Duration::from_millis(20)).unwrap());
    }
    println!("slow headers: {slowest:?}");
}

#[test]
fn probes_are_answered_beside_thousands_of_idle_connections_of_their_own_address() {
    let agent = Agent::start("");
    let (before, mut flood, mut slowest) = (agent.resident(), Vec::new(), Duration::ZERO);
    for _ in 0..125 {
        flood.extend((0..20).map(|_| agent.connect()));
        slowest = slowest.max(agent.probe(Duration::ZERO).unwrap());
    }
    let grown = agent.resident().saturating_sub(before);
    println!("idle, own address: {slowest:?}, {} KiB more", grown >> 10);
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);
}

#[test]
fn half_open_connections_hold_nothing_up() {
    let agent = Agent::start("");
    let flood: Vec<_> = (0..500).map(|_| agent.connect()).collect();
    for stream in &flood {
        // An end that nobody will ever read, after half a request.
        let _sent = (&*stream).write_all(b"GET /healthz HTTP/1.1\r\n");
        let _ended = stream.shutdown(Shutdown::Write);
    }
    agent.probe(Duration::from_millis(300)).unwrap();
}

// --- requests that are not what they seem -----------------------------------------------------

/// Another request behind: it must never be answered.
const BEHIND: &str = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";

/// Asks for `/healthz` with these fields and this behind them; the status, and how many answers.
fn fields(agent: &Agent, fields: &str, behind: &str) -> (u16, usize) {
    let heard = agent.ask(format!("GET /healthz HTTP/1.1\r\n{fields}\r\n{behind}"));
    assert!(!heard.text.contains("waybill_"), "{fields:?}: {}", heard.text);
    (heard.status, heard.answers())
}

#[test]
fn a_request_with_two_meanings_is_refused_and_nothing_behind_it_is_read() {
    let agent = Agent::start("");
    let chunk = format!("0\r\n\r\n{BEHIND}");
    let body = format!("hello{BEHIND}");
    for (lines, behind, status) in [
        ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", &chunk, 411),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", &chunk, 411),
        ("Host: a\r\nTransfer-Encoding: chunked\r\n", &chunk, 411),
        ("Host: a\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n", &chunk, 411),
        ("Host: a\r\nTransfer-Encoding: chunked, identity\r\n", &chunk, 400),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", &chunk, 400),
        ("Host: a\r\nTransfer-Encoding : chunked\r\n", &chunk, 400),
        ("Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", &body, 400),
        ("Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n", &body, 413),
        ("Host: a\r\nContent-Length: 5, 5\r\n", &body, 400),
        ("Host: a\r\nContent-Length: +5\r\n", &body, 400),
        ("Host: a\r\nContent-Length: -1\r\n", &body, 400),
        ("Host: a\r\nContent-Length: 0x5\r\n", &body, 400),
        ("Host: a\r\nContent-Length: 99999999999999999999\r\n", &body, 400),
        ("Host: a\r\nContent-Length: 5\r\n", &body, 413),
        ("Host: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n", &body, 413),
        ("Host: a\r\nX-Fold: one\r\n two\r\n", &body, 400),
        (" Host: a\r\n", &body, 400),
        ("Host: a\r\nX-Nul: a\0b\r\n", &body, 400),
        ("Host: a\r\nX-Return: a\rb\r\n", &body, 400),
        ("Host: a\r\nno colon\r\n", &body, 400),
        ("Host: a\r\nHost: b\r\n", &body, 400),
        ("X-None: a\r\n", &body, 400),
    ] {
        assert_eq!(fields(&agent, lines, behind), (status, 1), "{lines:?}");
    }
    agent.probe(Duration::from_millis(50)).unwrap();
}

#[test]
fn what_is_asked_by_another_form_or_version_gets_the_answer_of_its_rules() {
    let agent = Agent::start("");
    let close = "Host: test\r\nConnection: close\r\n\r\n";
    for (line, rest, status, answers) in [
        // RFC 9112: a server takes the absolute form; its path is what counts.
        ("GET http://elsewhere.example/healthz HTTP/1.1", close, 200, 1),
        ("GET /healthz?verbose=1 HTTP/1.1", close, 200, 1),
        ("GET //healthz HTTP/1.1", close, 404, 1),
        ("GET /healthz/ HTTP/1.1", close, 404, 1),
        ("GET /HEALTHZ HTTP/1.1", close, 404, 1),
        ("GET /%68ealthz HTTP/1.1", close, 404, 1),
        ("GET /healthz;x HTTP/1.1", close, 404, 1),
        ("GET /healthz/../metrics HTTP/1.1", close, 404, 1),
        ("CONNECT elsewhere.example:443 HTTP/1.1", close, 405, 1),
        ("OPTIONS * HTTP/1.1", close, 405, 1),
        ("GET  /healthz HTTP/1.1", close, 400, 1),
        ("GET /healthz HTTP/2.0", close, 400, 1),
        ("GET /healthz HTTP/1.9", close, 400, 1),
        ("GET /healthz", "\r\n", 400, 1),
        ("PRI * HTTP/2.0", "\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 0, 0),
        ("\x16\x03\x01\x02\0\x01\0\x01\x7c", close, 400, 1),
    ] {
        let heard = agent.ask(format!("{line}\r\n{rest}"));
        assert_eq!((heard.status, heard.answers()), (status, answers), "{line:?}: {heard:?}");
        assert!(!heard.text.contains("waybill_"), "{line:?}");
    }
    let old = agent.ask("GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 200, "{old:?}");
}

#[test]
fn only_get_and_head_are_taken_and_head_has_no_body() {
    let agent = Agent::start("");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "X"] {
        for path in ["/metrics", "/healthz", "/readyz", "/nothing"] {
            let heard = agent
                .ask(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
            assert_eq!(heard.status, 405, "{method} {path}: {heard:?}");
            assert!(heard.text.to_lowercase().contains("allow: get, head\r\n"), "{heard:?}");
        }
    }
    let heard = agent.ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(heard.status, 200);
    assert!(
        heard.text.contains("content-length: ") && heard.text.ends_with("\r\n\r\n"),
        "{heard:?}"
    );
}

#[test]
fn a_head_has_64_kib_and_a_hundred_fields_at_most() {
    let agent = Agent::start("");
    let of = |bytes: usize| {
        let start = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: ";
        format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4))
    };
    assert_eq!(agent.ask(of(60 << 10)).status, 200);
    assert_eq!(agent.ask(of((64 << 10) + 1)).status, 431);
    assert_eq!(agent.ask(of(10 << 20)).status, 431);
    let many = |count: usize| {
        let lines: String = (0..count).map(|n| format!("X-{n}: a\r\n")).collect();
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n")
    };
    assert_eq!(agent.ask(many(98)).status, 200);
    assert_eq!(agent.ask(many(99)).status, 431);
    assert_eq!(
        agent.ask(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70 << 10))).status,
        431
    );
}

// --- the process --------------------------------------------------------------------------------

#[test]
fn no_core_of_the_agent_is_dumped() {
    let agent = Agent::start("");
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.child.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
}

// --- what strangers are told ------------------------------------------------------------------

#[test]
fn readiness_tells_strangers_no_variable_no_file_and_no_words_of_others() {
    let sources = "one: { type: amqp, url: { env: BROKER_URL_OF_VMS }, queue: q }, \
                   two: { type: amqp, url: { file: secrets/broker }, queue: q }, \
                   three: { type: amqp, url: \"amqp://127.0.0.1:1/%2f\", queue: q }";
    let agent = Agent::taking("", sources, 503);
    let brief = |name: &str, why: &str| format!("\"source {name}: {why}\"");
    let all = [
        brief("one", "url or certificates unusable"),
        brief("two", "url or certificates unusable"),
        brief("three", "broker unreachable"),
    ];
    let asked = Instant::now();
    loop {
        let heard = agent.get("/readyz");
        assert_eq!(heard.status, 503);
        for word in ["BROKER_URL_OF_VMS", "secrets", "os error", "127.0.0.1"] {
            assert!(!heard.text.contains(word), "{word}: {}", heard.text);
        }
        if all.iter().all(|one| heard.text.contains(one)) {
            break;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "{}", heard.text);
    }
    // An operator on this machine is told.
    let status = command(agent.folder.path(), &["status"]).output().unwrap();
    let said = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(1));
    for part in
        ["not ready: generation 1", "BROKER_URL_OF_VMS is not set", "secrets/broker", "os error"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_scrape_costs_the_same_however_many_scrape() {
    let agent = Agent::start("");
    let values =
        |text: &str| text.lines().find(|line| line.starts_with("process_cpu_")).map(str::to_owned);
    // All but the first within a second are one text.
    let begun = Instant::now();
    let texts: Vec<_> = (0..20).map(|_| values(&agent.get("/metrics").text).unwrap()).collect();
    let took = begun.elapsed();
    let distinct = texts.windows(2).filter(|two| two[0] != two[1]).count() as u64;
    assert!(distinct <= took.as_secs() + 1, "{distinct} in {took:?}");
}

// --- the control socket -----------------------------------------------------------------------

#[test]
fn the_control_socket_takes_small_bodies_of_a_known_length_only() {
    let agent = Agent::start("");
    let ask = |bytes: &str| {
        let mut stream = UnixStream::connect(agent.path("data/control.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _sent = stream.write_all(bytes.as_bytes());
        Heard::until_the_end(stream)
    };
    let post = |fields: &str, body: &str| {
        ask(&format!("POST /reload HTTP/1.1\r\nHost: waybill\r\n{fields}\r\n{body}"))
    };
    let chunked = "Transfer-Encoding: chunked\r\n";
    assert_eq!(post(chunked, "0\r\n\r\n").status, 411);
    assert_eq!(post("Content-Length: 65537\r\n", "").status, 413);
    assert_eq!(post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello").status, 400);
    assert_eq!(post("Content-Length: 2\r\nConnection: close\r\n", "{}").status, 400);
    let heard = ask("GET /reload HTTP/1.1\r\nHost: waybill\r\nConnection: close\r\n\r\n");
    assert!(
        heard.status == 405 && heard.text.to_lowercase().contains("allow: post\r\n"),
        "{heard:?}"
    );
    // Connections that say nothing do not keep operators out.
    let _idle: Vec<_> =
        (0..200).map(|_| UnixStream::connect(agent.path("data/control.sock")).unwrap()).collect();
    let status = command(agent.folder.path(), &["status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{status:?}");
}

// --- time: the clock stands still but for the server's own timers -----------------------------

struct Serving {
    address: SocketAddr,
    metrics: Metrics,
    _stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Serving {
    async fn start(limits: Limits, body: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, metrics) = (listener.local_addr().unwrap(), Metrics::new().unwrap());
        let handler: Handler = Arc::new(move |_| {
            Box::pin(async move { Answer::text(StatusCode::OK, "x".repeat(body)) })
        });
        let (stop, stopped) = watch::channel(false);
        let closed = metrics.http_connections_closed.clone();
        let server = Server { listener: Listener::Tcp(listener, None), handler, limits, closed };
        Self { address, metrics, _stop: stop, task: tokio::spawn(serve(server, stopped)) }
    }

    async fn connect(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.address).await.unwrap()
    }

    fn slow(&self) -> u64 {
        self.metrics.http_connections_closed.with_label_values(&["http", "slow"]).get()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What comes on a connection until it ends, and how long that takes.
async fn end(stream: &mut tokio::net::TcpStream) -> (String, u64) {
    let (begun, mut bytes) = (tokio::time::Instant::now(), Vec::new());
    let _ended = stream.read_to_end(&mut bytes).await;
    (String::from_utf8(bytes).unwrap(), begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_also_where_the_connection_is_kept() {
    let serving = Serving::start(Limits::port(8, 8), 2).await;
    let mut stream = serving.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let (heard, waited) = end(&mut stream).await;
    assert!((9..=11).contains(&waited), "{heard} {waited}");
    let mut stream = serving.connect().await;
    stream.write_all(BEHIND.as_bytes()).await.unwrap();
    let (heard, waited) = end(&mut stream).await;
    assert!(heard.ends_with("xx") && (9..=11).contains(&waited), "{heard} {waited}");
    assert_eq!(serving.slow(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_has_ten_seconds() {
    let serving = Serving::start(Limits::control(), 2).await;
    let mut stream = serving.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
    let (heard, waited) = end(&mut stream).await;
    assert!(heard.starts_with("HTTP/1.1 408") && (9..=11).contains(&waited), "{heard} {waited}");
    assert_eq!(serving.slow(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_read_within_ten_seconds_or_the_connection_ends() {
    let serving = Serving::start(Limits::port(8, 8), 64 << 20).await;
    let mut stream = serving.connect().await;
    stream.write_all(BEHIND.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    while serving.slow() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "never closed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_is_closed_with_the_last_answer_it_may_have() {
    let serving = Serving::start(Limits { requests: 3, ..Limits::port(8, 8) }, 2).await;
    let mut stream = serving.connect().await;
    stream.write_all(BEHIND.repeat(5).as_bytes()).await.unwrap();
    let (heard, _) = end(&mut stream).await;
    assert_eq!(heard.matches("HTTP/1.1 200").count(), 3, "{heard}");
    assert_eq!(heard.matches("connection: close").count(), 1, "{heard}");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_takes_no_further_request() {
    let age = Duration::from_secs(30);
    let serving = Serving::start(Limits { age: Some(age), ..Limits::port(8, 8) }, 2).await;
    let mut stream = serving.connect().await;
    let begun = tokio::time::Instant::now();
    let mut answer = [0; 1024];
    loop {
        if stream.write_all(BEHIND.as_bytes()).await.is_err() {
            break;
        }
        match stream.read(&mut answer).await {
            Ok(read) if read > 0 => tokio::time::sleep(Duration::from_secs(5)).await,
            _ => break,
        }
    }
    assert!((29..=41).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(serving.slow(), 0);
}
