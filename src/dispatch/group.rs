//! One group of deliveries on its way: prepare, commit, publish, settle.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::Retry;
use crate::delivery::{Consignment, DeliveryId, Due, Outcome, Settlement};
use crate::dispatch::{Ids, retry};
use crate::journal::{CommitError, Journal};
use crate::target::file::{FileError, Folder};

/// The pause before a settlement that the journal did not take is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a group works with.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) name: Arc<str>,
    pub(super) folder: Folder,
    pub(super) journal: Journal,
    pub(super) retry: Retry,
    pub(super) clock: fn() -> Timestamp,
    pub(super) stop: watch::Receiver<bool>,
}

/// What came of a group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) brought: Ids,
    pub(super) took: Duration,
}

/// What came of one delivery.
#[derive(Debug)]
pub(super) enum Brought {
    /// It is there.
    Delivered,
    /// It was tried and counts.
    Again {
        /// Not before.
        due: Timestamp,
    },
    /// It will never be there.
    Dead,
    /// It was not tried; the target, or the journal, is not to be had.
    Down(String),
}

/// Brings the heads of lanes to the target.
pub(super) async fn bring(tools: Arc<Tools>, heads: Vec<Due>) -> Group {
    let started = tokio::time::Instant::now();
    let mut brought = Vec::with_capacity(heads.len());
    let left = prepare(&tools, &heads, &mut brought).await;
    let early = crate::fault::is_on("settle-before-rename");
    if early {
        let all = left.iter().map(|consignment| delivered(&tools, consignment.id)).collect();
        settle(&tools, all).await;
    }
    let left = publish(&tools, left, &heads, &mut brought).await;
    if !early {
        crate::fault::point("before-settle");
        let all = left.iter().map(|id| delivered(&tools, *id)).collect();
        settle(&tools, all).await;
    }
    crate::fault::point("after-settle");
    brought.extend(left.into_iter().map(|id| (id, Brought::Delivered)));
    Group { brought, took: started.elapsed() }
}

/// Reads the consignments, writes those that are new under their temporary names and commits that.
/// Returns those that may be published.
async fn prepare(tools: &Arc<Tools>, heads: &[Due], brought: &mut Ids) -> Vec<Consignment> {
    let ids: Vec<DeliveryId> = heads.iter().map(|due| due.id).collect();
    let worker = tools.clone();
    let prepared = blocking(move || {
        let list = worker.journal.consignments(&ids).map_err(|error| error.to_string())?;
        let (ready, fresh): (Vec<_>, Vec<_>) = list.into_iter().partition(|one| one.prepared);
        let results = worker.folder.prepare(&fresh);
        Ok::<_, String>((ready, fresh.into_iter().zip(results).collect::<Vec<_>>()))
    });
    let (mut ready, fresh) = match prepared.await {
        Ok(prepared) => prepared,
        Err(reason) => {
            brought.extend(heads.iter().map(|due| (due.id, Brought::Down(reason.clone()))));
            return Vec::new();
        }
    };
    let (mut new, mut settlements) = (Vec::new(), Vec::new());
    for (consignment, result) in fresh {
        match result {
            Ok(()) => {
                let (id, at) = (consignment.id, (tools.clock)());
                settlements.push(Settlement { id, at, outcome: Outcome::Prepared });
                new.push(consignment);
            }
            Err(FileError::Unavailable { .. }) => {
                let reason = result.err().map(|error| error.to_string()).unwrap_or_default();
                brought.push((consignment.id, Brought::Down(reason)));
            }
            Err(error) => brought.push(dead(tools, consignment.id, error.to_string()).await),
        }
    }
    crate::fault::point("before-prepared");
    if let Err(error) = tools.journal.settle(settlements).await {
        let down = |one: &Consignment| (one.id, Brought::Down(error.to_string()));
        brought.extend(new.iter().map(down));
        new.clear();
    }
    crate::fault::point("after-prepared");
    ready.extend(new);
    ready
}

/// Renames. Returns the deliveries that are there now.
async fn publish(
    tools: &Arc<Tools>,
    list: Vec<Consignment>,
    heads: &[Due],
    brought: &mut Ids,
) -> Vec<DeliveryId> {
    if list.is_empty() {
        return Vec::new();
    }
    let worker = tools.clone();
    let published = blocking(move || {
        let results = worker.folder.publish(&list);
        list.into_iter().map(|consignment| consignment.id).zip(results).collect::<Vec<_>>()
    });
    let mut there = Vec::new();
    for (id, result) in published.await {
        match result {
            Ok(()) => there.push(id),
            Err(error @ FileError::Unavailable { .. }) => {
                brought.push((id, Brought::Down(error.to_string())));
            }
            Err(error @ FileError::Taken { .. }) => {
                let attempts = heads.iter().find(|due| due.id == id).map_or(0, |due| due.attempts);
                brought.push(again(tools, id, attempts + 1, error.to_string()).await);
            }
            Err(error @ FileError::Refused { .. }) => {
                brought.push(dead(tools, id, error.to_string()).await);
            }
        }
    }
    there
}

async fn again(
    tools: &Arc<Tools>,
    id: DeliveryId,
    attempts: u32,
    reason: String,
) -> (DeliveryId, Brought) {
    let now = (tools.clock)();
    let Some(due) = retry::next(tools.retry, id, attempts, now) else {
        return dead(tools, id, format!("{reason}; attempt {attempts} was the last")).await;
    };
    tracing::warn!(target = %tools.name, delivery = id, attempts, reason, "delivery will be tried again");
    settle(tools, vec![Settlement { id, at: now, outcome: Outcome::Retry { due, reason } }]).await;
    (id, Brought::Again { due })
}

async fn dead(tools: &Arc<Tools>, id: DeliveryId, reason: String) -> (DeliveryId, Brought) {
    tracing::error!(target = %tools.name, delivery = id, reason, "delivery is dead");
    let at = (tools.clock)();
    settle(tools, vec![Settlement { id, at, outcome: Outcome::Dead { reason } }]).await;
    (id, Brought::Dead)
}

fn delivered(tools: &Tools, id: DeliveryId) -> Settlement {
    let reference = String::new();
    Settlement { id, at: (tools.clock)(), outcome: Outcome::Delivered { reference } }
}

/// Settles, however long the journal takes: what happened must be recorded before the lane moves
/// on. Only the end of the agent ends the waiting; then the next start finds out by itself.
async fn settle(tools: &Arc<Tools>, settlements: Vec<Settlement>) {
    let mut stop = tools.stop.clone();
    loop {
        match tools.journal.settle(settlements.clone()).await {
            Ok(()) | Err(CommitError::Closed) => return,
            Err(error) if *stop.borrow() => {
                tracing::warn!(%error, "settlement not recorded; it will be found out at the start");
                return;
            }
            Err(error) => {
                tracing::error!(%error, target = %tools.name, "settlement not recorded yet");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = stop.changed() => {}
                }
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
