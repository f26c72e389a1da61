//! A queue of an AMQP 0-9-1 broker.
//!
//! [`run`] is the supervisor: it connects, consumes and, whatever ends a session, begins another
//! one, for ever. The client library's own recovery is off, because it hides outages for a quarter
//! of a minute and gives up after eleven.
//!
//! Nothing is acknowledged here: messages go to the intake with a [`Receipt`], and the intake
//! acknowledges what is committed, many at once. A receipt belongs to the session that took it; the
//! receipts of a lost session do nothing, and the broker delivers those messages again.

mod frames;
pub mod gate;
mod message;
mod session;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, watch};

use crate::amqp::{self, GOOD, PAUSE, rotated};
use crate::config::Amqp;
use crate::dispatch::retry;
use crate::event::Digest;
use crate::metrics::{Metrics, Reason};
use crate::source::Taken;
use crate::source::amqp::gate::Hold;
use crate::source::amqp::session::{Session, SessionError};

pub use self::session::declaration;

/// The right to acknowledge one message of one session.
#[derive(Debug)]
pub struct Receipt {
    session: Arc<Session>,
    tag: u64,
    _hold: Hold,
}

/// What the supervisor needs of the agent.
#[derive(Debug)]
pub struct Context {
    /// The source's name.
    pub name: Arc<str>,
    /// What its configuration says.
    pub amqp: Amqp,
    /// The folder that relative paths of the configuration start from.
    pub base: PathBuf,
    /// The intake's queue of this source.
    pub queue: mpsc::Sender<Taken>,
    /// Whether the source may take messages: off while the journal has no room.
    pub open: watch::Receiver<bool>,
    /// Turns true once, when the agent stops.
    pub stop: watch::Receiver<bool>,
    /// The agent's metrics.
    pub metrics: Arc<Metrics>,
    /// Now.
    pub clock: fn() -> Timestamp,
}

/// Acknowledges messages: one `multiple` acknowledgement for each session among them. The
/// receipts must be a prefix of what each session handed out and has not seen acknowledged.
pub(super) async fn acknowledge(receipts: impl Iterator<Item = Receipt>) {
    let mut last: HashMap<u64, (Arc<Session>, u64)> = HashMap::new();
    let mut holds = Vec::new();
    for receipt in receipts {
        let entry = last.entry(receipt.session.number).or_insert((receipt.session, receipt.tag));
        entry.1 = entry.1.max(receipt.tag);
        holds.push(receipt._hold);
    }
    for (session, tag) in last.into_values() {
        let sent = session.channel.basic_ack(tag, BasicAckOptions { multiple: true }).await;
        if let Err(error) = sent {
            // The session is over; the journal knows these events when they come again.
            tracing::debug!(%error, "acknowledgement not sent");
        }
    }
}

/// Gives messages back to the broker: their sessions' channels are closed.
pub(super) async fn abandon(receipts: impl Iterator<Item = Receipt>) {
    let sessions: HashMap<u64, Arc<Session>> =
        receipts.map(|receipt| (receipt.session.number, receipt.session)).collect();
    for session in sessions.into_values() {
        if let Err(error) = session.channel.close(500, "cannot record".into()).await {
            tracing::debug!(%error, "channel was closed already");
        }
    }
}

/// Takes messages until the agent stops. Returns when everything taken was handed to the intake
/// and acknowledged, or given up.
pub async fn run(mut context: Context) {
    let up = context.metrics.source_up.with_label_values(&[&context.name]);
    let mut failures: u32 = 0;
    let mut number = 0;
    up.set(0);
    while wait_until_open(&mut context).await {
        number += 1;
        let started = tokio::time::Instant::now();
        let ended = one_session(&mut context, number, &up).await;
        up.set(0);
        if *context.stop.borrow() {
            break;
        }
        let lived = started.elapsed();
        failures = if lived >= GOOD { 1 } else { failures.saturating_add(1) };
        if let Err(error) = &ended {
            let why = Reason { brief: error.brief(), detail: error.to_string() };
            context.metrics.reasons.set(&format!("source {}", context.name), why);
        }
        match ended {
            Ok(()) => failures = 0,
            Err(SessionError::Login { stamp }) => wait_for_credential(&mut context, stamp).await,
            Err(error) => {
                let strange = error.strange();
                let pause = match strange {
                    Some(_) => PAUSE.1,
                    None => retry::backoff(PAUSE.0, PAUSE.1, failures.min(16), number),
                };
                tracing::warn!(source = %context.name, %error, again_in = ?pause, "source is down");
                wait(&mut context, strange, pause).await;
            }
        }
    }
}

async fn one_session(
    context: &mut Context,
    number: u64,
    up: &prometheus::IntGauge,
) -> Result<(), SessionError> {
    let mut session = session::open(context, number).await?;
    up.set(1);
    context.metrics.reasons.clear(&format!("source {}", context.name));
    tracing::info!(source = %context.name, queue = %context.amqp.queue, "source is up");
    let ended = session.consume(context).await;
    session.close().await;
    ended
}

/// Waits while the journal has no room. `false` when the agent stops.
async fn wait_until_open(context: &mut Context) -> bool {
    loop {
        if *context.stop.borrow() {
            return false;
        }
        if *context.open.borrow() {
            return true;
        }
        tokio::select! {
            changed = context.open.changed() => if changed.is_err() { return false },
            _ = context.stop.changed() => return false,
        }
    }
}

/// The broker refused the login: trying again with the same credential only locks the user. Waits
/// until the secret was written anew.
async fn wait_for_credential(context: &mut Context, refused: Digest) {
    tracing::error!(
        source = %context.name,
        "the broker refused the login; waiting for another credential (no restart needed)"
    );
    let Context { amqp, base, stop, .. } = context;
    tokio::select! {
        _ = rotated(&amqp.url, &amqp.tls, base, refused) => {}
        _ = stop.changed() => {}
    }
}

async fn wait(context: &mut Context, strange: Option<Digest>, pause: Duration) {
    let Context { amqp, base, stop, .. } = context;
    tokio::select! {
        () = amqp::pause((&amqp.url, &amqp.tls, base), strange, pause) => {}
        _ = stop.changed() => {}
    }
}
