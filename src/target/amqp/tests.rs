//! Rotation against a broker of a few lines, which does what the password says: `right` is taken,
//! `wrong` refused, `silent` gets no answer.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::PoisonError;

use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::amqp::PATIENCE;
use crate::config::secret::Secret;
use crate::config::tls::Tls;
use crate::config::{DeclareExchange, Mode, RoutingKey};

/// Version 0-9, no properties, the ways to log in, the language.
const START: &[u8] = b"\x00\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US";
/// 2047 channels, frames of 128 KiB, no heartbeats.
const TUNE: &[u8] = b"\x07\xff\0\x02\0\0\0\0";
const REFUSED: &[u8] = b"\x01\x93\x0eACCESS_REFUSED\0\0\0\0";
const CLOSE: (u8, u8) = (10, 50);
const BLOCKED: (u8, u8) = (10, 60);
const UNBLOCKED: (u8, u8) = (10, 61);

struct Broker {
    port: u16,
    /// Passwords as they were shown.
    logins: UnboundedReceiver<String>,
    /// Connections that are logged in.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Broker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, logins) = mpsc::unbounded_channel();
        let open = Arc::<Mutex<Vec<TcpStream>>>::default();
        let all = open.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen, all) = (stream.unwrap(), seen.clone(), all.clone());
                // A connection ends with an error: it is read until it is gone.
                std::thread::spawn(move || serve(stream, &seen, &all));
            }
        });
        Self { port, logins, open }
    }

    async fn login(&mut self) -> String {
        timeout(PATIENCE, self.logins.recv()).await.unwrap().unwrap()
    }

    /// Says something on all connections.
    fn say(&self, method: (u8, u8), arguments: &[u8]) {
        for mut stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            stream.write_all(&frame(0, method, arguments)).unwrap();
        }
    }

    /// Ends all connections.
    fn end(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }
}

fn frame(channel: u16, (class, method): (u8, u8), arguments: &[u8]) -> Vec<u8> {
    let mut frame = vec![1];
    frame.extend(channel.to_be_bytes());
    frame.extend(u32::try_from(arguments.len() + 4).unwrap().to_be_bytes());
    frame.extend([0, class, 0, method]);
    frame.extend(arguments);
    frame.push(0xce);
    frame
}

fn serve(
    mut stream: TcpStream,
    seen: &UnboundedSender<String>,
    open: &Mutex<Vec<TcpStream>>,
) -> io::Result<()> {
    stream.read_exact(&mut [0; 8])?;
    stream.write_all(&frame(0, (10, 10), START))?;
    loop {
        let mut header = [0; 7];
        stream.read_exact(&mut header)?;
        let [kind, c, d, size @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
        stream.read_exact(&mut payload)?;
        let channel = u16::from_be_bytes([c, d]);
        let answer = match (kind, payload[1], payload.get(3)) {
            (1, 10, Some(11)) => {
                let word = password(&payload);
                let answer = match word.as_str() {
                    "right" => frame(0, (10, 30), TUNE),
                    "wrong" => frame(0, CLOSE, REFUSED),
                    _ => Vec::new(),
                };
                seen.send(word).unwrap();
                answer
            }
            (1, 10, Some(40)) => {
                open.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
                frame(0, (10, 41), b"\0")
            }
            (1, 10, Some(50)) => frame(0, (10, 51), b""),
            (1, 20, Some(10)) => frame(channel, (20, 11), &[0; 4]),
            (1, 20, Some(40)) => frame(channel, (20, 41), b""),
            (1, 85, Some(10)) => frame(channel, (85, 11), b""),
            _ => continue,
        };
        stream.write_all(&answer)?;
    }
}

fn password(payload: &[u8]) -> String {
    let user = b"\0waybill\0";
    let at = payload.windows(user.len()).position(|window| window == user).unwrap();
    let rest = payload[at + user.len()..].iter();
    rest.take_while(|byte| byte.is_ascii_alphabetic()).map(|byte| char::from(*byte)).collect()
}

struct World {
    broker: Broker,
    publisher: Publisher,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = AmqpTarget {
            expect: None,
            url: Secret::File("url".to_owned()),
            tls: Tls::default(),
            // It need not be declared.
            exchange: String::new(),
            declare: DeclareExchange::Passive,
            routing_key: RoutingKey::parse("{key}").unwrap(),
            mandatory: true,
            mode: Mode::Structured,
            on_doubt: OnDoubt::Resend,
        };
        let publisher = Publisher::new("vms".into(), config, folder.path().to_owned());
        let world = Self { broker: Broker::start(), publisher, folder };
        world.write("right");
        world
    }

    /// A target that is up.
    async fn up() -> (Self, watch::Sender<bool>, JoinHandle<()>) {
        let mut world = Self::new();
        let (end, ended) = watch::channel(false);
        let keeping = tokio::spawn(world.publisher.clone().keep(ended, |_| Duration::ZERO));
        assert_eq!(world.broker.login().await, "right");
        world.until(Result::is_ok).await;
        (world, end, keeping)
    }

    fn write(&self, password: &str) {
        let url = format!("amqp://waybill:{password}@127.0.0.1:{}/%2f", self.broker.port);
        fs::write(self.folder.path().join("url"), url).unwrap();
    }

    /// Waits until messages may be sent, or may not.
    async fn until(&mut self, what: impl Fn(&Result<(), Answer>) -> bool) {
        let waiting = async {
            while !what(&self.publisher.ready()) {
                self.publisher.changed().await;
            }
        };
        // A login that gets no answer takes longer: what is awaited does not wait for that.
        timeout(PATIENCE / 2, waiting).await.unwrap();
    }
}

fn says(answer: &Result<(), Answer>, what: &str) -> bool {
    matches!(answer, Err(Answer::Unavailable(why)) if why.text.contains(what))
}

#[tokio::test]
async fn a_credential_refused_beside_a_connection_is_not_tried_again_when_that_ends() {
    let (mut world, end, keeping) = World::up().await;
    world.write("wrong");
    assert_eq!(world.broker.login().await, "wrong");
    world.broker.end();
    world.until(|ready| says(ready, "refused the login")).await;
    world.write("right");
    assert_eq!(world.broker.login().await, "right");
    world.until(Result::is_ok).await;
    end.send_replace(true);
    keeping.await.unwrap();
}

#[tokio::test]
async fn a_block_that_ends_while_a_new_login_is_tried_is_over_at_once() {
    let (mut world, end, keeping) = World::up().await;
    world.broker.say(BLOCKED, b"\x06memory");
    world.until(|ready| says(ready, "memory")).await;
    world.write("silent");
    assert_eq!(world.broker.login().await, "silent");
    world.broker.say(UNBLOCKED, b"");
    world.until(Result::is_ok).await;
    end.send_replace(true);
    keeping.await.unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_login_that_gets_no_answer() {
    let (mut world, end, keeping) = World::up().await;
    world.write("silent");
    assert_eq!(world.broker.login().await, "silent");
    end.send_replace(true);
    timeout(PATIENCE / 2, keeping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_block_that_ended_unheard_is_over_at_the_next_look() {
    let mut world = World::new();
    let shared = world.publisher.shared.clone();
    let Shared { name, config, base, link, .. } = &*shared;
    let session = Arc::new(session::open(name, config, base).await.unwrap());
    link.send_replace(Link::Blocked("nobody heard the end".to_owned()));
    let (_end, mut ended) = watch::channel(false);
    let publisher = world.publisher.clone();
    tokio::select! {
        _ = publisher.watch(&session, &mut ended) => panic!("the session ended"),
        () = world.until(Result::is_ok) => {}
    }
    session.close().await;
}

#[tokio::test]
async fn no_dial_that_fails_leaves_a_task_behind() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let speaks = web.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in web.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // Until the other side has gone.
            while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        }
    });
    // A port that nobody listens at, and one where no broker does.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut world = World::new();
    for port in [silent, speaks] {
        world.broker.port = port;
        world.write("right");
        let Shared { name, config, base, .. } = &*world.publisher.shared;
        for _ in 0..3 {
            assert!(session::open(name, config, base).await.is_err());
        }
        let metrics = tokio::runtime::Handle::current().metrics();
        let ended = async {
            while metrics.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap();
    }
}
