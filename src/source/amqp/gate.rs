//! A bound in bytes on what a broker may push into memory.
//!
//! AMQP counts messages, not bytes: with a prefetch of 500, a queue of 5 MiB messages fills
//! 2.5 GiB, and the client library buffers without bound. The gate sits below it, at the socket. It
//! follows the [frames](super::frames), so it knows how large a message is before its body comes: a
//! message that does not fit beside what is held waits there, and TCP holds the broker back. What is
//! held is therefore at most the limit, or one message that is larger alone; and a message above the
//! largest one that is allowed comes shortened, so no message is larger than that.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{DummyIO, Task};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use futures_util::task::AtomicWaker;

use crate::amqp::Dialer;
use crate::event::Shortened;
use crate::source::amqp::frames::{Announced, Frames, Seen};

/// How much is read from a socket at once.
const READ: usize = 64 << 10;
/// What a byte of properties and headers weighs: a table of small fields takes about as many bytes
/// for each of its own once it is read.
const BESIDE_WEIGHT: u64 = 16;

/// How many bytes are held, and who waits for fewer.
#[derive(Debug)]
pub struct Gate {
    held: AtomicU64,
    shut: AtomicBool,
    limit: u64,
    largest: u64,
    reader: AtomicWaker,
    /// By delivery tag: what has passed and was not claimed yet.
    passed: Mutex<HashMap<u64, Passed>>,
}

#[derive(Clone, Copy, Debug)]
struct Passed {
    weight: u64,
    shortened: Option<Shortened>,
}

/// Bytes that count as held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Gate {
    /// A gate that lets messages of at most `largest` bytes through whole, as long as no more than
    /// `limit` bytes are held.
    pub fn new(limit: u64, largest: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(0),
            shut: AtomicBool::new(false),
            limit,
            largest,
            reader: AtomicWaker::new(),
            passed: Mutex::default(),
        })
    }

    /// The hold on the message of that delivery tag, which counts since it was announced; and what
    /// it was where it came shortened.
    pub fn claim(self: &Arc<Self>, tag: u64) -> (Hold, Option<Shortened>) {
        let passed = self.passed().remove(&tag);
        let weight = passed.map_or(0, |passed| passed.weight);
        let hold = Hold { gate: self.clone(), bytes: weight };
        (hold, passed.and_then(|passed| passed.shortened))
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Closes the gate whatever is held, or opens it again.
    pub fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Release);
        if !shut {
            self.reader.wake();
        }
    }

    /// Counts a message as held if there is room for it. There always is where nothing is held.
    fn admit(&self, announced: Announced) -> bool {
        let beside = announced.beside.saturating_mul(BESIDE_WEIGHT);
        let weight = announced.body.saturating_add(beside);
        let fits = |held: u64| {
            let sum = held.saturating_add(weight);
            (held == 0 || sum <= self.limit).then_some(sum)
        };
        let admitted = self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok();
        if admitted {
            self.passed().insert(announced.tag, Passed { weight, shortened: None });
        }
        admitted
    }

    fn note(&self, tag: u64, shortened: Shortened) {
        if let Some(passed) = self.passed().get_mut(&tag) {
            passed.shortened = Some(shortened);
        }
    }

    /// Waits until `condition` holds, which every change of the gate may bring about.
    fn poll(&self, context: &Context<'_>, condition: impl Fn() -> bool) -> Poll<()> {
        if condition() {
            return Poll::Ready(());
        }
        self.reader.register(context.waker());
        // It may have changed between the look and the registration.
        if condition() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn passed(&self) -> MutexGuard<'_, HashMap<u64, Passed>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.gate.reader.wake();
    }
}

/// A stream behind a [`Gate`].
#[derive(Debug)]
pub struct Gated<S> {
    stream: S,
    gate: Arc<Gate>,
    frames: Frames,
    /// What was read from the stream, and the part of it that the frames have not taken.
    input: Box<[u8]>,
    from: usize,
    to: usize,
    /// What passes, and how much of it was handed on.
    output: Vec<u8>,
    given: usize,
    /// The message that waits for room.
    waits: Option<Announced>,
}

impl<S> Gated<S> {
    fn new(stream: S, gate: Arc<Gate>) -> Self {
        let frames = Frames::new(gate.largest);
        let input = vec![0; READ].into_boxed_slice();
        let (output, waits) = (Vec::new(), None);
        Self { stream, gate, frames, input, from: 0, to: 0, output, given: 0, waits }
    }

    /// Hands on what passes, as much as there is room for.
    fn give(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let rest = self.output.get(self.given..).filter(|rest| !rest.is_empty())?;
        let count = rest.len().min(buffer.len());
        buffer.get_mut(..count)?.copy_from_slice(rest.get(..count)?);
        self.given += count;
        Some(count)
    }

    /// Lets the frames take what was read, up to a message that is announced.
    fn advance(&mut self) {
        self.output.clear();
        self.given = 0;
        let input = self.input.get(self.from..self.to).unwrap_or_default();
        let (taken, seen) = self.frames.advance(input, &mut self.output);
        self.from += taken;
        match seen {
            Some(Seen::Announced(announced)) => self.waits = Some(announced),
            Some(Seen::Shortened(tag, shortened)) => self.gate.note(tag, shortened),
            None => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let gated = self.get_mut();
        let gate = gated.gate.clone();
        ready!(gate.poll(context, || !gate.shut.load(Ordering::Acquire)));
        loop {
            if let Some(count) = gated.give(buffer) {
                return Poll::Ready(Ok(count));
            }
            if let Some(announced) = gated.waits {
                ready!(gate.poll(context, || gate.admit(announced)));
                gated.waits = None;
            } else if gated.from == gated.to {
                let reading = Pin::new(&mut gated.stream).poll_read(context, &mut gated.input);
                (gated.from, gated.to) = (0, ready!(reading)?);
                if gated.to == 0 {
                    return Poll::Ready(Ok(0));
                }
            }
            gated.advance();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

/// The runtime, with every connection behind one gate.
#[derive(Clone, Debug)]
pub struct GatedRuntime {
    dialer: Dialer,
    gate: Arc<Gate>,
}

impl GatedRuntime {
    /// The gate in front of what `dialer` connects to.
    pub fn new(dialer: Dialer, gate: Arc<Gate>) -> Self {
        Self { dialer, gate }
    }
}

impl RuntimeKit for GatedRuntime {}

impl Executor for GatedRuntime {
    type Task<T: Send + 'static> = <Dialer as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.dialer.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.dialer.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.dialer.spawn_blocking(work)
    }
}

impl Reactor for GatedRuntime {
    type TcpStream = Gated<<Dialer as Reactor>::TcpStream>;
    type Sleep = <Dialer as Reactor>::Sleep;

    /// The client library connects by address; it registers no sockets of its own.
    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.dialer.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.dialer.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let (connecting, gate) = (self.dialer.tcp_connect_addr(address), self.gate.clone());
        async move { Ok(Gated::new(connecting.await?, gate)) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::io::{AsyncReadExt, Cursor};

    use super::*;
    use crate::event::Digest;

    /// A message of one frame, whose content header has 14 bytes.
    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut message = b"\x01\0\x01\0\0\0\x10\0\x3c\0\x3c\0\0\0\0\0\0\0\0".to_vec();
        message.extend([tag, 0, 0, 0, 0xce]);
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        message.extend(b"\x02\0\x01\0\0\0\x0e\0\x3c\0\0\0\0\0\0");
        message.extend(size);
        message.extend(b"\0\0\xce\x03\0\x01");
        message.extend(size);
        message.extend(body);
        message.push(0xce);
        message
    }

    const BESIDE: u64 = 14 * BESIDE_WEIGHT;

    fn gated(limit: u64, bytes: Vec<u8>) -> (Arc<Gate>, Gated<Cursor<Vec<u8>>>) {
        let gate = Gate::new(limit, 1_000);
        (gate.clone(), Gated::new(Cursor::new(bytes), gate))
    }

    /// What can be read now.
    async fn read(stream: &mut Gated<Cursor<Vec<u8>>>) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 7];
        while let Poll::Ready(count) = futures_util::poll!(Box::pin(stream.read(&mut buffer))) {
            match count.unwrap() {
                0 => break,
                count => all.extend(&buffer[..count]),
            }
        }
        all
    }

    #[tokio::test]
    async fn a_message_that_does_not_fit_waits_from_its_content_header_on() {
        let (one, two) = (message(1, &[b'x'; 300]), message(2, &[b'y'; 300]));
        let (gate, mut stream) = gated(600 + 2 * BESIDE - 1, [&*one, &two].concat());
        let method = 24;
        assert_eq!(read(&mut stream).await, [&*one, &two[..method]].concat());
        let (hold, shortened) = gate.claim(1);
        assert_eq!((gate.held(), shortened), (300 + BESIDE, None));
        assert!(read(&mut stream).await.is_empty());
        drop(hold);
        assert_eq!(read(&mut stream).await, two[method..]);
        drop(gate.claim(2));
        assert_eq!(gate.held(), 0);
    }

    #[tokio::test]
    async fn a_message_counts_from_its_announcement_until_its_hold_is_dropped() {
        let (one, two) = (message(1, &[b'x'; 300]), message(2, &[b'y'; 300]));
        let (gate, mut stream) = gated(600 + 2 * BESIDE, [&*one, &two].concat());
        assert_eq!(read(&mut stream).await.len(), one.len() + two.len());
        assert_eq!(gate.held(), 600 + 2 * BESIDE);
        let (first, second) = (gate.claim(1), gate.claim(2));
        drop(first);
        assert_eq!(gate.held(), 300 + BESIDE);
        drop(second);
        assert_eq!(gate.held(), 0);
    }

    #[tokio::test]
    async fn a_message_larger_than_the_limit_passes_alone() {
        let one = message(1, &[b'x'; 900]);
        let (gate, mut stream) = gated(10, one.clone());
        assert_eq!(read(&mut stream).await, one);
        assert_eq!(gate.held(), 900 + BESIDE);
    }

    #[tokio::test]
    async fn a_message_above_the_largest_is_known_to_have_come_shortened() {
        let body = [b'x'; 1_001];
        let (gate, mut stream) = gated(10, message(1, &body));
        read(&mut stream).await;
        let (_hold, shortened) = gate.claim(1);
        assert_eq!(shortened, Some(Shortened { bytes: 1_001, digest: Digest::of(&body) }));
    }

    #[tokio::test]
    async fn a_shut_gate_lets_nothing_through_until_it_opens() {
        let (gate, mut stream) = gated(10, message(1, b"bytes"));
        gate.shut(true);
        assert!(read(&mut stream).await.is_empty());
        gate.shut(false);
        assert_eq!(read(&mut stream).await, message(1, b"bytes"));
    }
}
