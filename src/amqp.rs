//! What consuming and publishing have in common: how a broker is reached, and what its refusals
//! mean. The sessions themselves are those of [`source::amqp`](crate::source::amqp) and
//! [`target::amqp`](crate::target::amqp).

use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::uri::AMQPUri;
use lapin::{Connection, ErrorKind};
use tokio::time::timeout;

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

/// Reads a broker's URL. The error does not quote it: it holds a password.
pub fn uri(url: &str) -> Result<AMQPUri, String> {
    let mut uri: AMQPUri = url.parse()?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
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

/// Ends a connection; one that is gone already need not hear it.
pub async fn end(connection: &Connection) {
    if let Ok(Err(error)) = timeout(PATIENCE, connection.close(200, "done".into())).await {
        tracing::debug!(%error, "connection was closed already");
    }
}
