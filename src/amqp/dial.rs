//! How the client library reaches a broker: plain, or over TLS of our own making. The library's own
//! TLS would bring a second set of roots and old ciphers for PKCS#12 into the tree.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{DummyIO, Task, TaskImpl};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::amqp::hello::{Hello, Listener};

/// The tokio runtime, with connections that may be encrypted.
#[derive(Clone, Debug)]
pub struct Dialer {
    tokio: Tokio,
    handle: Handle,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    wanted: Wanted,
    hello: Hello,
}

/// The claim to what a [`Dialer`] dials. Whoever lets go of it without [`Claim::keep`] waits no
/// longer: dialling stops, and a connection that came about ends.
///
/// The client library has no limit of its own for a broker that takes the connection and is silent
/// from then on. Each try would leave a thread, a task and a socket behind.
#[derive(Debug)]
pub struct Claim(oneshot::Sender<()>);

/// Whether somebody still waits for what is dialled.
#[derive(Clone, Debug)]
enum Wanted {
    /// Somebody waits.
    Asked(Shared<oneshot::Receiver<()>>),
    /// The connection is in use, and ends by itself.
    Kept,
    /// Nobody waits any more.
    GivenUp,
}

impl Dialer {
    /// On the runtime of the caller; with `tls` for a server of that name, else plain.
    pub fn current(
        tls: Option<(ClientConfig, ServerName<'static>)>,
        hello: &Hello,
    ) -> (Self, Claim) {
        let tls = tls.map(|(config, name)| (Arc::new(config), name));
        let (claim, wanted) = oneshot::channel();
        let wanted = Wanted::Asked(wanted.shared());
        let (tokio, handle, hello) = (Tokio::current(), Handle::current(), hello.clone());
        (Self { tokio, handle, tls, wanted, hello }, Claim(claim))
    }
}

impl Claim {
    /// The connection is open: from here on it is for its owner to end.
    pub fn keep(self) {
        // Where nothing listens any more, there is no connection.
        let _ = self.0.send(());
    }

    /// No connection came about: what the broker ended the library ends in order, anything else
    /// ends here.
    pub fn failed(self, error: &lapin::Error) {
        if error.is_amqp_error() {
            self.keep();
        }
    }
}

impl Wanted {
    /// An error where nobody waits any more; else the task is woken when that changes.
    fn look(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Self::Asked(asked) = self
            && let Poll::Ready(kept) = asked.poll_unpin(context)
        {
            *self = if kept.is_ok() { Self::Kept } else { Self::GivenUp };
        }
        match self {
            Self::GivenUp => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "nobody waits for this connection"))
            }
            Self::Asked(_) | Self::Kept => Ok(()),
        }
    }

    /// Ends a task when nobody waits any more, at once where that is so already.
    fn bind(&self, task: AbortHandle, runtime: &Handle) {
        let Self::Asked(asked) = self else { return };
        match asked.peek() {
            Some(Ok(())) => {}
            Some(Err(_)) => task.abort(),
            None => {
                let asked = asked.clone();
                runtime.spawn(async move {
                    if asked.await.is_err() {
                        task.abort();
                    }
                });
            }
        }
    }
}

/// A connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    wanted: Wanted,
    /// Until the broker has said who it is.
    listener: Option<Listener>,
}

#[derive(Debug)]
enum Stream {
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
        let wire = self.get_mut();
        wire.wanted.look(context)?;
        let mut buffer = ReadBuf::new(buffer);
        let read = match &mut wire.stream {
            Stream::Plain(stream) => {
                tokio::io::AsyncRead::poll_read(Pin::new(stream), context, &mut buffer)
            }
            Stream::Secure(stream) => {
                tokio::io::AsyncRead::poll_read(Pin::new(stream), context, &mut buffer)
            }
        };
        let Poll::Ready(Ok(())) = read else { return read.map_ok(|()| 0) };
        let read = buffer.filled();
        if let Some(listener) = &mut wire.listener
            && listener.hear(read)?
        {
            wire.listener = None;
        }
        Poll::Ready(Ok(read.len()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => {
                tokio::io::AsyncWrite::poll_write(Pin::new(stream), context, buffer)
            }
            Stream::Secure(stream) => {
                tokio::io::AsyncWrite::poll_write(Pin::new(stream), context, buffer)
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => tokio::io::AsyncWrite::poll_flush(Pin::new(stream), context),
            Stream::Secure(stream) => tokio::io::AsyncWrite::poll_flush(Pin::new(stream), context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => {
                tokio::io::AsyncWrite::poll_shutdown(Pin::new(stream), context)
            }
            Stream::Secure(stream) => {
                tokio::io::AsyncWrite::poll_shutdown(Pin::new(stream), context)
            }
        }
    }
}

impl RuntimeKit for Dialer {}

impl Executor for Dialer {
    type Task<T: Send + 'static> = Spawned<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.tokio.block_on(future)
    }

    /// Tasks end with what they are for: the library leaves those of a dial that failed behind.
    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        let task = self.handle.spawn(future);
        self.wanted.bind(task.abort_handle(), &self.handle);
        Spawned(task).into()
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        Spawned(self.handle.spawn_blocking(work)).into()
    }
}

/// A task of the client library.
#[derive(Debug)]
pub struct Spawned<T>(JoinHandle<T>);

impl<T: Send + 'static> TaskImpl for Spawned<T> {}

impl<T> Future for Spawned<T> {
    type Output = T;

    /// What was ended has no output, and nobody waits for it.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(self.0.poll_unpin(context)) {
            Ok(output) => Poll::Ready(output),
            Err(_) => Poll::Pending,
        }
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

    fn interval(
        &self,
        duration: Duration,
    ) -> impl futures_util::Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    /// As a task of our runtime: the library may poll from a thread of its own.
    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let (handle, tls) = (self.handle.clone(), self.tls.clone());
        let (wanted, listener) = (self.wanted.clone(), self.hello.listener());
        async move {
            let stream = handle.spawn(connect(address, tls, wanted.clone())).await;
            let stream = stream.map_err(io::Error::other)??;
            Ok(Wire { stream, wanted, listener: Some(listener) })
        }
    }
}

async fn connect(
    address: SocketAddr,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    mut wanted: Wanted,
) -> io::Result<Stream> {
    let given_up = poll_fn(|context| match wanted.look(context) {
        Ok(()) => Poll::Pending,
        Err(error) => Poll::Ready(error),
    });
    tokio::select! {
        stream = dial(address, tls) => stream,
        error = given_up => Err(error),
    }
}

async fn dial(
    address: SocketAddr,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Some((config, name)) = tls else { return Ok(Stream::Plain(stream)) };
    let secure = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Stream::Secure(Box::new(secure)))
}

#[cfg(test)]
mod tests {
    use async_rs::Runtime;
    use lapin::uri::AMQPUri;
    use lapin::{Connection, ConnectionProperties};
    use rustls::RootCertStore;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn tls() -> (ClientConfig, ServerName<'static>) {
        let config = ClientConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        (config, "broker.example".try_into().unwrap())
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Reads until the other side has closed its socket.
    async fn until_closed(mut stream: TcpStream) {
        while stream.read(&mut [0; 256]).await.is_ok_and(|read| read > 0) {}
    }

    #[tokio::test]
    async fn a_server_that_never_answers_the_handshake_keeps_no_socket_when_nobody_waits() {
        let (listener, address) = listener().await;
        let (dialer, claim) = Dialer::current(Some(tls()), &Hello::new(None));
        let dialling = tokio::spawn(dialer.tcp_connect_addr(address));
        let (mut stream, _) = listener.accept().await.unwrap();
        // The handshake has begun, and gets no answer.
        stream.read_u8().await.unwrap();
        drop(claim);
        let error = dialling.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        until_closed(stream).await;
    }

    #[tokio::test]
    async fn a_broker_that_never_answers_the_login_keeps_no_socket_when_nobody_waits() {
        let (listener, address) = listener().await;
        let (dialer, claim) = Dialer::current(None, &Hello::new(None));
        let uri: AMQPUri = format!("amqp://vms@{address}/").parse().unwrap();
        let properties = ConnectionProperties::default();
        let connecting = tokio::spawn(Connection::connect_uri_with_runtime(
            uri,
            properties,
            Runtime::new(dialer),
        ));
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.unwrap();
        assert_eq!(&header, b"AMQP\0\0\x09\x01");
        connecting.abort();
        drop(claim);
        // The library's thread had the socket: it has ended.
        until_closed(stream).await;
    }

    #[tokio::test]
    async fn a_task_of_what_nobody_waits_for_ends_whenever_it_began() {
        let (_listener, address) = listener().await;
        let (dialer, claim) = Dialer::current(None, &Hello::new(None));
        let early = dialer.handle.metrics().num_alive_tasks();
        assert_eq!(early, 0);
        drop(dialer.spawn(std::future::pending::<()>()));
        drop(claim);
        assert!(dialer.tcp_connect_addr(address).await.is_err());
        drop(dialer.spawn(std::future::pending::<()>()));
        let ended = async {
            while dialer.handle.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_kept_lives_on_without_its_claim() {
        let (listener, address) = listener().await;
        let (dialer, claim) = Dialer::current(None, &Hello::new(None));
        let mut wire = dialer.tcp_connect_addr(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        claim.keep();
        stream.write_all(b"tune").await.unwrap();
        let mut buffer = [0; 4];
        futures_util::io::AsyncReadExt::read_exact(&mut wire, &mut buffer).await.unwrap();
        assert_eq!(&buffer, b"tune");
    }

    #[tokio::test]
    async fn nothing_is_read_of_what_nobody_waits_for() {
        let (listener, address) = listener().await;
        let (dialer, claim) = Dialer::current(None, &Hello::new(None));
        let mut wire = dialer.tcp_connect_addr(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"tune").await.unwrap();
        drop(claim);
        for _ in 0..2 {
            let read = futures_util::io::AsyncReadExt::read(&mut wire, &mut [0; 4]).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }
}
