//! What consuming and publishing have in common: how a broker is reached, and what its refusals
//! mean. The sessions themselves are those of [`source::amqp`](crate::source::amqp) and
//! [`target::amqp`](crate::target::amqp).

mod dial;
mod hello;

use std::fmt;
use std::future::pending;
use std::path::Path;
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ErrorKind};
use reqwest::Url;
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};

pub use self::dial::{Claim, Dialer, Wire};
pub use self::hello::{Hello, Stranger};
use crate::config::exchange::in_the_clear;
use crate::config::secret::{Secret, SecretError};
use crate::config::tls::Tls;
use crate::event::Digest;
use crate::tls::{Material, TlsError};

/// A broker that does not answer for this long is not there.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often a refused credential is compared with what the secret says now.
pub const CREDENTIAL_POLL: Duration = Duration::from_secs(1);
/// The least and the greatest pause between two sessions.
pub const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A session that lived this long was a good one: the pause starts from the least again.
pub const GOOD: Duration = Duration::from_secs(30);
/// Seconds between heartbeats where the URL names none: an outage shows after twice that.
const HEARTBEAT: u16 = 10;
/// What a URL looks like, for one that does not.
const EXPECTED: &str = "expected amqp://user:password@host:port/vhost or amqps://..., with special \
    characters of user, password and vhost written as %XX";

/// Why a broker cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The URL cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The URL is none. Neither it nor what others say of it is quoted: it holds a password.
    #[error("the url is not an AMQP url: {0}")]
    Url(&'static str),
    /// It must not be reached without encryption.
    #[error("{0}; write `amqps://`, or `tls: none` where all on the way are trusted")]
    Clear(&'static str),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The way to a broker, as files and variables say it now.
pub struct Access {
    /// Where it is, and who we are.
    pub uri: AMQPUri,
    /// How it is reached.
    pub dialer: Dialer,
    /// What the dialer dials lives no longer than this, unless it is kept.
    pub claim: Claim,
    /// What it says of itself.
    pub hello: Hello,
    /// What tells this way from another.
    pub stamp: Digest,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("host", &self.uri.authority.host).finish_non_exhaustive()
    }
}

/// Reads URL and certificates. `base` is where their paths start from; `expect` is what the broker
/// has to call its cluster.
pub fn access(
    url: &Secret,
    tls: &Tls,
    expect: Option<&str>,
    base: &Path,
) -> Result<Access, AccessError> {
    let (mut uri, material, stamp) = read(url, tls, base)?;
    let hello = Hello::new(expect);
    let (dialer, claim) = match material {
        None => Dialer::current(None, &hello),
        Some(material) => {
            let name = ServerName::try_from(uri.authority.host.clone());
            let name = name.map_err(|_| AccessError::Url("its host is no name"))?;
            // What the library reaches through the dialer is plain to it.
            uri.scheme = AMQPScheme::AMQP;
            Dialer::current(Some((material.client()?, name)), &hello)
        }
    };
    Ok(Access { uri, dialer, claim, hello, stamp })
}

fn read(
    url: &Secret,
    tls: &Tls,
    base: &Path,
) -> Result<(AMQPUri, Option<Material>, Digest), AccessError> {
    let mut sum = Sha256::new();
    let text = url.resolve_into(base, &mut sum)?;
    let (mut uri, password) = parse(&text)?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    let material = match uri.scheme {
        AMQPScheme::AMQPS => Some(Material::read(tls, base)?),
        AMQPScheme::AMQP => match in_the_clear(&uri.authority.host, password, tls) {
            Some(why) => return Err(AccessError::Clear(why)),
            None => None,
        },
    };
    sum.update(material.as_ref().map_or([0; 32], |material| material.stamp().0));
    Ok((uri, material, Digest(sum.finalize().into())))
}

/// The parts of a URL, and whether it holds a password. The library takes an IPv6 address, or no host, for this machine: user and
/// password would be shown to whoever listens here.
fn parse(text: &str) -> Result<(AMQPUri, bool), AccessError> {
    let mut uri: AMQPUri = text.parse().map_err(|_| AccessError::Url(EXPECTED))?;
    let url = Url::parse(text).map_err(|_| AccessError::Url(EXPECTED))?;
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return Err(AccessError::Url("it names no host"));
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        uri.authority.host = address.to_owned();
    }
    Ok((uri, url.password().is_some()))
}

/// Waits until URL or certificates are others than those of `stamp`, and usable; returns their
/// stamp. Two looks must agree: files that belong together are replaced one after the other.
pub async fn rotated(url: &Secret, tls: &Tls, base: &Path, stamp: Digest) -> Digest {
    let mut before = stamp;
    loop {
        sleep(CREDENTIAL_POLL).await;
        let now = read(url, tls, base).map_or(stamp, |(.., now)| now);
        if now != stamp && now == before && access(url, tls, None, base).is_ok() {
            return now;
        }
        before = now;
    }
}

/// Waits before the next session. Where this way led to a stranger, another way ends the waiting.
pub async fn pause(
    (url, tls, base): (&Secret, &Tls, &Path),
    stranger: Option<Digest>,
    pause: Duration,
) {
    let other = async {
        match stranger {
            Some(stamp) => drop(rotated(url, tls, base, stamp).await),
            None => pending().await,
        }
    };
    tokio::select! {
        () = sleep(pause) => {}
        () = other => {}
    }
}

/// Whether the broker refused user or password. Trying again with the same ones only locks the
/// user.
pub fn refuses_login(error: &lapin::Error) -> bool {
    soft(error) == Some(AMQPSoftError::ACCESSREFUSED)
}

/// What a broker says when it closes a channel, and only that.
pub fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// Ends a connection; one that is gone already need not hear it. `false` where the broker does not
/// answer: then nothing has ended.
pub async fn end(connection: &Connection) -> bool {
    let closed = timeout(PATIENCE, connection.close(200, "done".into())).await;
    if let Ok(Err(error)) = &closed {
        tracing::debug!(%error, "connection was closed already");
    }
    closed.is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs as _;

    use super::*;

    fn reached(url: &str) -> Result<Access, AccessError> {
        let tls = Tls { none: true, ..Tls::default() };
        access(&Secret::Plain(url.to_owned()), &tls, None, Path::new("."))
    }

    #[tokio::test]
    async fn a_url_that_would_show_its_password_is_not_used_wherever_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("url"), "amqp://vms:geheim@192.0.2.7/%2f").unwrap();
        let url = Secret::File("url".to_owned());
        let none = Tls { none: true, ..Tls::default() };
        let said = access(&url, &Tls::default(), None, folder.path()).unwrap_err().to_string();
        assert!(said.contains("would show the password") && !said.contains("geheim"), "{said}");
        assert!(access(&url, &none, None, folder.path()).is_ok());
        std::fs::write(folder.path().join("url"), "amqp://vms:geheim@127.0.0.1/%2f").unwrap();
        assert!(access(&url, &Tls::default(), None, folder.path()).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_url_is_refused_without_a_word_of_it() {
        for url in [
            "amqp:vms:geheim@broker",
            "vms:geheim@broker",
            "amqp://vms:ge/heim@broker/%2f",
            "http://vms:geheim@broker/",
            "amqp://vms:geheim@broker/?heartbeat=geheim",
            "geheim",
        ] {
            let said = reached(url).unwrap_err();
            let shown = format!("{said} {said:?}");
            assert!(shown.contains("expected amqp://user:password@host"), "{shown}");
            for word in ["heim", "vms", "@broker"] {
                assert!(!shown.contains(word), "{shown}");
            }
        }
    }

    #[tokio::test]
    async fn the_host_of_a_url_is_the_one_that_is_reached() {
        for (url, host, address) in [
            ("amqp://vms:geheim@[2001:db8::7]/%2f", "2001:db8::7", Some("[2001:db8::7]:5672")),
            ("amqp://vms:geheim@[::1]:5673/%2f", "::1", Some("[::1]:5673")),
            ("amqp://vms:geheim@192.0.2.7/%2f", "192.0.2.7", Some("192.0.2.7:5672")),
            ("amqp://vms:geheim@broker.example:5673/%2f", "broker.example", None),
        ] {
            let authority = reached(url).unwrap().uri.authority;
            assert_eq!((&*authority.host, &*authority.userinfo.username), (host, "vms"), "{url}");
            if let Some(address) = address {
                let found = (authority.host, authority.port).to_socket_addrs().unwrap().next();
                assert_eq!(found.unwrap().to_string(), address);
            }
        }
    }

    #[tokio::test]
    async fn over_tls_an_address_is_the_servers_name() {
        let (uri, ..) = read(
            &Secret::Plain("amqps://vms:geheim@[::1]/%2f".to_owned()),
            &Tls::default(),
            Path::new("."),
        )
        .unwrap();
        assert_eq!((&*uri.authority.host, uri.authority.port), ("::1", 5671));
        let name = ServerName::try_from(uri.authority.host).unwrap();
        assert!(matches!(name, ServerName::IpAddress(_)), "{name:?}");
    }

    #[tokio::test]
    async fn a_url_without_a_host_is_refused_instead_of_tried_here() {
        for url in ["amqp:///%2f", "amqp://", "amqp:/vms:geheim@broker/%2f"] {
            let said = reached(url).unwrap_err().to_string();
            assert!(said.ends_with("it names no host"), "{url}: {said}");
        }
    }

    #[tokio::test]
    async fn what_is_known_of_a_broker_shows_no_password() {
        let shown = format!("{:?}", reached("amqp://vms:geheim@broker:5673/%2f").unwrap());
        assert!(shown.contains("broker") && !shown.contains("geheim"), "{shown}");
    }
}
