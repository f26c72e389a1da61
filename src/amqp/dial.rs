//! How the client library reaches a broker: plain, or over TLS of our own making. The library's own
//! TLS would bring a second set of roots and old ciphers for PKCS#12 into the tree.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{DummyIO, Task};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The tokio runtime, with connections that may be encrypted.
#[derive(Clone, Debug)]
pub struct Dialer {
    tokio: Tokio,
    handle: Handle,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Dialer {
    /// On the runtime of the caller; with `tls` for a server of that name, else plain.
    pub fn current(tls: Option<(ClientConfig, ServerName<'static>)>) -> Self {
        let tls = tls.map(|(config, name)| (Arc::new(config), name));
        Self { tokio: Tokio::current(), handle: Handle::current(), tls }
    }
}

/// A connection to a broker.
#[derive(Debug)]
pub enum Wire {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Secure(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = match self.get_mut() {
            Self::Plain(stream) => {
                tokio::io::AsyncRead::poll_read(Pin::new(stream), context, &mut buffer)
            }
            Self::Secure(stream) => {
                tokio::io::AsyncRead::poll_read(Pin::new(stream), context, &mut buffer)
            }
        };
        read.map_ok(|()| buffer.filled().len())
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => {
                tokio::io::AsyncWrite::poll_write(Pin::new(stream), context, buffer)
            }
            Self::Secure(stream) => {
                tokio::io::AsyncWrite::poll_write(Pin::new(stream), context, buffer)
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => tokio::io::AsyncWrite::poll_flush(Pin::new(stream), context),
            Self::Secure(stream) => tokio::io::AsyncWrite::poll_flush(Pin::new(stream), context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => tokio::io::AsyncWrite::poll_shutdown(Pin::new(stream), context),
            Self::Secure(stream) => tokio::io::AsyncWrite::poll_shutdown(Pin::new(stream), context),
        }
    }
}

impl RuntimeKit for Dialer {}

impl Executor for Dialer {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.tokio.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.tokio.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.tokio.spawn_blocking(work)
    }
}

impl Reactor for Dialer {
    type TcpStream = Wire;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// The client library connects by address; it registers no sockets of its own.
    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    /// As a task of our runtime: the library may poll from a thread of its own.
    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let (handle, tls) = (self.handle.clone(), self.tls.clone());
        async move { handle.spawn(connect(address, tls)).await.map_err(io::Error::other)? }
    }
}

async fn connect(
    address: SocketAddr,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
) -> io::Result<Wire> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Some((config, name)) = tls else { return Ok(Wire::Plain(stream)) };
    let secure = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Wire::Secure(Box::new(secure)))
}
