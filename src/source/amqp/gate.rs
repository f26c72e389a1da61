//! A bound in bytes on what a broker may push into memory.
//!
//! AMQP counts messages, not bytes: with a prefetch of 500, a queue of 5 MiB messages fills
//! 2.5 GiB, and the client library buffers without bound. The gate sits below it, at the socket:
//! while more bytes are held than allowed, nothing is read, and TCP holds the broker back. What is
//! in memory is therefore at most the limit, one message and one read buffer, whatever the sizes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{DummyIO, Task};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use futures_util::task::AtomicWaker;

use crate::amqp::Dialer;

/// How many bytes are held, and who waits for fewer.
#[derive(Debug)]
pub struct Gate {
    held: AtomicU64,
    shut: AtomicBool,
    limit: u64,
    reader: AtomicWaker,
}

/// Bytes that count as held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Gate {
    /// A gate that closes above `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(0),
            shut: AtomicBool::new(false),
            limit,
            reader: AtomicWaker::new(),
        })
    }

    /// Counts `bytes` as held.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Hold {
        let bytes = bytes as u64;
        self.held.fetch_add(bytes, Ordering::AcqRel);
        Hold { gate: self.clone(), bytes }
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Closes the gate whatever is held, or opens it again.
    pub fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Release);
        if !self.is_closed() {
            self.reader.wake();
        }
    }

    fn is_closed(&self) -> bool {
        self.held() > self.limit || self.shut.load(Ordering::Acquire)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.held.fetch_sub(self.bytes, Ordering::AcqRel);
        if !self.gate.is_closed() {
            self.gate.reader.wake();
        }
    }
}

/// A TCP stream behind a [`Gate`].
#[derive(Debug)]
pub struct Gated<S> {
    stream: S,
    gate: Arc<Gate>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.gate.is_closed() {
            self.gate.reader.register(context.waker());
            // It may have opened between the look and the registration.
            if self.gate.is_closed() {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
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
        async move { Ok(Gated { stream: connecting.await?, gate }) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::io::{AsyncReadExt, Cursor};

    use super::*;

    #[tokio::test]
    async fn nothing_is_read_while_more_than_the_limit_is_held() {
        let gate = Gate::new(10);
        let mut stream = Gated { stream: Cursor::new(b"bytes".to_vec()), gate: gate.clone() };
        let (small, large) = (gate.hold(10), gate.hold(1));
        let mut buffer = [0; 5];
        let reading = stream.read(&mut buffer);
        tokio::pin!(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        drop(large);
        assert_eq!(reading.await.unwrap(), 5);
        drop(small);
        assert_eq!(gate.held(), 0);
    }

    #[tokio::test]
    async fn a_shut_gate_lets_nothing_through_until_it_opens() {
        let gate = Gate::new(10);
        let mut stream = Gated { stream: Cursor::new(b"bytes".to_vec()), gate: gate.clone() };
        gate.shut(true);
        let mut buffer = [0; 5];
        let reading = stream.read(&mut buffer);
        tokio::pin!(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        gate.shut(false);
        assert_eq!(reading.await.unwrap(), 5);
    }
}
