//! The door of a TLS port: lets connections in with the certificates that hold now.
//!
//! The files are looked at once a second and taken when two looks agree. What cannot be used leaves
//! what was used before in force, and the log says why, once. A connection that came in with older
//! ones gets its next answer and is closed then, so that nobody has to fail for a rotation.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::tls::ServerTls;
use crate::http::{PATIENCE, Peer};
use crate::tls::look::Look;
use crate::tls::server::{Served, Trouble};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why somebody was not let in. For the debug log only: anybody can knock as often as he likes.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// There were no usable files since the start.
    #[error("there is no certificate that can be used")]
    Closed,
    /// He speaks no TLS, does not believe us, or is not believed.
    #[error(transparent)]
    Handshake(#[from] std::io::Error),
    /// He takes too long.
    #[error("the handshake took too long")]
    Slow,
}

/// The door.
#[derive(Debug)]
pub struct Door {
    tls: ServerTls,
    base: PathBuf,
    served: watch::Sender<Option<Arc<Served>>>,
}

/// Somebody who was let in.
pub(super) struct Guest {
    pub(super) peer: Peer,
    /// Through which door, and with which files it was open.
    through: Option<(Arc<Door>, Arc<Served>)>,
}

impl Guest {
    /// Where there is no door.
    pub(super) fn unasked(peer: Peer) -> Self {
        Self { peer, through: None }
    }

    /// Whether the door has other files by now.
    pub(super) fn is_stale(&self) -> bool {
        self.through.as_ref().is_some_and(|(door, served)| {
            let now = door.served.borrow();
            !now.as_ref().is_some_and(|now| Arc::ptr_eq(now, served))
        })
    }
}

impl Door {
    /// A door, and who looks after it. Without usable files it stays shut until there are some: the
    /// agent's work does not wait for who watches it.
    pub fn new(tls: ServerTls, base: PathBuf) -> (Arc<Self>, Keeper) {
        let served = watch::channel(None).0;
        let door = Arc::new(Self { tls, base, served });
        let mut keeper = Keeper { door: door.clone(), look: Look::First, trouble: Said::Nothing };
        keeper.look();
        (door, keeper)
    }

    /// When the first of the certificates that are shown ends.
    pub fn ends(&self) -> Option<Timestamp> {
        self.served.borrow().as_ref()?.ends
    }

    /// When the first of the revocation lists in force is due for renewal.
    pub fn list_ends(&self) -> Option<Timestamp> {
        self.served.borrow().as_ref()?.list_ends
    }

    /// Lets one connection in.
    pub(super) async fn admit<S>(
        self: Arc<Self>,
        stream: S,
    ) -> Result<(TlsStream<S>, Guest), DoorError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let served = self.served.borrow().clone().ok_or(DoorError::Closed)?;
        let acceptor = TlsAcceptor::from(served.config.clone());
        let handshake = timeout(PATIENCE, acceptor.accept(stream)).await;
        let stream = handshake.map_err(|_| DoorError::Slow)??;
        let known = stream.get_ref().1.peer_certificates().is_some();
        let peer = match (served.asks, known) {
            (false, _) => Peer::Anybody,
            (true, true) => Peer::Known,
            (true, false) => Peer::Stranger,
        };
        Ok((stream, Guest { peer, through: Some((self, served)) }))
    }
}

/// Looks after a door.
#[derive(Debug)]
pub struct Keeper {
    door: Arc<Door>,
    look: Look,
    trouble: Said,
}

/// What the last look found wrong, and whether the log says so.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    NotYet(String),
    Already(String),
}

impl Keeper {
    /// Looks at the files until `stop` turns true.
    pub async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = sleep(LOOK) => {}
                _ = stop.changed() => break,
            }
            let looking = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            self = match looking.await {
                Ok(keeper) => keeper,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
        }
    }

    /// Looks once.
    fn look(&mut self) {
        match Served::read(&self.door.tls, &self.door.base) {
            Ok(served) => self.can_be_used(served),
            Err(list) => self.cannot_be_used(&list),
        }
    }

    fn can_be_used(&mut self, served: Served) {
        let (before, stamp) = (self.look, served.stamp);
        self.look = Look::Saw(Some(stamp));
        self.trouble = Said::Nothing;
        let now = self.door.served.borrow().as_ref().map(|served| served.stamp);
        if now == Some(stamp) || !before.agrees(stamp) {
            return;
        }
        if let Some(ends) = served.ends {
            tracing::info!(%ends, "http: this certificate is shown from now on");
        }
        self.door.served.send_replace(Some(Arc::new(served)));
    }

    /// Files are often replaced one by one: what two looks say counts.
    fn cannot_be_used(&mut self, list: &[Trouble]) {
        let why: Vec<_> = list.iter().map(|trouble| trouble.error.to_string()).collect();
        let why = why.join("; ");
        let first = matches!(self.look, Look::First);
        self.look = Look::Saw(None);
        let before = std::mem::replace(&mut self.trouble, Said::Nothing);
        self.trouble = match before {
            Said::Already(said) if said == why => Said::Already(said),
            Said::NotYet(seen) if seen == why => self.say(why),
            _ if first => self.say(why),
            _ => Said::NotYet(why),
        };
    }

    fn say(&self, why: String) -> Said {
        if self.door.served.borrow().is_some() {
            tracing::error!(why, "http: the new certificate cannot be used; the old one is shown");
        } else {
            tracing::error!(
                why,
                "http: no certificate can be used; nobody is let in until one can"
            );
        }
        Said::Already(why)
    }
}
